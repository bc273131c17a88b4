"""Rows that reduce or normalise along the last axis and are not contractions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import products
from ..applications import apply
from ..nodes import Constant
from ..sums import subtract
from ..table import row


def _outer(node: Any) -> Any:
    """``node[..., i] node[..., j]`` over the last axis."""
    batch = tuple(range(node.ndim - 1))
    return products.product((node, node), ((*batch, "i"), (*batch, "j")), (*batch, "i", "j"))


def diagonal_matrix(node: Any) -> Any:
    """``node[..., i] delta[i, j]`` over the last axis."""
    extent = node.extents[-1]
    batch = tuple(range(node.ndim - 1))
    delta = products.kronecker((extent,))
    return products.product((node, delta), ((*batch, "i"), ("i", "j")), (*batch, "i", "j"))


def _logsumexp_reference(x: Any) -> Any:
    peak = np.max(x, axis=-1, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0)
    with np.errstate(divide="ignore"):
        return np.log(np.sum(np.exp(x - peak), axis=-1)) + peak[..., 0]


def _softmax_reference(x: Any) -> Any:
    weights = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return weights / np.sum(weights, axis=-1, keepdims=True)


row(
    "logsumexp",
    "(n)->()",
    lambda out, x: apply("softmax", x),
    reference=_logsumexp_reference,
    numpy="logsumexp({0})",
    helpers=("logsumexp",),
    jax="jax.scipy.special.logsumexp({0}, axis=-1)",
    latex=r"\operatorname{{logsumexp}}({0})",
    monotone=(1,),
    convexity=1,
)
row(
    "softmax",
    "(n)->(n)",
    lambda out, x: subtract(diagonal_matrix(out), _outer(out)),
    reference=_softmax_reference,
    numpy="softmax({0})",
    helpers=("softmax",),
    jax="jax.nn.softmax({0}, axis=-1)",
    latex=r"\operatorname{{softmax}}({0})",
    range=(0, 1),
)

__all__ = ["Constant", "diagonal_matrix"]
