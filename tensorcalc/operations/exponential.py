"""Elementwise rows of exponentials and logarithms and their stable compositions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..applications import apply, power
from ..products import scale
from ..sums import add, subtract
from ..table import row
from .elementwise import INF
from .tensors import constant_like

LOG_2 = float(np.log(2))


def _one_plus(x: Any) -> Any:
    return add(constant_like(x, 1), x)


row(
    "exp",
    "()->()",
    lambda out, x: out,
    reference=np.exp,
    numpy="np.exp({0})",
    jax="jnp.exp({0})",
    numba="exp({0})",
    latex=r"\exp({0})",
    range=(0, INF),
    monotone=(1,),
    convexity=1,
)
row(
    "exp2",
    "()->()",
    lambda out, x: scale(LOG_2, out),
    reference=np.exp2,
    numpy="np.exp2({0})",
    jax="jnp.exp2({0})",
    numba="power(2.0, {0})",
    latex=r"2^{{{0}}}",
    range=(0, INF),
    monotone=(1,),
    convexity=1,
)
row(
    "expm1",
    "()->()",
    lambda out, x: apply("exp", x),
    reference=np.expm1,
    numpy="np.expm1({0})",
    jax="jnp.expm1({0})",
    numba="expm1({0})",
    latex=r"\operatorname{{expm1}}({0})",
    range=(-1, INF),
    monotone=(1,),
    convexity=1,
)
for _name, _scalar, _latex, _slope in [
    ("log", "log({0})", r"\log({0})", 1),
    ("log2", "math.log2({0})", r"\log_2({0})", 1 / LOG_2),
    ("log10", "math.log10({0})", r"\log_{{10}}({0})", 1 / float(np.log(10))),
]:
    row(
        _name,
        "()->()",
        lambda out, x, slope=_slope: scale(slope, power(x, -1)),
        reference=getattr(np, _name),
        numpy=f"np.{_name}({{0}})",
        jax=f"jnp.{_name}({{0}})",
        numba=_scalar,
        latex=_latex,
        domain=((0.2, 3.0),),
        monotone=(1,),
        convexity=-1,
    )
row(
    "log1p",
    "()->()",
    lambda out, x: power(_one_plus(x), -1),
    reference=np.log1p,
    numpy="np.log1p({0})",
    jax="jnp.log1p({0})",
    numba="log1p({0})",
    latex=r"\log(1 + {0})",
    domain=((-0.8, 3.0),),
    monotone=(1,),
    convexity=-1,
)


def _expit_reference(x: Any) -> Any:
    tail = np.exp(-np.abs(x))
    return np.where(np.signbit(x), tail, 1) / (1 + tail)


row(
    "expit",
    "()->()",
    lambda out, x: out * apply("expit", scale(-1, x)),
    reference=_expit_reference,
    numpy="expit({0})",
    jax="jax.nn.sigmoid({0})",
    numba="sigmoid({0})",
    latex=r"\sigma({0})",
    range=(0, 1),
    monotone=(1,),
    source="s' = s(x) s(-x), which does not cancel as s (1 - s) does",
)
row(
    "softplus",
    "()->()",
    lambda out, x: apply("expit", x),
    reference=lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    numpy="softplus({0})",
    jax="jnp.logaddexp(0, {0})",
    numba="softplus({0})",
    latex=r"\operatorname{{softplus}}({0})",
    range=(0, INF),
    monotone=(1,),
    convexity=1,
)
row(
    "logit",
    "()->()",
    lambda out, x: power(x * subtract(constant_like(x, 1), x), -1),
    reference=lambda x: np.log(x) - np.log1p(-x),
    numpy="special.logit({0})",
    jax="jax.scipy.special.logit({0})",
    numba="(log({0}) - log1p(-{0}))",
    latex=r"\operatorname{{logit}}({0})",
    domain=((0.1, 0.9),),
    monotone=(1,),
)
row(
    "log1mexp",
    "()->()",
    lambda out, x: scale(-1, apply("bose", x)),
    reference=lambda x: np.where(np.greater(x, -LOG_2), np.log(-np.expm1(x)), np.log1p(-np.exp(x))),
    numpy="log1mexp({0})",
    jax="jnp.where({0} > -0.6931471805599453, jnp.log(-jnp.expm1({0})), jnp.log1p(-jnp.exp({0})))",
    numba="(log(-expm1({0})) if {0} > -0.6931471805599453 else log1p(-exp({0})))",
    latex=r"\log(1 - e^{{{0}}})",
    domain=((-3.0, -0.2),),
    range=(-INF, 0),
    monotone=(-1,),
    convexity=-1,
    source="Maechler, Accurately Computing log(1 - exp(-|a|)) (2012)",
)
row(
    "bose",
    "()->()",
    lambda out, x: out * _one_plus(out),
    reference=lambda x: 1 / np.expm1(-x),
    numpy="bose({0})",
    jax="(1 / jnp.expm1(-{0}))",
    numba="(1.0 / expm1(-{0}))",
    latex=r"\frac{{1}}{{e^{{-({0})}} - 1}}",
    domain=((-3.0, -0.2),),
    monotone=(1,),
    source="the Bose-Einstein distribution n = 1/(exp(-x) - 1): n' = n (1 + n)",
)


def _log_cosh_reference(x: Any) -> Any:
    size = np.abs(x)
    small = np.log1p(2 * np.sinh(np.minimum(size, 1) / 2) ** 2)
    return np.where(size < 1, small, size + np.log1p(np.exp(-2 * size)) - LOG_2)


row(
    "log_cosh",
    "()->()",
    lambda out, x: apply("tanh", x),
    reference=_log_cosh_reference,
    numpy="log_cosh({0})",
    jax="(jnp.logaddexp({0}, -{0}) - 0.6931471805599453)",
    numba=(
        "(log1p(2.0 * sinh(0.5 * {0}) ** 2) if abs({0}) < 1.0"
        " else abs({0}) + log1p(exp(-2.0 * abs({0}))) - 0.6931471805599453)"
    ),
    latex=r"\log\cosh({0})",
    range=(0, INF),
    convexity=1,
    source="cosh(x) = 1 + 2 sinh(x/2)**2",
)
row(
    "logaddexp",
    "(),()->()",
    lambda out, x, y: apply("expit", _difference(x, y)),
    lambda out, x, y: apply("expit", _difference(y, x)),
    reference=np.logaddexp,
    numpy="np.logaddexp({0}, {1})",
    jax="jnp.logaddexp({0}, {1})",
    numba="({1} + softplus({0} - {1}))",
    latex=r"\log(e^{{{0}}} + e^{{{1}}})",
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    monotone=(1, 1),
    convexity=1,
)


def _difference(x: Any, y: Any) -> Any:
    """``x - y`` where one of them may be a scalar."""
    tensor = x if x.ndim else y
    ones = power(tensor, 0)
    return subtract(
        x if x.ndim == tensor.ndim else x * ones, y if y.ndim == tensor.ndim else y * ones
    )
