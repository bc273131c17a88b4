"""Functions that select entries: where, take, diagonals, triangles, and arrays like another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..applications import apply
from ..deltas import LabelRow
from ..errors import ShapeError, TraceError
from ..extents import Extent, is_nonnegative
from ..nodes import Constant, Node, Sum
from ..products import product, scale, split_coefficient, zeros
from ..sums import add
from .convert import as_node, broadcast_operands, broadcast_to
from .functions import described, implements, normal_axis
from .indexing import getitem, nonnegative_index
from .reductions import sum_over, truth
from .shapes import Size, affine_view, at_most, ravel, same


# -- by conditions --------------------------------------------------------------------------------
@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None) -> Node:
    """``x`` where the condition holds, ``y`` elsewhere; what is not chosen has no effect.

    Raises TraceError without ``x`` and ``y``: positions are known only at run time.
    """
    if x is None or y is None:
        raise TraceError(
            "np.where with one argument: how many positions it finds is known only at run time",
            hint="give it what to take where the condition holds, and where not",
        )
    chosen = truth(as_node(condition))
    nodes = broadcast_operands(chosen, as_node(x), as_node(y))
    if isinstance(chosen, Constant):
        return broadcast_operands(*nodes[1:], scalars=False)[0 if chosen.value else 1]
    return apply("where", *nodes)


@implements(np.select)
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Node:
    """The first choice whose condition holds."""
    result = as_node(default)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = where(condition, choice, result)
    return result


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Node:
    """The function of the last condition that holds; one more function is for where none does."""
    node = as_node(x)
    is_one = not isinstance(condlist, (list, tuple)) and np.ndim(condlist) <= node.ndim
    conditions = [condlist] if is_one else list(condlist)
    functions = [f if callable(f) else lambda *_, f=f, **__: f for f in funclist]
    rest = functions.pop() if len(functions) > len(conditions) else lambda *_, **__: 0.0
    result = broadcast_to(as_node(rest(node, *args, **kw)), node.extents)
    for condition, function in zip(conditions, functions, strict=True):
        result = where(condition, function(node, *args, **kw), result)
    return result


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """``minimum(maximum(a, low), high)``; a bound may be None."""
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    node: Any = as_node(a)
    node = node if low is None else np.maximum(node, as_node(low))
    return node if high is None else np.minimum(node, as_node(high))


@implements(np.nan_to_num)
def nan_to_num(x: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Node:
    """NaN and infinities replaced by numbers."""
    node = as_node(x)
    top = np.finfo(float).max if posinf is None else posinf
    bottom = np.finfo(float).min if neginf is None else neginf
    finite = where(np.equal(node, np.inf), top, where(np.equal(node, -np.inf), bottom, node))
    return where(np.isnan(node), nan, finite)


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08) -> Any:
    """``[|a - b| <= atol + rtol*|b|]``."""
    return np.abs(as_node(a) - as_node(b)) <= atol + rtol * np.abs(as_node(b))


# -- by positions ---------------------------------------------------------------------------------
@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, mode: str = "raise") -> Node:
    """``a[..., indices, ...]`` along ``axis``, of the raveled array if that is None."""
    if mode != "raise":
        raise TraceError(f"np.take with mode={mode!r}", hint="clip or wrap the indices first")
    node = ravel(a) if axis is None else as_node(a)
    before = (slice(None),) * normal_axis(0 if axis is None else axis, node.ndim)
    return getitem(node, (*before, indices))


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Node:
    """``out[i, b] = sum over k of arr[i, k] one_hot(indices)[i, b, k]``."""
    node = ravel(arr) if axis is None else as_node(arr)
    along = normal_axis(-1 if axis is None else axis, node.ndim)
    index = nonnegative_index(node, as_node(indices), node.extents[along])
    if index.ndim != node.ndim:
        raise ShapeError(
            "take_along_axis: ranks differ", described(node, index), "give one index per axis"
        )
    labels: list[Any] = list(range(node.ndim))
    labels[along] = "k"
    sizes = list(node.extents)
    sizes[along] = index.extents[along]
    positions = apply("one_hot", broadcast_to(index, sizes), depth=node.extents[along])
    return product((node, positions), (labels, (*range(node.ndim), "k")), range(node.ndim))


@implements(np.choose)
def choose(a: Any, choices: Sequence[Any]) -> Node:
    """``choices[a[i]][i]``."""
    index = as_node(a)
    return select([np.equal(index, k) for k in range(len(choices))], choices)


@implements(np.compress, np.extract)
def compress(condition: Any, a: Any, axis: Any = None) -> Node:
    """The entries at the positions where a constant condition holds."""
    return take(a, np.flatnonzero(np.asarray(condition)), axis)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Node:
    """What is left without the positions ``obj``; pins the size."""
    node = ravel(arr) if axis is None else as_node(arr)
    along = normal_axis(0 if axis is None else axis, node.ndim)
    return take(node, np.delete(np.arange(node.extents[along].__index__()), obj), along)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Node:
    """``values`` before the positions ``obj``; pins the size."""
    node = ravel(arr) if axis is None else as_node(arr)
    along = normal_axis(0 if axis is None else axis, node.ndim)
    added = as_node(values)
    if np.ndim(obj) == 0 and 0 < added.ndim < node.ndim:
        added = np.expand_dims(added, along)  # type: ignore[assignment]
    size, count = node.extents[along].__index__(), np.size(obj)
    if np.ndim(obj) == 0 and added.ndim == node.ndim:
        count = added.extents[along].__index__()
    added = broadcast_to(added, (*node.extents[:along], count, *node.extents[along + 1 :]))
    order = np.insert(np.arange(size), obj, np.arange(size, size + count))
    return take(np.concatenate([node, added], along), order, along)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Node:
    """The entries again and again until ``new_shape`` is full; pins the size."""
    node = ravel(a)
    count = int(np.prod(new_shape))
    entries = take(node, np.arange(count) % node.extents[0].__index__())
    return np.reshape(entries, new_shape)  # type: ignore[return-value]


# -- diagonals ------------------------------------------------------------------------------------
@implements(np.diagonal)
def diagonal(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Node:
    """``out[..., t] = a[..., t, t + offset]``; the diagonal becomes the last axis.

    That of a sum is taken term by term: the sum itself is not formed.
    """
    node = as_node(a)
    if node.ndim < 2:
        raise ShapeError(
            "diagonal of an array with fewer than two axes",
            described(node),
            "np.diag makes a matrix",
        )
    coefficient, total = split_coefficient(node)
    if isinstance(total, Sum):
        terms = (diagonal(each, offset, axis1, axis2) for each in total.operands)
        return scale(coefficient, add(*terms))
    first, second = normal_axis(axis1, node.ndim), normal_axis(axis2, node.ndim)
    down, right = (0, offset) if not _is_negative(offset) else (-offset, 0)
    rows, columns = node.extents[first] - down, node.extents[second] - right
    length = rows if same(rows, columns) or at_most(rows, columns) else columns
    if not at_most(0, length):
        length = 0
    labels: list[Any] = list(range(node.ndim))
    output = [k for k in labels if k not in (first, second)]
    affine: list[LabelRow] = [({first: 1, "t": -1}, -down), ({second: 1, "t": -1}, -right)]
    return affine_view(node, labels, [*output, "t"], {"t": length}, affine)


@implements(np.linalg.diagonal)
def matrix_diagonal(x: Any, *, offset: Any = 0) -> Node:
    """The diagonals of the last two axes."""
    return diagonal(x, offset, -2, -1)


def _is_negative(offset: Any) -> bool:
    return is_nonnegative(-offset - 1)


@implements(np.trace)
def trace(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Node:
    """``sum over t of a[..., t, t + offset]``."""
    return sum_over(diagonal(a, offset, axis1, axis2), -1)


@implements(np.linalg.trace)
def matrix_trace(x: Any, *, offset: Any = 0) -> Node:
    """The traces of the last two axes."""
    return trace(x, offset, -2, -1)


@implements(np.diag)
def diag(v: Any, k: Any = 0) -> Node:
    """The matrix with ``v`` on its ``k``-th diagonal, or that diagonal of a matrix."""
    node = as_node(v)
    if node.ndim == 2:
        return diagonal(node, k)
    if node.ndim != 1:
        raise ShapeError(
            "diag of neither a vector nor a matrix", described(node), "use np.diagonal"
        )
    down, right = (0, k) if not _is_negative(k) else (-k, 0)
    size = node.extents[0] + down + right
    rows: list[LabelRow] = [({"i": 1, "t": -1}, -down), ({"j": 1, "t": -1}, -right)]
    return affine_view(node, ("t",), ("i", "j"), {"i": size, "j": size}, rows)


@implements(np.diagflat)
def diagflat(v: Any, k: Any = 0) -> Node:
    """The matrix with the raveled entries on its ``k``-th diagonal."""
    return diag(ravel(v), k)


# -- triangles ------------------------------------------------------------------------------------
@implements(np.tril)
def tril(m: Any, k: Any = 0) -> Node:
    """``out[i, j] = m[i, j] [j <= i + k]`` over the last two axes."""
    return _triangle(as_node(m), k, -2, -1)


@implements(np.triu)
def triu(m: Any, k: Any = 0) -> Node:
    """``out[i, j] = m[i, j] [i + k <= j]`` over the last two axes."""
    return _triangle(as_node(m), -k, -1, -2)


def _triangle(node: Node, k: Size, high: int, low: int) -> Node:
    """``[low <= high + k]``: some slack ``s`` has ``high + k - low - s = 0``."""
    if node.ndim < 2:
        raise ShapeError(
            "triangle of an array with fewer than two axes", described(node), "pass a matrix"
        )
    labels = list(range(node.ndim))
    upper, lower = labels[high], labels[low]
    reach = node.extents[high] if _is_negative(k) else node.extents[high] + k
    row = {upper: 1, lower: -1, "slack": -1}, k
    return affine_view(node, labels, labels, {"slack": reach}, [row])


# -- arrays like another --------------------------------------------------------------------------
@implements(np.zeros_like)
def zeros_like(a: Any, shape: Any = None) -> Node:
    """Zeros of the shape of ``a``."""
    return zeros(_shape_like(a, shape))


@implements(np.ones_like)
def ones_like(a: Any, shape: Any = None) -> Node:
    """Ones of the shape of ``a``."""
    return broadcast_to(Constant(1), _shape_like(a, shape))


@implements(np.full_like)
def full_like(a: Any, fill_value: Any, shape: Any = None) -> Node:
    """``fill_value`` everywhere in the shape of ``a``."""
    return broadcast_to(as_node(fill_value), _shape_like(a, shape))


@implements(np.linspace)
def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, *, axis: int = 0) -> Node:
    """``start + (stop - start) t`` for ``num`` shares ``t`` from 0 to 1, along a new axis."""
    low, high = broadcast_operands(as_node(start), as_node(stop))
    shares = np.linspace(0.0, 1.0, num, endpoint)[(..., *[None] * low.ndim)]
    return np.moveaxis(low[None] + (high - low)[None] * shares, 0, axis)


@implements(np.empty_like)
def empty_like(prototype: Any, shape: Any = None) -> Node:
    """Refused: an empty array is there to be filled in place.

    Raises TraceError.
    """
    raise TraceError(
        "np.empty_like is there to be filled in place, but expressions are immutable",
        hint="collect the parts in a list and join them with np.stack or np.concatenate",
    )


def _shape_like(a: Any, shape: Any) -> tuple[Size, ...]:
    if shape is None:
        return as_node(a).extents
    wanted = shape if isinstance(shape, (tuple, list)) else (shape,)
    return tuple(e if isinstance(e, Extent) else e.__index__() for e in wanted)


# -- shapes as values -----------------------------------------------------------------------------
@implements(np.shape)
def shape(a: Any) -> tuple[Size, ...]:
    """Extents of the axes."""
    return as_node(a).extents


@implements(np.ndim)
def ndim(a: Any) -> int:
    """Number of axes."""
    return as_node(a).ndim


@implements(np.size)
def size(a: Any, axis: Any = None) -> Size:
    """Number of entries, or the extent of one axis."""
    node = as_node(a)
    if axis is not None:
        return node.extents[normal_axis(axis, node.ndim)]
    total: Size = 1
    for extent in node.extents:
        total = total * extent
    return total


# -- values that are what they are ----------------------------------------------------------------
@implements(np.copy, np.real, np.conj, np.conjugate, np.real_if_close, np.asanyarray)
def itself(a: Any) -> Node:
    """Expressions are real and immutable: a copy, the real part and the conjugate are ``a``."""
    return as_node(a)


@implements(np.imag)
def imag(val: Any) -> Node:
    """The imaginary part of a real expression: zeros."""
    return zeros(as_node(val).extents)


@implements(np.isreal)
def isreal(x: Any) -> Node:
    """True everywhere."""
    return ones_like(x)


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """Expressions are real."""
    return False


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """Expressions are real."""
    return True


@implements(np.round, np.around)
def rounded(a: Any, decimals: int = 0) -> Any:
    """The nearest number with ``decimals`` digits after the point."""
    factor = 10.0**decimals
    nearest: Any = np.rint
    return (
        np.rint(as_node(a))
        if decimals == 0
        else scale(1 / factor, nearest(scale(factor, as_node(a))))
    )


@implements(np.fix)
def fix(x: Any) -> Any:
    """Rounded towards zero."""
    return np.trunc(as_node(x))


#: Terms of the series of sin(a)/a, enough for four derivatives where |a| < 1/2.
_SINC_TERMS = 9


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """``sin(a) / a`` with ``a = pi*x``; its series near zero, where derivatives would cancel."""
    angle = scale(float(np.pi), as_node(x))
    near = np.less(np.abs(angle), 0.5)
    square, series = where(near, angle, 0) ** 2, as_node(0.0)
    for k in reversed(range(_SINC_TERMS)):
        series = series * square + (-1) ** k / math.factorial(2 * k + 1)
    far = where(near, 1, angle)
    return where(near, series, np.sin(far) / far)
