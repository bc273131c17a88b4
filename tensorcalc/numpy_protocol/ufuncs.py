"""NumPy's ufuncs on expressions; operators arrive here through NDArrayOperatorsMixin."""

from __future__ import annotations

import math
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import Any

import numpy as np

from ..applications import apply, power
from ..errors import TraceError
from ..nodes import UFUNCS, Constant, Node
from ..products import is_boolean, product, scale
from ..rules.patterns import constant_value
from ..sums import add
from .convert import aligned_labels, as_node, broadcast_extents, broadcast_operands
from .functions import implements

LOG_2 = math.log(2)

#: ufuncs that are a table row of the same name.
_SAME = """
    exp exp2 expm1 log log2 log10 log1p logaddexp cbrt hypot sign copysign
    sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh
    maximum minimum floor ceil rint trunc floor_divide remainder fmod
    greater greater_equal less less_equal equal not_equal
    logical_and logical_or logical_xor logical_not isnan isfinite isinf signbit
    expit logit erf erfc erfcx erfinv ndtr ndtri log_ndtr gamma gammaln
    xlogy xlog1py entr rel_entr
"""
#: ufuncs that are a table row of the same meaning.
ROWS: dict[str, str] = {
    **{name: name for name in _SAME.split()},
    "absolute": "abs",
    "fabs": "abs",
    "psi": "digamma",
    "mod": "remainder",
}

#: ufuncs that are combinations of nodes.
COMPOSITE: dict[str, Callable[..., Any]] = {}


def composite(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the meaning of ufuncs that are no table row."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        COMPOSITE.update(dict.fromkeys(names, function))
        return function

    return register


def dispatch(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The node for ``ufunc(*inputs)``."""
    options = {key: value for key, value in options.items() if value is not None}
    if method != "__call__" or options:
        return _special_call(ufunc, method, inputs, options)
    operands = [as_node(x) for x in inputs]
    name = ufunc.__name__
    if name in COMPOSITE:
        return COMPOSITE[name](*operands)
    if name in ROWS:
        return elementwise(ROWS[name], *operands)
    near = get_close_matches(name, [*ROWS, *COMPOSITE], 3, 0.5)
    raise TraceError(
        f"the function {name} is not supported",
        [f"operand {k}: shape {operand.extents}" for k, operand in enumerate(operands)],
        f"near names: {', '.join(near)}" if near else "see the operation table",
    )


#: ufuncs whose ``reduce`` is a NumPy function.
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "add": np.sum,
    "multiply": np.prod,
    "maximum": np.max,
    "minimum": np.min,
    "logical_and": np.all,
    "logical_or": np.any,
}
#: ufuncs whose ``accumulate`` is a NumPy function.
ACCUMULATIONS: dict[str, Callable[..., Any]] = {"add": np.cumsum, "multiply": np.cumprod}


_CALL_REMEDIES = {
    "where=": "compute everywhere and select: np.where(mask, value, other)",
    "dtype=": "leave dtype= out; expressions are real numbers, in the precision of the arguments",
}


def _special_call(ufunc: Any, method: str, inputs: Any, options: dict[str, Any]) -> Any:
    """``np.add.reduce(x, axis=0)`` is ``np.sum(x, axis=0)``; ``dtype=float`` says nothing new."""
    name = ufunc.__name__
    if set(options) == {"dtype"} and np.dtype(options["dtype"]).kind == "f":
        return dispatch(ufunc, method, inputs, {})
    if method == "reduce" and name in REDUCTIONS:
        reduced = {key: value for key, value in options.items() if value is not None}
        if set(reduced) <= {"axis", "keepdims", "initial", "where"}:
            return REDUCTIONS[name](
                *map(as_node, inputs), **{"axis": options.get("axis", 0), **reduced}
            )
    if method == "accumulate" and name in ACCUMULATIONS and set(options) <= {"axis"}:
        return ACCUMULATIONS[name](*inputs, **{"axis": 0, **options})
    if method == "outer" and not options and len(inputs) == 2:
        left, right = map(as_node, inputs)
        return ufunc(left[(..., *[None] * right.ndim)], right)
    if "out" in options:
        raise TraceError(
            f"np.{name} with out=: writing an expression into an array",
            hint="write y = y + x instead of y += x, or y = np.exp(x) instead of np.exp(x, out=y)",
        )
    called = name if method == "__call__" else f"{name}.{method}"
    said = ", ".join(f"{key}=" for key in sorted(options))
    raise TraceError(
        f"np.{called}{' with ' if said else ''}{said} cannot be traced",
        hint=_CALL_REMEDIES.get(said, "call the ufunc itself, without options"),
    )


UFUNCS["dispatch"] = dispatch


def elementwise(name: str, *operands: Node, **params: Any) -> Node:
    """A table row with NumPy's broadcasting."""
    return apply(name, *broadcast_operands(*operands), **params)


@composite("add")
def plus(x: Node, y: Node) -> Node:
    """``x + y``."""
    return add(*broadcast_operands(x, y, scalars=False))


@composite("subtract")
def minus(x: Node, y: Node) -> Node:
    """``x - y``."""
    return plus(x, scale(-1, y))


@composite("multiply")
def times(x: Node, y: Node) -> Node:
    """``x * y``."""
    extents = broadcast_extents(x.extents, y.extents)
    subscripts = [aligned_labels(x, extents), aligned_labels(y, extents)]
    return product((x, y), subscripts, range(len(extents)), dict(enumerate(extents)))


@composite("negative")
def negative(x: Node) -> Node:
    """``-x``."""
    return scale(-1, x)


@composite("positive", "conjugate")
def positive(x: Node) -> Node:
    """``x``."""
    return x


@composite("true_divide", "divide")
def divide(x: Node, y: Node) -> Node:
    """``x / y``."""
    return times(x, power(y, -1))


@composite("power", "float_power")
def raised(x: Node, y: Node) -> Node:
    """``x**y``; an exponent that is a number makes a power row."""
    exponent = constant_value(y)
    if exponent is not None:
        return power(broadcast_operands(x, y)[0], exponent)
    return elementwise("pow", x, y)


@composite("square")
def square(x: Node) -> Node:
    """``x * x``."""
    return power(x, 2)


@composite("sqrt")
def sqrt(x: Node) -> Node:
    """``x**0.5``, with derivative 0 at 0."""
    return power(x, 0.5)


@composite("reciprocal")
def reciprocal(x: Node) -> Node:
    """``1 / x``."""
    return power(x, -1)


@composite("degrees", "rad2deg")
def degrees(x: Node) -> Node:
    """Radians as degrees."""
    return scale(180 / math.pi, x)


@composite("radians", "deg2rad")
def radians(x: Node) -> Node:
    """Degrees as radians."""
    return scale(math.pi / 180, x)


@composite("clip")
def clip(x: Node, low: Node, high: Node) -> Node:
    """``minimum(maximum(x, low), high)``; at a bound half of the adjoint passes."""
    return elementwise("minimum", elementwise("maximum", x, low), high)


@composite("fmax")
def fmax(x: Node, y: Node) -> Node:
    """The greater of ``x`` and ``y``, NaN ignored."""
    return _not_nan("maximum", x, y)


@composite("fmin")
def fmin(x: Node, y: Node) -> Node:
    """The lesser of ``x`` and ``y``, NaN ignored."""
    return _not_nan("minimum", x, y)


def _not_nan(name: str, x: Node, y: Node) -> Node:
    chosen = elementwise("where", apply("isnan", y), x, elementwise(name, x, y))
    return elementwise("where", apply("isnan", x), y, chosen)


@composite("logaddexp2")
def logaddexp2(x: Node, y: Node) -> Node:
    """``log2(2**x + 2**y)``."""
    return scale(1 / LOG_2, elementwise("logaddexp", scale(LOG_2, x), scale(LOG_2, y)))


@composite("divmod")
def divmod_(x: Node, y: Node) -> tuple[Node, Node]:
    """``(x // y, x % y)``."""
    return elementwise("floor_divide", x, y), elementwise("remainder", x, y)


@composite("heaviside")
def heaviside(x: Node, at_zero: Node) -> Node:
    """1 where positive, ``at_zero`` at zero, else 0."""
    zero = Constant(0)
    on_tie = times(elementwise("equal", x, zero), at_zero)
    return plus(elementwise("greater", x, zero), on_tie)


def bitwise(*operands: Node, name: str) -> Node:
    """``&``, ``|``, ``^`` and ``~`` are logic on booleans and nothing on real numbers."""
    if not all(map(is_boolean, operands)):
        raise TraceError(
            f"np.{name} of expressions that are not boolean",
            [f"operand {k}: {operand}" for k, operand in enumerate(operands)],
            "compare first, as in (x > 0) & (x < 1)",
        )
    return elementwise(_LOGIC[name], *operands)


_LOGIC = {
    "bitwise_and": "logical_and",
    "bitwise_or": "logical_or",
    "bitwise_xor": "logical_xor",
    "invert": "logical_not",
}
for _name in _LOGIC:
    COMPOSITE[_name] = partial(bitwise, name=_name)


# -- scipy.special --------------------------------------------------------------------------------
@composite("log_expit")
def log_expit(x: Node) -> Node:
    """``log(expit(x)) = -softplus(-x)``."""
    return scale(-1, apply("softplus", scale(-1, x)))


@composite("softplus")
def softplus(x: Node) -> Node:
    """``log(1 + exp(x))``."""
    return apply("softplus", x)


@composite("i0e")
def i0e(x: Node) -> Node:
    """``exp(-|x|) I_0(x)``."""
    return apply("ive", x, order=0)


@composite("i1e")
def i1e(x: Node) -> Node:
    """``exp(-|x|) I_1(x)``."""
    return apply("ive", x, order=1)


@implements(np.i0)
@composite("i0")
def i0(x: Node) -> Node:
    """The modified Bessel function of order 0."""
    node = as_node(x)
    return apply("exp", apply("abs", node)) * i0e(node)


@composite("i1")
def i1(x: Node) -> Node:
    """The modified Bessel function of order 1."""
    return apply("exp", apply("abs", x)) * i1e(x)


@composite("kl_div")
def kl_div(x: Node, y: Node) -> Node:
    """``x log(x / y) - x + y``."""
    return plus(elementwise("rel_entr", x, y), minus(y, x))


@composite("betaln")
def betaln(x: Node, y: Node) -> Node:
    """``log B(x, y)`` by log-gamma functions."""
    return minus(plus(apply("gammaln", x), apply("gammaln", y)), apply("gammaln", plus(x, y)))


@composite("matmul")
def matmul(x: Node, y: Node) -> Node:
    """NumPy's matmul: vectors as rows or columns, batch axes broadcast."""
    left = ["j"] if x.ndim == 1 else ["i", "j"]
    right = ["j"] if y.ndim == 1 else ["j", "k"]
    batch = broadcast_extents(x.extents[: -len(left)], y.extents[: -len(right)], ())
    labels_x = _batch_labels(x, len(left), batch) + tuple(left)
    labels_y = _batch_labels(y, len(right), batch) + tuple(right)
    output = (*range(len(batch)), *[label for label in left + right if label != "j"])
    return product((x, y), (labels_x, labels_y), output, dict(enumerate(batch)))


def _batch_labels(node: Node, core: int, batch: tuple[Any, ...]) -> tuple[Any, ...]:
    offset = len(batch) - (node.ndim - core)
    own = node.extents[: node.ndim - core]
    return tuple(
        ("one", id(node), axis) if isinstance(e, int) and e == 1 else axis + offset
        for axis, e in enumerate(own)
    )
