"""Contractions as matrix products of cuBLAS, or as nests where a kernel does better.

Labels fall into batch, rows, columns and summed ones. Where each group lies together in the memory
of an operand, the operand is a matrix with a leading dimension and a stride as it is, transposed
or not; else it is copied into that order first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..steps import Contract, Labels, Nest, Term, Value, constant, load
from .actions import Gemm, Matrix
from .elementwise import mirror
from .nests import product_of
from .scalings import Scaled

if TYPE_CHECKING:
    from .lowering import PlanMaker


class Groups(NamedTuple):
    """Labels of a contraction by what they are to a matrix product."""

    batch: list[int]
    rows: list[int]
    summed: list[int]
    columns: list[int]


def groups_of(step: Contract) -> Groups | None:
    """The groups; None if a label is summed in one operand alone or nothing is summed."""
    left, right = step.subscripts
    groups = Groups(
        [x for x in left if x in right and x in step.output],
        [x for x in left if x not in right],
        [x for x in left if x in right and x not in step.output],
        [x for x in right if x not in left],
    )
    lonely = [x for x in (*groups.rows, *groups.columns) if x not in step.output]
    return None if lonely or not groups.summed else groups


def as_nest(step: Contract) -> Nest:
    """The same sum as a loop nest."""
    sizes = step.sizes()
    left, right = map(as_real, step.operands(), step.subscripts)
    reduced = tuple(x for x in sizes if x not in step.output)
    ordered = {x: sizes[x] for x in (*step.output, *reduced)}
    alpha = [constant(alpha_of(step))] if alpha_of(step) != 1 else []
    term = Term("multiply", (*alpha, left, right))
    return Nest(step.value, term, step.output, reduced, ordered)


def as_real(value: Value, own: Labels) -> Term:
    """An entry of an array as a number."""
    return load(value, own) if value.kind == "real" else Term("select", (load(value, own), _ONE))


def alpha_of(step: Contract) -> float:
    """The number that a product is multiplied by."""
    return step.alpha if isinstance(step, Scaled) else 1.0


_ONE = Term("constant", (), 1)


def matrix_product(maker: PlanMaker, step: Contract, groups: Groups) -> None:
    """``out[batch, rows, columns]`` by cuBLAS, its axes put in order afterwards if need be."""
    batch, rows, summed, columns = groups
    sizes = step.sizes()
    if _is_gram(step, groups):
        _gram(maker, step, groups)
        return
    natural = (*batch, *rows, *columns)
    swapped = (*batch, *columns, *rows)
    if step.output == swapped and rows and columns:
        step = Scaled(
            step.value, step.right, step.left, step.subscripts[::-1], step.output, alpha_of(step)
        )
        groups = Groups(batch, columns, summed, rows)
        batch, rows, summed, columns = groups
        natural = swapped
    out = maker.target(step.value, step.output == natural, [sizes[x] for x in natural])
    left = _matrix(maker, step.left, step.subscripts[0], batch, rows, summed)
    right = _matrix(maker, step.right, step.subscripts[1], batch, summed, columns)
    volumes = [product_of([sizes[x] for x in group]) for group in (rows, columns, summed, batch)]
    whole = Matrix(out, volumes[1], volumes[0] * volumes[1])
    height, width, depth, count = volumes
    gemm = Gemm(whole, left, right, height, width, depth, count, False, alpha_of(step))
    maker.plan.actions.append(gemm)
    maker.settle(step.value, out, natural, step.output)


def _is_gram(step: Contract, groups: Groups) -> bool:
    """Whether the operands are one array, and rows of one are columns of the other."""
    if step.left is not step.right or groups.batch:
        return False
    partner = dict(zip(step.subscripts[0], step.subscripts[1], strict=True))
    if any(partner[x] != x for x in groups.summed):
        return False
    return [partner[x] for x in groups.rows] == list(groups.columns)


def _gram(maker: PlanMaker, step: Contract, groups: Groups) -> None:
    """``left @ left'``: one triangle, then mirrored."""
    _, rows, summed, columns = groups
    sizes = step.sizes()
    order, depth = (product_of([sizes[x] for x in group]) for group in (rows, summed))
    natural = (*rows, *columns)
    if step.output == (*columns, *rows):
        natural = step.output  # symmetric: the same matrix
    out = maker.target(step.value, step.output == natural, [sizes[x] for x in natural])
    left = _matrix(maker, step.left, step.subscripts[0], [], rows, summed)
    right = left._replace(transposed=not left.transposed)
    whole = Matrix(out, order, order * order)
    gemm = Gemm(whole, left, right, order, order, depth, 1, True, alpha_of(step))
    maker.plan.actions += [gemm, mirror(out, order)]
    maker.settle(step.value, out, natural, step.output)


def _matrix(maker: PlanMaker, value: Value, own: Labels, *groups: Sequence[int]) -> Matrix:
    """``[batch, first, second]`` as it lies in memory, or copied into that order."""
    extents = dict(zip(own, value.extents, strict=True))
    found = maker.memory(value)
    if found is not None:
        buffer, axes = found
        matrix = _lying(buffer, [own[axis] for axis in axes], extents, *groups)
        if matrix is not None:
            return matrix
    order = [x for group in groups for x in group]
    copy = maker.permuted(value, own, order)
    matrix = _lying(copy, order, extents, *groups)
    assert matrix is not None
    return matrix


def _lying(
    buffer: Any, order: Sequence[int], extents: Any, *groups: Sequence[int]
) -> Matrix | None:
    """The matrix if each group's labels are neighbours in memory, in order, and one is last."""
    strides: dict[int, Any] = {}
    stride: Any = 1
    for label in reversed(order):
        strides[label] = stride
        stride = stride * extents[label]
    starts = [_together(list(order), list(group)) for group in groups]
    if None in starts:
        return None
    batch, first, second = ([strides[group[-1]]] if group else [] for group in groups)
    step = batch[0] if batch else 0
    if not first or not second:
        inner = groups[1] or groups[2]
        if strides[inner[-1]] != 1:
            return None
        volume = product_of([extents[x] for x in inner])
        return Matrix(buffer, 1 if first else volume, step)
    if type(second[0]) is int and second[0] == 1:
        return Matrix(buffer, first[0], step)
    if type(first[0]) is int and first[0] == 1:
        return Matrix(buffer, second[0], step, transposed=True)
    return None


def _together(order: list[int], group: list[int]) -> int | None:
    """Where a group's labels begin in memory, 0 if there are none; None if others lie between."""
    if not group:
        return 0
    start = order.index(group[0])
    return start if order[start : start + len(group)] == group else None
