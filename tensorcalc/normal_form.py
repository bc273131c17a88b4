"""The normal form of a product of settled factors, and what can be read off it.

:func:`tensorcalc.products.product` collects factors and solves deltas; here the factors become a
node: closed scalars nested, equal factors merged into powers, operands in canonical order.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from . import deltas
from .canonical import canonical_order
from .extents import same_extents
from .nodes import Apply, Constant, Delta, Node, Product, Sum, Variable

Label = Hashable
Factor = tuple[Node, tuple[Label, ...]]
#: A boolean application, and its axes in the node of which it is a factor.
Mask = tuple[Node, tuple[int, ...]]

#: Merges equal factors into powers; set by :mod:`tensorcalc.applications`, which comes later.
power_of: Any = None
#: The transpose of a node; set by :mod:`tensorcalc.products`, which comes later.
transpose_of: Any = None


def assembled(coefficient: float, factors: list[Factor], output: Sequence[Label]) -> Node:
    """Nest closed scalars, merge powers, order canonically and intern."""
    output = tuple(output)
    factors = _closed_scalars_nested(factors, output)
    scalars = [factor for factor in factors if not factor[1]]
    if len(scalars) > 1:
        coefficient, scalars = powers_merged(coefficient, scalars)
        factors = [factor for factor in factors if factor[1]] + scalars
    if not factors:
        return Constant(coefficient)
    if len(factors) == 1:
        node, own = factors[0]
        if coefficient == 1 and own == output:
            return node
    order, labels = canonical_order(factors, output, [axis_classes(node) for node, _ in factors])
    operands = tuple(factors[k][0] for k in order)
    if coefficient == 1 and len(operands) == 1 and labels[0] == tuple(range(len(output))):
        return operands[0]
    extents = {
        label: extent
        for node, own in zip(operands, labels, strict=True)
        for label, extent in zip(own, node.extents, strict=True)
    }
    rank = range(len(output))
    if coefficient != 1:
        operands, labels = (Constant(coefficient), *operands), [(), *labels]
    return Product(operands, tuple(labels), tuple(rank), tuple(extents[k] for k in rank))


def _closed_scalars_nested(factors: list[Factor], output: tuple[Label, ...]) -> list[Factor]:
    """Factors that share no label with the output, directly or not, become scalar operands."""
    groups = components(factors)
    if len(groups) == 1:
        return factors
    kept: list[Factor] = []
    for group in groups:
        labels = {label for k in group for label in factors[k][1]}
        members = [factors[k] for k in group]
        if labels & set(output) or not labels:
            kept.extend(members)
        else:
            kept.append((assembled(1, members, ()), ()))
    return kept


def components(factors: list[Factor]) -> list[list[int]]:
    """Indices of factors connected by common labels."""
    owner: dict[Label, int] = {}
    parent = list(range(len(factors)))

    def find(k: int) -> int:
        while parent[k] != k:
            k = parent[k]
        return k

    for k, (_, labels) in enumerate(factors):
        for label in labels:
            parent[find(k)] = find(owner.setdefault(label, k))
    groups: dict[int, list[int]] = {}
    for k in range(len(factors)):
        groups.setdefault(find(k), []).append(k)
    return list(groups.values())


def powers_merged(coefficient: float, factors: list[Factor]) -> tuple[float, list[Factor]]:
    """Equal factors on equal labels become powers; a mask times itself is itself."""
    groups: dict[Any, list[Factor]] = {}
    for node, labels in factors:
        base = power_of.base(node) if power_of else node
        groups.setdefault((base, labels), []).append((node, labels))
    merged: list[Factor] = []
    for (_, labels), members in groups.items():
        nodes = [node for node, _ in members]
        if len(nodes) > 1:
            nodes = [nodes[0]] if is_boolean(nodes[0]) else power_of.merged(nodes)
        for node in nodes:
            if isinstance(node, Constant):
                coefficient *= node.value
            else:
                merged.append((node, labels))
    return coefficient, merged


def is_zero(node: Node) -> bool:
    """Whether ``node`` is the zero tensor."""
    return split_coefficient(node)[0] == 0


def is_ones(node: Node) -> bool:
    """Whether ``node`` is a single all-ones Delta."""
    return isinstance(node, Delta) and not node.rows


def split_coefficient(node: Node) -> tuple[float, Node]:
    """``(c, rest)`` with ``node = c * rest`` and no constant left in ``rest``."""
    if isinstance(node, Constant):
        return node.value, Constant(1)
    if not isinstance(node, Product) or not isinstance(node.operands[0], Constant):
        return 1, node
    if "rest" not in node.facts:
        node.facts["rest"] = rebuilt(node.operands[1:], node.subscripts[1:], node.output)
    return node.operands[0].value, node.facts["rest"]


def is_boolean(node: Node) -> bool:
    """Whether every entry is 0 or 1 by construction, so that the node can select."""
    if isinstance(node, Delta):
        return True
    if isinstance(node, Apply):
        return node.operation.result == "boolean"
    if isinstance(node, Variable):
        return "boolean" in node.flags
    if isinstance(node, Product):
        return all(map(is_boolean, node.operands)) and not _freely_summed(node)
    return False


def masks_of(node: Node) -> dict[Mask, None]:
    """The masks among the factors of ``node`` along its axes."""
    own = tuple(range(node.ndim))
    pairs = zip(node.operands, node.subscripts, strict=True) if isinstance(node, Product) else ()
    return {
        (factor, labels): None
        for factor, labels in (pairs or [(node, own)])
        if isinstance(factor, Apply) and is_boolean(factor) and set(labels) <= set(own)
    }


def is_view(node: Product) -> bool:
    """Whether ``node`` only rearranges: one operand besides Deltas, and nothing freely summed."""
    others = [operand for operand in node.operands if not isinstance(operand, (Delta, Constant))]
    return len(others) <= 1 and not _freely_summed(node)


def is_elementwise(node: Product) -> bool:
    """Whether ``node`` multiplies entries of its operands, and adds nothing."""
    return not _freely_summed(node)


def is_outer(node: Product) -> bool:
    """Whether ``node`` only spreads: nothing summed, and more axes than any operand.

    A scalar product of scalars counts as well. Storing such a product never saves work.
    """
    if any(label not in node.output for own in node.subscripts for label in own):
        return False
    return not node.ndim or all(operand.ndim < node.ndim for operand in node.operands)


def is_kronecker(node: Node) -> bool:
    """Whether ``node`` is the Kronecker delta."""
    square = node.ndim == 2 and same_extents(node.extents[:1], node.extents[1:])
    return square and node is Delta((((1, -1), 0),), node.extents)


def is_symmetric(node: Node) -> bool:
    """Whether ``node`` is known to be unchanged when its last two axes swap."""
    known = node.facts.get("symmetric")
    if known is None:
        known = node.facts["symmetric"] = _is_symmetric(node)
    return known


def axis_classes(node: Node) -> tuple[int, ...] | None:
    """A class per axis such that axes of one class may swap; None where all differ."""
    if isinstance(node, Delta):
        if "classes" not in node.facts:
            node.facts["classes"] = _delta_classes(node)
        return node.facts["classes"]
    if is_symmetric(node):
        return (*range(node.ndim - 1), node.ndim - 2)
    return None


def _delta_classes(node: Delta) -> tuple[int, ...] | None:
    if is_kronecker(node):
        return (0, 0)
    if len(node.rows) != 1:
        return None
    keys = [(str(c), str(e)) for c, e in zip(node.rows[0][0], node.extents, strict=True)]
    return tuple(map(keys.index, keys)) if len(set(keys)) < len(keys) else None


def _is_symmetric(node: Node) -> bool:
    if node.ndim < 2 or not same_extents(node.extents[-1:], node.extents[-2:-1]):
        return False
    if isinstance(node, Variable):
        return bool(node.flags & {"symmetric", "psd"})
    if isinstance(node, Delta):
        return is_kronecker(node)
    if isinstance(node, Apply):
        rule = node.operation.symmetric
        if rule == "inherited":
            return all(map(is_symmetric, node.operands))
        return rule == "always"
    if isinstance(node, (Product, Constant)):
        return _product_is_symmetric(node)
    return isinstance(node, Sum) and _sum_is_symmetric(node)


def _sum_is_symmetric(node: Sum) -> bool:
    """Whether transposing the terms only permutes them."""
    rank = node.ndim
    swapped = {transpose_of(o, (*range(rank - 2), rank - 1, rank - 2)) for o in node.operands}
    return swapped == set(node.operands)


def _product_is_symmetric(node: Node) -> bool:
    if not isinstance(node, Product):
        return False
    *rest, a, b = node.output
    swapped = rebuilt(node.operands, node.subscripts, (*rest, b, a))
    return swapped is node


def rebuilt(
    operands: Sequence[Node], subscripts: Sequence[Sequence[Label]], output: Sequence[Label]
) -> Node:
    """A product of factors that are already in normal form."""
    return assembled(1, list(zip(operands, map(tuple, subscripts), strict=True)), output)


def _freely_summed(node: Product) -> bool:
    """Whether a summed label runs over more than one nonzero term."""
    extents: dict[Any, Any] = node.label_extents()
    free = {label for label, extent in extents.items() if type(extent) is not int or extent != 1}
    free -= set(node.output)
    rows: list[dict[Any, Any]] = [
        dict(zip(labels, operand.rows[0][0], strict=True))
        for operand, labels in zip(node.operands, node.subscripts, strict=True)
        if isinstance(operand, Delta) and operand.rows
    ]
    progress = True
    while free and progress:
        progress = False
        for row in rows:
            unknown = {label: c for label, c in row.items() if label in free}
            if unknown and deltas.determines(unknown, extents):
                free -= unknown.keys()
                progress = True
    return bool(free)
