"""Rows whose values are 0 or 1: comparisons and logic. Their derivatives are zero."""

from __future__ import annotations

import numpy as np

from ..table import row

for _name, _scalar, _latex in [
    ("greater", "({0} > {1})", r"\left[{0} > {1}\right]"),
    ("greater_equal", "({0} >= {1})", r"\left[{0} \ge {1}\right]"),
    ("less", "({0} < {1})", r"\left[{0} < {1}\right]"),
    ("less_equal", "({0} <= {1})", r"\left[{0} \le {1}\right]"),
    ("equal", "({0} == {1})", r"\left[{0} = {1}\right]"),
    ("not_equal", "({0} != {1})", r"\left[{0} \ne {1}\right]"),
    ("logical_and", "(({0} != 0) and ({1} != 0))", r"{0} \land {1}"),
    ("logical_or", "(({0} != 0) or ({1} != 0))", r"{0} \lor {1}"),
    ("logical_xor", "(({0} != 0) != ({1} != 0))", r"{0} \oplus {1}"),
]:
    row(
        _name,
        "(),()->()",
        reference=getattr(np, _name),
        numpy=f"np.{_name}({{0}}, {{1}})",
        jax=f"jnp.{_name}({{0}}, {{1}})",
        numba=_scalar,
        latex=_latex,
        domain=("boolean", "boolean") if "logical" in _name else ((-2.0, 2.0), (-2.0, 2.0)),
        result="boolean",
        range=(0, 1),
    )

for _name, _scalar, _latex in [
    ("logical_not", "({0} == 0)", r"\lnot {0}"),
    ("isnan", "math.isnan({0})", r"\operatorname{{isnan}}({0})"),
    ("isfinite", "math.isfinite({0})", r"\operatorname{{isfinite}}({0})"),
    ("isinf", "math.isinf({0})", r"\operatorname{{isinf}}({0})"),
    ("signbit", "(math.copysign(1.0, {0}) < 0)", r"\operatorname{{signbit}}({0})"),
]:
    row(
        _name,
        reference=getattr(np, _name),
        numpy=f"np.{_name}({{0}})",
        jax=f"jnp.{_name}({{0}})",
        numba=_scalar,
        latex=_latex,
        domain=("boolean",) if "logical" in _name else ((-2.0, 2.0),),
        result="boolean",
        range=(0, 1),
    )
