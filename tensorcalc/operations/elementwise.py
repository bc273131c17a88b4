"""Elementwise rows: algebra, exponentials, trigonometry, the stable compositions of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..applications import apply, power
from ..table import row

INF = float("inf")


def _power_reference(x: Any, exponent: float, at_zero: float | None) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.power(np.asarray(x, dtype=np.result_type(x, np.float32)), exponent)
    return value if at_zero is None else np.where(np.equal(x, 0), at_zero, value)


def _power_partial(out: Any, x: Any, exponent: float, at_zero: float | None) -> Any:
    """``p*x**(p-1)``; a root's derivative at zero is 0 by convention, so that no NaN arises."""
    singular = exponent - 1 < 0 < exponent
    return exponent * power(x, exponent - 1, 0.0 if singular else at_zero)


row(
    "power",
    "()->()",
    _power_partial,
    reference=_power_reference,
    numpy="power({0}, {exponent}, {at_zero})",
    helpers=("power",),
    domain=((0.5, 2.0),),
    test_params={"exponent": 2.5, "at_zero": None},
)
row(
    "exp",
    "()->()",
    lambda out, x: out,
    reference=np.exp,
    numpy="np.exp({0})",
    jax="jnp.exp({0})",
    numba="exp({0})",
    cuda="exp({0})",
    latex=r"\exp({0})",
    range=(0, INF),
    monotone=(1,),
    convexity=1,
)
row(
    "log",
    "()->()",
    lambda out, x: power(x, -1),
    reference=np.log,
    numpy="np.log({0})",
    jax="jnp.log({0})",
    numba="log({0})",
    cuda="log({0})",
    latex=r"\log({0})",
    domain=((0.2, 3.0),),
    monotone=(1,),
    convexity=-1,
)
row(
    "expit",
    "()->()",
    lambda out, x: out * apply("expit", -x),
    reference=lambda x: np.exp(-np.logaddexp(0, -x)),
    numpy="expit({0})",
    helpers=("expit",),
    jax="jax.nn.sigmoid({0})",
    numba="expit({0})",
    cuda="expit({0})",
    latex=r"\sigma({0})",
    range=(0, 1),
    monotone=(1,),
)
row(
    "softplus",
    "()->()",
    lambda out, x: apply("expit", x),
    reference=lambda x: np.logaddexp(0, x),
    numpy="np.logaddexp(0, {0})",
    jax="jnp.logaddexp(0, {0})",
    numba="softplus({0})",
    cuda="softplus({0})",
    latex=r"\operatorname{{softplus}}({0})",
    range=(0, INF),
    monotone=(1,),
    convexity=1,
)
row(
    "tanh",
    "()->()",
    lambda out, x: 1 - out**2,
    reference=np.tanh,
    numpy="np.tanh({0})",
    jax="jnp.tanh({0})",
    numba="tanh({0})",
    cuda="tanh({0})",
    latex=r"\tanh({0})",
    range=(-1, 1),
    monotone=(1,),
)
row(
    "sin",
    "()->()",
    lambda out, x: np.cos(x),
    reference=np.sin,
    numpy="np.sin({0})",
    jax="jnp.sin({0})",
    numba="sin({0})",
    cuda="sin({0})",
    latex=r"\sin({0})",
    range=(-1, 1),
)
row(
    "cos",
    "()->()",
    lambda out, x: -np.sin(x),
    reference=np.cos,
    numpy="np.cos({0})",
    jax="jnp.cos({0})",
    numba="cos({0})",
    cuda="cos({0})",
    latex=r"\cos({0})",
    range=(-1, 1),
)
row(
    "abs",
    "()->()",
    lambda out, x: np.sign(x),
    reference=np.abs,
    numpy="np.abs({0})",
    jax="jnp.abs({0})",
    numba="abs({0})",
    cuda="abs({0})",
    latex=r"\left|{0}\right|",
    range=(0, INF),
    convexity=1,
)
row(
    "sign",
    reference=np.sign,
    numpy="np.sign({0})",
    jax="jnp.sign({0})",
    numba="sign({0})",
    cuda="sign({0})",
    latex=r"\operatorname{{sign}}({0})",
    range=(-1, 1),
    monotone=(1,),
)
row(
    "where",
    "(),(),()->()",
    None,
    lambda out, condition, x, y: condition,
    lambda out, condition, x, y: apply("logical_not", condition),
    reference=np.where,
    numpy="np.where({0}, {1}, {2})",
    jax="jnp.where({0}, {1}, {2})",
    numba="({1} if {0} else {2})",
    cuda="({1} if {0} else {2})",
    latex=r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
    domain=("boolean", (-2.0, 2.0), (-2.0, 2.0)),
    monotone=(0, 1, 1),
)
