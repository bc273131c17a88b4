"""Rows of linear algebra on the last two axes, batched over the others.

Formulas: Petersen and Pedersen, *The Matrix Cookbook* (2012), sections 2.1 and 2.2; Golub and
Pereyra, *The Differentiation of Pseudo-Inverses and Nonlinear Least Squares Problems* (1973);
Mathias, *A Chain Rule for Matrix Functions and Applications* (1996).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..applications import apply
from ..nodes import Delta
from ..products import broadcast, kronecker, product, transpose
from ..sums import add, subtract
from ..table import decomposition, row
from .tensors import contract, identity_like, swapped


def inverse(node: Any) -> Any:
    """``inv(node)`` over the last two axes."""
    return apply("inv", node)


def scipy_linalg(name: str) -> Callable[..., Any]:
    """``scipy.linalg.name``, loaded when it is first called."""

    def reference(*operands: Any, **params: Any) -> Any:
        from scipy import linalg

        return getattr(linalg, name)(*operands, **params)

    return reference


decomposition("slogdet", numpy="np.linalg.slogdet({0})", jax="jnp.linalg.slogdet({0})")


# -- inverse and determinants ---------------------------------------------------------------------
row(
    "inv",
    "(n,n)->(n,n)",
    lambda out, a: -contract((out, out), ["ik", "lj"], "ijkl"),
    reference=np.linalg.inv,
    numpy="np.linalg.inv({0})",
    jax="jnp.linalg.inv({0})",
    latex=r"{0}^{{-1}}",
    domain=("invertible",),
    symmetric="inherited",
    source="Cookbook (59)",
)
row(
    "det",
    "(n,n)->()",
    lambda out, a: contract((out, inverse(a)), ["", "lk"], "kl"),
    reference=np.linalg.det,
    numpy="np.linalg.det({0})",
    jax="jnp.linalg.det({0})",
    latex=r"\det({0})",
    domain=("invertible",),
    source="Cookbook (49)",
)
row(
    "logdet",
    "(n,n)->()",
    lambda out, a: contract((inverse(a),), ["lk"], "kl"),
    reference=lambda a: np.linalg.slogdet(a)[1],
    numpy="np.linalg.slogdet({0})[1]",
    jax="jnp.linalg.slogdet({0})[1]",
    latex=r"\log\left|\det({0})\right|",
    domain=("invertible",),
    decomposition="slogdet",
    result_index=1,
    source="Cookbook (57)",
)
row(
    "sign_det",
    "(n,n)->()",
    reference=lambda a: np.linalg.slogdet(a)[0],
    numpy="np.linalg.slogdet({0})[0]",
    jax="jnp.linalg.slogdet({0})[0]",
    latex=r"\operatorname{{sign}}\det({0})",
    domain=("invertible",),
    range=(-1, 1),
    decomposition="slogdet",
    result_index=0,
)


def _adjugate_partial(out: Any, a: Any) -> Any:
    """``adj[i,j] inv[l,k] - adj[i,k] inv[l,j]``."""
    pairs = (out, inverse(a))
    return subtract(contract(pairs, ["ij", "lk"], "ijkl"), contract(pairs, ["ik", "lj"], "ijkl"))


def _adjugate_reference(a: Any) -> Any:
    u, s, vt = np.linalg.svd(a)
    others = [np.prod(np.delete(s, k, axis=-1), axis=-1) for k in range(s.shape[-1])]
    sign = np.linalg.det(u) * np.linalg.det(vt)
    return np.einsum("...ki,k...,...jk,...->...ij", vt, np.array(others), u, sign)


row(
    "adj",
    "(n,n)->(n,n)",
    _adjugate_partial,
    reference=_adjugate_reference,
    numpy="adjugate({0})",
    jax="(jnp.linalg.det({0})[..., None, None] * jnp.linalg.inv({0}))",
    latex=r"\operatorname{{adj}}({0})",
    domain=("invertible",),
    symmetric="inherited",
    source="Stewart, On the adjugate matrix (1998); its derivative needs an invertible matrix",
)


# -- pseudo-inverse -------------------------------------------------------------------------------
def _pinv_partial(out: Any, a: Any) -> Any:
    """``-P[i,k] P[l,j] + (P P')[i,l] (I - A P)[k,j] + (I - P A)[i,l] (P'P)[k,j]``."""
    first = -contract((out, out), ["ik", "lj"], "ijkl")
    column = contract((out, out), ["im", "lm"], "il")
    left = _complement(contract((a, out), ["km", "mj"], "kj"))
    right = _complement(contract((out, a), ["im", "ml"], "il"))
    line = contract((out, out), ["mk", "mj"], "kj")
    return add(
        first,
        contract((column, left), ["il", "kj"], "ijkl"),
        contract((right, line), ["il", "kj"], "ijkl"),
    )


def _complement(projection: Any) -> Any:
    """``I - projection``."""
    return subtract(identity_like(projection), projection)


row(
    "pinv",
    "(m,n)->(n,m)",
    _pinv_partial,
    reference=np.linalg.pinv,
    numpy="np.linalg.pinv({0})",
    jax="jnp.linalg.pinv({0})",
    latex=r"{0}^{{+}}",
    domain=("tall",),
    source="Golub and Pereyra (4.12); the rank must be locally constant",
)


# -- matrix exponential ---------------------------------------------------------------------------
def _placed(node: Any, size: Any, row_offset: Any, column_offset: Any) -> Any:
    """``node`` as a block of a square matrix of extent ``size``, zeros around it."""
    n = node.extents[-1]
    down = Delta((((1, -1), -row_offset),), (size, n))
    across = Delta((((1, -1), -column_offset),), (size, n))
    return contract((down, node, across), ("Ri", "ij", "Cj"), "RC")


def frechet_of_expm(a: Any, direction: Any) -> Any:
    """The derivative of ``expm`` at ``a`` in ``direction``, a matrix for each batch index.

    ``expm([[A, E], [0, A]])`` has it in its upper right block, so every order is closed.
    """
    if direction is identity_like(direction):
        return apply("expm", a)
    n = a.extents[-1]
    blocks = add(_placed(a, 2 * n, 0, 0), _placed(a, 2 * n, n, n), _placed(direction, 2 * n, 0, n))
    upper = Delta((((1, -1), 0),), (2 * n, n))
    right = Delta((((1, -1), -n),), (2 * n, n))
    return contract((upper, apply("expm", blocks), right), ("Ri", "RC", "Cj"), "ij")


def _with_axes(a: Any, leading: Sequence[Any], extents: Sequence[Any]) -> Any:
    """``a`` repeated over axes that are put at positions ``leading`` of the result."""
    kept = [axis for axis in range(len(extents)) if axis not in leading]
    return broadcast(a, kept, extents)


def _expm_partial(out: Any, a: Any) -> Any:
    """The derivative in the direction of each entry of ``a``."""
    batch, n = a.ndim - 2, a.extents[-1]
    extents = (*a.extents[:batch], n, n, n, n)
    identity = product((kronecker((n, n)),), (("k", "l", "i", "j"),), ("k", "l", "i", "j"))
    direction = broadcast(identity, range(batch, batch + 4), extents)
    slopes = frechet_of_expm(_with_axes(a, (batch, batch + 1), extents), direction)
    return transpose(slopes, (*range(batch), batch + 2, batch + 3, batch, batch + 1))


def _expm_pullback(k: int, adjoint: Any, rank: int, out: Any, a: Any) -> Any:
    """The derivative at ``A'`` in the direction of the adjoint."""
    if not rank:
        return frechet_of_expm(swapped(a), adjoint)
    return frechet_of_expm(_with_axes(swapped(a), range(rank), adjoint.extents), adjoint)


row(
    "expm",
    "(n,n)->(n,n)",
    _expm_partial,
    reference=scipy_linalg("expm"),
    numpy="linalg.expm({0})",
    jax="jax.scipy.linalg.expm({0})",
    latex=r"e^{{{0}}}",
    domain=("invertible",),
    symmetric="inherited",
    pullback=_expm_pullback,
    source="Mathias (1996), theorem 2.1",
)
