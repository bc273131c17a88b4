"""What an expression costs before anything runs: polynomials of the extents.

Every distinct node counts once. A product is contracted pair by pair in the order that is best
for large sizes; deltas cost nothing, since they become views.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .contraction_order import Tree, best_tree
from .extents import Extent, evaluate, symbols_of
from .nodes import Apply, Constant, Delta, Node, Product, Sum, as_expression, postorder
from .simplify import simplify_all

#: Bytes of a float64; costs are stated for it.
ITEM = 8

#: The size of every symbol when orders of contraction are compared.
LARGE = 100

#: Coefficient of n^3 in operations on an n by n matrix, in whole numbers (LU counts 1, not 2/3).
CUBIC = {
    "inv": 2,
    "det": 1,
    "logdet": 1,
    "sign_det": 1,
    "solve": 1,
    "adj": 20,
    "cholesky": 1,
    "eigvalsh": 2,
    "eigenvectors": 9,
    "svdvals": 3,
    "svd_u": 20,
    "svd_vt": 20,
    "pinv": 22,
    "expm": 16,
}


@dataclass(frozen=True)
class Cost:
    """Arithmetic operations and bytes moved: numbers, or polynomials of extents."""

    flops: Any = 0
    bytes: Any = 0

    def __str__(self) -> str:
        return f"{self.flops} flops, {self.bytes} bytes"


def cost(*expressions: Node) -> Cost:
    """Operations and bytes of expressions computed together, as SymPy polynomials.

    Counted is what would run: the expressions are simplified first. The symbols are plain
    ``sympy.Symbol`` named as the extents. A multiplication with its addition counts two operations;
    each node's value is written once and read by each of its users.

    >>> import tensorcalc as tc
    >>> A, x = tc.variables("A: m n, x: n")
    >>> cost(A @ x).flops
    2*m*n

    An entry of a diagonal never pays for the matrix.

    >>> B = tc.variables("B: n m")
    >>> cost(tc.diagonal(A @ B)).flops
    2*m*n
    """
    nodes = postorder(*simplify_all([as_expression(each) for each in expressions]))
    flops: Any = 0
    moved: Any = 0
    for node in nodes:
        flops = flops + _flops(node)
        moved = moved + ITEM * _entries_moved(node)
    return Cost(_symbolic(flops), _symbolic(moved))


def _symbolic(extent: int | Extent) -> Any:
    import sympy

    return sympy.expand(extent._sympy_()) if isinstance(extent, Extent) else sympy.Integer(extent)


def volume(extents: Iterable[Any]) -> Any:
    """Number of entries of a shape."""
    return math.prod(extents)


def row_flops(name: str, shapes: Sequence[Sequence[Any]]) -> Any:
    """Operations of a row with core axes on operands of these shapes."""
    if name in CUBIC:
        return CUBIC[name] * volume(shapes[0]) * shapes[0][-1]
    return 4 * sum(volume(shape) for shape in shapes)


def _flops(node: Node) -> Any:
    if isinstance(node, Sum):
        return (len(node.operands) - 1) * volume(node.extents)
    if isinstance(node, Apply):
        if node.operation.is_elementwise:
            return volume(node.extents)
        return row_flops(node.operation.name, [operand.extents for operand in node.operands])
    return _product_flops(node) if isinstance(node, Product) else 0


def _entries_moved(node: Node) -> Any:
    """Entries read from the operands and written."""
    if isinstance(node, (Constant, Delta)) or not node.operands:
        return 0
    stored = {operand for operand in node.operands if not isinstance(operand, (Constant, Delta))}
    return sum(volume(operand.extents) for operand in stored) + volume(node.extents)


def _product_flops(node: Product) -> Any:
    """Pairwise products; a label that a delta ties to the others of its row is free."""
    tied = set(_tied_labels(node))
    factors = [
        frozenset(own) - tied
        for operand, own in zip(node.operands, node.subscripts, strict=True)
        if not isinstance(operand, Delta)
    ]
    if len(factors) < 2:
        return _sum_flops(node, factors, tied)
    extents = node.label_extents()
    output = frozenset(node.output) - tied
    sizes = {label: _large(extent) for label, extent in extents.items()}
    tree = best_tree(factors, output, sizes)
    pairs = _pairs(tree, factors, output)
    return sum(volume(extents[k] for k in u) * (2 if u - out else 1) for u, out in pairs)


def _sum_flops(node: Product, factors: list[frozenset[int]], tied: set[int]) -> Any:
    """A lone factor is rearranged, or summed."""
    if not factors or factors[0] <= set(node.output) - tied:
        return 0
    extents = node.label_extents()
    return volume(extents[label] for label in factors[0])


def _tied_labels(node: Product) -> Iterator[int]:
    """One label of every delta row: the last that no other row has taken."""
    taken: set[int] = set()
    for operand, own in zip(node.operands, node.subscripts, strict=True):
        if isinstance(operand, Delta) and operand.rows:
            free = [label for label in own if label not in taken]
            if free:
                taken.add(free[-1])
                yield free[-1]


def _large(extent: Any) -> int:
    return max(evaluate(extent, dict.fromkeys(symbols_of(extent), LARGE)), 1)


def _pairs(
    tree: Tree, factors: list[frozenset[int]], needed: frozenset[int]
) -> Iterator[tuple[frozenset[int], frozenset[int]]]:
    """Labels of every pair of a contraction tree, and those that are left of them."""
    if isinstance(tree, int):
        return
    left, right = (_labels(branch, factors) for branch in tree)
    yield from _pairs(tree[0], factors, needed | right)
    yield from _pairs(tree[1], factors, needed | left)
    union = (left & (needed | right)) | (right & (needed | left))
    yield union, union & needed


def _labels(tree: Tree, factors: list[frozenset[int]]) -> frozenset[int]:
    if isinstance(tree, int):
        return factors[tree]
    return _labels(tree[0], factors) | _labels(tree[1], factors)
