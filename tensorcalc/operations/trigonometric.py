"""Elementwise rows of circular and hyperbolic functions and their inverses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..applications import apply, power
from ..products import multiply, scale
from ..sums import add, subtract
from ..table import row
from .elementwise import INF
from .tensors import constant_like

HALF_PI = float(np.pi / 2)


def _square_plus(x: Any, constant: float, sign: float = 1) -> Any:
    """``constant + sign * x**2``."""
    return add(constant_like(x, constant), scale(sign, multiply(x, x)))


def _circular(name: str, partial: Any, scalar: str, latex: str, **columns: Any) -> None:
    row(
        name,
        "()->()",
        partial,
        reference=getattr(np, name),
        numpy=f"np.{name}({{0}})",
        jax=f"jnp.{name}({{0}})",
        numba=scalar,
        latex=latex,
        **columns,
    )


_circular("sin", lambda out, x: apply("cos", x), "sin({0})", r"\sin({0})", range=(-1, 1))
_circular("cos", lambda out, x: scale(-1, apply("sin", x)), "cos({0})", r"\cos({0})", range=(-1, 1))
_circular(
    "tan", lambda out, x: _square_plus(out, 1), "tan({0})", r"\tan({0})", domain=((-1.2, 1.2),)
)
_circular(
    "arcsin",
    lambda out, x: power(_square_plus(x, 1, -1), -0.5),
    "math.asin({0})",
    r"\arcsin({0})",
    domain=((-0.8, 0.8),),
    range=(-HALF_PI, HALF_PI),
    monotone=(1,),
)
_circular(
    "arccos",
    lambda out, x: scale(-1, power(_square_plus(x, 1, -1), -0.5)),
    "math.acos({0})",
    r"\arccos({0})",
    domain=((-0.8, 0.8),),
    range=(0, 2 * HALF_PI),
    monotone=(-1,),
)
_circular(
    "arctan",
    lambda out, x: power(_square_plus(x, 1), -1),
    "math.atan({0})",
    r"\arctan({0})",
    range=(-HALF_PI, HALF_PI),
    monotone=(1,),
)
_circular("sinh", lambda out, x: apply("cosh", x), "sinh({0})", r"\sinh({0})", monotone=(1,))
_circular(
    "cosh",
    lambda out, x: apply("sinh", x),
    "cosh({0})",
    r"\cosh({0})",
    range=(1, INF),
    convexity=1,
)
_circular(
    "tanh",
    lambda out, x: _square_plus(out, 1, -1),
    "tanh({0})",
    r"\tanh({0})",
    range=(-1, 1),
    monotone=(1,),
)
_circular(
    "arcsinh",
    lambda out, x: power(_square_plus(x, 1), -0.5),
    "math.asinh({0})",
    r"\operatorname{{arsinh}}({0})",
    monotone=(1,),
)
_circular(
    "arccosh",
    lambda out, x: power(_square_plus(x, -1), -0.5),
    "math.acosh({0})",
    r"\operatorname{{arcosh}}({0})",
    domain=((1.2, 3.0),),
    range=(0, INF),
    monotone=(1,),
    convexity=-1,
)
_circular(
    "arctanh",
    lambda out, x: power(subtract(constant_like(x, 1), multiply(x, x)), -1),
    "math.atanh({0})",
    r"\operatorname{{artanh}}({0})",
    domain=((-0.8, 0.8),),
    monotone=(1,),
)
