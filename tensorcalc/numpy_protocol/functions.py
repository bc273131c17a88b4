"""NumPy's functions on expressions (``__array_function__``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import TraceError
from ..nodes import FUNCTIONS, Node
from ..products import product
from .convert import as_node

#: Meaning of each NumPy function.
TABLE: dict[Any, Callable[..., Any]] = {}


def implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the meaning of NumPy functions on expressions."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        TABLE.update(dict.fromkeys(functions, function))
        return function

    return register


def dispatch(function: Any, args: Any, kwargs: Any) -> Any:
    if function not in TABLE:
        raise TraceError(f"np.{function.__name__} is not supported")
    return TABLE[function](*args, **kwargs)


FUNCTIONS["dispatch"] = dispatch


def normal_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """``axis`` as NumPy takes it (None, one, several, negative) as sorted distinct axes."""
    if axis is None:
        return tuple(range(rank))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(sorted({np.lib.array_utils.normalize_axis_index(a, rank) for a in axes}))


@implements(np.sum)
def sum(a: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """Contraction with ones over ``axis``."""
    node = as_node(a)
    axes = normal_axes(axis, node.ndim)
    if keepdims:
        labels = tuple(("sum", k) if k in axes else k for k in range(node.ndim))
        return product((node,), (labels,), range(node.ndim), dict.fromkeys(axes, 1))
    return product((node,), (range(node.ndim),), [k for k in range(node.ndim) if k not in axes])


@implements(np.einsum)
def einsum(subscripts: str, *operands: Any, **_: Any) -> Node:
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if not arrow:
        letters = "".join(inputs)
        output = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return product([as_node(o) for o in operands], inputs, output)
