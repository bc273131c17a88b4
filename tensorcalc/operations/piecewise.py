"""Elementwise rows with kinks, branches and steps: absolute value, extrema, where, rounding."""

from __future__ import annotations

import numpy as np

from ..applications import apply, power
from ..nodes import Constant
from ..products import multiply, scale
from ..table import row
from .elementwise import INF
from .tensors import constant_like

# -- kinks ----------------------------------------------------------------------------------------
row(
    "abs",
    "()->()",
    lambda out, x: apply("sign", x),
    reference=np.abs,
    numpy="np.abs({0})",
    jax="jnp.abs({0})",
    numba="abs({0})",
    latex=r"\left|{0}\right|",
    range=(0, INF),
    convexity=1,
    source="derivative 0 at 0",
    integral="inherited",
)
row(
    "sign",
    reference=np.sign,
    numpy="np.sign({0})",
    jax="jnp.sign({0})",
    numba="(({0} > 0) - ({0} < 0))",
    latex=r"\operatorname{{sign}}({0})",
    range=(-1, 1),
    monotone=(1,),
    integral="always",
)
row(
    "copysign",
    "(),()->()",
    lambda out, x, y: multiply(apply("sign", x), apply("copysign", constant_like(x, 1), y)),
    None,
    reference=np.copysign,
    numpy="np.copysign({0}, {1})",
    jax="jnp.copysign({0}, {1})",
    numba="math.copysign({0}, {1})",
    latex=r"\operatorname{{copysign}}({0}, {1})",
    domain=((-2.0, 2.0), (-2.0, 2.0)),
)
row(
    "step",
    "(),()->()",
    reference=lambda x, y: np.where(
        np.isnan(x) | np.isnan(y), np.nan, (np.greater(x, y) + np.equal(x, y) * 0.5)
    ).astype(np.result_type(x, y, np.float32)),
    numpy="step({0}, {1})",
    jax="jnp.heaviside({0} - {1}, 0.5)",
    numba="(1.0 if {0} > {1} else 0.5 if {0} == {1} else 0.0)",
    latex=r"\operatorname{{step}}({0} - {1})",
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    range=(0, 1),
    monotone=(1, -1),
)
row(
    "maximum",
    "(),()->()",
    lambda out, x, y: apply("step", x, y),
    lambda out, x, y: apply("step", y, x),
    reference=np.maximum,
    numpy="np.maximum({0}, {1})",
    jax="jnp.maximum({0}, {1})",
    numba="max({0}, {1})",
    latex=r"\max({0}, {1})",
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    monotone=(1, 1),
    convexity=1,
    source="at a tie each operand gets half of the adjoint",
    integral="inherited",
)
row(
    "minimum",
    "(),()->()",
    lambda out, x, y: apply("step", y, x),
    lambda out, x, y: apply("step", x, y),
    reference=np.minimum,
    numpy="np.minimum({0}, {1})",
    jax="jnp.minimum({0}, {1})",
    numba="min({0}, {1})",
    latex=r"\min({0}, {1})",
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    monotone=(1, 1),
    convexity=-1,
    source="at a tie each operand gets half of the adjoint",
    integral="inherited",
)
row(
    "relu",
    "()->()",
    lambda out, x: apply("greater", x, Constant(0)),
    reference=lambda x: np.maximum(x, 0),
    numpy="np.maximum({0}, 0)",
    jax="jax.nn.relu({0})",
    numba="max({0}, 0)",
    latex=r"\operatorname{{relu}}({0})",
    range=(0, INF),
    monotone=(1,),
    convexity=1,
    source="derivative 0 at 0",
)
row(
    "elu",
    "()->()",
    lambda out, x, alpha: apply(
        "where",
        apply("greater", x, Constant(0)),
        Constant(1),
        scale(alpha, apply("exp", scale(-1, apply("relu", scale(-1, x))))),
    ),
    reference=lambda x, alpha: np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0))),
    numpy="np.where({0} > 0, {0}, {alpha} * np.expm1(np.minimum({0}, 0)))",
    jax="jax.nn.elu({0}, {alpha})",
    numba="({0} if {0} > 0 else {alpha} * expm1({0}))",
    latex=r"\operatorname{{elu}}_{{{alpha}}}({0})",
    test_params={"alpha": 0.7},
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
    latex=r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
    domain=("boolean", (-2.0, 2.0), (-2.0, 2.0)),
    monotone=(0, 1, 1),
    integral="inherited",
)

# -- rounding: derivatives are zero ---------------------------------------------------------------
for _name, _latex in [
    ("floor", r"\left\lfloor {0} \right\rfloor"),
    ("ceil", r"\left\lceil {0} \right\rceil"),
    ("rint", r"\operatorname{{round}}({0})"),
    ("trunc", r"\operatorname{{trunc}}({0})"),
]:
    row(
        _name,
        reference=getattr(np, _name),
        numpy=f"np.{_name}({{0}})",
        jax=f"jnp.{_name}({{0}})",
        numba=f"np.{_name}({{0}})",  # numba's math.floor and the like are integers and overflow
        cuda=f"{_name}({{0}})",
        latex=_latex,
        monotone=(1,),
        integral="always",
    )
row(
    "floor_divide",
    "(),()->()",
    reference=np.floor_divide,
    numpy="np.floor_divide({0}, {1})",
    jax="jnp.floor_divide({0}, {1})",
    numba="({0} // {1})",
    latex=r"\left\lfloor \frac{{{0}}}{{{1}}} \right\rfloor",
    domain=((-5.0, 5.0), (0.5, 2.0)),
    integral="always",
)
row(
    "remainder",
    "(),()->()",
    lambda out, x, y: 1,
    lambda out, x, y: scale(-1, apply("floor_divide", x, y)),
    reference=np.remainder,
    numpy="np.remainder({0}, {1})",
    jax="jnp.remainder({0}, {1})",
    numba="({0} % {1})",
    latex=r"{0} \bmod {1}",
    domain=((-5.0, 5.0), (0.5, 2.0)),
    integral="inherited",
)
row(
    "fmod",
    "(),()->()",
    lambda out, x, y: 1,
    lambda out, x, y: scale(-1, apply("trunc", multiply(x, power(y, -1)))),
    reference=np.fmod,
    numpy="np.fmod({0}, {1})",
    jax="jnp.fmod({0}, {1})",
    numba="np.fmod({0}, {1})",
    cuda="math.fmod({0}, {1})",
    latex=r"\operatorname{{fmod}}({0}, {1})",
    domain=((-5.0, 5.0), (0.5, 2.0)),
    integral="inherited",
)
