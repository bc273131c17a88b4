"""Short sums and extrema over windows, written out: one strided slice for each position.

``max over u of x[b, 2y + u, c]`` over two positions is ``maximum(x[b, 0::2, c], x[b, 1::2, c])``:
two passes along memory, where a reduction over a short axis would go through it in pieces. The
adjoint adds each position's part to a slice of the result.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from functools import partial, reduce
from typing import Any

from tensorcalc.applications import apply
from tensorcalc.nodes import Apply, Constant, Delta, Node, Product
from tensorcalc.products import product
from tensorcalc.sums import add

#: Positions of a window that are written out, at most.
LIMIT = 16
EXTREMA = {"max": "maximum", "min": "minimum"}
MASKS = {"argmax_mask": "max", "argmin_mask": "min"}

#: Where axes of a node, or labels of a product, are fixed.
Pins = dict[Any, int]


class Unsolved(Exception):
    """Positions that deltas leave open: nothing is written out."""


def unrolled(node: Node) -> Node | None:
    """An expression of slices for a short reduction over a window, None where there is none."""
    try:
        if isinstance(node, Apply) and node.operation.name in EXTREMA:
            return _extremum(node)
        if isinstance(node, Product):
            return _sum(node)
    except Unsolved:
        return None
    return None


def _extremum(node: Apply) -> Node | None:
    operand = node.operands[0]
    if not _is_short(operand.extents[-1]) or not _is_window(operand):
        return None
    parts = [at(operand, {operand.ndim - 1: k}) for k in range(operand.extents[-1])]
    return reduce(partial(apply, EXTREMA[node.operation.name]), parts)


def _sum(node: Product) -> Node | None:
    """A sum over the positions of a window, of one array or of what a mask selects."""
    summed = _window_labels(node)
    if not summed:
        return None
    sizes = node.label_extents()
    opened = Product(
        node.operands,
        node.subscripts,
        (*node.output, *summed),
        (*node.extents, *(sizes[x] for x in summed)),
    )
    rank = node.ndim
    terms = []
    for position in itertools.product(*(range(sizes[x]) for x in summed)):
        terms.append(at(opened, {rank + j: k for j, k in enumerate(position)}))
    return add(*terms)


def _window_labels(node: Product) -> list[int]:
    sizes = node.label_extents()
    factors = [
        (operand, own)
        for operand, own in zip(node.operands, node.subscripts, strict=True)
        if not isinstance(operand, (Delta, Constant))
    ]
    rows = {
        x
        for o, own in zip(node.operands, node.subscripts, strict=True)
        if isinstance(o, Delta) and o.rows
        for x in own
    }
    for operand, own in factors:
        is_mask = isinstance(operand, Apply) and operand.operation.name in MASKS
        if is_mask and own[-1] in rows and own[-1] not in node.output:
            if _is_short(sizes[own[-1]]) and _is_window(operand.operands[0]):
                return [own[-1]]
    if len(factors) != 1 or factors[0][0].ndim == 0:
        return []
    held = set(factors[0][1])
    summed = [x for x in sizes if x in rows and x not in node.output and x not in held]
    volume = math.prod([sizes[x] if _is_short(sizes[x]) else LIMIT + 1 for x in summed])
    return summed if 1 < volume <= LIMIT else []


def _is_short(extent: Any) -> bool:
    return isinstance(extent, int) and 1 < extent <= LIMIT


def _is_window(node: Node) -> bool:
    """Whether a node shows an array through deltas; elementwise functions may lie between."""
    if isinstance(node, Apply) and node.operation.is_elementwise:
        return any(map(_is_window, node.operands))
    if not isinstance(node, Product):
        return False
    others = [o for o in node.operands if not isinstance(o, (Delta, Constant))]
    has_rows = any(isinstance(o, Delta) and o.rows for o in node.operands)
    return len(others) == 1 and (has_rows or _is_window(others[0]))


# -- fixing axes ----------------------------------------------------------------------------------
def at(node: Node, pins: Mapping[int, int]) -> Node:
    """``node`` with some axes fixed at a position: these are gone."""
    if not pins:
        return node
    if isinstance(node, Apply) and node.operation.is_elementwise:
        parts = [at(o, pins) if o.ndim else o for o in node.operands]
        return apply(node.operation.name, *parts, **dict(node.params))
    if isinstance(node, Apply) and node.operation.name in MASKS and node.ndim - 1 in pins:
        return _mask_at(node, dict(pins))
    if isinstance(node, Product):
        return _product_at(node, pins)
    rest = [axis for axis in range(node.ndim) if axis not in pins]
    labels = [(axis,) for axis in pins]
    fixed = [Delta((((1,), -k),), (node.extents[axis],)) for axis, k in pins.items()]
    return product((node, *fixed), (range(node.ndim), *labels), rest)


def _mask_at(node: Apply, pins: Pins) -> Node:
    """Whether the entry is the extremum and none before it is; of several NaNs the first is it.

    The last entry is the extremum if no other is, which spares a comparison.
    """
    position = pins.pop(node.ndim - 1)
    operand = node.operands[0]
    extremum = at(apply(MASKS[node.operation.name], operand), pins)
    last = operand.extents[-1] - 1
    entries = [at(operand, {**pins, node.ndim - 1: k}) for k in range(min(position + 1, last))]
    hits = [apply("logical_or", apply("equal", x, extremum), apply("isnan", x)) for x in entries]
    if position == 0:
        return hits[0]
    none_before = apply("logical_not", reduce(partial(apply, "logical_or"), hits[:position]))
    return none_before if position == last else apply("logical_and", hits[position], none_before)


def _product_at(node: Product, pins: Mapping[int, int]) -> Node:
    sizes = node.label_extents()
    fixed: Pins = {node.output[axis]: k for axis, k in pins.items()}
    rows = [
        (dict(zip(own, coefficients, strict=True)), offset)
        for operand, own in zip(node.operands, node.subscripts, strict=True)
        if isinstance(operand, Delta)
        for coefficients, offset in operand.rows
    ]
    rows = _solved(rows, fixed, sizes, set(node.output))
    output = [x for x in node.output if x not in fixed]
    operands: list[Node] = []
    subscripts: list[Any] = []
    for operand, own in zip(node.operands, node.subscripts, strict=True):
        if isinstance(operand, Delta):
            continue
        here = {axis: fixed[x] for axis, x in enumerate(own) if x in fixed}
        operands.append(at(operand, here))
        subscripts.append([x for x in own if x not in fixed])
    for terms, offset in rows:
        operands.append(Delta(((tuple(terms.values()), offset),), tuple(sizes[x] for x in terms)))
        subscripts.append(list(terms))
    return product(operands, subscripts, output, sizes)


def _solved(rows: list[Any], fixed: Pins, sizes: Mapping[Any, Any], output: set[Any]) -> list[Any]:
    """Rows with fixed labels put in; what they then fix joins ``fixed``."""
    while True:
        rows = [_put_in(row, fixed) for row in rows]
        found = next((new for row in rows if (new := _fixes(row, sizes, output))), None)
        if found is None:
            return [row for row in rows if row[0]]
        fixed.update(found)


def _put_in(row: Any, fixed: Pins) -> Any:
    terms, offset = row
    offset = offset + sum(c * fixed[x] for x, c in terms.items() if x in fixed)
    rest = {x: c for x, c in terms.items() if x not in fixed}
    if not rest and not (type(offset) is int and offset == 0):
        raise Unsolved
    return rest, offset


def _fixes(row: Any, sizes: Mapping[Any, Any], output: set[Any]) -> Pins | None:
    """The one solution of a row over short summed labels; None if there are several."""
    terms, offset = row
    if not terms or any(x in output or not _is_short(sizes[x]) for x in terms):
        return None
    if not all(isinstance(c, int) for c in (*terms.values(), offset)):
        return None
    positions = itertools.product(*(range(sizes[x]) for x in terms))
    solutions = [
        p
        for p in positions
        if sum(c * k for c, k in zip(terms.values(), p, strict=True)) + offset == 0
    ]
    if not solutions:
        raise Unsolved
    return dict(zip(terms, solutions[0], strict=True)) if len(solutions) == 1 else None
