"""``inv(A)`` times something as a solve: cheaper than the inverse, and more accurate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorcalc.nodes import Apply, Node, Product, postorder
from tensorcalc.products import is_symmetric

from .steps import Affine, Call, Labels, Ref, Reshape, Value, View

if TYPE_CHECKING:
    from .cores import Core
    from .lowering import Lowering

#: A solve costs a third of an inverse; with more uses than this the inverse is made once.
SOLVES = 4


@dataclass(frozen=True, eq=False)
class Inverse(Value):
    """An inverse that nobody has made: a factor of a product until it meets its right side."""

    node: Any = None


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


def solved(
    lowering: Lowering,
    core: Core,
    inverse: tuple[Inverse, Labels],
    right: tuple[Value, Labels],
    needed: frozenset[int],
) -> tuple[Value, Labels] | None:
    """``sum(inv(A)[i, j] b[j, ...] over j)``, or None if the labels ask for something else."""
    value, (*batch, i, j) = inverse
    other, own = right
    if batch or i == j or (i in own) == (j in own) or len(set(own)) != len(own):
        return None
    summed, kept = (j, i) if j in own else (i, j)
    if summed in needed or isinstance(other, Inverse):
        return None
    matrix = _matrix(lowering, value.node, transposed=summed == i)
    rest = tuple(label for label in own if label != summed)
    side = _right_side(lowering, core, other, own, (summed, *rest))

    def make() -> Value:
        step = Call(lowering.value(side.extents), "solve", (matrix, side))
        return lowering.emit(step)

    result = lowering.once(("solve", matrix, side), make)
    if len(rest) > 1:
        extents = [core.sizes[label] for label in (kept, *rest)]
        flat = result
        result = lowering.once(
            ("reshape", flat, tuple(extents)),
            lambda: lowering.emit(Reshape(lowering.value(extents), flat)),
        )
    return result, (kept, *rest)


def _matrix(lowering: Lowering, node: Apply, transposed: bool) -> Value:
    ref = lowering.ref(node.operands[0])
    if transposed and not is_symmetric(node.operands[0]):
        ref = Ref(ref.value, tuple(1 - axis for axis in ref.axes))
    return lowering.laid_out(ref, node.extents)


def _right_side(lowering: Lowering, core: Core, value: Value, own: Labels, order: Labels) -> Value:
    """The right side as a vector or as a matrix with one column for each index of the rest."""
    if own != order:
        axes = tuple(Affine(((order.index(label), 1),)) for label in own)
        extents = [core.sizes[label] for label in order]
        source = value
        value = lowering.once(
            ("side", source, axes),
            lambda: lowering.emit(View(lowering.value(extents), source, axes)),
        )
    if len(order) > 2:
        columns: Any = 1
        for label in order[1:]:
            columns = columns * core.sizes[label]
        source_ = value
        value = lowering.once(
            ("columns", source_),
            lambda: lowering.emit(
                Reshape(lowering.value([core.sizes[order[0]], columns]), source_)
            ),
        )
    return value


__all__ = ["Inverse", "inverse_factor", "solvable", "solved"]
