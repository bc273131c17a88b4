"""Reductions that leave NaN out: those of ``reductions`` with ``where=~isnan(a)``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..applications import apply
from ..nodes import Node
from .convert import as_node
from .functions import implements
from .selections import where

#: NumPy's functions by what they are of the entries that are numbers.
PLAIN = {
    np.nansum: np.sum,
    np.nanprod: np.prod,
    np.nanmean: np.mean,
    np.nanvar: np.var,
    np.nanstd: np.std,
}
#: Extrema, with the value of entries that are none; NaN where there is no number at all.
EXTREMA = {np.nanmax: (np.max, -math.inf), np.nanmin: (np.min, math.inf)}


def _numbers(a: Any) -> Node:
    return apply("logical_not", apply("isnan", as_node(a)))


def _register_plain(function: Any, plain: Any) -> None:
    @implements(function)
    def reduction(a: Any, axis: Any = None, keepdims: bool = False, ddof: Any = None) -> Node:
        options = {} if ddof is None else {"ddof": ddof}  # NumPy lets the last two alone have it
        return plain(a, axis=axis, keepdims=keepdims, where=_numbers(a), **options)


def _register_extremum(function: Any, plain: Any, neutral: float) -> None:
    @implements(function)
    def reduction(a: Any, axis: Any = None, keepdims: bool = False) -> Node:
        numbers = _numbers(a)
        found = plain(np.where(numbers, a, neutral), axis=axis, keepdims=keepdims)
        return where(np.any(numbers, axis=axis, keepdims=keepdims), found, math.nan)


for _function, _plain in PLAIN.items():
    _register_plain(_function, _plain)
for _function, (_plain, _neutral) in EXTREMA.items():
    _register_extremum(_function, _plain, _neutral)
