"""What kernels of nests share: labels made canonical, axes merged, indices taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ..numba_terms import Loops
from ..steps import Labels, Nest, Term, Value, View, load
from .actions import Buffer, Grid, Kernel, Kind, Launch
from .grids import THREADS
from .terms import KernelTerms, Known, Place


def canonical(step: Nest) -> Nest:
    """The nest with labels 0, 1, ... in the order of output, then reduced."""
    names = {label: k for k, label in enumerate((*step.output, *step.reduced))}
    return replace(
        step,
        term=step.term.renamed(names),
        output=tuple(names[k] for k in step.output),
        reduced=tuple(names[k] for k in step.reduced),
        sizes={names[k]: extent for k, extent in step.sizes.items() if k in names},
    )


def collapsed(step: Nest, known: Known) -> tuple[Nest, Known]:
    """The nest with neighbouring axes as one wherever every array has them side by side.

    A matrix that is worked on entry by entry is a vector, and needs no division of indices.
    """
    places = dict(known.places)
    changed = True
    while changed:
        changed = False
        for group in (step.output, step.reduced):
            for first, second in pairwise(group):
                if all(
                    _side_by_side(v, own, first, second, places) for v, own in step.term.loads()
                ):
                    step = _merged(step, first, second, places)
                    changed = True
                    break
            if changed:
                break
    return canonical(step), known._replace(places=places)


def _side_by_side(
    value: Value, own: Labels, first: int, second: int, places: Mapping[Value, Place]
) -> bool:
    if first not in own and second not in own:
        return True
    if value not in places or first not in own or second not in own:
        return False
    order = [own[axis] for axis in places[value][1]]
    return order.index(second) == order.index(first) + 1


def _merged(step: Nest, first: int, second: int, places: dict[Value, Place]) -> Nest:
    both = step.sizes[first] * step.sizes[second]
    made: dict[tuple[Value, Labels], Term] = {}

    def changed(term: Term) -> Term:
        if term.operator != "load" or second not in term.payload[1]:
            return Term(term.operator, tuple(map(changed, term.arguments)), term.payload)
        if term.payload not in made:
            value, own = term.payload
            buffer, axes = places[value]
            order = [own[axis] for axis in axes if own[axis] != second]
            extents = dict(zip(own, value.extents, strict=True)) | {first: both}
            new = Value(value.name, tuple(extents[k] for k in order), value.kind)
            places[new] = buffer, tuple(range(len(order)))
            made[term.payload] = load(new, tuple(order))
        return made[term.payload]

    return replace(
        step,
        term=changed(step.term),
        output=tuple(k for k in step.output if k != second),
        reduced=tuple(k for k in step.reduced if k != second),
        sizes={k: both if k == first else e for k, e in step.sizes.items() if k != second},
    )


def is_stored(value: Value, known: Known) -> bool:
    """Whether a value is read from memory; an indicator is computed from its indices."""
    step = known.makers.get(value)
    return value in known.places or (isinstance(step, View) and is_stored(step.source, known))


def innermost(step: Nest, places: Mapping[Value, Place]) -> int:
    """The label that most loads step through in memory; the last one if none does."""
    labels = (*step.output, *step.reduced)
    votes = dict.fromkeys(labels, 0)
    for value, own in dict.fromkeys(step.term.loads()):
        if value in places and len(own) > 1:
            votes[own[places[value][1][-1]]] += len(own)
    return max(labels, key=lambda label: (votes[label], labels.index(label)))


class KernelWriter(KernelTerms):
    """Lines of one kernel."""

    def __init__(self, known: Known) -> None:
        super().__init__(known)
        self.indent = 1

    def line(self, text: str) -> None:
        """A line at the present depth."""
        super().line("    " * self.indent + text)

    def emit(self, loops: Loops, depth: int) -> None:
        """What must be computed at a depth of the loops."""
        for text in loops.lines[depth]:
            self.line(text)

    def opened(self, index: str, first: str, bound: str) -> None:
        """Open a loop from a thread's first index; :meth:`closed` takes the step."""
        self.line(f"{index} = {first}")
        self.line(f"while {index} < {bound}:")
        self.indent += 1

    def closed(self, index: str, step: str) -> None:
        """Close the loop of an index."""
        self.line(f"{index} += {step}")
        self.indent -= 1

    def taken_apart(self, index: str, labels: Sequence[int], sizes: Mapping[int, Any]) -> None:
        """Several labels from one index."""
        if [f"i{label}" for label in labels] == [index]:
            return
        rest = index
        for label in reversed(labels[1:]):
            size = self.integer(sizes[label])
            self.line(f"i{label} = {rest} % {size}")
            name = f"{index}_{label}"
            self.line(f"{name} = {rest} // {size}")
            rest = name
        if labels:
            self.line(f"i{labels[0]} = {rest}")

    def launched(
        self,
        name: str,
        outputs: Mapping[str, Buffer],
        comment: str,
        grid: Grid,
        updates: bool = False,
    ) -> Launch:
        """A launch of the kernel of the lines so far, which writes ``outputs``, by their names."""
        pointers = [(pointer, buffer.kind) for pointer, buffer in outputs.items()]
        kernel = self.kernel(name, pointers, comment)
        inputs = tuple(self.pointers.values())
        return Launch(kernel, tuple(outputs.values()), inputs, self.numbers(), grid, updates)

    def kernel(
        self, name: str, outputs: Sequence[tuple[str, Kind]], comment: str, threads: int = 0
    ) -> Kernel:
        """The kernel of the lines so far, its outputs before what it reads."""
        pointers = [*(output for output, _ in outputs), *self.pointers]
        kinds = (*(kind for _, kind in outputs), *(b.kind for b in self.pointers.values()))
        head = f"def {name}({', '.join([*pointers, *self.symbols])}):"
        text = "\n".join([head, f'    """{comment}"""', *self.lines]) + "\n"
        return Kernel(name, text, kinds, len(self.symbols), threads or THREADS)


def product_of(extents: Sequence[Any]) -> Any:
    """The product of extents."""
    total: Any = 1
    for extent in extents:
        total = total * extent
    return total
