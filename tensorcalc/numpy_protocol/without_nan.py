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


def _numbers(a: Any) -> Node:
    return apply("logical_not", apply("isnan", as_node(a)))


@implements(np.nansum)
def nansum(a: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """``np.sum`` of the entries that are numbers."""
    return np.sum(a, axis=axis, keepdims=keepdims, where=_numbers(a))


@implements(np.nanprod)
def nanprod(a: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """``np.prod`` of the entries that are numbers."""
    return np.prod(a, axis=axis, keepdims=keepdims, where=_numbers(a))


@implements(np.nanmean)
def nanmean(a: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """``np.mean`` of the entries that are numbers, NaN where there is none."""
    return np.mean(a, axis=axis, keepdims=keepdims, where=_numbers(a))


@implements(np.nanvar)
def nanvar(a: Any, axis: Any = None, ddof: Any = 0, keepdims: bool = False) -> Node:
    """``np.var`` of the entries that are numbers."""
    return np.var(a, axis=axis, ddof=ddof, keepdims=keepdims, where=_numbers(a))


@implements(np.nanstd)
def nanstd(a: Any, axis: Any = None, ddof: Any = 0, keepdims: bool = False) -> Node:
    """``np.std`` of the entries that are numbers."""
    return np.std(a, axis=axis, ddof=ddof, keepdims=keepdims, where=_numbers(a))


@implements(np.nanmax)
def nanmax(a: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """``np.max`` of the entries that are numbers, NaN where there is none."""
    return _extremum(np.max, -math.inf, a, axis, keepdims)


@implements(np.nanmin)
def nanmin(a: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """``np.min`` of the entries that are numbers, NaN where there is none."""
    return _extremum(np.min, math.inf, a, axis, keepdims)


def _extremum(reduction: Any, neutral: float, a: Any, axis: Any, keepdims: bool) -> Node:
    numbers, options = _numbers(a), {"axis": axis, "keepdims": keepdims}
    found = reduction(np.where(numbers, a, neutral), **options)
    return where(np.any(numbers, **options), found, math.nan)
