"""Rows of linear algebra on the last two axes, batched over the others.

Formulas: Petersen and Pedersen, *The Matrix Cookbook* (2012), sections 2.1 and 2.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import products
from ..applications import apply
from ..table import row


def _contract(operands: Any, subscripts: list[str], output: str) -> Any:
    """A batched product whose core labels are letters."""
    batch = tuple(range(max(o.ndim - len(s) for o, s in zip(operands, subscripts, strict=True))))
    return products.product(operands, [(*batch, *s) for s in subscripts], (*batch, *output))


def inverse(node: Any) -> Any:
    """``inv(node)`` over the last two axes."""
    return apply("inv", node)


row(
    "inv",
    "(n,n)->(n,n)",
    lambda out, a: -_contract((out, out), ["ik", "lj"], "ijkl"),
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
    lambda out, a: _contract((out, inverse(a)), ["", "lk"], "kl"),
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
    lambda out, a: _contract((inverse(a),), ["lk"], "kl"),
    reference=lambda a: np.linalg.slogdet(a)[1],
    numpy="np.linalg.slogdet({0})[1]",
    jax="jnp.linalg.slogdet({0})[1]",
    latex=r"\log\left|\det({0})\right|",
    domain=("invertible",),
    source="Cookbook (57)",
)
