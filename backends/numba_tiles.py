"""Regions of pairwise values for numba: a loop over blocks of rows around the steps of a region."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .nest_groups import groups
from .numba_calls import NumbaCalls
from .row_tiles import Tile
from .steps import Nest, Step, Value

#: Entries of a pairwise value that exist at a time, about: what fits into the second cache.
ENTRIES = 32768
#: Rows of a block, at least: a product of matrices needs some.
ROWS = 16


class NumbaTiles(NumbaCalls, ABC):
    """Writes tiles, see :mod:`.row_tiles`."""

    def tile(self, tile: Tile) -> None:
        """All steps of a region, block by block."""
        names = {part: self._array(outer) for part, (outer, _) in tile.slices.items()}
        for outer in tile.sums:
            self._start(outer)
        for outer in tile.kept:
            self.new_array(outer)
        name, rows = self.fresh(), str(tile.rows)
        self.local_sizes.add(rows)
        extent = self.size(tile.extent)
        self.line(f"{name}_most = max({ROWS}, {ENTRIES} // max({self.size(tile.width)}, 1))")
        self.line(f"for {name}_start in range(0, {extent}, {name}_most):")
        self.indent += 1
        self.line(f"{rows} = min({name}_most, {extent} - {name}_start)")
        span = f"{name}_start:{name}_start + {rows}"
        for part, (_, axis) in tile.slices.items():
            own = self.bind(_spanned(names[part], axis, span))
            self.arrays[part] = own, tuple(range(part.ndim))
        outside = dict(self.copies)  # those made inside are there only if a block was
        for steps in groups(tile.steps):
            self._block(tile, list(steps), span)
        self.copies = outside
        self.indent -= 1

    def _array(self, value: Value) -> str:
        """An array with its axes in order."""
        if value not in self.arrays:
            return self.laid_out(value)
        name, axes = self.arrays[value]
        self.reads.add(name)
        return _transposed(name, axes)

    def _start(self, outer: Value) -> None:
        """Where blocks add up."""
        if outer.ndim:
            self.new_array(outer, "zeros")
            return
        self.arrays[outer] = self.bind(self.number(0)), ()

    def _block(self, tile: Tile, steps: list[Step], span: str) -> None:
        """Steps of one loop, and what becomes of their values."""
        nests = [step for step in steps if isinstance(step, Nest)]
        own = {step.value for step in steps}
        read = {value for step in tile.steps if step.value not in own for value in step.operands()}
        read |= {value for value, _ in tile.kept.values()} | set(tile.sums.values())
        if len(steps) > 1:
            self.group(nests, [nest.value in read for nest in nests])
        else:
            self.step(steps[0])
        for outer, (part, axis) in tile.kept.items():
            if part in own:
                target = _spanned(self.arrays[outer][0], axis, span)
                self.line(f"{target} = {self._array(part)}")
        for outer, part in tile.sums.items():
            if part in own:
                self.line(f"{self.arrays[outer][0]} += {self._array(part)}")

    @abstractmethod
    def step(self, step: Step) -> None:
        """Write one step."""


def _spanned(name: str, axis: int, span: str) -> str:
    return f"{name}[{':, ' * axis}{span}]"


def _transposed(name: str, axes: tuple[int, ...]) -> str:
    return name if axes == tuple(range(len(axes))) else f"{name}.transpose({axes})"
