"""A product on its way to steps: scalars, factors, masks and rows over labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tensorcalc.extents import same_extents
from tensorcalc.nodes import Node

from .steps import Affine, Labels, Reshape, Term, Value, constant

if TYPE_CHECKING:
    from .lowering import Lowering

Row = tuple[dict[Any, Any], Any]


@dataclass(frozen=True, eq=False)
class Inverse(Value):
    """An inverse that nobody has made: a factor of a product until it meets its right side.

    Its axes may be digits of those of the matrix, in row-major order; ``rows`` belong to the first.
    """

    node: Any = None
    rows: int = 1


@dataclass(eq=False)
class Core:
    """A product without structural deltas: scalars, factors and masks over labels.

    ``factors`` and ``masks`` are pairs of a node or a value and its labels. ``axes`` says where the
    core goes in the whole product, None if it is the whole.
    """

    output: Labels
    sizes: dict[Any, Any]
    coefficient: float = 1
    scalars: list[Node | Value] = field(default_factory=list)
    counts: list[Any] = field(default_factory=list)
    factors: list[tuple[Node | Value, Labels]] = field(default_factory=list)
    masks: list[tuple[Node | Value, Labels]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    axes: tuple[Affine, ...] | None = None
    inside: bool = True
    #: An index and the labels of its one-hot mask, whose last is an axis of the whole.
    scattered: tuple[Node, Labels] | None = None

    @property
    def is_elementwise(self) -> bool:
        """Whether nothing is summed."""
        return self.used() <= set(self.output)

    def used(self) -> set[int]:
        """Labels of factors and masks."""
        return {label for _, own in (*self.factors, *self.masks) for label in own}

    def output_sizes(self) -> dict[int, Any]:
        """Extents of the output labels, in order."""
        return {label: self.sizes[label] for label in self.output}

    def sizes_in_order(self) -> dict[int, Any]:
        """Extents of all labels, those of the output first."""
        return {**self.output_sizes(), **self.sizes}

    def alpha(self, lowering: Lowering) -> list[Term]:
        """The scalar factors."""
        terms = [constant(self.coefficient)] if self.coefficient != 1 else []
        terms += [Term("size", (), extent) for extent in self.counts]
        return terms + [source_term(lowering, source, ()) for source in self.scalars]

    def term(self, lowering: Lowering, names: Mapping[int, int] | None = None) -> Term:
        """The product as a scalar expression; ``names`` renames its labels."""
        numeric = self.alpha(lowering) + [
            source_term(lowering, source, _renamed(own, names)) for source, own in self.factors
        ]
        term = multiplied(numeric)
        for source, own in dict.fromkeys(self.masks):
            term = Term("select", (source_term(lowering, source, _renamed(own, names)), term))
        return term


def _renamed(labels: Labels, names: Mapping[int, int] | None) -> Labels:
    return labels if names is None else tuple(names[label] for label in labels)


def source_term(lowering: Lowering, source: Node | Value, labels: Labels) -> Term:
    """A factor as a term."""
    if isinstance(source, Value):
        return lowering.loaded(*source_value(lowering, source, labels))
    return lowering.term(source, labels)


def source_value(lowering: Lowering, source: Node | Value, own: Labels) -> tuple[Value, Labels]:
    """A factor as an array with the labels of its axes; makes an inverse that nobody made."""
    if isinstance(source, Inverse):
        return _made(lowering, source, own)
    if isinstance(source, Value):
        return source, own
    ref = lowering.ref(source)
    return ref.value, tuple(own[axis] for axis in ref.axes)


def _made(lowering: Lowering, inverse: Inverse, own: Labels) -> tuple[Value, Labels]:
    ref = lowering.ref(inverse.node)
    if inverse.ndim == inverse.node.ndim:
        return ref.value, tuple(own[axis] for axis in ref.axes)
    whole = lowering.laid_out(ref, inverse.node.extents)
    return reshaped(lowering, whole, inverse.extents), own


def reshaped(lowering: Lowering, value: Value, extents: Sequence[Any]) -> Value:
    """The entries in row-major order under another shape; a reshape of a reshape is one."""
    maker = lowering.makers.get(value)
    source = maker.source if isinstance(maker, Reshape) else value
    if same_extents(source.extents, tuple(extents)):
        return source
    make = lambda: lowering.emit(Reshape(lowering.value(extents, value.kind), source))  # noqa: E731
    return lowering.once(("reshape", source, tuple(extents)), make)


def multiplied(terms: list[Term]) -> Term:
    """The product of terms; 1 if there are none."""
    if len(terms) == 1:
        return terms[0]
    return Term("multiply", tuple(terms)) if terms else constant(1)
