"""Loop nests for numba: order of loops by strides, sums by rows, both cores by prange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .numba_terms import Loops, NumbaTerms, indices
from .program import Program
from .steps import Labels, Nest, Term, Value

DTYPES = {"real": "real", "boolean": "np.bool_", "integer": "np.int64"}


class NumbaNests(NumbaTerms):
    """Writes nests."""

    def __init__(self, program: Program, precision: str) -> None:
        super().__init__(program, precision)
        self.indent = 1
        #: Whether several cores may work on one loop.
        self.parallel = False
        #: Names of values whose memory the caller of the kernels provides.
        self.lent: frozenset[str] = frozenset()
        #: Local arrays that the kernel being written fills, with the text that allocates each.
        self.filled: dict[str, str] = {}
        #: Sizes that the kernel computes itself.
        self.local_sizes: set[str] = set()
        #: Symbols that the caller of the kernels needs.
        self.host_sizes: set[str] = set()

    # -- lines ------------------------------------------------------------------------------
    def line(self, text: str) -> None:
        """Add a line at the present depth."""
        super().line("    " * self.indent + text)

    def opened(self, label: int, extent: Any, parallel: bool = False) -> None:
        """Open a loop over a label."""
        counter = "prange" if parallel else "range"
        self.line(f"for i{label} in {counter}({self.size(extent)}):")
        self.indent += 1

    def new_array(self, value: Value, how: str = "empty", order: Labels | None = None) -> str:
        """A new array for a value, axes in ``order``; made by the kernel or lent to it."""
        name = self.fresh()
        order = tuple(range(value.ndim)) if order is None else order
        extents = [value.extents[axis] for axis in order]
        dtype = DTYPES[value.kind]
        if value.name in self.lent:
            own, self.sizes = self.sizes, self.host_sizes
            self.filled[name] = f"empty({self.shape(extents)}, {dtype})"
            self.sizes = own
            if how == "zeros":
                self.line(f"clear({name})")
        else:
            self.line(f"{name} = np.{how}({self.shape(extents)}, {dtype})")
        self.arrays[value] = name, tuple(order.index(axis) for axis in range(value.ndim))
        return name

    # -- nests ------------------------------------------------------------------------------
    def _elementwise(self, step: Nest, wanted: str) -> None:
        name = self.new_array(step.value)
        order = self._order(step.term, step.output, step.output)
        target = f"{name}[{', '.join(indices(step.output))}]"
        self.loops(order, step.sizes, step.term, wanted, f"{target} = {{}}", parallel=True)

    def _emit(self, loops: Loops, depth: int) -> None:
        for text in loops.lines[depth]:
            self.line(text)

    def _by_rows(self, step: Nest, order: Sequence[int], wanted: str) -> None:
        """A sum whose result is a row of the innermost loop: terms are added to it in memory."""
        name = self.new_array(step.value, "zeros")
        target = f"{name}[{', '.join(indices(step.output))}]"
        rows = [label for label in order if label in step.output and label != order[-1]]
        sums = [label for label in order if label in step.reduced]
        full = (*rows, *sums, order[-1])
        self.loops(full, step.sizes, step.term, wanted, f"{target} += {{}}", bool(rows))

    def loops(
        self,
        order: Sequence[int],
        sizes: Any,
        term: Term,
        wanted: str,
        store: str,
        parallel: bool = False,
    ) -> None:
        """Nested loops around one statement.

        Every part of the term is computed in the outermost loop that has its labels.
        """
        loops = Loops({label: k + 1 for k, label in enumerate(order)}, len(order))
        self.unsigned = {f"i{label}" for label in order[:1] if parallel}
        result = self.term(term, loops, wanted)
        self._emit(loops, 0)
        top = self.indent
        for depth, label in enumerate(order, 1):
            self.opened(label, sizes[label], parallel and depth == 1)
            self._emit(loops, depth)
        self.line(store.format(result))
        self.indent = top

    def _order(self, term: Term, labels: Labels, output: Labels) -> list[int]:
        """Labels from the outermost loop to the innermost: the one most loads step through last."""
        if not labels:
            return []
        loads = [self._places(value, own) for value, own in term.loads()]
        loads += [output] if output == labels else []
        votes = dict.fromkeys(labels, 0)
        for own in dict.fromkeys(loads):
            if len(own) > 1:
                votes[own[-1]] += len(own) + (own is output)
        inner = max(labels, key=lambda label: (votes[label], labels.index(label)))
        return [*(label for label in labels if label != inner), inner]

    def _places(self, value: Value, labels: Labels) -> Labels:
        """Labels in the order of the array's memory, as far as it is known."""
        if value in self.arrays:
            _, axes = self.arrays[value]
            return tuple(labels[axis] for axis in axes)
        return ()
