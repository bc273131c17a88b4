"""NumPy's functions of structured operators: those that an operator has a method for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator

from tensorcalc.errors import TensorcalcError

if TYPE_CHECKING:
    from .base import StructuredOperator


def _diagonal(H: StructuredOperator) -> Any:
    return H.diagonal().reshape(-1)


def _solve(H: StructuredOperator, b: Any) -> Any:
    return H.solve(b)


def _slogdet(H: StructuredOperator) -> Any:
    """The sign of a positive definite matrix is one; another has no factorization here."""
    return 1.0, H.logdet()


def _einsum(subscripts: str, H: StructuredOperator) -> Any:
    pattern = subscripts.replace(" ", "")
    if pattern in ("ii", "ii->"):
        return H.trace()
    if pattern == "ii->i":
        return _diagonal(H)
    return NotImplemented


class Own(NamedTuple):
    """What replaces a function of NumPy, and the calls of it that it stands for."""

    function: Callable[..., Any]
    #: How many arguments there are, and at which of them the operator may stand.
    arguments: int = 1
    places: tuple[int, ...] = (0,)

    def stands_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a call has these arguments and no others."""
        if kwargs or len(args) != self.arguments:
            return False
        return any(isinstance(args[place], LinearOperator) for place in self.places)


FUNCTIONS: dict[Any, Own] = {
    np.trace: Own(lambda H: H.trace()),
    np.linalg.trace: Own(lambda H: H.trace()),
    np.diagonal: Own(_diagonal),
    np.linalg.diagonal: Own(_diagonal),
    np.diag: Own(_diagonal),
    np.linalg.solve: Own(_solve, 2),
    np.linalg.slogdet: Own(_slogdet),
    np.einsum: Own(_einsum, 2, (1,)),
    np.dot: Own(lambda H, v: H @ v, 2, (0, 1)),
    np.shape: Own(lambda H: H.shape),
    np.ndim: Own(lambda H: 2),
}


def numpy_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``function(*args, **kwargs)`` with an operator among the arguments.

    Raises TensorcalcError for a function that would need the whole matrix, or that an operator
    stands in elsewhere than for the matrix, and what the operator's method raises.
    """
    own = FUNCTIONS.get(function)
    if own is not None and own.stands_for(args, kwargs):
        result = own.function(*args)
        if result is not NotImplemented:
            return result
    name = f"{function.__module__}.{function.__name__}".replace("numpy", "np")
    raise TensorcalcError(
        f"{name} of a structured operator",
        [f"operand {k}: {x}" for k, x in enumerate(args) if not isinstance(x, (str, np.ndarray))],
        "use H @ v, H.solve(b), H.logdet(), H.diagonal(), H.trace(), H.inverse_diagonal(), "
        "H.eigsh(k), H[i, j], or H.todense() for the whole matrix",
    )


def entries(H: StructuredOperator, key: Any, chunk: int) -> Any:
    """``H[rows, columns]`` for integers and slices, by products with columns of the identity."""
    rows, columns = (*key, slice(None))[:2] if isinstance(key, tuple) else (key, slice(None))
    n = H.shape[0]
    if (isinstance(key, tuple) and len(key) > 2) or not all(map(_is_basic, (rows, columns))):
        raise TensorcalcError(
            "entries of a structured operator",
            [f"operator: {H.shape}", f"index: {key!r}"],
            "index by one or two integers or slices of the flat parameter",
        )
    every = np.arange(n)
    wanted = np.atleast_1d(every[columns])
    parts = []
    for start in range(0, len(wanted), chunk):
        some = wanted[start : start + chunk]
        unit = np.zeros((n, len(some)))
        unit[some, np.arange(len(some))] = 1
        parts.append(H._product(unit)[rows])
    found = np.concatenate(parts, axis=-1) if parts else np.zeros((n, 0))[rows]
    return found if isinstance(columns, slice) else found[..., 0]


def _is_basic(item: Any) -> bool:
    return isinstance(item, (int, np.integer, slice)) and not isinstance(item, bool)


__all__ = ["FUNCTIONS", "entries", "numpy_function"]
