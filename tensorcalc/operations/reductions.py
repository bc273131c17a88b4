"""Rows that reduce, normalise or order along the last axis and are not contractions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..applications import apply, power
from ..nodes import Constant
from ..products import broadcast, kronecker, multiply, product
from ..sums import subtract
from ..table import row
from .elementwise import INF
from .helpers import function
from .tensors import diagonal_matrix, lower_triangle


def _batch(node: Any, core: int = 1) -> tuple[int, ...]:
    return tuple(range(node.ndim - core))


def _outer(node: Any) -> Any:
    """``node[..., i] node[..., j]`` over the last axis."""
    batch = _batch(node)
    return product((node, node), ((*batch, "i"), (*batch, "j")), (*batch, "i", "j"))


# -- logsumexp and softmax ------------------------------------------------------------------------
row(
    "logsumexp",
    "(n)->()",
    lambda out, x: apply("softmax", x),
    reference=lambda x: np.logaddexp.reduce(x, axis=-1),
    numpy="logsumexp({0})",
    jax="jax.scipy.special.logsumexp({0}, axis=-1)",
    latex=r"\operatorname{{logsumexp}}({0})",
    monotone=(1,),
    convexity=1,
)


def _softmax_reference(x: Any) -> Any:
    peak = np.max(x, axis=-1, keepdims=True)
    weights = np.exp(np.where(np.equal(x, peak), 0, x - peak))
    return weights / np.sum(weights, axis=-1, keepdims=True)


row(
    "softmax",
    "(n)->(n)",
    lambda out, x: subtract(diagonal_matrix(out), _outer(out)),
    reference=_softmax_reference,
    numpy="softmax({0})",
    jax="jax.nn.softmax({0}, axis=-1)",
    latex=r"\operatorname{{softmax}}({0})",
    range=(0, 1),
)

# -- norms ----------------------------------------------------------------------------------------
_NORM_SOURCE = (
    "the gradient at zero is at_zero by convention (a subgradient for -1 <= at_zero <= 1)"
)


def _norm_rows(name: str, direction: str, signature: str, axes: tuple[int, ...]) -> None:
    """A Euclidean norm over ``axes`` and its gradient, the operand divided by its norm."""
    core = len(axes)

    def slope(out: Any, x: Any, at_zero: float) -> Any:
        """``(delta - u u') / |x|``."""
        batch = _batch(x, core)
        i, j = (tuple((side, k) for k in range(core)) for side in "ij")
        output = (*batch, *i, *j)
        extents = dict(zip((*batch, *i), x.extents, strict=True))
        identity = product((kronecker(x.extents[-core:]),), ((*i, *j),), output, extents)
        outer = product((out, out), ((*batch, *i), (*batch, *j)), output)
        length = power(apply(name, x, at_zero=at_zero), -1, 0.0)
        return product((subtract(identity, outer), length), (output, batch), output)

    row(
        name,
        f"{signature}->()",
        lambda out, x, at_zero: apply(direction, x, at_zero=at_zero),
        reference=lambda x, at_zero: (
            np.hypot.reduce(np.abs(x), axis=axes[0])
            if core == 1
            else np.hypot.reduce(np.hypot.reduce(x, axis=-1), axis=-1)
        ),
        numpy=f"norm({{0}}, {axes})",
        jax=f"jnp.sqrt(jnp.sum(jnp.square({{0}}), axis={axes}))",
        latex=r"\left\|{0}\right\|",
        domain=((-2.0, 2.0),),
        test_params={"at_zero": 0.0},
        range=(0, INF),
        convexity=1,
        source=_NORM_SOURCE,
    )
    row(
        direction,
        f"{signature}->{signature}",
        slope,
        reference=lambda x, at_zero: function("normalize")(
            np.asarray(x, dtype=np.result_type(x, np.float32)), axes, at_zero
        ),
        numpy=f"normalize({{0}}, {axes}, {{at_zero}})",
        jax=(
            f"(lambda x, n: jnp.where(n == 0, {{at_zero}}, x / jnp.where(n == 0, 1, n)))"
            f"({{0}}, jnp.sqrt(jnp.sum(jnp.square({{0}}), axis={axes}, keepdims=True)))"
        ),
        latex=r"\frac{{{0}}}{{\left\|{0}\right\|}}",
        test_params={"at_zero": 0.0},
        range=(-1, 1),
        source=_NORM_SOURCE,
    )


_norm_rows("norm", "normalize", "(n)", (-1,))
_norm_rows("frobenius_norm", "frobenius_normalize", "(m,n)", (-2, -1))


# -- sums and products ----------------------------------------------------------------------------
def _triangle_of(x: Any) -> Any:
    """``[j <= i]`` for the last axis, for every entry of the others."""
    extents = (*x.extents, x.extents[-1])
    return broadcast(lower_triangle(x.extents[-1]), (x.ndim - 1, x.ndim), extents)


row(
    "prefix_sum",
    "(n)->(n)",
    lambda out, x: _triangle_of(x),
    reference=lambda x: np.cumsum(x, axis=-1),
    numpy="np.add.accumulate({0}, axis=-1)",
    jax="jnp.cumsum({0}, axis=-1)",
    latex=r"\operatorname{{cumsum}}({0})",
    source="in formulas a contraction with a triangle, which programs replace by this row",
    integral="inherited",
)
row(
    "prod",
    "(n)->()",
    lambda out, x: apply("prod_others", x),
    reference=lambda x: np.prod(x, axis=-1),
    numpy="np.multiply.reduce({0}, axis=-1)",
    jax="jnp.prod({0}, axis=-1)",
    latex=r"\prod {0}",
    integral="inherited",
)


def _without_own(x: Any) -> Any:
    """``m[..., i, j] = 1 if i == j else x[..., j]``."""
    extents = (*x.extents, x.extents[-1])
    rows = broadcast(x, (*_batch(x), x.ndim), extents)
    own = broadcast(kronecker(x.extents[-1:]), (x.ndim - 1, x.ndim), extents)
    return apply("where", own, Constant(1), rows)


def _prod_others_partial(out: Any, x: Any) -> Any:
    """``[i != j]`` times the product of all but ``x[i]`` and ``x[j]``."""
    rest = apply("prod_others", _without_own(x))
    batch = _batch(x)
    own = product(
        (rest, kronecker(x.extents[-1:])), ((*batch, "i", "j"), ("i", "j")), (*batch, "i", "j")
    )
    return subtract(rest, own)


def _prod_others_reference(x: Any) -> Any:
    others = np.where(
        np.eye(x.shape[-1], dtype=bool), np.ones_like(x[..., None, :]), x[..., None, :]
    )
    return np.prod(others, axis=-1)


row(
    "prod_others",
    "(n)->(n)",
    _prod_others_partial,
    reference=_prod_others_reference,
    numpy="prod_others({0})",
    jax="jnp.prod(jnp.where(jnp.eye({0}.shape[-1], dtype=bool), 1, {0}[..., None, :]), axis=-1)",
    latex=r"\prod_{{j \ne i}} {0}_j",
    source="the product of all other entries; no division, so zeros are no poles",
)


def _cumprod_partial(out: Any, x: Any) -> Any:
    """``[j <= i]`` times the product of ``x[k]`` for ``k <= i``, ``k != j``."""
    triangle = _triangle_of(x)
    rows = broadcast(x, (*_batch(x), x.ndim), triangle.extents)
    return multiply(triangle, apply("prod_others", apply("where", triangle, rows, Constant(1))))


row(
    "cumprod",
    "(n)->(n)",
    _cumprod_partial,
    reference=lambda x: np.cumprod(x, axis=-1),
    numpy="np.multiply.accumulate({0}, axis=-1)",
    jax="jnp.cumprod({0}, axis=-1)",
    latex=r"\operatorname{{cumprod}}({0})",
)

# -- extrema and order ----------------------------------------------------------------------------
for _name, _reduce, _short, _index, _sign in [
    ("max", np.max, "argmax", np.argmax, 1),
    ("min", np.min, "argmin", np.argmin, -1),
]:
    row(
        _name,
        "(n)->()",
        lambda out, x, mask=f"{_short}_mask": apply(mask, x),
        reference=lambda x, reduce=_reduce: reduce(x, axis=-1),
        numpy=f"np.{_name}imum.reduce({{0}}, axis=-1)",
        jax=f"jnp.{_name}({{0}}, axis=-1)",
        latex=rf"\{_name} {{0}}",
        monotone=(1,),
        convexity=_sign,
        source="at a tie the first entry gets the adjoint",
    )
    row(
        _short,
        "(n)->()",
        reference=lambda x, index=_index: index(x, axis=-1),
        numpy=f"np.{_short}({{0}}, axis=-1)",
        jax=f"jnp.{_short}({{0}}, axis=-1)",
        latex=rf"\operatorname{{{{{_short}}}}} {{0}}",
        result="integer",
        range=(0, INF),
    )
    row(
        f"{_short}_mask",
        "(n)->(n)",
        reference=lambda x, index=_index: np.equal(
            index(x, axis=-1)[..., None], np.arange(x.shape[-1])
        ),
        numpy=f"{_short}_mask({{0}})",
        jax=f"(jnp.{_short}({{0}}, axis=-1)[..., None] == jnp.arange({{0}}.shape[-1]))",
        latex=rf"e_{{{{\operatorname{{{{{_short}}}}} {{0}}}}}}",
        result="boolean",
        range=(0, 1),
    )


row(
    "one_hot",
    "()->(k)",
    reference=lambda index, depth: np.eye(depth, dtype=bool)[np.asarray(index).astype(int)],
    numpy="one_hot({0}, {depth})",
    jax="(jnp.mod(jnp.asarray({0}), {depth})[..., None] == jnp.arange({depth}))",
    latex=r"e_{{{0}}}",
    domain=("index",),
    test_params={"depth": 4},
    result="boolean",
    range=(0, 1),
    core_extents=lambda index, depth: (depth,),
    source="a negative index counts from the end",
)
row(
    "argsort",
    "(n)->(n)",
    reference=lambda x: np.argsort(x, axis=-1, kind="stable"),
    numpy='np.argsort({0}, axis=-1, kind="stable")',
    jax="jnp.argsort({0}, axis=-1)",
    latex=r"\operatorname{{argsort}}({0})",
    result="integer",
    range=(0, INF),
)
row(
    "sort",
    "(n)->(n)",
    lambda out, x: apply("sort_permutation", x),
    reference=lambda x: np.sort(x, axis=-1),
    numpy="np.sort({0}, axis=-1)",
    jax="jnp.sort({0}, axis=-1)",
    latex=r"\operatorname{{sort}}({0})",
    source="locally a permutation of the entries",
    integral="inherited",
)
row(
    "sort_permutation",
    "(n)->(n,n)",
    reference=lambda x: np.equal(
        np.argsort(x, axis=-1, kind="stable")[..., None], np.arange(x.shape[-1])
    ),
    numpy="sort_permutation({0})",
    jax="(jnp.argsort({0}, axis=-1)[..., None] == jnp.arange({0}.shape[-1]))",
    latex=r"P_{{\operatorname{{sort}}({0})}}",
    result="boolean",
    range=(0, 1),
)
for _name, _logic, _latex in [
    ("any", np.any, r"\bigvee {0}"),
    ("all", np.all, r"\bigwedge {0}"),
]:
    row(
        _name,
        "(n)->()",
        reference=lambda x, reduce=_logic: reduce(x, axis=-1),
        numpy=f"np.{_name}({{0}}, axis=-1)",
        jax=f"jnp.{_name}({{0}}, axis=-1)",
        latex=_latex,
        domain=("boolean",),
        result="boolean",
        range=(0, 1),
    )
