"""The diagonal of the inverse of a sparse matrix, by the entries of the inverse in its factors."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse


def inverse_diagonal_of(lower: Any, pivots: Any) -> Any:
    """The diagonal of ``Z = inv(L D L')`` for a sparse ``L`` with ones on the diagonal.

    With ``S`` the rows below the diagonal of column ``j`` of ``L``, ``l`` its entries there, it is
    ``Z[S, j] = -Z[S, S] l`` and ``Z[j, j] = 1 / D[j] - l' Z[S, j]``. All of ``S`` but its least row
    ``p`` lies in column ``p`` as well, so that ``Z[S, S]`` is part of what was found for ``p``: the
    columns form a tree, which is walked from its roots, and nothing outside of the pattern of ``L``
    is computed. That is as much work as the factorization, in place of one solve for every column.

    >>> import numpy as np
    >>> from scipy import sparse
    >>> L = sparse.csc_array(np.array([[1.0, 0.0], [0.5, 1.0]]))
    >>> inverse_diagonal_of(L, np.array([2.0, 1.0]))
    array([0.75, 1.  ])

    Source: Takahashi, Fagan, Chen, *Formation of a sparse bus impedance matrix and its application
    to short circuit study* (1973); Erisman, Tinney, *On computing certain elements of the inverse
    of a sparse matrix* (1975).
    """
    columns = _Columns(lower)
    n = len(pivots)
    result = np.empty(n)
    waiting = [(int(root), np.zeros((0, 0)), np.zeros(0, dtype=int)) for root in columns.roots()]
    while waiting:
        j, known, rows = waiting.pop()
        below, entries = columns.below(j)
        places = np.searchsorted(rows, below)
        selected = known[np.ix_(places, places)]
        found = np.empty((len(below) + 1,) * 2)
        found[1:, 1:] = selected
        found[0, 1:] = found[1:, 0] = -(selected @ entries)
        found[0, 0] = result[j] = 1 / pivots[j] - entries @ found[0, 1:]
        own = np.concatenate(([j], below))
        waiting += [(child, found, own) for child in columns.children(j)]
    return result


class _Columns:
    """Columns of a lower triangular matrix, and the tree in which the least row is the parent.

    A column has the rows of its children: an entry that is zero by cancellation is one of its own.
    """

    def __init__(self, lower: Any) -> None:
        lower = sparse.csc_array(lower)
        lower.sort_indices()
        cuts = lower.indptr[1:-1]
        self._rows = [rows[1:] for rows in np.split(lower.indices, cuts)]  # behind the diagonal
        self._entries = [entries[1:] for entries in np.split(lower.data, cuts)]
        for rows in self._rows:
            if len(rows) > 1:
                self._widen(int(rows[0]), rows[1:])
        n = lower.shape[0]
        self.parents = np.array([rows[0] if len(rows) else n for rows in self._rows], dtype=int)
        self.order = np.argsort(self.parents, kind="stable")
        self.bounds = np.searchsorted(self.parents[self.order], np.arange(n + 2))

    def _widen(self, j: int, needed: Any) -> None:
        rows = self._rows[j]
        places = np.searchsorted(rows, needed)
        if len(rows) and places[-1] < len(rows) and (rows[places] == needed).all():
            return
        self._rows[j] = np.union1d(rows, needed)
        entries = np.zeros(len(self._rows[j]))
        entries[np.searchsorted(self._rows[j], rows)] = self._entries[j]
        self._entries[j] = entries

    def below(self, j: int) -> tuple[Any, Any]:
        """Rows below the diagonal of a column, and the entries there."""
        return self._rows[j], self._entries[j]

    def children(self, j: int) -> list[int]:
        """Columns of which ``j`` is the least row."""
        return self.order[self.bounds[j] : self.bounds[j + 1]].tolist()  # type: ignore[no-any-return]

    def roots(self) -> list[int]:
        """Columns with nothing below the diagonal."""
        return self.children(len(self.parents))


__all__ = ["inverse_diagonal_of"]
