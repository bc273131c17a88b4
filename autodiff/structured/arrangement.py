"""Axes of a parameter in groups: between flat columns and arrays with one axis per group."""

from __future__ import annotations

import functools
import math
from typing import Any

Axes = tuple[int, ...]


class Arrangement:
    """``W[g_1, g_2, ..., k] = V[flat, k]`` where ``g_1`` runs over the axes of the first group.

    The groups hold every axis of the parameter once; an empty group has the size 1.

    >>> import numpy as np
    >>> first_axis_last = arrangement((2, 3), ((1,), (0,)))
    >>> first_axis_last.gathered(np.arange(6).reshape(6, 1))[..., 0]
    array([[0, 3],
           [1, 4],
           [2, 5]])
    """

    def __init__(self, shape: tuple[int, ...], groups: tuple[Axes, ...]) -> None:
        order = [axis for group in groups for axis in group]
        rank = len(order)
        self.shape = shape
        #: Number of entries along each group.
        self.sizes = tuple(math.prod(shape[axis] for axis in group) for group in groups)
        self._is_given_order = order == list(range(rank))
        self._moved = tuple(shape[axis] for axis in order)
        self._forward = (*order, rank)
        self._back = (*sorted(range(rank), key=order.__getitem__), rank)

    def gathered(self, V: Any) -> Any:
        """Flat columns ``(n, k)`` as ``(*sizes, k)``."""
        k = V.shape[1]
        if self._is_given_order:
            return V.reshape(*self.sizes, k)
        return V.reshape(*self.shape, k).transpose(self._forward).reshape(*self.sizes, k)

    def scattered(self, W: Any, k: int) -> Any:
        """An array of as many entries, with the axes of :meth:`gathered`, as ``(n, k)``."""
        n = math.prod(self.shape)
        if self._is_given_order:
            return W.reshape(n, k)
        return W.reshape(*self._moved, k).transpose(self._back).reshape(n, k)


@functools.lru_cache(maxsize=1024)
def arrangement(shape: tuple[int, ...], groups: tuple[Axes, ...]) -> Arrangement:
    """The arrangement of these axes, made once: operators are made anew for every point."""
    return Arrangement(shape, groups)
