"""Elementwise rows of algebra: powers, lengths and angles of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..applications import apply, power
from ..nodes import Constant
from ..products import multiply, scale
from ..sums import add, subtract
from ..table import row
from .tensors import constant_like

INF = float("inf")


# -- powers ---------------------------------------------------------------------------------------
def _power_reference(x: Any, exponent: float, at_zero: float | None) -> Any:
    """With ``at_zero``, next to zero the value is the greatest finite number, not infinity."""
    x = np.asarray(x)  # a Python number counts as float64, not as whatever it meets
    value = np.power(x.astype(np.result_type(x, np.float32)), exponent)
    if at_zero is None:
        return value
    greatest = np.finfo(value.dtype).max
    return np.where(np.equal(x, 0), value.dtype.type(at_zero), np.clip(value, -greatest, greatest))


def _power_partial(out: Any, x: Any, exponent: float, at_zero: float | None) -> Any:
    """``p*x**(p-1)``; a root's derivative at zero is 0 by convention, so that no NaN arises."""
    singular = exponent - 1 < 0 < exponent
    return scale(exponent, power(x, exponent - 1, 0.0 if singular else at_zero))


_NUMPY_POWERS = {
    -2: "(1 / np.square({0}))",
    -1: "(1 / {0})",
    -0.5: "(1 / np.sqrt({0}))",
    0.5: "np.sqrt({0})",
    2: "np.square({0})",
    4: "np.square(np.square({0}))",
}
_SCALAR_POWERS = {
    -2: "(1.0 / ({0} * {0}))",
    -1: "(1.0 / {0})",
    -0.5: "(1.0 / math.sqrt({0}))",
    0.5: "math.sqrt({0})",
    2: "({0} * {0})",
}


_GREATEST = repr(float(np.finfo(float).max))


def _power_numpy(exponent: float, at_zero: float | None) -> str:
    if at_zero is not None:
        return "power({0}, {exponent}, {at_zero})"
    return _NUMPY_POWERS.get(exponent, "np.power({0}, {exponent})")


def _power_jax(exponent: float, at_zero: float | None) -> str:
    if at_zero is not None:
        safe = "jnp.where({0} == 0, 1, {0})"
        finite = f"jnp.nan_to_num(jnp.power({safe}, {{exponent}}), nan=jnp.nan)"
        return f"jnp.where({{0}} == 0, {{at_zero}}, {finite})"
    return _NUMPY_POWERS.get(exponent, "np.power({0}, {exponent})").replace("np.", "jnp.")


def _power_scalar(exponent: float, at_zero: float | None) -> str:
    plain = _SCALAR_POWERS.get(exponent, "power({0}, {exponent})")
    if at_zero is None:
        return plain
    return f"({{at_zero}} if {{0}} == 0 else min(max({plain}, -{_GREATEST}), {_GREATEST}))"


def _power_latex(exponent: float, at_zero: float | None) -> str:
    return r"\sqrt{{{0}}}" if exponent == 0.5 else "{{{0}}}^{{{exponent}}}"


def _power_range(exponent: float, at_zero: float | None) -> tuple[float, float]:
    odd = exponent % 2 == 1
    return (-INF, INF) if odd else (0, INF)


row(
    "power",
    "()->()",
    _power_partial,
    reference=_power_reference,
    numpy=_power_numpy,
    jax=_power_jax,
    numba=_power_scalar,
    latex=_power_latex,
    domain=((0.5, 2.0),),
    test_params={"exponent": 2.5, "at_zero": None},
    range=_power_range,
    source="the derivative at zero of a root is 0 by convention",
)


def _pow_by_base(out: Any, x: Any, y: Any) -> Any:
    """``y * x**(y - 1)``."""
    return multiply(y, apply("pow", x, subtract(y, constant_like(y, 1))))


def _pow_by_exponent(out: Any, x: Any, y: Any) -> Any:
    """``x**y log(x)``, zero where the power is."""
    if isinstance(x, Constant):
        return scale(float(np.log(x.value)), out) if x.value > 0 else 0
    return apply("xlogy", out, x)


row(
    "pow",
    "(),()->()",
    _pow_by_base,
    _pow_by_exponent,
    reference=lambda x, y: np.power(np.asarray(x, dtype=float), y),
    numpy="np.power({0}, {1})",
    jax="jnp.power({0}, {1})",
    numba="power({0}, {1})",
    latex="{{{0}}}^{{{1}}}",
    domain=((0.5, 2.0), (-2.0, 2.0)),
)
row(
    "cbrt",
    "()->()",
    lambda out, x: scale(1 / 3, power(out, -2, 0.0)),
    reference=np.cbrt,
    numpy="np.cbrt({0})",
    jax="jnp.cbrt({0})",
    numba="math.copysign(power(abs({0}), 0.3333333333333333), {0})",
    latex=r"\sqrt[3]{{{0}}}",
    domain=((0.3, 2.0),),
    monotone=(1,),
)

# -- what is not taken apart ----------------------------------------------------------------------
row(
    "stored",
    "()->()",
    lambda out, x: constant_like(x, 1),
    reference=lambda x: np.asarray(x),
    numpy="{0}",
    jax="{0}",
    numba="{0}",
    latex="{0}",
    monotone=(1,),
    source="the identity; rules for products and sums do not look below it",
)

# -- lengths and angles of pairs ------------------------------------------------------------------
row(
    "hypot",
    "(),()->()",
    lambda out, x, y: apply("direction", x, y),
    lambda out, x, y: apply("direction", y, x),
    reference=np.hypot,
    numpy="np.hypot({0}, {1})",
    jax="jnp.hypot({0}, {1})",
    numba="math.hypot({0}, {1})",
    latex=r"\sqrt{{{{{0}}}^2 + {{{1}}}^2}}",
    domain=((0.5, 2.0), (-2.0, -0.5)),
    range=(0, INF),
    convexity=1,
)


def _over_hypot(x: Any, y: Any, *factors: Any) -> Any:
    return multiply(*factors, power(apply("hypot", x, y), -1, 0.0))


def _direction_reference(x: Any, y: Any) -> Any:
    x, y = np.broadcast_arrays(x, y)
    infinite = np.isinf(x) | np.isinf(y)
    a = np.where(infinite, np.isinf(x) * np.sign(x), x / np.maximum(np.abs(x), np.abs(y)))
    b = np.where(infinite, np.isinf(y) * np.sign(y), y / np.maximum(np.abs(x), np.abs(y)))
    return np.where((x == 0) & (y == 0), 0, a / np.sqrt(a * a + b * b)).astype(a.dtype)


row(
    "direction",
    "(),()->()",
    lambda out, x, y: _over_hypot(x, y, apply("direction", y, x), apply("direction", y, x)),
    lambda out, x, y: scale(-1, _over_hypot(x, y, out, apply("direction", y, x))),
    reference=_direction_reference,
    numpy="direction({0}, {1})",
    jax="jnp.where({0} == 0, 0, {0} / jnp.hypot(jnp.where({0} == 0, 1, {0}), {1}))",
    numba="(0.0 if {0} == 0 else {0} / math.hypot({0}, {1}))",
    latex=r"\frac{{{0}}}{{\sqrt{{{{{0}}}^2 + {{{1}}}^2}}}}",
    domain=((0.5, 2.0), (-2.0, -0.5)),
    range=(-1, 1),
    source="the cosine of the angle of (x, y); 0 at the origin by convention",
)


def _squared_radius(y: Any, x: Any) -> Any:
    return power(
        add(multiply(x, x, constant_like(y, 1)), multiply(y, y, constant_like(x, 1))), -1, 0.0
    )


row(
    "arctan2",
    "(),()->()",
    lambda out, y, x: multiply(x, _squared_radius(y, x)),
    lambda out, y, x: scale(-1, multiply(y, _squared_radius(y, x))),
    reference=np.arctan2,
    numpy="np.arctan2({0}, {1})",
    jax="jnp.arctan2({0}, {1})",
    numba="math.atan2({0}, {1})",
    latex=r"\operatorname{{atan2}}({0}, {1})",
    domain=((0.5, 2.0), (-2.0, -0.5)),
    range=(-np.pi, np.pi),
    source="gradient 0 at the origin by convention",
)
