"""Expressions of one example, lifted to expressions of every example: an index that is not summed.

All six node types take one more leading axis without any rule for a single operation: a product
gets one more label, a sum one more axis, a row of the table one more batch axis. So the formula of
one example's gradient becomes that of all of them, ``G[n, k...] = d loss_n / d w[k...]``, and what
does not depend on the example stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensorcalc.applications import apply
from tensorcalc.nodes import Apply, Node, Product, Sum, postorder
from tensorcalc.products import broadcast, product
from tensorcalc.simplify import simplify_all
from tensorcalc.sums import add

#: The label of the new axis in products.
EXAMPLE = "example"


def lifted(roots: Sequence[Node], values: Mapping[Node, Node], count: Any) -> list[Node]:
    """``out[n, ...]`` is the root with ``values[v][n, ...]`` in the place of every ``v``.

    ``count`` is the extent of the new first axis. A root that depends on none of them is repeated.

    >>> import tensorcalc as tc
    >>> x, w, X = tc.variables("x: d, w: d, X: n d")
    >>> print(lifted([x @ w], {x: X}, X.extents[0])[0])
    X[i,j]*w[j]
    """
    new: dict[Node, Node] = dict(values)
    moved = set(values)
    for node in postorder(*roots):
        if node not in moved and any(operand in moved for operand in node.operands):
            new[node] = _lifted(node, new, moved, count)
            moved.add(node)
    return [new[root] if root in moved else repeated(root, count) for root in roots]


def mapped(roots: Sequence[Node], values: Mapping[Node, Node], count: Any) -> list[Node]:
    """:func:`lifted`, with axes of extent 1 only where the results have them, and simplified."""
    whole = lifted(roots, values, count)
    results = []
    for short, root in zip(simplify_all(squeezed(whole)), whole, strict=True):
        axes = [axis for axis, extent in enumerate(root.extents) if extent != 1]
        results.append(broadcast(short, axes, root.extents))
    return results


def repeated(node: Node, count: Any) -> Node:
    """``out[n, ...] = node[...]``."""
    return broadcast(node, range(1, node.ndim + 1), (count, *node.extents))


def _lifted(node: Node, new: Mapping[Node, Node], moved: set[Node], count: Any) -> Node:
    if isinstance(node, Product):
        return _lifted_product(node, new, moved)
    if isinstance(node, Sum):
        return add(*(new[o] if o in moved else repeated(o, count) for o in node.operands))
    assert isinstance(node, Apply)
    operands = [_batched(o, node, new, moved, count) for o in node.operands]
    return apply(node.operation.name, *operands, **dict(node.params))


def _lifted_product(node: Product, new: Mapping[Node, Node], moved: set[Node]) -> Node:
    operands = [new.get(operand, operand) for operand in node.operands]
    subscripts: list[Any] = [
        (EXAMPLE, *labels) if operand in moved else labels
        for operand, labels in zip(node.operands, node.subscripts, strict=True)
    ]
    return product(operands, subscripts, (EXAMPLE, *node.output))


def _batched(
    operand: Node, node: Apply, new: Mapping[Node, Node], moved: set[Node], count: Any
) -> Node:
    """An operand with a batch axis more; elementwise, numbers may stay numbers."""
    scalar = node.operation.is_elementwise and not operand.ndim
    if operand not in moved:
        return operand if scalar else repeated(operand, count)
    if scalar and node.ndim:
        return broadcast(new[operand], (0,), (count, *node.extents))
    return new[operand]


# -- axes of extent 1 -----------------------------------------------------------------------------
def squeezed(roots: Sequence[Node]) -> list[Node]:
    """The same entries without axes of extent 1, inside the expressions as well.

    A batch of one leaves such an axis everywhere; without it formulas read as those of an example.
    """
    new: dict[Node, Node] = {}
    for node in postorder(*roots):
        new[node] = _squeezed(node, new)
    return [new[root] for root in roots]


def _long(node: Node) -> list[int]:
    return [axis for axis, extent in enumerate(node.extents) if extent != 1]


def _squeezed(node: Node, new: Mapping[Node, Node]) -> Node:
    if isinstance(node, Product):
        extents = node.label_extents()
        kept = [[k for k in own if extents[k] != 1] for own in node.subscripts]
        output = [k for k in node.output if extents[k] != 1]
        return product([new[o] for o in node.operands], kept, output)
    if isinstance(node, Sum):
        return add(*(new[o] for o in node.operands))
    if isinstance(node, Apply):
        return _squeezed_application(node, new)
    return _without_short_axes(node)


def _without_short_axes(node: Node) -> Node:
    """A leaf at index 0 of its axes of extent 1."""
    kept = _long(node)
    if len(kept) == node.ndim:
        return node
    return product((node,), (range(node.ndim),), kept)


def _squeezed_application(node: Apply, new: Mapping[Node, Node]) -> Node:
    """Core axes stay, whatever their extents; batch axes of extent 1 go."""
    operands = []
    for operand, core in zip(node.operands, node.operation.operand_cores, strict=True):
        batch = operand.ndim - len(core)
        axes = [k for k in range(operand.ndim) if k >= batch or operand.extents[k] != 1]
        operands.append(_with_axes(new[operand], operand, axes))
    batch = node.ndim - _core_rank(node)
    axes = [k for k in range(node.ndim) if k >= batch or node.extents[k] != 1]
    result = apply(node.operation.name, *operands, **dict(node.params))
    short = [k for k, axis in enumerate(axes) if node.extents[axis] == 1]
    labels = range(len(axes))
    return product((result,), (labels,), [k for k in labels if k not in short])


def _core_rank(node: Apply) -> int:
    operand, core = node.operands[0], node.operation.operand_cores[0]
    return 0 if node.operation.is_elementwise else node.ndim - (operand.ndim - len(core))


def _with_axes(short: Node, whole: Node, axes: Sequence[int]) -> Node:
    """``short``, which is ``whole`` without its axes of extent 1, with those in ``axes`` back."""
    labels = [axis for axis in axes if whole.extents[axis] != 1]
    return product((short,), (labels,), axes, dict.fromkeys(axes, 1))
