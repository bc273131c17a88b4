"""What the rules look for: constants, rows, sums with a constant term, contractions of one row."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

from ..applications import power
from ..broadcasts import constant_axes, without_axes
from ..nodes import Apply, Constant, Delta, Node, Product, Sum
from ..products import broadcast, is_ones, product, scale, split_coefficient
from ..sums import add

Labels = tuple[Hashable, ...]


def applied(node: Node, name: str) -> Apply | None:
    """``node`` if it is the table row ``name``."""
    return node if isinstance(node, Apply) and node.operation.name == name else None


def argument(node: Node, name: str) -> Node | None:
    """``z`` if ``node`` is the one-operand table row ``name`` of ``z``."""
    found = applied(node, name)
    return found.operands[0] if found is not None else None


# -- constants ------------------------------------------------------------------------------------
def constant_value(node: Node) -> float | None:
    """``c`` if ``node`` is ``c`` everywhere."""
    coefficient, rest = split_coefficient(node)
    factors: Any = rest.operands if isinstance(rest, Product) else (rest,)
    plain = all(is_ones(f) or (isinstance(f, Constant) and f.value == 1) for f in factors)
    if not plain or (isinstance(rest, Product) and len(rest.label_extents()) > rest.ndim):
        return None
    return coefficient


def constant_and_rest(node: Node) -> tuple[float, Node] | None:
    """``(c, z)`` if ``node`` is ``c + z`` with a constant term, which may be under a factor."""
    coefficient, rest = split_coefficient(node)
    if not isinstance(rest, Sum):
        return None
    for k, term in enumerate(rest.operands):
        constant = constant_value(term)
        if constant is not None:
            others = [o for j, o in enumerate(rest.operands) if j != k]
            return coefficient * constant, scale(coefficient, add(*others))
    return None


def plus_constant(constant: float, node: Node) -> Node:
    """``constant + node`` with constant terms merged."""
    split = constant_and_rest(node)
    if split is not None:
        constant, node = constant + split[0], split[1]
    return node if constant == 0 else add(constant_like(node, constant), node)


def constant_like(node: Node, value: float) -> Node:
    """``value`` in the shape of ``node``."""
    return scale(value, power(node, 0))


def flat_sum(*nodes: Node) -> Node:
    """The sum of ``nodes`` with the terms of sums among them collected."""
    return add(*(term for node in nodes for term in terms_of(node)))


def terms_of(node: Node) -> Iterator[Node]:
    """The terms of a sum, with its coefficient; another node is its own term."""
    coefficient, rest = split_coefficient(node)
    for term in rest.operands if isinstance(rest, Sum) else (rest,):
        yield scale(coefficient, term)


def leaf_terms_of(node: Node) -> Iterator[Node]:
    """The terms of a sum and of the sums among them, with their coefficients."""
    for term in terms_of(node):
        nested = isinstance(split_coefficient(term)[1], Sum)
        yield from leaf_terms_of(term) if nested else (term,)


# -- signs ----------------------------------------------------------------------------------------
def is_nonnegative(node: Node) -> bool:
    """Whether every entry is at least zero by construction."""
    if isinstance(node, Delta):
        return True
    if isinstance(node, Constant):
        return node.value >= 0
    if applied(node, "power") is not None and is_nonnegative(node.operands[0]):
        return True
    if isinstance(node, Apply):
        return node.operation.value_range(**dict(node.params))[0] >= 0
    if isinstance(node, Product):
        return all(is_nonnegative(factor) for factor in unpaired_factors(node))
    if isinstance(node, Sum):
        return all(map(is_nonnegative, node.operands))
    return bool(getattr(node, "flags", frozenset()) & {"positive", "nonnegative", "boolean"})


def unpaired_factors(node: Product) -> Iterable[Node]:
    """Factors that do not occur twice on the same labels: squares are nonnegative."""
    counts: dict[Any, int] = {}
    for factor in zip(node.operands, node.subscripts, strict=True):
        counts[factor] = counts.get(factor, 0) + 1
    return [factor for (factor, _), count in counts.items() if count % 2]


# -- axes -----------------------------------------------------------------------------------------
def split_constant_terms(node: Node) -> tuple[Node, Node] | None:
    """``(m, z)`` with ``node = z + m[..., None]``, if terms are constant along the last axis."""
    coefficient, rest = split_coefficient(node)
    terms = rest.operands if isinstance(rest, Sum) else (rest,)
    last = node.ndim - 1
    constant = [term for term in terms if last in constant_axes(term)]
    varying = [term for term in terms if last not in constant_axes(term)]
    if not constant or not varying:
        return None
    dropped = [without_axes(term, range(last)) for term in constant]
    return scale(coefficient, add(*dropped)), scale(coefficient, add(*varying))


def repeated(node: Node, extent: Any) -> Node:
    """``node`` constant along a new last axis."""
    return broadcast(node, range(node.ndim), (*node.extents, extent))


def arranged(node: Node, labels: Sequence[Hashable], order: Sequence[Hashable]) -> Node:
    """``node`` with its axes, which have ``labels``, in the given order."""
    return product((node,), (labels,), order)


class Contraction:
    """The factors of a product, told apart by whether they have summed labels."""

    def __init__(self, node: Product) -> None:
        pairs = list(zip(node.operands, node.subscripts, strict=True))
        self.node = node
        self.summed = [k for k in node.label_extents() if k not in node.output]
        self.inner = [pair for pair in pairs if set(pair[1]) & set(self.summed)]
        self.outer = [pair for pair in pairs if not set(pair[1]) & set(self.summed)]
        self.kept = [k for k in node.output if any(k in own for _, own in self.inner)]

    def outside(self, exponent: float = 1) -> list[tuple[Node, tuple[int, ...]]]:
        """The factors without summed labels, raised to a power."""
        return [(power(factor, exponent), own) for factor, own in self.outer if not is_ones(factor)]

    def single(self, name: str) -> Node | None:
        """``z`` with kept axes, then summed ones, if the row ``name`` of z is what is summed."""
        if not self.summed or len(self.inner) != 1:
            return None
        ((factor, own),) = self.inner
        z = argument(factor, name)
        if z is None or len(set(own)) < len(own):
            return None
        return arranged(z, own, (*self.kept, *self.summed))

    def restored(self, node: Node, *others: tuple[Node, tuple[int, ...]]) -> Node:
        """``node``, whose axes are the kept ones, times others, in the shape of the product."""
        factors = [(node, tuple(self.kept)), *others]
        return product(
            [factor for factor, _ in factors],
            [own for _, own in factors],
            self.node.output,
            self.node.label_extents(),
        )
