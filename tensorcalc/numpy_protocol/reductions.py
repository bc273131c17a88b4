"""Reductions: contractions with ones, and rows of the table along one axis.

Axes are given as in NumPy (None, one, several, negative); ``keepdims`` leaves them with size 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..applications import apply, power
from ..errors import ShapeError, TraceError
from ..extents import floor_divide
from ..nodes import Constant, Node, extent_scalar
from ..products import is_boolean, multiply, product, scale, transpose
from ..sums import add, subtract
from .convert import as_node, broadcast_operands, broadcast_to
from .functions import described, implements, normal_axes, normal_axis
from .joining import concatenate
from .shapes import affine_view, expand_dims, moveaxis, ravel, reshape


def entries(node: Node, axes: Sequence[int]) -> Any:
    """Number of entries along ``axes``, an integer or an extent."""
    return math.prod(node.extents[axis] for axis in axes)


def divided(node: Node, count: Any) -> Node:
    """``node / count`` for an integer, an extent or a scalar expression."""
    divisor = count if isinstance(count, Node) else extent_scalar(count)
    if isinstance(divisor, Constant):
        return scale(1 / divisor.value if divisor.value else math.inf, node)
    return multiply(node, power(divisor, -1))


def where_chosen(a: Any, where: Any, neutral: float) -> Node:
    """``a`` where a reduction's option ``where`` chooses it, elsewhere what leaves it unchanged."""
    node = as_node(a)
    if where is True:
        return node
    return apply("where", *broadcast_operands(truth(as_node(where)), node, Constant(neutral)))


# -- contractions ---------------------------------------------------------------------------------
@implements(np.sum)
def sum_over(
    a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Node:
    """``out[i] = initial + sum over j of a[i, j]``."""
    node = where_chosen(a, where, 0)
    if initial is not None:
        return sum_over(node, axis, keepdims) + as_node(initial)
    axes = normal_axes(axis, node.ndim)
    kept = [k for k in range(node.ndim) if k not in axes]
    if not keepdims:
        return product((node,), (range(node.ndim),), kept)
    labels = [("summed", k) if k in axes else k for k in range(node.ndim)]
    return product((node,), (labels,), range(node.ndim), dict.fromkeys(axes, 1))


@implements(np.mean)
def mean_over(a: Any, axis: Any = None, keepdims: bool = False, *, where: Any = True) -> Node:
    """``sum / number of entries``."""
    return _mean(as_node(a), axis, keepdims, where, 0)


def _mean(node: Node, axis: Any, keepdims: bool, where: Any, correction: Any) -> Node:
    """Sum over the entries that ``where`` chooses by their number less ``correction``."""
    if where is True:
        count = entries(node, normal_axes(axis, node.ndim)) - correction
        return divided(sum_over(node, axis, keepdims), count)
    chosen = broadcast_to(truth(as_node(where)), node.extents)
    count = sum_over(chosen, axis, keepdims) - correction
    mean = divided(sum_over(node, axis, keepdims, where=where), count)
    counted = apply("greater", count, broadcast_to(Constant(0), count.extents))
    return apply("where", counted, mean, broadcast_to(Constant(math.nan), mean.extents))


@implements(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    """``sum(w * a) / sum(w)``; ``weights`` of the shape of ``a``, or a vector along ``axis``."""
    node = as_node(a)
    if weights is None:
        spread = broadcast_to(Constant(1), node.extents)
    else:
        spread = _spread_weights(node, as_node(weights), axis)
    total = sum_over(spread, axis, keepdims)
    result = sum_over(multiply(node, spread), axis, keepdims) * power(total, -1)
    return (result, total) if returned else result


def _spread_weights(node: Node, weights: Node, axis: Any) -> Node:
    if weights.ndim == node.ndim:
        return broadcast_to(weights, node.extents)
    axes = normal_axes(axis, node.ndim)
    if axis is None or len(axes) != weights.ndim:
        raise ShapeError(
            "average: the weights have another rank than the array",
            described(node, weights),
            "give weights of the array's shape, or name the axes they run along",
        )
    return product((weights,), (axes,), range(node.ndim), dict(enumerate(node.extents)))


@implements(np.var)
def var(
    a: Any,
    axis: Any = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Node:
    """``sum((a - mean)**2) / (number of entries - ddof)``."""
    node = as_node(a)
    axes = normal_axes(axis, node.ndim)
    centre = mean_over(node, axes, True, where=where) if mean is None else as_node(mean)
    deviation = subtract(node, broadcast_to(centre, node.extents))
    correction = ddof if correction is None else correction
    return _mean(power(deviation, 2), axes, keepdims, where, correction)


@implements(np.std)
def std(
    a: Any,
    axis: Any = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Node:
    """``sqrt(var)``; its derivative where the variance is 0 is 0."""
    variance = var(a, axis, ddof, keepdims, where=where, mean=mean, correction=correction)
    return power(variance, 0.5)


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Node:
    """``sum of [a != 0]``."""
    return sum_over(truth(as_node(a)), axis, keepdims)


@implements(np.any)
def any_over(a: Any, axis: Any = None, keepdims: bool = False, *, where: Any = True) -> Node:
    """Whether some entry is not 0."""
    return one_axis_at_a_time("any", truth(where_chosen(a, where, 0)), axis, keepdims)


@implements(np.all)
def all_over(a: Any, axis: Any = None, keepdims: bool = False, *, where: Any = True) -> Node:
    """Whether no entry is 0."""
    return one_axis_at_a_time("all", truth(where_chosen(a, where, 1)), axis, keepdims)


def truth(node: Node) -> Node:
    """``[node != 0]``, which a boolean expression already is."""
    return node if is_boolean(node) else apply("not_equal", node, Constant(0))


# -- rows along one axis --------------------------------------------------------------------------
def along_last(node: Node, axes: Sequence[int]) -> Node:
    """``axes`` moved to the end and joined into one."""
    kept = [k for k in range(node.ndim) if k not in axes]
    moved = transpose(node, (*kept, *axes))
    if len(axes) == 1:
        return moved
    return reshape(moved, (*moved.extents[: len(kept)], entries(node, axes)))


def reduced(name: str, a: Any, axis: Any, keepdims: bool) -> Node:
    """The row ``name``, ``(n)->()``, over ``axis``."""
    node = as_node(a)
    axes = tuple(sorted(normal_axes(axis, node.ndim)))
    result = apply(name, along_last(node, axes)) if axes else node
    return expand_dims(result, axes) if keepdims and axes else result


def one_axis_at_a_time(name: str, a: Any, axis: Any, keepdims: bool) -> Node:
    """The row ``name`` over the axes in turn, for operations that nest: ``max(max(a))``."""
    result = node = as_node(a)
    for each in sorted(normal_axes(axis, node.ndim), reverse=True):
        result = reduced(name, result, each, keepdims)
    return result


def mapped(name: str, a: Any, axis: Any) -> Node:
    """The row ``name``, ``(n)->(n)``, over ``axis``."""
    node = as_node(a)
    axes = tuple(sorted(normal_axes(axis, node.ndim)))
    result = apply(name, along_last(node, axes)) if axes else apply(name, reshape(node, (1,)))
    kept = [k for k in range(node.ndim) if k not in axes]
    order = (*kept, *axes)
    if len(axes) != 1:
        result = reshape(result, tuple(node.extents[k] for k in order))
    return transpose(result, [order.index(k) for k in range(node.ndim)])


def _extremum(
    name: str, a: Any, axis: Any, keepdims: bool, initial: Any, where: Any, neutral: float
) -> Node:
    if where is not True and initial is None:
        raise TraceError(
            f"np.{name} with where= needs initial=",
            hint="say what the result is where nothing is chosen, as NumPy demands",
        )
    result = one_axis_at_a_time(name, where_chosen(a, where, neutral), axis, keepdims)
    if initial is None:
        return result
    return getattr(np, f"{name}imum")(result, as_node(initial))


@implements(np.max, np.amax)
def max_over(
    a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Node:
    """Greatest entry; its derivative is ``one_hot(argmax)``."""
    return _extremum("max", a, axis, keepdims, initial, where, -math.inf)


@implements(np.min, np.amin)
def min_over(
    a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Node:
    """Least entry; its derivative is ``one_hot(argmin)``."""
    return _extremum("min", a, axis, keepdims, initial, where, math.inf)


@implements(np.prod)
def prod_over(
    a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Node:
    """Product of the entries."""
    result = one_axis_at_a_time("prod", where_chosen(a, where, 1), axis, keepdims)
    return result if initial is None else result * as_node(initial)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """``max - min``."""
    return subtract(max_over(a, axis, keepdims), min_over(a, axis, keepdims))


@implements(np.argmax)
def argmax(a: Any, axis: Any = None, *, keepdims: bool = False) -> Node:
    """Position of the first greatest entry, in the raveled array if ``axis`` is None."""
    return reduced("argmax", a, _one_axis(axis, "argmax"), keepdims)


@implements(np.argmin)
def argmin(a: Any, axis: Any = None, *, keepdims: bool = False) -> Node:
    """Position of the first least entry."""
    return reduced("argmin", a, _one_axis(axis, "argmin"), keepdims)


def _one_axis(axis: Any, name: str) -> Any:
    if isinstance(axis, (tuple, list)):
        raise TraceError(f"np.{name} along several axes", hint="reshape them into one axis first")
    return axis


# -- accumulation ---------------------------------------------------------------------------------
@implements(np.cumsum)
def cumsum(a: Any, axis: Any = None) -> Node:
    """``out[i] = sum over t of a[t] [t <= i]``: some slack ``s`` has ``i - t - s = 0``."""
    node, along = _raveled_without_axis(a, axis)
    extent = node.extents[along]
    labels: list[Any] = list(range(node.ndim))
    labels[along] = "t"
    row = {along: 1, "t": -1, "s": -1}, 0
    return affine_view(node, labels, range(node.ndim), {along: extent, "s": extent}, [row])


@implements(np.cumulative_sum)
def cumulative_sum(x: Any, *, axis: Any = None, include_initial: bool = False) -> Node:
    """``np.cumsum``, along the only axis if there is one; with a zero in front on request."""
    node = as_node(x)
    along = normal_axis(_only_axis(node, axis), node.ndim)
    return _with_initial(cumsum(node, along), along, 0, include_initial)


@implements(np.cumprod)
def cumprod(a: Any, axis: Any = None) -> Node:
    """``out[i] = product of a[t] for t <= i``."""
    node, along = _raveled_without_axis(a, axis)
    return mapped("cumprod", node, along)


@implements(np.cumulative_prod)
def cumulative_prod(x: Any, *, axis: Any = None, include_initial: bool = False) -> Node:
    """``np.cumprod``, along the only axis if there is one; with a one in front on request."""
    node = as_node(x)
    along = normal_axis(_only_axis(node, axis), node.ndim)
    return _with_initial(cumprod(node, along), along, 1, include_initial)


def _raveled_without_axis(a: Any, axis: Any) -> tuple[Node, int]:
    node = ravel(a) if axis is None else as_node(a)
    return node, normal_axis(0 if axis is None else axis, node.ndim)


def _only_axis(node: Node, axis: Any) -> Any:
    if axis is None and node.ndim != 1:
        raise ShapeError("a cumulative reduction of several axes", described(node), "name the axis")
    return 0 if axis is None else axis


def _with_initial(node: Node, axis: int, value: float, wanted: bool) -> Node:
    if not wanted:
        return node
    extents = (*node.extents[:axis], 1, *node.extents[axis + 1 :])
    return concatenate([broadcast_to(Constant(value), extents), node], axis)


# -- order ----------------------------------------------------------------------------------------
@implements(np.sort)
def sort(a: Any, axis: Any = -1) -> Node:
    """Entries in ascending order along ``axis``; locally a permutation."""
    node, along = _raveled_without_axis(a, axis)
    return mapped("sort", node, along)


@implements(np.median)
def median(a: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """The middle entry in order, or the mean of the two middle ones."""
    node = as_node(a)
    axes = tuple(sorted(normal_axes(axis, node.ndim)))
    ordered = apply("sort", along_last(node, axes))
    extent = ordered.extents[-1]
    middle = [
        _entry(ordered, extent - 1 - floor_divide(extent, 2)),
        _entry(ordered, floor_divide(extent, 2)),
    ]
    result = scale(0.5, add(*middle))
    return expand_dims(result, axes) if keepdims else result


def _entry(node: Node, position: Any) -> Node:
    """``node[..., position]`` for a position that is known to exist."""
    labels = range(node.ndim)
    return affine_view(node, labels, labels[:-1], {}, [({node.ndim - 1: 1}, -position)])


@implements(np.quantile)
def quantile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Linear interpolation between neighbours in order; pins the size.

    ``q`` is a number or a list of numbers, which become the first axis.
    """
    node = as_node(a)
    axes = tuple(sorted(normal_axes(axis, node.ndim)))
    ordered = apply("sort", along_last(node, axes))
    last = ordered.extents[-1].__index__() - 1

    def at(fraction: float) -> Node:
        low = min(int(fraction * last), max(last - 1, 0))
        share = fraction * last - low
        above = _entry(ordered, min(low + 1, last))
        result = add(scale(1 - share, _entry(ordered, low)), scale(share, above))
        return expand_dims(result, axes) if keepdims else result

    return np.stack([at(float(each)) for each in q]) if np.ndim(q) else at(float(q))


@implements(np.percentile)
def percentile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.quantile`` of ``q / 100``."""
    return quantile(a, np.asarray(q) / 100, axis, keepdims)


@implements(np.argsort)
def argsort(a: Any, axis: Any = -1) -> Node:
    """``out[i] = sum over k of P[i, k] k`` with the permutation ``P`` that sorts."""
    node, along = _raveled_without_axis(a, axis)
    permutation = apply("sort_permutation", moveaxis(node, along, -1))
    positions = cumsum(broadcast_to(Constant(1), permutation.extents[-1:])) - 1
    return moveaxis(np.matmul(permutation, positions), -1, along)
