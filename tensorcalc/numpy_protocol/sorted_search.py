"""Places in ascending numbers: by counting, so that the array may be an expression."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import TraceError
from ..nodes import Node
from .convert import as_node
from .functions import implements
from .reductions import sum_over


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left") -> Node:
    """``sum over k of [a[k] < v]``; with ``side="right"`` of ``[a[k] <= v]``.

    Takes ``len(a)`` comparisons for each entry of ``v``. Its derivative is 0.
    """
    if side not in ("left", "right"):
        raise TraceError(f"np.searchsorted with side={side!r}", hint='use "left" or "right"')
    below = np.less if side == "left" else np.less_equal
    return sum_over(below(as_node(a), as_node(v)[..., None]), -1)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Node:
    """The number of the bin of each entry; ``bins`` may ascend or descend."""
    edges = as_node(bins)
    below = searchsorted(edges, x, "left" if right else "right")
    return np.where(edges[-1] >= edges[0], below, edges.shape[0] - below)


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Node:
    """The piecewise linear function through ``(xp, fp)``; at a knot the slope to its right.

    Outside it is ``left`` and ``right``, which default to the first and the last of ``fp``.
    """
    at, knots, values = map(as_node, (x, xp, fp))
    above = np.clip(searchsorted(knots, at, "right"), 1, knots.shape[0] - 1)
    start, share = knots[above - 1], values[above] - values[above - 1]
    inside = values[above - 1] + share * ((at - start) / (knots[above] - start))
    inside = np.where(at < knots[0], values[0] if left is None else left, inside)
    return np.where(at > knots[-1], values[-1] if right is None else right, inside)
