"""Array methods and properties of expressions: ``x.T``, ``x.sum()``, ``x.reshape(...)``, ..."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import TraceError
from ..extents import symbol, symbols_of, tracing
from ..nodes import METHODS, Node, free_variables, postorder
from ..oracle import evaluate
from ..products import transpose
from . import reductions, selections, shapes, tensor_products
from .functions import described, near_names, shape_text


def method(name: str, is_property: bool = False) -> Callable[[Any], Any]:
    """Register an array method or property."""

    def register(function: Any) -> Any:
        function.is_property = is_property
        METHODS[name] = function
        return function

    return register


@method("missing")
def missing(self: Node, name: str) -> Any:
    """Refused: no such attribute.

    Raises AttributeError with names that look like it.
    """
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
    """Axes in the order ``axes``, given one by one or as a tuple; reversed without."""
    return shapes.transposed(self, _several(axes) if axes else None)


@method("reshape")
def reshape(self: Node, *shape: Any, order: str = "C") -> Node:
    """The entries in row-major order under axes of the sizes ``shape``."""
    return shapes.reshape(self, _several(shape), order)


def _several(arguments: tuple[Any, ...]) -> Any:
    """``x.reshape(2, 3)`` and ``x.reshape((2, 3))`` say the same."""
    if len(arguments) == 1 and (arguments[0] is None or isinstance(arguments[0], (tuple, list))):
        return arguments[0]
    return arguments


#: Methods that are the NumPy function of the same name with the array first.
_FUNCTIONS: dict[str, Any] = {
    "all": reductions.all_over,
    "any": reductions.any_over,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "clip": selections.clip,
    "conj": selections.itself,
    "conjugate": selections.itself,
    "copy": selections.itself,
    "cumprod": reductions.cumprod,
    "cumsum": reductions.cumsum,
    "diagonal": selections.diagonal,
    "dot": tensor_products.dot,
    "flatten": shapes.ravel,
    "max": reductions.max_over,
    "mean": reductions.mean_over,
    "min": reductions.min_over,
    "prod": reductions.prod_over,
    "ravel": shapes.ravel,
    "repeat": shapes.repeat,
    "round": selections.rounded,
    "squeeze": shapes.squeeze,
    "std": reductions.std,
    "sum": reductions.sum_over,
    "swapaxes": shapes.swapaxes,
    "take": selections.take,
    "trace": selections.trace,
    "var": reductions.var,
}
METHODS.update(_FUNCTIONS)


@method("real", is_property=True)
def real(self: Node) -> Node:
    """Expressions are real."""
    return self


@method("imag", is_property=True)
def imag(self: Node) -> Node:
    """Zeros."""
    return selections.imag(self)


@method("astype")
def astype(self: Node, dtype: Any, copy: bool = True) -> Any:
    """The same numbers as floats; ``bool`` asks where they are not zero.

    Raises TraceError for another dtype.
    """
    kind = np.dtype(dtype).kind
    if kind == "b":
        return reductions.truth(self)
    if kind != "f":
        raise TraceError(
            f"astype({np.dtype(dtype)}) of an expression, which is a real number",
            described(self),
            "round with np.trunc, np.floor or np.rint; expressions have no integer dtype",
        )
    return self


# -- refusals -------------------------------------------------------------------------------------
#: Methods that need numbers or change an array, and what to write instead.
_REFUSED: dict[str, tuple[str, str]] = {
    "item": ("an expression has no value yet", "keep the expression; index it for one entry"),
    "tolist": ("an expression has no value yet", "index it, or iterate over its first axis"),
    "tobytes": ("an expression has no value yet", "compute it first"),
    "fill": ("an expression is immutable", "use np.full_like(x, value)"),
    "put": ("an expression is immutable", "use np.where(condition, new, old)"),
    "itemset": ("an expression is immutable", "use np.where(condition, new, old)"),
    "resize": ("an expression is immutable", "use np.reshape or np.pad"),
    "sort": ("an expression is immutable", "use np.sort(x), which returns a new one"),
    "partition": ("an expression is immutable", "use np.sort(x)"),
    "nonzero": ("how many positions it finds is known only at run time", "use np.where(c, a, b)"),
}


def _refusal(name: str, why: str, remedy: str) -> Callable[..., Any]:
    def refused(self: Node, *args: Any, **kwargs: Any) -> Any:
        raise TraceError(f"the method {name}: {why}", described(self), remedy)

    return refused


METHODS.update({name: _refusal(name, *said) for name, said in _REFUSED.items()})


@method("__setitem__")
def assign(self: Node, index: Any, value: Any) -> None:
    """Refused: expressions are immutable.

    Raises TraceError.
    """
    raise TraceError(
        "assignment to entries of an expression, which is immutable",
        [*described(self), f"index: {index}"],
        "np.where(mask, new, old) replaces under a mask; np.concatenate or np.stack joins parts",
    )


@method("__bool__")
def truth_of(self: Node) -> bool:
    """The truth of an expression of sizes only, which pins them; else refused.

    Raises TraceError.
    """
    if is_of_sizes(self):
        return bool(value_of_sizes(self))
    raise TraceError(
        "the truth of an expression is not known while tracing: it has no value yet",
        [f"expression: {self}"],
        "instead of if and while write np.where(condition, a, b); instead of max, min and sorted "
        "np.maximum, np.minimum and np.sort; instead of `and`, `or` and a < x < b use & and |",
    )


@method("__float__")
def number(self: Node) -> float:
    """The value of an expression of sizes only, which pins them; else refused.

    Raises TraceError.
    """
    if is_of_sizes(self):
        return float(value_of_sizes(self))
    raise TraceError(
        "an expression has no value yet, but Python needs a number here",
        [f"expression: {self}"],
        "use the NumPy function of the same name instead of math, float() or int(); "
        "instead of filling an array, join the parts with np.stack or np.concatenate",
    )


@method("__round__")
def rounded_number(self: Node, digits: Any = None) -> Node:
    """``round(x)`` and ``round(x, digits)``, which stay expressions."""
    return selections.rounded(self, digits or 0)


@method("__format__")
def formatted(self: Node, specification: str) -> str:
    """The formula as text: what ``f"{x:.3f}"`` prints while no number is known yet."""
    try:
        return format(str(self), specification)
    except ValueError:  # a format of numbers
        return str(self)


@method("__index__")
def position(self: Node) -> int:
    """Refused: an expression is no integer of Python, even if it is one of sizes.

    Raises TraceError.
    """
    raise TraceError(
        "an expression has no value yet, but Python needs an integer here",
        [f"expression: {self}"],
        "compute sizes with //, and loop over numbers; x[index] takes an integer expression",
    )


def is_of_sizes(node: Node) -> bool:
    """Whether ``node`` is a number made of sizes, such as ``x.shape[0] / 2``, inside a trace."""
    return not node.ndim and tracing() and not free_variables(node)


def value_of_sizes(node: Node) -> Any:
    """The number that an expression of sizes only is; every size in it is pinned."""
    names = {name for part in postorder(node) for e in part.extents for name in symbols_of(e)}
    return evaluate(node, **{name: int(symbol(name)) for name in names})


@method("__array__")
def numbers(self: Node) -> Any:
    """Refuses to become an array of numbers; NumPy asks in ``np.array([x, y])`` and the like.

    Raises TraceError.
    """
    raise TraceError(
        "an expression has no value yet, but an array of numbers is asked for",
        [f"expression: {self}, shape {shape_text(self.extents)}"],
        _remedy(),
    )


#: SciPy's functions of Python, which ask for numbers, by what to call instead.
_OURS = {"logsumexp", "softmax", "log_softmax", "polygamma", "expm"}


def _remedy() -> str:
    """What to call instead of the SciPy or math function that asks for numbers."""
    frame = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        name = frame.f_code.co_name
        if module.startswith("scipy.") and name in _OURS:
            return f"scipy's {name} takes numbers only; use tensorcalc.{name}"
        frame = frame.f_back  # type: ignore[assignment]
    return (
        "join expressions with np.stack, np.concatenate or np.block instead of filling an array; "
        "np.mean, np.sum, ... of a list need it stacked; np.array takes expressions in functions "
        "that are differentiated, called as np.array"
    )
