"""Rows of matrix decompositions, one row for each result.

Formulas: Giles, *An extended collection of matrix derivative results for forward and reverse mode
algorithmic differentiation* (2008), section 3; Murray, *Differentiation of the Cholesky
decomposition* (2016), equation 8. Rows of symmetric matrices see ``(A + A')/2``. Where eigenvalues
or singular values are equal, the reciprocal of their difference is taken as 0: vectors within one
eigenspace do not turn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..applications import apply, power
from ..extents import is_nonnegative, same_extents
from ..products import broadcast, kronecker, multiply, scale
from ..sums import add, subtract
from ..table import decomposition, row
from .elementwise import INF
from .tensors import contract, identity_like, lower_triangle, symmetrized


def _symmetric_part(a: Any) -> Any:
    return (a + np.swapaxes(a, -1, -2)) / 2


# -- Cholesky factor ------------------------------------------------------------------------------
def _cholesky_partial(out: Any, a: Any) -> Any:
    """``L[i,p] h[p,j] sym(inv(L)[p,k] inv(L)[j,l])``, ``h`` lower triangle with half a diagonal."""
    extent = out.extents[-1]
    half = subtract(lower_triangle(extent), scale(0.5, kronecker((extent,))))
    inverse = apply("inv", out)
    return symmetrized(contract((out, half, inverse, inverse), ("ip", "pj", "pk", "jl"), "ijkl"))


row(
    "cholesky",
    "(n,n)->(n,n)",
    _cholesky_partial,
    reference=lambda a: np.linalg.cholesky(_symmetric_part(a)),
    numpy="np.linalg.cholesky(symmetrized({0}))",
    jax="jnp.linalg.cholesky({0})",
    latex=r"\operatorname{{chol}}({0})",
    domain=("spd",),
    triangular="lower",
    source="Murray (8)",
)


# -- eigenvalues and eigenvectors of symmetric matrices -------------------------------------------
def _reciprocal_differences(values: Any) -> Any:
    """``out[p, j] = 1 / (values[j] - values[p])``, 0 where they are equal."""
    batch = tuple(range(values.ndim - 1))
    extents = (*values.extents, values.extents[-1])
    columns = broadcast(values, (*batch, values.ndim), extents)
    rows = broadcast(values, (*batch, values.ndim - 1), extents)
    return power(subtract(columns, rows), -1, 0.0)


def _eigenvector_partial(out: Any, a: Any) -> Any:
    """``V[i,p] F[p,j] sym(V[k,p] V[l,j])``."""
    differences = _reciprocal_differences(apply("eigvalsh", a))
    return symmetrized(contract((out, differences, out, out), ("ip", "pj", "kp", "lj"), "ijkl"))


decomposition("eigh", numpy="np.linalg.eigh(symmetrized({0}))", jax="jnp.linalg.eigh({0})")
row(
    "eigvalsh",
    "(n,n)->(n)",
    lambda out, a: contract((apply("eigenvectors", a),) * 2, ("ki", "li"), "ikl"),
    reference=lambda a: np.linalg.eigvalsh(_symmetric_part(a)),
    numpy="np.linalg.eigvalsh(symmetrized({0}))",
    jax="jnp.linalg.eigvalsh({0})",
    latex=r"\lambda({0})",
    domain=("symmetric",),
    decomposition="eigh",
    result_index=0,
    source="Giles 3.1",
)
row(
    "eigenvectors",
    "(n,n)->(n,n)",
    _eigenvector_partial,
    reference=lambda a: np.linalg.eigh(_symmetric_part(a))[1],
    numpy="np.linalg.eigh(symmetrized({0}))[1]",
    jax="jnp.linalg.eigh({0})[1]",
    latex=r"V({0})",
    domain=("symmetric",),
    range=(-1, 1),
    decomposition="eigh",
    result_index=1,
    source="Giles 3.1; columns, in ascending order of the eigenvalues",
)


# -- singular values and vectors ------------------------------------------------------------------
def shape_params(a: Any) -> dict[str, bool]:
    """The parameter ``wide`` of a decomposition of ``a``: whether rows are not more than columns.

    Empty where the extents tell. Else the application says so itself: arrays of both shapes share
    one variable, and a derivative is derived where the sizes are no more at hand.
    """
    m, n = a.extents[-2:]
    return {} if _is_wide(m, n) is not None else {"wide": m <= n}


def _is_wide(m: Any, n: Any) -> bool | None:
    if same_extents((m,), (n,)) or is_nonnegative(n - m):
        return True
    return False if is_nonnegative(m - n) else None


def _smaller(a: Any, wide: bool | None = None) -> Any:
    m, n = a.extents[-2:]
    known = _is_wide(m, n) if wide is None else wide
    return m if (m <= n if known is None else known) else n


def _complement_slope(
    vectors: Any, subscripts: tuple[str, str, str], output: str, others: Any, values: Any
) -> Any:
    """``(I - W W')[..] others[..] / values[j]``: how the vectors leave their span."""
    span = contract((vectors, vectors), ("xj", "yj"), "xy")
    rest = subtract(identity_like(span), span)
    return contract((rest, others, power(values, -1)), subscripts, output)


def _left_partial(out: Any, a: Any, **wide: bool) -> Any:
    """``U[i,p] F[p,j] (U[k,p] V[l,j] s[j] + s[p] V[l,p] U[k,j]) + (I-UU')[i,k] V[l,j]/s[j]``."""
    values, right = apply("svdvals", a, **wide), apply("svd_vt", a, **wide)
    factors = (out, _reciprocal_differences(multiply(values, values)), out, right, values)
    inside = add(
        contract(factors, ("ip", "pj", "kp", "jl", "j"), "ijkl"),
        contract(factors, ("ip", "pj", "kj", "pl", "p"), "ijkl"),
    )
    if same_extents(out.extents[-1:], out.extents[-2:-1]):
        return inside
    return add(inside, _complement_slope(out, ("ik", "jl", "j"), "ijkl", right, values))


def _right_partial(out: Any, a: Any, **wide: bool) -> Any:
    """``V[i,p] F[p,j] (U[k,p] V[l,j] s[p] + U[k,j] V[l,p] s[j]) + (I-VV')[i,l] U[k,j]/s[j]``."""
    values, left = apply("svdvals", a, **wide), apply("svd_u", a, **wide)
    factors = (out, _reciprocal_differences(multiply(values, values)), left, out, values)
    inside = add(
        contract(factors, ("pi", "pj", "kp", "jl", "p"), "jikl"),
        contract(factors, ("pi", "pj", "kj", "pl", "j"), "jikl"),
    )
    if same_extents(out.extents[-1:], out.extents[-2:-1]):
        return inside
    vectors = contract((out,), ("ji",), "ij")
    return add(inside, _complement_slope(vectors, ("il", "kj", "j"), "jikl", left, values))


decomposition(
    "svd",
    numpy="np.linalg.svd({0}, full_matrices=False)",
    jax="jnp.linalg.svd({0}, full_matrices=False)",
)
row(
    "svdvals",
    "(m,n)->(k)",
    lambda out, a, **wide: contract(
        (apply("svd_u", a, **wide), apply("svd_vt", a, **wide)), ("ki", "il"), "ikl"
    ),
    reference=lambda a, wide=None: np.linalg.svd(a, compute_uv=False),
    numpy="np.linalg.svd({0}, compute_uv=False)",
    jax="jnp.linalg.svd({0}, compute_uv=False)",
    latex=r"\sigma({0})",
    domain=("tall",),
    range=(0, INF),
    decomposition="svd",
    result_index=1,
    core_extents=lambda a, wide=None: (_smaller(a, wide),),
    source="Giles 3.2",
)
for _name, _index, _partial, _symbol in [
    ("svd_u", 0, _left_partial, "U"),
    ("svd_vt", 2, _right_partial, "V"),
]:
    row(
        _name,
        "(m,n)->(m,k)" if _index == 0 else "(m,n)->(k,n)",
        _partial,
        reference=lambda a, wide=None, index=_index: np.linalg.svd(a, full_matrices=False)[index],
        numpy=f"np.linalg.svd({{0}}, full_matrices=False)[{_index}]",
        jax=f"jnp.linalg.svd({{0}}, full_matrices=False)[{_index}]",
        latex=rf"{_symbol}({{0}})" + ("" if _index == 0 else "^\\top"),
        domain=("tall",),
        range=(-1, 1),
        decomposition="svd",
        result_index=_index,
        core_extents=(
            (lambda a, wide=None: (a.extents[-2], _smaller(a, wide)))
            if _index == 0
            else (lambda a, wide=None: (_smaller(a, wide), a.extents[-1]))
        ),
        source="Giles 3.2; singular values in descending order",
    )
