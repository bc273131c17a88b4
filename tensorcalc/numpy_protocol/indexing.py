"""Indexing of expressions: integers, slices, new axes, gathers by integer arrays and masks.

A basic index is an affine row ``source = start + step*out``; an array of positions that is affine
in its own index is such a row too, any other is a contraction with its one-hot encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..applications import apply
from ..deltas import LabelRow
from ..errors import ShapeError, TraceError
from ..extents import Extent, floor_divide, is_nonnegative
from ..nodes import METHODS, Apply, Constant, Delta, Node, Variable
from ..products import is_boolean, product
from ..sums import add
from .convert import aligned_labels, as_node, broadcast_extents, broadcast_to
from .functions import described, shape_text
from .shapes import affine_view, at_most, same

Size = Any  # int | Extent

#: Asked first, in order: ``handler(node, index)`` gives the result, or None to let the next try.
HANDLERS: list[Callable[[Node, Any], Any]] = []


def getitem(self: Node, index: Any) -> Any:
    """``self[index]`` by NumPy's rules.

    Raises ShapeError for an index out of range, TraceError for one that is known only at run time.
    """
    for handler in HANDLERS:
        found = handler(self, index)
        if found is not None:
            return found
    items = _expanded(self, index if isinstance(index, tuple) else (index,))
    return _Indexing(self, items).result()


METHODS["__getitem__"] = getitem


def _expanded(node: Node, index: tuple[Any, ...]) -> list[Any]:
    """The index with masks turned into positions and the ellipsis into full slices."""
    items: list[Any] = []
    for item in index:
        items.extend(_positions(node, item) if _is_mask(item) else [_normal(node, item)])
    taken = sum(item is not None and item is not Ellipsis for item in items)
    if taken > node.ndim:
        raise ShapeError(
            f"{taken} indices for {node.ndim} axes",
            described(node),
            "give at most one index per axis",
        )
    dots = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise ShapeError("an index has more than one ellipsis", described(node), "keep one")
    place = dots[0] if dots else len(items)
    full = [slice(None)] * (node.ndim - taken)
    return items[:place] + full + items[place + len(dots) :]


def _is_mask(item: Any) -> bool:
    if isinstance(item, Node):
        return item.ndim > 0 and is_boolean(item) and not isinstance(item, Delta)
    if isinstance(item, (bool, np.bool_)):
        return True
    return isinstance(item, (list, np.ndarray)) and np.asarray(item).dtype == bool


def _positions(node: Node, mask: Any) -> list[Any]:
    """A constant mask as the positions where it holds."""
    if isinstance(mask, Node) and (not isinstance(mask, Variable) or mask.value is None):
        raise TraceError(
            "how many entries a mask selects is known only at run time",
            [f"indexed: {node}, shape {shape_text(node.extents)}", f"mask: {mask}"],
            "keep the shape and write np.where(mask, x, 0)",
        )
    array = np.asarray(mask.value if isinstance(mask, Variable) else mask)
    if not array.ndim:
        raise TraceError(
            "indexing by one truth value", described(node), "write the branch with np.where"
        )
    return list(array.nonzero())


def _normal(node: Node, item: Any) -> Any:
    """An item as None, Ellipsis, a slice, an integer, an extent, an array or an expression."""
    if item is None or item is Ellipsis or isinstance(item, (slice, int, Extent)):
        return item
    if isinstance(item, Node):
        return _integer_index(node, item)
    if isinstance(item, (list, tuple)) and any(isinstance(each, Node) for each in item):
        return _integer_index(node, as_node(item))
    array = np.asarray(item)
    if array.size == 0:
        array = array.astype(int)
    if array.dtype.kind not in "iu":
        raise TraceError(
            f"an index of type {type(item).__name__} and dtype {array.dtype}",
            described(node),
            "index by integers, slices, None, Ellipsis, integer or boolean arrays",
        )
    return array if array.ndim else int(array)


def _integer_index(node: Node, index: Node) -> Any:
    if isinstance(index, Variable) and index.value is not None and index.flags & {"integer"}:
        return np.asarray(index.value)
    if isinstance(index, Constant) and isinstance(index.value, int):
        return index.value
    if not is_integer(index):
        raise TraceError(
            "an index is an expression that need not be an integer",
            [f"indexed: {node}, shape {shape_text(node.extents)}", f"index: {index}"],
            "declare it integer, or pass it as an integer array",
        )
    return index


def is_integer(node: Node) -> bool:
    """Whether every entry is an integer by construction."""
    if isinstance(node, Constant):
        return isinstance(node.value, int)
    if isinstance(node, Variable):
        return bool(node.flags & {"integer", "boolean"})
    if isinstance(node, Apply):
        if node.operation.integral == "always" or node.operation.result != "real":
            return True
        return node.operation.integral == "inherited" and all(map(is_integer, node.operands))
    return isinstance(node, Delta) or all(map(is_integer, node.operands))


class _Indexing:
    """An index under way: output labels, affine rows and one-hot factors, axis by axis."""

    def __init__(self, node: Node, items: Sequence[Any]) -> None:
        self.node = node
        self.items = items
        self.labels: list[Any] = []
        self.output: list[Any] = []
        self.extents: dict[Any, Size] = {}
        self.rows: list[LabelRow] = []
        self.gathers: list[tuple[Node, Any]] = []
        arrays = [item for item in items if isinstance(item, (np.ndarray, Node))]
        self.batch = broadcast_extents(*[array.shape for array in arrays]) if arrays else ()
        self.advanced = [
            k
            for k, item in enumerate(items)
            if isinstance(item, (np.ndarray, Node)) or (arrays and isinstance(item, (int, Extent)))
        ]

    def result(self) -> Node:
        place = self._place()
        for k, item in enumerate(self.items):
            if k == place:
                self._open_batch()
            self._take(item)
        if place is not None and place < 0:
            self._open_batch()
            batch = len(self.batch)
            self.output = self.output[-batch:] + self.output[:-batch] if batch else self.output
        view = affine_view(self.node, self.labels, self._view_output(), self.extents, self.rows)
        return self._gathered(view) if self.gathers else view

    def _place(self) -> int | None:
        """Where the axes of index arrays go: at the first of neighbours, else (-1) in front."""
        if not self.advanced:
            return None
        first, last = self.advanced[0], self.advanced[-1]
        return first if last - first == len(self.advanced) - 1 else -1

    def _open_batch(self) -> None:
        for axis, extent in enumerate(self.batch):
            self.output.append(("batch", axis))
            self.extents[("batch", axis)] = extent

    def _take(self, item: Any) -> None:
        if item is None:
            self._new_output(len(self.output), 1)
            return
        axis = len(self.labels)
        source = ("in", axis)
        self.labels.append(source)
        extent = self.node.extents[axis]
        if isinstance(item, slice):
            self._slice(source, extent, item)
        elif isinstance(item, np.ndarray):
            self._positions(source, extent, item)
        elif isinstance(item, Node):
            self.gathers.append((item, source))
        else:
            self.rows.append(({source: 1}, -_position(self.node, item, extent, axis)))

    def _new_output(self, number: int, extent: Size) -> Any:
        label = ("out", number)
        self.output.append(label)
        self.extents[label] = extent
        return label

    def _slice(self, source: Any, extent: Size, item: slice) -> None:
        start, count, step = slice_range(item, extent)
        if step == 1 and isinstance(start, int) and start == 0 and same(count, extent):
            self.output.append(source)
            return
        label = self._new_output(len(self.output), count)
        self.rows.append(({source: 1, label: -step}, -start))

    def _positions(self, source: Any, extent: Size, array: Any) -> None:
        array = _wrapped(self.node, array, extent)
        strides = affine_strides(array)
        if strides is None:
            self.gathers.append((as_node(array), source))
            return
        shift = len(self.batch) - array.ndim
        terms: dict[Any, Size] = {
            ("batch", axis + shift): -c for axis, c in enumerate(strides) if c
        }
        start = int(array.flat[0]) if array.size else 0
        self.rows.append(({source: 1, **terms}, -start))

    def _view_output(self) -> list[Any]:
        """Labels after the affine part: the result's, and the axes still to be gathered."""
        sources = [source for _, source in self.gathers]
        if not sources:
            return self.output
        own = set(self.labels) | {label for terms, _ in self.rows for label in terms}
        return [label for label in self.output if label in own or label[0] == "out"] + sources

    def _gathered(self, view: Node) -> Node:
        """``out[b, ...] = sum over k of view[k, ...] one_hot(index)[b, k]``."""
        operands, subscripts = [view], [tuple(self._view_output())]
        for index, source in self.gathers:
            size = self.node.extents[source[1]]
            index = nonnegative_index(self.node, index, size)
            own = tuple(
                ("batch", label) if isinstance(label, int) else label
                for label in aligned_labels(index, self.batch)
            )
            operands.append(apply("one_hot", index, depth=size))
            subscripts.append((*own, source))
        return product(operands, subscripts, self.output, self.extents)


def _position(node: Node, item: Any, extent: Size, axis: int) -> Size:
    """A position counted from the start.

    Raises ShapeError if it is out of range.
    """
    position = extent + item if is_nonnegative(-item - 1) else item
    if not (at_most(0, position) and at_most(position, extent - 1)):
        raise ShapeError(
            f"index {item} of axis {axis}, whose size is {extent}",
            described(node),
            "positions are 0 to size - 1, or negative from the end",
        )
    return position


def _wrapped(node: Node, array: Any, extent: Size) -> Any:
    """Positions counted from the start; negative ones pin a symbolic extent."""
    if not array.size:
        return array
    if array.min() < 0:
        extent = extent.__index__()
        wrapped = np.where(array < 0, array + extent, array)
    else:
        wrapped = array
    if wrapped.min() < 0 or not at_most(int(wrapped.max()), extent - 1):
        raise ShapeError(
            f"index array from {array.min()} to {array.max()} on an axis of size {extent}",
            described(node),
            "positions are 0 to size - 1, or negative from the end",
        )
    return wrapped


def nonnegative_index(node: Node, index: Node, extent: Size) -> Node:
    """``index`` counted from the start; what still lies outside the axis selects nothing.

    Raises TraceError if ``index`` need not be an integer.
    """
    if (
        isinstance(index, Variable)
        and index.value is not None
        and np.asarray(index.value).dtype.kind in "iu"
    ):
        array = np.asarray(index.value)
        wrapped = _wrapped(node, array, extent)
        return index if array.min(initial=0) >= 0 else as_node(wrapped)
    _integer_index(node, index)
    if _is_never_negative(index):
        return index
    size = broadcast_to(as_node(extent), index.extents)
    return apply("where", apply("less", index, Constant(0)), add(index, size), index)


def _is_never_negative(index: Node) -> bool:
    if isinstance(index, Apply):
        return index.operation.value_range(**dict(index.params))[0] >= 0
    if isinstance(index, Variable):
        return bool(index.flags & {"nonnegative", "boolean"})
    return isinstance(index, Delta) or (isinstance(index, Constant) and index.value >= 0)


def affine_strides(array: Any) -> tuple[int, ...] | None:
    """Integers ``c`` with ``array[i, j] = array[0, 0] + c[0]*i + c[1]*j``, if there are."""
    if not array.size:
        return (0,) * array.ndim
    start = int(array.flat[0])
    strides = tuple(
        int(array[tuple(int(k == axis) for k in range(array.ndim))]) - start if size > 1 else 0
        for axis, size in enumerate(array.shape)
    )
    grid = np.ogrid[tuple(slice(size) for size in array.shape)]
    value: Any = start
    for stride, indices in zip(strides, grid, strict=True):
        value = value + stride * indices
    return strides if (array == value).all() else None


def slice_range(item: slice, extent: Size) -> tuple[Size, Size, int]:
    """First position, number of positions and step of a slice of an axis.

    Asks only what the bounds leave open: ``x[1:]`` and ``x[::2]`` fit every size.
    """
    step = 1 if item.step is None else _bound(item.step)
    if not isinstance(step, int) or step == 0:
        raise TraceError(f"a slice with step {item.step}", hint="a step is a number other than 0")
    if all(isinstance(b, (int, type(None))) for b in (item.start, item.stop)) and isinstance(
        extent, int
    ):
        positions = range(extent)[item]
        return positions.start, len(positions), step
    low, high = (0, extent) if step > 0 else (-1, extent - 1)
    first, last = (low, high) if step > 0 else (high, low)
    start = first if item.start is None else _clamped(_bound(item.start), extent, low, high)
    stop = last if item.stop is None else _clamped(_bound(item.stop), extent, low, high)
    length = stop - start if step > 0 else start - stop
    if not at_most(0, length):
        return 0, 0, step
    return start, floor_divide(length + (abs(step) - 1), abs(step)), step


def _bound(value: Any) -> Size:
    if isinstance(value, Node):
        raise TraceError(
            "a slice bound is an expression without a value",
            [f"bound: {value}"],
            "compute bounds from x.shape with //, or select with np.where",
        )
    return value if isinstance(value, Extent) else value.__index__()


def _clamped(bound: Size, extent: Size, low: Size, high: Size) -> Size:
    """A slice bound counted from the start and kept within the axis."""
    if not at_most(0, bound):
        bound = bound + extent
    if not at_most(low, bound):
        return low
    return bound if at_most(bound, high) else high
