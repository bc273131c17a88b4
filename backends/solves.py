"""``inv(A)`` times something as a solve: cheaper than the inverse, and more accurate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorcalc.nodes import Apply, Node, Product, postorder
from tensorcalc.products import is_symmetric

from .cores import Core, Inverse, Row, reshaped
from .gathers import radix_order
from .steps import Affine, Call, Labels, Ref, Value, View

if TYPE_CHECKING:
    from .lowering import Lowering

#: A solve costs a third of an inverse; with more uses than this the inverse is made once.
SOLVES = 4


def solvable(roots: list[Node]) -> set[Node]:
    """Inverses that are only ever factors of a few products."""
    users: dict[Node, list[Node]] = {}
    for node in postorder(*roots):
        for operand in node.operands:
            if isinstance(operand, Apply) and operand.operation.name == "inv":
                users.setdefault(operand, []).append(node)
    results = set(roots)
    return {
        node
        for node, own in users.items()
        if node not in results
        and len(own) <= SOLVES
        and all(isinstance(user, Product) and len(user.operands) > 1 for user in own)
    }


def inverse_factor(node: Node) -> Inverse:
    """The node as a factor that is not computed yet."""
    return Inverse(f"inv{id(node)}", node.extents, "real", node)


def opened(lowering: Lowering, core: Core, row: Row) -> bool:
    """``flat = n*i + j`` of an inverse that is only a factor: it takes the digits for its axis.

    So an inverse of a matrix that was reshaped from a tensor, and what it is multiplied by, still
    meet as matrix and right side.
    """
    order = radix_order(core, row)
    if order is None:
        return False
    flat, digits = order
    holders = [k for k, (_, own) in enumerate(core.factors) if flat in own]
    others = [own for _, own in core.masks] + [terms for terms, _ in core.rows]
    if flat in core.output or len(holders) != 1 or any(flat in own for own in others):
        return False
    source, own = core.factors[holders[0]]
    inverse = _unmade(lowering, source)
    if inverse is None or inverse.node.ndim != 2 or own.count(flat) > 1 or set(own) & set(digits):
        return False
    place = own.index(flat)
    labels = *own[:place], *digits, *own[place + 1 :]
    rows = inverse.rows + (len(digits) - 1 if place < inverse.rows else 0)
    extents = tuple(core.sizes[label] for label in labels)
    core.factors[holders[0]] = Inverse(inverse.name, extents, "real", inverse.node, rows), labels
    del core.sizes[flat]
    return True


def _unmade(lowering: Lowering, source: Node | Value) -> Inverse | None:
    """A factor as an inverse that nobody has made, if it is one."""
    if isinstance(source, Inverse):
        return source
    if isinstance(source, Node) and source in lowering.solvable and source not in lowering.refs:
        return inverse_factor(source)
    return None


def solved(
    lowering: Lowering,
    core: Core,
    inverse: tuple[Inverse, Labels],
    right: tuple[Value, Labels],
    needed: frozenset[int],
) -> tuple[Value, Labels] | None:
    """``sum(inv(A)[i, j] b[j, ...] over j)``, or None if the labels ask for something else.

    Each of ``i`` and ``j`` may be several labels, the digits of an index of the matrix.
    """
    value, labels = inverse
    other, own = right
    if value.node.ndim != 2 or len({*labels}) != len(labels) or len({*own}) != len(own):
        return None
    rows, columns = labels[: value.rows], labels[value.rows :]
    transposed = columns[0] not in own
    summed, kept = (rows, columns) if transposed else (columns, rows)
    if not set(summed) <= set(own) or set(kept) & set(own) or set(summed) & needed:
        return None
    if isinstance(other, Inverse):
        return None
    matrix = _matrix(lowering, value.node, transposed)
    rest = tuple(label for label in own if label not in summed)
    side = _right_side(lowering, core, other, own, summed, rest)

    def make() -> Value:
        step = Call(lowering.value(side.extents), "solve", (matrix, side))
        return lowering.emit(step)

    result = lowering.once(("solve", matrix, side), make)
    return reshaped(lowering, result, [core.sizes[k] for k in (*kept, *rest)]), (*kept, *rest)


def _matrix(lowering: Lowering, node: Apply, transposed: bool) -> Value:
    ref = lowering.ref(node.operands[0])
    if transposed and not is_symmetric(node.operands[0]):
        ref = Ref(ref.value, tuple(1 - axis for axis in ref.axes))
    return lowering.laid_out(ref, node.extents)


def _right_side(
    lowering: Lowering, core: Core, value: Value, own: Labels, summed: Labels, rest: Labels
) -> Value:
    """The right side as a vector or as a matrix with one column for each index of the rest."""
    order = *summed, *rest
    if own != order:
        axes = tuple(Affine(((order.index(label), 1),)) for label in own)
        extents = [core.sizes[label] for label in order]
        source = value
        value = lowering.once(
            ("side", source, axes),
            lambda: lowering.emit(View(lowering.value(extents), source, axes)),
        )
    groups = [summed, rest] if rest else [summed]
    return reshaped(lowering, value, [_volume(core, group) for group in groups])


def _volume(core: Core, labels: Labels) -> Any:
    volume: Any = 1
    for label in labels:
        volume = volume * core.sizes[label]
    return volume


__all__ = ["inverse_factor", "opened", "solvable", "solved"]
