"""Loop nests for numba: order of loops by strides, reductions in blocks, both cores by prange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .numba_terms import Loops, NumbaTerms, indices
from .program import Program
from .steps import Labels, Nest, Term, Value

#: Partial sums run over this many terms before they are added up: errors stay small.
BLOCK = 1024
DTYPES = {"real": "real", "boolean": "np.bool_", "integer": "np.int64"}


class NumbaNests(NumbaTerms):
    """Writes nests."""

    def __init__(self, program: Program, precision: str) -> None:
        super().__init__(program, precision)
        self.indent = 1
        #: Names of values whose memory the caller of the kernels provides.
        self.lent: frozenset[str] = frozenset()
        #: Local arrays that the kernel being written fills, with the text that allocates each.
        self.filled: dict[str, str] = {}
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
    def nest(self, step: Nest) -> None:
        """``out[output] = sum over reduced of term``."""
        wanted = "real" if step.value.kind == "real" else step.value.kind
        if not step.output:
            self._to_scalar(step, wanted)
        elif not step.reduced:
            self._elementwise(step, wanted)
        else:
            self._reducing(step, wanted)
        self.unsigned = set()

    def _elementwise(self, step: Nest, wanted: str) -> None:
        name = self.new_array(step.value)
        order = self._order(step.term, step.output, step.output)
        target = f"{name}[{', '.join(indices(step.output))}]"
        self.loops(order, step.sizes, step.term, wanted, f"{target} = {{}}", parallel=True)

    def _to_scalar(self, step: Nest, wanted: str) -> None:
        """A sum over everything, in blocks; partial sums of threads are added in order."""
        name = self.fresh()
        if not step.reduced:
            loops = Loops({}, 0)
            result = self.term(step.term, loops, wanted)
            for text in loops.lines[0]:
                self.line(text)
            self.line(f"{name} = {result}")
        else:
            self._summed(name, step)
        self.arrays[step.value] = name, ()

    def _summed(self, name: str, step: Nest) -> None:
        *outer, last = self._order(step.term, step.reduced, ())
        extent = self.size(step.sizes[last])
        zero = self.number(0)
        first = outer[0] if outer else None
        loops = Loops({x: k + 1 for k, x in enumerate((*outer, last))}, len(outer) + 1)
        self.unsigned = {f"i{x}" for x in (*outer[:1], *(() if outer else (last,)))}
        result = self.term(step.term, loops)
        self._emit(loops, 0)
        count = self.size(step.sizes[outer[0]]) if outer else f"({extent} + {BLOCK - 1}) // {BLOCK}"
        parts = f"{name}_parts"
        counter = f"i{first}" if outer else f"{name}_block"
        self.line(f"{parts} = np.empty({count}, real)")
        self.line(f"for {counter} in prange({count}):")
        self.indent += 1
        self._emit(loops, 1) if outer else None
        if not outer:
            self.line(f"{name}_start = {BLOCK} * {counter}")
            span = f"min({BLOCK}, {extent} - {name}_start)"
            self._inner(loops, last, span, name, result, f"{name}_start")
            self.line(f"{parts}[{counter}] = {name}_sum")
        else:
            self.line(f"{name}_row = {zero}")
            for depth, label in enumerate(outer[1:], 2):
                self.opened(label, step.sizes[label])
                self._emit(loops, depth)
            self._inner(loops, last, extent, name, result)
            self.line(f"{name}_row += {name}_sum")
            self.indent -= len(outer) - 1
            self.line(f"{parts}[{counter}] = {name}_row")
        self.indent -= 1
        self.line(f"{name} = {zero}")
        self.line(f"for {counter} in range({count}):")
        self.line(f"    {name} += {parts}[{counter}]")

    def _inner(
        self, loops: Loops, label: int, span: str, name: str, result: str, start: str = ""
    ) -> None:
        """The innermost loop; from ``start`` with indices that are seen to be positive."""
        self.line(f"{name}_sum = {self.number(0)}")
        self.line(f"for {name}_k in range({span}):" if start else f"for i{label} in range({span}):")
        self.indent += 1
        if start:
            self.line(f"i{label} = np.uint64({start} + {name}_k)")
        self._emit(loops, len(loops.lines) - 1)
        self.line(f"{name}_sum += {result}")
        self.indent -= 1

    def _emit(self, loops: Loops, depth: int) -> None:
        for text in loops.lines[depth]:
            self.line(text)

    def _reducing(self, step: Nest, wanted: str) -> None:
        """A sum for each output entry; rows of the output in memory if its last label is inner."""
        order = self._order(step.term, (*step.output, *step.reduced), step.output)
        inner = order[-1]
        outer = [label for label in order if label in step.output]
        name = self.new_array(step.value, "zeros" if inner in step.output else "empty")
        target = f"{name}[{', '.join(indices(step.output))}]"
        if inner in step.output:
            rows = [label for label in outer if label != inner]
            sums = [label for label in order if label in step.reduced]
            full = (*rows, *sums, inner)
            self.loops(full, step.sizes, step.term, wanted, f"{target} += {{}}", bool(rows))
            return
        sums = [label for label in order if label in step.reduced]
        total = f"{name}_sum"
        self.loops(
            (*outer, *sums),
            step.sizes,
            step.term,
            wanted,
            f"{total} += {{}}",
            parallel=True,
            before=(len(outer), f"{total} = {self.number(0)}", f"{target} = {total}"),
        )

    def loops(
        self,
        order: Sequence[int],
        sizes: Any,
        term: Term,
        wanted: str,
        store: str,
        parallel: bool = False,
        before: tuple[int, str, str] | None = None,
    ) -> None:
        """Nested loops around one statement; ``before`` adds lines around the loops below a depth.

        Every part of the term is computed in the outermost loop that has its labels.
        """
        loops = Loops({label: k + 1 for k, label in enumerate(order)}, len(order))
        self.unsigned = {f"i{label}" for label in order[:1] if parallel}
        result = self.term(term, loops, wanted)
        self._emit(loops, 0)
        top = self.indent
        for depth, label in enumerate(order, 1):
            if before and before[0] == depth - 1:
                self.line(before[1])
            self.opened(label, sizes[label], parallel and depth == 1)
            self._emit(loops, depth)
        self.line(store.format(result))
        self.indent = top
        if before:
            self.indent += before[0]
            self.line(before[2])
            self.indent = top

    def _order(self, term: Term, labels: Labels, output: Labels) -> list[int]:
        """Labels from the outermost loop to the innermost: the one most loads step through last."""
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
