"""Elementwise rows of ``scipy.special``.

Formulas: NIST Digital Library of Mathematical Functions (DLMF), by equation number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..applications import apply, power
from ..products import multiply, scale
from ..sums import add, subtract
from ..table import row
from .elementwise import INF
from .tensors import constant_like

ROOT_PI = float(np.sqrt(np.pi))
ROOT_2_PI = float(np.sqrt(2 * np.pi))


def scipy_special(name: str) -> Callable[..., Any]:
    """``scipy.special.name``, loaded when it is first called: the import takes 0.1 s."""

    def reference(*operands: Any, **params: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*params.values(), *operands)

    return reference


def _special(name: str, *partials: Any, ufunc: str = "", jax: Any = "", **columns: Any) -> None:
    """A row that ``scipy.special`` and JAX have under (nearly) the same name."""
    ufunc = ufunc or name
    arguments = ", ".join(f"{{{k}}}" for k in range(len(partials)))
    columns.setdefault("reference", scipy_special(ufunc))
    columns.setdefault("numpy", f"special.{ufunc}({arguments})")
    row(
        name,
        ",".join(["()"] * len(partials)) + "->()",
        *partials,
        jax=jax or f"jax.scipy.special.{ufunc}({arguments})",
        latex=columns.pop("latex", rf"\operatorname{{{{{name}}}}}({arguments})"),
        **columns,
    )


def _gaussian(x: Any, rate: float, factor: float) -> Any:
    """``factor * exp(rate * x**2)``."""
    return scale(factor, apply("exp", scale(rate, multiply(x, x))))


# -- error function and normal distribution -------------------------------------------------------
_special(
    "erf",
    lambda out, x: _gaussian(x, -1, 2 / ROOT_PI),
    numba="erf({0})",
    range=(-1, 1),
    monotone=(1,),
    source="DLMF 7.2.1",
)
_special(
    "erfc",
    lambda out, x: _gaussian(x, -1, -2 / ROOT_PI),
    numba="erfc({0})",
    range=(0, 2),
    monotone=(-1,),
    source="DLMF 7.2.2",
)
_special(
    "erfcx",
    lambda out, x: subtract(scale(2, multiply(x, out)), constant_like(x, 2 / ROOT_PI)),
    cuda="erfcx({0})",
    lacks={"numba": "no scaled complementary error function in math"},
    range=(0, INF),
    monotone=(-1,),
    convexity=1,
    source="DLMF 7.10.2",
)
_special(
    "erfinv",
    lambda out, x: _gaussian(out, 1, ROOT_PI / 2),
    latex=r"\operatorname{{erf}}^{{-1}}({0})",
    cuda="erfinv({0})",
    lacks={"numba": "no inverse error function in math"},
    domain=((-0.8, 0.8),),
    monotone=(1,),
)
_special(
    "ndtr",
    lambda out, x: _gaussian(x, -0.5, 1 / ROOT_2_PI),
    numpy="ndtr({0})",
    numba="(0.5 * erfc(-0.7071067811865476 * {0}))",
    latex=r"\Phi({0})",
    range=(0, 1),
    monotone=(1,),
)
_special(
    "ndtri",
    lambda out, x: _gaussian(out, 0.5, ROOT_2_PI),
    latex=r"\Phi^{{-1}}({0})",
    cuda="normcdfinv({0})",
    lacks={"numba": "no inverse error function in math"},
    domain=((0.1, 0.9),),
    monotone=(1,),
)
_special(
    "log_ndtr",
    lambda out, x: apply("inverse_mills", x),
    latex=r"\log\Phi({0})",
    cuda=(
        "(log(0.5 * erfcx(-0.7071067811865476 * {0})) - 0.5 * {0} * {0} if {0} < -1.0 "
        "else log1p(-0.5 * math.erfc(0.7071067811865476 * {0})))"
    ),
    lacks={"numba": "no scaled complementary error function in math"},
    range=(-INF, 0),
    monotone=(1,),
    convexity=-1,
)


def _inverse_mills_reference(x: Any) -> Any:
    return np.sqrt(2 / np.pi) / scipy_special("erfcx")(-np.sqrt(0.5) * np.asarray(x))


_special(
    "inverse_mills",
    lambda out, x: scale(-1, multiply(out, add(x, out))),
    reference=_inverse_mills_reference,
    numpy="(0.7978845608028654 / special.erfcx(-0.7071067811865476 * {0}))",
    jax="(0.7978845608028654 / jax.scipy.special.erfcx(-0.7071067811865476 * {0}))",
    latex=r"\frac{{\phi({0})}}{{\Phi({0})}}",
    cuda="(0.7978845608028654 / erfcx(-0.7071067811865476 * {0}))",
    lacks={"numba": "no scaled complementary error function in math"},
    range=(0, INF),
    monotone=(-1,),
    convexity=1,
    source="the inverse Mills ratio phi(x)/Phi(x), which does not underflow as phi and Phi do",
)

# -- gamma function -------------------------------------------------------------------------------
_special(
    "gamma",
    lambda out, x: multiply(out, apply("digamma", x)),
    numba="math.gamma({0})",
    latex=r"\Gamma({0})",
    domain=((0.5, 3.0),),
    source="DLMF 5.2.2",
)
_special(
    "gammaln",
    lambda out, x: apply("digamma", x),
    numba="math.lgamma({0})",
    latex=r"\log\Gamma({0})",
    domain=((0.5, 3.0),),
    convexity=1,
)
_special(
    "digamma",
    lambda out, x: apply("polygamma", x, order=1),
    latex=r"\psi({0})",
    cuda="digamma({0})",
    lacks={"numba": "no digamma function in math"},
    domain=((0.5, 3.0),),
    monotone=(1,),
    convexity=-1,
    source="DLMF 5.2.2",
)


def _polygamma_numpy(order: int) -> str:
    """``(-1)**(n + 1) n! zeta(n + 1, x)``, DLMF 25.11.12; SciPy's own function loses float32."""
    factor = (-1) ** (order + 1) * math.factorial(order)
    return f"({factor} * special.zeta({order + 1}, {{0}}))"


def _polygamma_cuda(order: int) -> str:
    factor = (-1) ** (order + 1) * math.factorial(order)
    return f"({float(factor)} * zeta({float(order + 1)}, {{0}}))"


_special(
    "polygamma",
    lambda out, x, order: apply("polygamma", x, order=order + 1),
    numpy=_polygamma_numpy,
    jax="jax.scipy.special.polygamma({order}, {0})",
    latex=r"\psi^{{({order})}}({0})",
    cuda=_polygamma_cuda,
    lacks={"numba": "no polygamma function in math"},
    domain=((0.5, 3.0),),
    test_params={"order": 1},
    source="DLMF 5.15.1",
)

# -- entropies: 0 log 0 = 0 -----------------------------------------------------------------------
_special(
    "xlogy",
    lambda out, x, y: apply("log", y),
    lambda out, x, y: apply("xdivy", x, y),
    numba="(0.0 if {0} == 0 else {0} * log({1}))",
    latex=r"{0} \log({1})",
    domain=((0.2, 2.0), (0.2, 2.0)),
)
_special(
    "xlog1py",
    lambda out, x, y: apply("log1p", y),
    lambda out, x, y: apply("xdivy", x, add(constant_like(y, 1), y)),
    numba="(0.0 if {0} == 0 else {0} * log1p({1}))",
    latex=r"{0} \log(1 + {1})",
    domain=((0.2, 2.0), (-0.5, 2.0)),
)
_special(
    "xdivy",
    lambda out, x, y: power(y, -1),
    lambda out, x, y: scale(-1, apply("xdivy", out, y)),
    reference=lambda x, y: np.where(np.equal(x, 0), np.zeros_like(x), np.divide(x, y)),
    numpy="xdivy({0}, {1})",
    jax="jnp.where({0} == 0, 0, {0} / jnp.where({0} == 0, 1, {1}))",
    numba="(0.0 if {0} == 0 else {0} / {1})",
    latex=r"\frac{{{0}}}{{{1}}}",
    domain=((0.2, 2.0), (0.2, 2.0)),
    source="the quotient with 0/0 = 0, as xlogy has 0 log 0 = 0",
)
_special(
    "entr",
    lambda out, x: scale(-1, add(constant_like(x, 1), apply("log", x))),
    numba="(0.0 if {0} == 0 else -{0} * log({0}))",
    latex=r"-{0} \log({0})",
    domain=((0.2, 2.0),),
    convexity=-1,
)
_special(
    "rel_entr",
    lambda out, x, y: add(constant_like(out, 1), _log_ratio(out, x, y)),
    lambda out, x, y: scale(-1, apply("xdivy", x, y)),
    numba="(0.0 if {0} == 0 else {0} * log({0} / {1}))",
    latex=r"{0} \log\frac{{{0}}}{{{1}}}",
    domain=((0.2, 2.0), (0.2, 2.0)),
    convexity=1,
)


def _log_ratio(out: Any, x: Any, y: Any) -> Any:
    """``log(x) - log(y)`` in the shape of ``out``."""
    like = constant_like(out, 1)
    return subtract(multiply(apply("log", x), like), multiply(apply("log", y), like))


# -- modified Bessel functions --------------------------------------------------------------------
def _bessel_partial(out: Any, x: Any, order: int) -> Any:
    """``exp(-|x|) I_n'(x) - sign(x) exp(-|x|) I_n(x)`` with ``I_n' = (I_(n-1) + I_(n+1)) / 2``."""
    lower, upper = apply("ive", x, order=abs(order - 1)), apply("ive", x, order=order + 1)
    return subtract(scale(0.5, add(lower, upper)), multiply(apply("sign", x), out))


_special(
    "ive",
    _bessel_partial,
    numpy=lambda order: {0: "special.i0e({0})", 1: "special.i1e({0})"}.get(
        order, "special.ive({order}, {0})"
    ),
    jax=lambda order: {0: "jax.scipy.special.i0e({0})", 1: "jax.scipy.special.i1e({0})"}.get(
        order, ""
    ),
    latex=r"e^{{-|{0}|}} I_{{{order}}}({0})",
    lacks={"numba": "no Bessel functions in math"},
    domain=((0.2, 3.0),),
    test_params={"order": 1},
    source="DLMF 10.29.1; exponentially scaled",
)
