"""Sparse and banded matrices as sums of entries: where an entry goes is found once.

Positions depend on sizes and index arrays, values on the point: what has been sorted for one point
serves all others.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

#: An affine position, a pair of one coefficient per axis of the values and an offset, or the number
#: of an index array.
Place = tuple[tuple[int, ...], int] | int


class Entries(NamedTuple):
    """Rows and columns of the entries of all patterns in a row, and which lie in the matrix."""

    rows: Any
    columns: Any
    inside: Any


class Known(NamedTuple):
    """What a layout was made for, and the layout."""

    shapes: tuple[tuple[int, ...], ...]
    indices: tuple[Any, ...]
    layout: Any


class Scattering(ABC):
    """Adds values where places say; entries out of range are left out.

    ``places`` has a place for every row and column axis of every pattern. What it takes to put
    values there is kept for the next values, and made anew for other shapes or index arrays.
    """

    def __init__(
        self, places: Sequence[Sequence[Place]], rows: Sequence[int], columns: Sequence[int]
    ) -> None:
        self._places, self._rows, self._columns = places, tuple(rows), tuple(columns)
        self.shape = (math.prod(self._rows), math.prod(self._columns))
        self._known: Known | None = None

    def __call__(self, values: Sequence[Any], indices: Sequence[Any] = ()) -> Any:
        """The matrix with these values, one array per pattern, at these index arrays."""
        flat = (
            values[0].ravel() if len(values) == 1 else np.concatenate([v.ravel() for v in values])
        )
        return self._filled(self._layout_for(tuple(v.shape for v in values), indices), flat)

    def _layout_for(self, shapes: tuple[tuple[int, ...], ...], indices: Sequence[Any]) -> Any:
        known = self._known
        if known is None or known.shapes != shapes or not all(map(_agree, known.indices, indices)):
            layout = self._laid_out(self._entries(shapes, indices))
            known = self._known = Known(shapes, tuple(map(np.array, indices)), layout)
        return known.layout

    def _entries(self, shapes: Sequence[tuple[int, ...]], indices: Sequence[Any]) -> Entries:
        extents, rank = (*self._rows, *self._columns), len(self._rows)
        parts = []
        for places, shape in zip(self._places, shapes, strict=True):
            found = [_positions(p, indices, shape, n) for p, n in zip(places, extents, strict=True)]
            inside = np.ones(shape, dtype=bool)
            for position, extent in zip(found, extents, strict=True):
                inside &= (position >= 0) & (position < extent)
            at, to = _flat(found[:rank], self._rows), _flat(found[rank:], self._columns)
            parts.append((at.ravel(), to.ravel(), inside.ravel()))
        return Entries(*map(np.concatenate, zip(*parts, strict=True)))

    @abstractmethod
    def _laid_out(self, entries: Entries) -> Any:
        """What serves all values of entries at these places."""

    @abstractmethod
    def _filled(self, layout: Any, values: Any) -> Any:
        """The matrix with these values."""


class SparseScattering(Scattering):
    """The sum as a sparse array.

    >>> import numpy as np
    >>> shifted = SparseScattering([[((1,), 0), ((1,), 1)]], (3,), (3,))
    >>> shifted([np.array([1.0, 2.0, 3.0])]).toarray()
    array([[0., 1., 0.],
           [0., 0., 2.],
           [0., 0., 0.]])
    """

    def _laid_out(self, entries: Entries) -> Any:
        """The slot of every entry, the last for those out of range; the columns and row pointers of
        the slots.
        """
        height, width = self.shape
        key = np.where(entries.inside, entries.rows * width + entries.columns, height * width)
        order = np.argsort(key, kind="stable")  # of runs in order: merged in linear time
        key = key[order]
        first = np.concatenate([np.ones(min(len(key), 1), bool), key[1:] != key[:-1]])
        slots = np.empty_like(order)
        slots[order] = np.cumsum(first) - 1
        found = key[first]
        found = found[: np.searchsorted(found, height * width)]
        pointers = np.searchsorted(found, np.arange(height + 1) * width)
        dtype = sparse.get_index_dtype(maxval=max(len(found), width))
        return slots, (found % max(width, 1)).astype(dtype), pointers.astype(dtype)

    def _filled(self, layout: Any, values: Any) -> Any:
        slots, columns, pointers = layout
        count = len(columns)
        data = added_up(slots, values, count + 1)[:count]
        kept = data != 0
        if kept.all():
            columns, pointers = columns.copy(), pointers.copy()
        else:
            pointers = np.concatenate([[0], np.cumsum(kept)]).astype(pointers.dtype)[pointers]
            data, columns = data[kept], columns[kept]
        return sparse.csr_array((data, columns, pointers), shape=self.shape)


class BandScattering(Scattering):
    """The sum as a band: ``band[i, b]`` is the entry of row ``i`` and column ``i + low + b``.

    >>> import numpy as np
    >>> shifted = BandScattering([[((1,), 0), ((1,), 1)]], 3, low=-1, width=3)
    >>> shifted([np.array([1.0, 2.0, 3.0])])
    array([[0., 0., 1.],
           [0., 0., 2.],
           [0., 0., 0.]])
    """

    def __init__(self, places: Sequence[Sequence[Place]], n: int, low: int, width: int) -> None:
        super().__init__(places, (n,), (n,))
        self._low, self._width = low, width

    def _laid_out(self, entries: Entries) -> Any:
        own = entries.rows * self._width + entries.columns - entries.rows - self._low
        return np.where(entries.inside, own, self.shape[0] * self._width)

    def _filled(self, layout: Any, values: Any) -> Any:
        count = self.shape[0] * self._width
        band = added_up(layout, values, count + 1)
        return band[:count].reshape(-1, self._width)


def added_up(places: Any, values: Any, count: int) -> Any:
    """``out[places[k]] += values[k]`` for ``count`` sums, in the precision of the values."""
    return np.bincount(places, values, count).astype(values.dtype, copy=False)


def _agree(known: Any, given: Any) -> bool:
    return known is given or np.array_equal(known, given)


def _flat(positions: Sequence[Any], shape: Sequence[int]) -> Any:
    """Flat positions; those of entries out of range mean nothing."""
    flat = np.zeros(positions[0].shape, dtype=np.intp)
    for position, extent in zip(positions, shape, strict=True):
        flat = flat * extent + position
    return flat


def _positions(place: Place, indices: Sequence[Any], shape: Sequence[int], extent: int) -> Any:
    """Positions along one axis, of the shape of the values; index arrays count from both ends."""
    if isinstance(place, int):
        return np.broadcast_to(np.mod(indices[place].astype(int), extent), shape)
    coefficients, offset = place
    total = np.full(shape, offset)
    for axis, c in enumerate(coefficients):
        index = np.arange(shape[axis]).reshape(-1, *(1,) * (len(shape) - axis - 1))
        total += c * index
    return total


__all__ = ["BandScattering", "Place", "Scattering", "SparseScattering"]
