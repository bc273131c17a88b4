"""Sums in blocks, and nests of a group as one loop: shared loads, one pass over memory."""

from __future__ import annotations

from collections.abc import Sequence

from .numba_nests import NumbaNests
from .numba_terms import SUMMED, Loops, indices
from .steps import Nest

#: Partial sums run over this many terms before they are added up: errors stay small.
BLOCK = 1024


class NumbaGroups(NumbaNests):
    """Writes nests and groups of nests, see :mod:`.nest_groups`."""

    def nest(self, step: Nest) -> None:
        """``out[output] = sum over reduced of term``."""
        order = self._order(step.term, (*step.output, *step.reduced), step.output)
        if not order:
            self._number(step)
        elif not step.reduced:
            self._elementwise(step, step.value.kind)
        elif order[-1] in step.output:
            self._by_rows(step, order, step.value.kind)
        else:
            self.group([step], [True])
        self.unsigned = set()

    def _number(self, step: Nest) -> None:
        """A nest without loops."""
        loops = Loops({}, 0)
        result = self.term(step.term, loops, step.value.kind)
        for text in loops.lines[0]:
            self.line(text)
        name = self.fresh()
        self.line(f"{name} = {result}")
        self.arrays[step.value] = name, ()

    def group(self, nests: Sequence[Nest], kept: Sequence[bool]) -> None:
        """All nests of a group; those not ``kept`` are read inside it alone and get no array."""
        order = self._common_order(nests)
        loops = Loops({label: k + 1 for k, label in enumerate(order)}, len(order))
        members = [_Member(self, nest, keep) for nest, keep in zip(nests, kept, strict=True)]
        blocks = len(order) == 1 and any(member.is_scalar for member in members)
        first = f"i{order[0]}"
        self.unsigned = {first}
        for member in members:
            member.compute(loops, blocks)
        self.reads -= {member.name for member in members if not member.keep}
        self._emit(loops, 0)
        outer = self.size(nests[0].sizes[order[0]])
        count = f"({outer} + {BLOCK - 1}) // {BLOCK}" if blocks else outer
        counter = f"{members[0].name}_block" if blocks else first
        for member in members:
            member.before(count)
        top = self.indent
        self.line(f"for {counter} in prange({count}):")
        self.indent += 1
        if blocks:
            self._blocks(order[0], counter, outer, members, loops)
        else:
            self._nested(order, nests[0], members, loops)
        for member in members:
            member.after_outermost(counter)
        self.indent = top
        for member in members:
            member.after(counter, count)
        self.unsigned = set()

    def _common_order(self, nests: Sequence[Nest]) -> list[int]:
        """Labels of small results outside; among others the order that memory prefers."""
        labels = (*nests[0].output, *nests[0].reduced)
        widest = max(nests, key=lambda nest: len(nest.output))
        order = self._order(widest.term, labels, widest.output)
        depth = {
            x: min(len(n.output) for n in nests if x in n.output or n is widest) for x in labels
        }
        inside = {x: all(x not in nest.output for nest in nests) for x in labels}
        return sorted(order, key=lambda x: (inside[x], depth[x], order.index(x)))

    def _blocks(
        self, label: int, counter: str, extent: str, members: Sequence[_Member], loops: Loops
    ) -> None:
        """One long loop in pieces, whose sums stay exact enough to be added up."""
        start = f"{counter}_start"
        self.line(f"{start} = {BLOCK} * {counter}")
        self._zeros(members, "sum")
        for member in members:
            member.before_block()
        count = f"min({BLOCK}, {extent} - {start})"
        self.line(f"for {counter}_k in range({count}):")
        self.indent += 1
        self.line(f"i{label} = np.uint64({start} + {counter}_k)")
        self._emit(loops, 1)
        for member in members:
            member.innermost(f"{counter}_k")
        self.indent -= 1
        for member in members:
            member.after_block(count)

    def _nested(
        self, order: Sequence[int], nest: Nest, members: Sequence[_Member], loops: Loops
    ) -> None:
        base = self.indent
        for depth, label in enumerate(order, 1):
            if depth > 1:
                if depth == len(order):
                    self._zeros([member for member in members if member.has_sum], "sum")
                self.opened(label, nest.sizes[label])
            self._emit(loops, depth)
            for member in members:
                member.opened(depth, len(order))
        for member in members:
            member.innermost()
        for depth in reversed(range(1, len(order))):
            self.indent = base + depth - 1
            for member in members:
                member.closed(depth, len(order))
        self.indent = base

    def _zeros(self, members: Sequence[_Member], name: str) -> None:
        for member in members:
            if member.has_sum:
                self.line(f"{member.name}_{name} = {self.number(0)}")


class _Member:
    """One nest of a group: where its sum starts, where its entries are stored."""

    def __init__(self, writer: NumbaGroups, nest: Nest, keep: bool) -> None:
        self.writer = writer
        self.nest = nest
        self.keep = keep
        self.depth = len(nest.output)
        self.has_sum = bool(nest.reduced)
        self.is_scalar = not nest.output
        self.name = writer.new_array(nest.value) if nest.output and keep else writer.fresh()
        self.result = ""
        #: Functions of a sum in two parts, and the array of what a block keeps for the second.
        self.summed: tuple[str, str] | None = None
        self.kept = f"{self.name}_kept"

    @property
    def target(self) -> str:
        """The entry at hand."""
        return f"{self.name}[{', '.join(indices(self.nest.output))}]"

    def compute(self, loops: Loops, blocks: bool) -> None:
        """Write the term; whoever loads the entry inside the group finds it computed."""
        kind, term = self.nest.value.kind, self.nest.term
        if blocks and self.is_scalar and term.operator == "apply":
            self.summed = SUMMED.get(term.payload[0].name)
        if self.summed:
            self.result = self.writer.term(term.arguments[0], loops)
            return
        self.result = self.writer.term(term, loops, kind)
        if not self.nest.reduced:
            self.writer.arrays.setdefault(self.nest.value, (self.name, self.nest_axes()))
            entry = self.writer.load(self.nest.value, indices(self.nest.output))
            loops.known[entry] = self.result

    def nest_axes(self) -> tuple[int, ...]:
        """Axes in order."""
        return tuple(range(self.nest.value.ndim))

    def before(self, count: str) -> None:
        """Parallel turns of the outermost loop keep a part of a scalar each."""
        if self.is_scalar and self.writer.parallel:
            self.writer.line(f"{self.name}_parts = np.empty({count}, real)")
        elif self.is_scalar:
            self.writer.line(f"{self.name} = {self.writer.number(0)}")

    def opened(self, depth: int, rank: int) -> None:
        """Start a sum once the labels of its entry are known and more than one loop is left."""
        if self.has_sum and depth == max(self.depth, 1) and depth < rank - 1:
            self.writer.line(f"{self.name}_row = {self.writer.number(0)}")

    def before_block(self) -> None:
        """Make room for what the sum of a block keeps of each term."""
        if self.summed:
            self.writer.line(f"{self.kept} = np.empty({BLOCK}, real)")

    def after_block(self, count: str) -> None:
        """Add what the block kept."""
        if self.summed:
            self.writer.line(f"{self.name}_sum += {self.summed[1]}({self.kept}, {count})")

    def innermost(self, place: str = "") -> None:
        """Add the term, or store it; ``place`` counts the terms of a block."""
        if self.summed:
            parts = f"{self.name}_part, {self.kept}[{place}]"
            self.writer.line(f"{parts} = {self.summed[0]}({self.result})")
            self.writer.line(f"{self.name}_sum += {self.name}_part")
        elif self.has_sum:
            self.writer.line(f"{self.name}_sum += {self.result}")
        elif self.keep:
            self.writer.line(f"{self.target} = {self.result}")

    def closed(self, depth: int, rank: int) -> None:
        """What follows the loop below a depth."""
        if not self.has_sum:
            return
        own = max(self.depth, 1)
        rows = own < rank - 1
        if rows and depth == rank - 1:
            self.writer.line(f"{self.name}_row += {self.name}_sum")
        if depth == own and not self.is_scalar:
            self.writer.line(f"{self.target} = {self.name}_{'row' if rows else 'sum'}")
        if depth == own and self.is_scalar and rows:
            self.writer.line(f"{self.name}_sum = {self.name}_row")

    def after_outermost(self, counter: str) -> None:
        """Keep the part of a scalar."""
        if self.is_scalar:
            whole = f"{self.name}_parts[{counter}] =" if self.writer.parallel else f"{self.name} +="
            self.writer.line(f"{whole} {self.name}_sum")

    def after(self, counter: str, count: str) -> None:
        """Add up the parts, always in the same order."""
        if self.is_scalar and self.writer.parallel:
            write, name = self.writer.line, self.name
            write(f"{name} = {self.writer.number(0)}")
            write(f"for {counter} in range({count}):")
            write(f"    {name} += {name}_parts[{counter}]")
        if self.is_scalar:
            self.writer.arrays[self.nest.value] = self.name, ()


__all__ = ["NumbaGroups"]
