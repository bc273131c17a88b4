"""Numbers, arrays and extents as expressions, and NumPy's broadcasting written as products."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..errors import ShapeError, TraceError
from ..extents import Extent, is_equal, same_extents
from ..nodes import Constant, Node, Variable, as_expression, extent_scalar
from ..products import broadcast, kronecker, product, scale

#: What becomes of an array met on the way; a trace replaces it to bind the array to a name.
array_variable: ContextVar[Callable[[Any], Node]] = ContextVar("array_variable")


def as_node(value: Any) -> Node:
    """``value`` as an expression.

    Numbers become constants, arrays variables bound to their value, extents sums of ones.
    Raises TraceError for what is none of these.
    """
    value = as_expression(value)
    if isinstance(value, Node):
        return value
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        return Constant(float(value))
    if isinstance(value, Extent):
        return extent_scalar(value)
    if isinstance(value, (list, tuple)) and holds_node(value):
        return np.stack([as_node(v) for v in value])  # type: ignore[return-value]
    if isinstance(value, Constants) and (known := _multiple_of_identity(value)) is not None:
        return known
    array = value if isinstance(value, Constants) else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TraceError(
            f"an array of dtype {array.dtype} cannot be part of an expression",
            [f"value: {array!r:.60}"],
            "pass real numbers, booleans or integers",
        )
    if array.ndim == 0:
        return Constant(float(array))
    return array_variable.get(_met_array)(array)


def holds_node(value: Any) -> bool:
    """Whether an expression or an extent is somewhere in nested lists."""
    if isinstance(value, (list, tuple)):
        return any(map(holds_node, value))
    return isinstance(value, (Node, Extent))


class Constants(np.ndarray):
    """An array of numbers made inside a traced function: the same at every call.

    An expression can index it, ``np.eye(10)[labels]``.
    """

    def __getitem__(self, key: Any) -> Any:
        """The entries; an expression for an index that is one."""
        if holds_node(key):
            return as_node(self)[key]
        return super().__getitem__(key)


def _multiple_of_identity(array: Any) -> Node | None:
    """``c δ[i,j]`` for a matrix of numbers that is one."""
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        return None
    factor = array.item(0)
    if not np.array_equal(array, factor * np.eye(len(array))):
        return None
    return scale(factor, kronecker(array.shape[:1]))


def _met_array(array: Any) -> Node:
    """A variable that stands for an array met outside a trace; constant arrays become constants."""
    constant = constant_array(array)
    if constant is not None:
        return constant
    return Variable(_array_name(array), array.shape, _flags(array), array)


#: Numbers in the names of arrays met outside a trace, in the order in which they were met.
_numbers: dict[int, tuple[Any, int]] = {}
_count = itertools.count()


def _array_name(array: Any) -> str:
    """The name of an array as long as it lives."""
    key = id(array)
    if key not in _numbers:
        _numbers[key] = weakref.ref(array, lambda _: _numbers.pop(key, None)), next(_count)
    return f"array_{_numbers[key][1]}"


def constant_array(array: Any) -> Node | None:
    """An array with one value everywhere as a broadcast constant."""
    if 0 < array.size <= 65536 and (array == array.flat[0]).all():
        return broadcast(Constant(float(array.flat[0])), (), array.shape)
    return None


def _flags(array: Any) -> tuple[str, ...]:
    return {"b": ("boolean",), "i": ("integer",), "u": ("integer",)}.get(array.dtype.kind, ())


def broadcast_extents(*shapes: Sequence[Any]) -> tuple[Any, ...]:
    """The common shape by NumPy's rules: axes aligned at the end, size-1 axes stretch.

    Raises ShapeError if two extents of one axis differ and neither is the number 1.
    """
    rank = max(map(len, shapes))
    result: list[Any] = []
    for axis in range(-rank, 0):
        candidates = [shape[axis] for shape in shapes if len(shape) >= -axis]
        result.append(_common(candidates, shapes))
    return tuple(result)


def _common(candidates: list[Any], shapes: Sequence[Sequence[Any]]) -> Any:
    chosen: Any = candidates[0]
    for extent in candidates[1:]:
        if same_extents((chosen,), (extent,)) or is_one(extent):
            continue
        if is_one(chosen):
            chosen = extent
        elif not is_equal(chosen, extent):
            raise ShapeError(
                f"shapes cannot be broadcast: extents {chosen} and {extent} meet on one axis",
                [f"operand {k}: shape {tuple(shape)}" for k, shape in enumerate(shapes)],
                "align the axes from the last one, or insert an axis with [:, None]",
            )
    return chosen


def is_one(extent: Any) -> bool:
    """Whether an extent is 1; a bare symbol never is, since size-1 axes are traced as numbers."""
    if isinstance(extent, Extent):
        return len(extent.terms) > 1 and extent == 1
    return bool(extent == 1)


def aligned_labels(node: Node, extents: Sequence[Any]) -> tuple[Any, ...]:
    """Labels of ``node`` in a product whose output labels are the axes of ``extents``.

    An axis of size 1 that stretches gets a label of its own and is thereby dropped.
    """
    offset = len(extents) - node.ndim
    return tuple(
        ("one", axis) if stretches(own, extents[axis + offset]) else axis + offset
        for axis, own in enumerate(node.extents)
    )


def stretches(own: Any, wanted: Any) -> bool:
    """Whether an axis of size ``own`` is of size 1 and has to become ``wanted``."""
    return not same_extents((own,), (wanted,)) and is_one(own)


def broadcast_to(node: Node, extents: Sequence[Any]) -> Node:
    """``node`` stretched to ``extents`` by NumPy's rules."""
    if same_extents(node.extents, tuple(extents)):
        return node
    return product(
        (node,), (aligned_labels(node, extents),), range(len(extents)), dict(enumerate(extents))
    )


def broadcast_operands(*nodes: Node, scalars: bool = True) -> list[Node]:
    """All nodes with their common shape; scalars stay scalars where ``scalars``."""
    extents = broadcast_extents(*[node.extents for node in nodes])
    return [node if scalars and not node.ndim else broadcast_to(node, extents) for node in nodes]
