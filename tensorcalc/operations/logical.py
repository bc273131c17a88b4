"""Rows whose values are 0 or 1: comparisons and logic. Their derivatives are zero."""

from __future__ import annotations

import numpy as np

from ..table import row

for _name, _symbol, _latex in [
    ("greater", ">", ">"),
    ("greater_equal", ">=", r"\ge"),
    ("less", "<", "<"),
    ("less_equal", "<=", r"\le"),
    ("equal", "==", "="),
    ("not_equal", "!=", r"\ne"),
]:
    row(
        _name,
        "(),()->()",
        reference=getattr(np, _name),
        numpy=f"np.{_name}({{0}}, {{1}})",
        jax=f"jnp.{_name}({{0}}, {{1}})",
        numba=f"({{0}} {_symbol} {{1}})",
        cuda=f"({{0}} {_symbol} {{1}})",
        latex=rf"\left[{{0}} {_latex} {{1}}\right]",
        domain=((-2.0, 2.0), (-2.0, 2.0)),
        result="boolean",
        range=(0, 1),
    )

row(
    "logical_not",
    reference=np.logical_not,
    numpy="np.logical_not({0})",
    jax="jnp.logical_not({0})",
    numba="(not {0})",
    cuda="(not {0})",
    latex=r"\lnot {0}",
    domain=("boolean",),
    result="boolean",
    range=(0, 1),
)
