"""Array methods and properties of expressions: ``x.T``, ``x.sum()``, ``x.reshape(...)``, ..."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..errors import TraceError
from ..nodes import METHODS, Node
from ..products import transpose
from . import linear_algebra, reductions, shapes
from .functions import near_names, shape_text


def method(name: str, is_property: bool = False) -> Callable[[Any], Any]:
    """Register an array method or property."""

    def register(function: Any) -> Any:
        function.is_property = is_property
        METHODS[name] = function
        return function

    return register


@method("missing")
def missing(self: Node, name: str) -> Any:
    near = near_names(name, METHODS)
    more = f"; similar: {', '.join(near)}" if near and not name.startswith("_") else ""
    raise AttributeError(f"expressions have no attribute {name!r}{more}")


@method("T", is_property=True)
def transposed(self: Node) -> Node:
    """All axes in reverse order."""
    return transpose(self, tuple(reversed(range(self.ndim))))


@method("mT", is_property=True)
def matrix_transposed(self: Node) -> Node:
    """The last two axes exchanged."""
    return shapes.matrix_transposed(self)


@method("size", is_property=True)
def size(self: Node) -> Any:
    """Number of entries, an integer or an extent."""
    return math.prod(self.extents)


@method("transpose")
def transpose_method(self: Node, *axes: Any) -> Node:
    return shapes.transposed(self, _several(axes) if axes else None)


@method("reshape")
def reshape(self: Node, *shape: Any, order: str = "C") -> Node:
    return shapes.reshape(self, _several(shape), order)


def _several(arguments: tuple[Any, ...]) -> Any:
    """``x.reshape(2, 3)`` and ``x.reshape((2, 3))`` say the same."""
    if len(arguments) == 1 and (arguments[0] is None or isinstance(arguments[0], (tuple, list))):
        return arguments[0]
    return arguments


#: Methods that are the NumPy function of the same name with the array first.
_FUNCTIONS: dict[str, Any] = {
    "sum": reductions.sum_over,
    "mean": reductions.mean_over,
    "prod": reductions.prod_over,
    "max": reductions.max_over,
    "min": reductions.min_over,
    "var": reductions.var,
    "std": reductions.std,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "any": reductions.any_over,
    "all": reductions.all_over,
    "cumsum": reductions.cumsum,
    "dot": linear_algebra.dot,
    "ravel": shapes.ravel,
    "flatten": shapes.ravel,
    "swapaxes": shapes.swapaxes,
    "squeeze": shapes.squeeze,
    "repeat": shapes.repeat,
}
METHODS.update(_FUNCTIONS)


@method("__array__")
def numbers(self: Node) -> Any:
    """Refuses to become an array of numbers; NumPy asks in ``np.array([x, y])`` and the like.

    Raises TraceError.
    """
    raise TraceError(
        "an expression has no value yet, but an array of numbers is asked for",
        [f"expression: {self}, shape {shape_text(self.extents)}"],
        "join expressions with np.stack or np.concatenate instead of np.array; "
        "for scipy.special.logsumexp, softmax and log_softmax use those of tensorcalc",
    )
