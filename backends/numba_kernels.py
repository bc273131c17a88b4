"""Steps of a Program as lines of numba kernels; steps that only NumPy has lie between kernels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .liveness import Uses, is_view
from .nest_groups import groups
from .numba_nests import DTYPES
from .numba_terms import indices
from .numba_tiles import NumbaTiles
from .program import Program
from .row_tiles import Tile
from .steps import (
    Call,
    Contract,
    Gather,
    Indicator,
    Input,
    Insert,
    Labels,
    Nest,
    Reshape,
    Scatter,
    Step,
    Value,
    View,
)

#: Lines from which a kernel ends after a step: compiling takes longer than in proportion to them
#: (``python -m benchmarks.thresholds``).
LINES = 100

#: Names that the text of kernels uses.
TAKEN = set(
    "np math real vm prange range min max abs select int dot matrix_vector vector_matrix "
    "matrix_matrix batched gram row_gram signed_gram clear empty njit f kernel rows "
    "matrices".split()
)


@dataclass
class Kernel:
    """Lines of one compiled function, names it reads from outside and arrays lent to it.

    ``changed`` are arrays of earlier kernels that it writes into.
    """

    lines: list[str] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)
    sizes: set[str] = field(default_factory=set)
    filled: dict[str, str] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


class NumbaKernels(NumbaTiles):
    """Writes every step into the kernel at hand, or between two of them."""

    def __init__(
        self, program: Program, precision: str, large: frozenset[str], region: Tile | None
    ) -> None:
        super().__init__(program, precision)
        self.region = region
        self.uses = Uses(program.steps, program.outputs, is_view)
        self.lent = _lent(program, large)
        self.taken |= TAKEN
        self.parameters = [self._parameter(step.value) for step in program.inputs]
        self.taken |= set(self.parameters)
        for step, name in zip(program.inputs, self.parameters, strict=True):
            self.arrays[step.value] = name, tuple(range(step.value.ndim))
        #: Kernels and, between them, steps for NumPy with their arguments.
        self.segments: list[Kernel | tuple[Call, list[str], str]] = []
        self._new_kernel()

    def _parameter(self, value: Value) -> str:
        clash = value.name in TAKEN or re.fullmatch(r"([itv]|kernel|run)\d+\w*", value.name)
        return f"{value.name}_" if clash else value.name

    def size_names(self) -> dict[str, str]:
        """Where each symbol can be read off an argument."""
        found: dict[str, str] = {}
        for step, name in zip(self.program.inputs, self.parameters, strict=True):
            for axis, extent in enumerate(step.value.extents):
                symbol = self.symbol(str(extent))
                if symbol.isidentifier():
                    found.setdefault(symbol, f"{name}.shape[{axis}]")
        return found

    def _new_kernel(self) -> None:
        self.kernel = Kernel()
        self.lines = self.kernel.lines
        self.reads = self.kernel.reads
        self.sizes = self.kernel.sizes
        self.filled = self.kernel.filled
        self.segments.append(self.kernel)

    def bind(self, text: str) -> str:
        """Assign a text to a new name."""
        name = self.fresh()
        self.line(f"{name} = {text}")
        return name

    # -- steps ------------------------------------------------------------------------------
    def write(self) -> None:
        """Every step in order; then the outputs as arrays."""
        inside = self.region.made if self.region else set()
        position, steps = 0, self.program.steps
        places = [k for k, step in enumerate(steps) if step.value in inside]
        first, last = (places[0], places[-1] + 1) if places else (len(steps), len(steps))
        for own in groups(steps[:first]):
            position = self._written(own, position)
        if self.region:
            self.tile(self.region)
        position = last
        for own in groups(steps[last:]):
            position = self._written(own, position)
        for output in self.program.outputs:
            self.output_name(output)

    def _written(self, steps: Sequence[Step], position: int) -> int:
        """Steps of one loop; the position after them."""
        self.position = position + len(steps) - 1
        if len(steps) > 1:
            self._group(steps)
        else:
            self.step(steps[0])
        if len(self.lines) > LINES:
            self._new_kernel()
        return self.position + 1

    def _group(self, steps: Sequence[Step]) -> None:
        """One loop; what only its own nests read is not stored."""
        nests = [step for step in steps if isinstance(step, Nest)]
        first, last = self.position + 1 - len(nests), self.position
        reads = [self.uses.read.get(nest.value, []) for nest in nests]
        self.group(nests, [any(not first <= k <= last for k in own) for own in reads])

    def step(self, step: Step) -> None:
        """Write one step."""
        write: dict[type, Callable[[Any], None]] = {
            Nest: self.nest,
            Contract: self.contract,
            Insert: self.insert,
            Gather: self.gather,
            Scatter: self.scatter,
            Reshape: self.reshape,
            Call: self.call,
        }
        if not isinstance(step, (Input, View, Indicator)):
            write[type(step)](step)

    def output_name(self, value: Value) -> tuple[str, tuple[int, ...]]:
        """An array and the axes in which it lies; a view that orders axes anew is not copied."""
        axes = list(range(value.ndim))
        while value not in self.arrays:
            step = self.makers[value]
            if not isinstance(step, View) or None in [form.label for form in step.axes]:
                return self.laid_out(value), tuple(axes)
            own = [form.label for form in step.axes]
            if len(own) != len(axes) or sorted(map(str, own)) != sorted(map(str, range(len(own)))):
                return self.laid_out(value), tuple(axes)
            axes = [axes[k] for k in own if k is not None]
            value = step.source
        name, places = self.arrays[value]
        self.reads.add(name)
        return name, tuple(axes[place] for place in places)

    def call(self, step: Call) -> None:
        """A compiled function, or a step between kernels."""
        if self.compiled_call(step):
            return
        arguments = [self.laid_out(value) for value in step.arguments]
        name = self.fresh()
        self.segments.append((step, arguments, name))
        self._new_kernel()
        self.arrays[step.value] = name, tuple(range(step.value.ndim))

    def reshape(self, step: Reshape) -> None:
        """The same entries under another shape."""
        source = self.laid_out(step.source)
        text = f"np.ascontiguousarray({source}).reshape({self.shape(step.value.extents)})"
        self.arrays[step.value] = self.bind(text), tuple(range(step.value.ndim))

    def insert(self, step: Insert) -> None:
        """A core added on an affine set of places."""
        name = self._base(step)
        order = tuple(step.sizes)
        core = self.load(step.core, [f"i{label}" for label in step.labels])
        if step.core.kind != "real":
            core = f"real({core})"
        self._looped(step, order, name, core)

    def _looped(self, step: Insert, order: Labels, name: str, core: str) -> None:
        top = self.indent
        for label in order:
            self.opened(label, step.sizes[label])
        by_label = _ByLabel()
        forms = [self.affine(form, by_label) for form in step.axes]  # type: ignore[arg-type]
        if not step.inside:
            self.line(f"if {self.bounds(forms, step.value.extents)}:")
            self.indent += 1
        self.line(f"{name}[{', '.join(forms)}] += {core}")
        self.indent = top

    def _base(self, step: Insert) -> str:
        if step.base is None:
            return self.new_array(step.value, "zeros")
        name, axes = self.arrays.get(step.base, ("", ()))
        own = name in self._made() and axes == tuple(range(step.value.ndim))
        if own and step.base.kind == "real" and self.uses.last(step.base) == self.position:
            self.arrays[step.value] = self.arrays[step.base]
            if name not in _made_by(self.kernel):
                self.reads.add(name)
                self.kernel.changed.add(name)
            return name
        labels = tuple(range(step.value.ndim))
        loads = [f"i{label}" for label in labels]
        target = self.new_array(step.value)
        top = self.indent
        for label in labels:
            self.opened(label, step.value.extents[label])
        self.line(f"{target}[{', '.join(loads)}] = {self.load(step.base, loads)}")
        self.indent = top
        return target

    def _made(self) -> set[str]:
        """Arrays that a kernel up to this one allocates or is lent."""
        kernels = [each for each in self.segments if isinstance(each, Kernel)]
        return set().union(*map(_made_by, kernels))

    def gather(self, step: Gather) -> None:
        """``source[..., index, ...]``; an index out of range raises IndexError."""
        extent = step.source.extents[step.labels.index(step.selected)]
        sizes = dict(zip(step.output, step.value.extents, strict=True))
        name = self.new_array(step.value)
        top = self.indent
        for label in (*step.index_labels, *(k for k in step.output if k not in step.index_labels)):
            self.opened(label, sizes[label])
            if step.index_labels and label == step.index_labels[-1]:
                self._index(step, extent)
        if not step.index_labels:
            self._index(step, extent)
        source = self.load(step.source, indices(step.labels))
        self.line(f"{name}[{', '.join(indices(step.output))}] = {source}")
        self.indent = top

    def scatter(self, step: Scatter) -> None:
        """A core added up at the places that an index names."""
        extent = step.value.extents[step.output.index(step.selected)]
        sizes = dict(zip(step.output, step.value.extents, strict=True))
        sizes |= dict(zip(step.index_labels, step.index.extents, strict=True))
        name = self.new_array(step.value, "zeros")
        top = self.indent
        rest = [k for k in step.output if k != step.selected and k not in step.index_labels]
        for label in (*step.index_labels, *rest):
            self.opened(label, sizes[label])
            if step.index_labels and label == step.index_labels[-1]:
                self._index(step, extent)
        if not step.index_labels:
            self._index(step, extent)
        core = self.load(step.core, indices(step.labels))
        core = core if step.core.kind == "real" else f"real({core})"
        self.line(f"{name}[{', '.join(indices(step.output))}] += {core}")
        self.indent = top

    def _index(self, step: Gather | Scatter, extent: Any) -> None:
        place, size = f"i{step.selected}", self.integer(extent)
        self.line(f"{place} = int({self.load(step.index, indices(step.index_labels))})")
        self.line(f"if {place} < -{size} or {place} >= {size}:")
        self.line('    raise IndexError("an index is out of range")')
        self.line(f"if {place} < 0:")
        self.line(f"    {place} += {size}")


def _made_by(kernel: Kernel) -> set[str]:
    """Arrays that a kernel allocates or is lent."""
    return {m.group(1) for m in map(_ALLOCATION.match, kernel.lines) if m} | kernel.filled.keys()


def _lent(program: Program, large: frozenset[str]) -> frozenset[str]:
    """Names of values whose memory is lent: large ones, results, and what becomes a result."""
    names = large | {value.name for value in program.outputs}
    for step in reversed(program.steps):
        if step.value.name in names:
            if isinstance(step, (View, Reshape)):
                names |= {step.source.name}
            elif isinstance(step, Insert) and step.base is not None:
                names |= {step.base.name}
    return names


_DTYPE = "|".join(map(re.escape, DTYPES.values()))
_ALLOCATION = re.compile(rf"    (t\d+) = np\.(?:empty|zeros)\(.*, (?:{_DTYPE})\)$")


class _ByLabel:
    """The loop variable of any label."""

    def __getitem__(self, label: int) -> str:
        return f"i{label}"


__all__ = ["Kernel", "NumbaKernels"]
