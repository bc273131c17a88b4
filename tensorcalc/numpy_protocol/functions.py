"""NumPy's functions on expressions (``__array_function__``): the table and its dispatch.

The meaning of each function is one small function in one of the modules beside this one,
registered by :func:`implements`. Options that say nothing (``out=None``, ``order="C"``) are dropped
here; any other option that a meaning does not take is refused by name.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import CodeType
from typing import Any

import numpy as np

from ..errors import ShapeError, TraceError
from ..nodes import FUNCTIONS, Node

#: What NumPy passes for an option that was not given.
_NOT_GIVEN = np._NoValue
#: Values of options that change nothing.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "out": (None,),
    "where": (True,),
    "dtype": (None, float, np.float64),
    "order": ("C", "K", "A", None),
    "subok": (True, False),
    "casting": ("same_kind",),
    "copy": (True, False, None),
    "device": (None, "cpu"),
    "optimize": (True, False, "greedy", "optimal"),
    "kind": (None, "quicksort", "mergesort", "heapsort", "stable"),
    "stable": (None, True, False),
    "method": ("linear",),
    "overwrite_input": (True, False),
    "edge_order": (1,),
    "hermitian": (False,),
    "equal_nan": (False,),
}


@dataclass(frozen=True, eq=False)
class Meaning:
    """What a NumPy function means on expressions."""

    function: Any
    implementation: Callable[..., Any]

    @property
    def _code(self) -> CodeType:
        return inspect.unwrap(self.implementation).__code__

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Parameters that the meaning takes."""
        code = self._code
        return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    @cached_property
    def positions(self) -> tuple[str, ...]:
        """NumPy's names of positional arguments from the first on that is not at its own place."""
        code = self._code
        if code.co_flags & inspect.CO_VARARGS:
            return ()
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):  # functions written in C have none
            return ()
        return tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)

    def bound(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Positional arguments whose place differs from NumPy's are passed by NumPy's name."""
        own = self._code.co_varnames
        places = list(zip(self.positions, own, strict=False))[1:]
        agree = 1 + next((k for k, (a, b) in enumerate(places) if a != b), len(args))
        if not self.positions or len(args) <= agree:
            return args, kwargs
        return args[:agree], {
            **dict(zip(self.positions[agree:], args[agree:], strict=False)),
            **kwargs,
        }

    def __call__(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The expression of a call of the function.

        Raises TraceError for an option that cannot be traced.
        """
        if len(args) > 1:
            args, kwargs = self.bound(args, kwargs)
        options = {
            key: value
            for key, value in kwargs.items()
            if value is not _NOT_GIVEN and (key in self.names or not _neutral(key, value))
        }
        refused = sorted(options.keys() - set(self.names))
        if refused:
            raise TraceError(
                f"{spelled(self.function)} with {', '.join(f'{key}=' for key in refused)} "
                "cannot be traced",
                [f"options that can: {', '.join(self.names[1:]) or 'none'}"],
                "leave the option out, or write its effect as an operation of its own",
            )
        return self.implementation(*args, **options)


#: Meaning of each NumPy function.
TABLE: dict[Any, Meaning] = {}


def implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the meaning of NumPy functions on expressions."""

    def register(implementation: Callable[..., Any]) -> Callable[..., Any]:
        TABLE.update({function: Meaning(function, implementation) for function in functions})
        return implementation

    return register


def dispatch(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The expression that ``function(*args, **kwargs)`` means.

    Raises TraceError for a function or an option that cannot be traced.
    """
    if function not in TABLE:
        raise _unsupported(function)
    return TABLE[function](args, kwargs)


FUNCTIONS["dispatch"] = dispatch


def _neutral(key: str, value: Any) -> bool:
    """Whether an option has a value that changes nothing."""
    known = _NEUTRAL.get(key, ())
    return any(value is each or (isinstance(each, str) and value == each) for each in known)


# -- messages -------------------------------------------------------------------------------------
_POSITIONS = "positions are known only at run time; select with np.where(condition, a, b)"
_IMMUTABLE = "expressions are immutable; use np.where(condition, new, old)"
_OUTSIDE = "compare numbers outside the differentiated function"
#: What to do instead of a function that cannot be traced, by its name.
REMEDIES: dict[str, str] = {
    "allclose": _OUTSIDE,
    "apply_along_axis": "write the function for the whole array, with axis=",
    "argwhere": _POSITIONS,
    "array_equal": _OUTSIDE,
    "copyto": "expressions are immutable; use np.full_like(x, value) or value * np.ones(shape)",
    "eig": "for a symmetric matrix use np.linalg.eigh",
    "eigvals": "for a symmetric matrix use np.linalg.eigvalsh",
    "fill_diagonal": "use np.where(np.eye(n, dtype=bool), value, a)",
    "flatnonzero": _POSITIONS,
    "histogram": "count with np.sum(x[:, None] >= edges, axis=0)",
    "insert": "join slices with np.concatenate",
    "lstsq": "use np.linalg.pinv(a) @ b, or np.linalg.solve(a.T @ a, a.T @ b)",
    "matrix_rank": "count np.linalg.svdvals(a) > tolerance",
    "nonzero": _POSITIONS,
    "partition": "use np.sort",
    "piecewise": "use np.select(conditions, choices)",
    "put": _IMMUTABLE,
    "put_along_axis": _IMMUTABLE,
    "putmask": _IMMUTABLE,
    "qr": "np.linalg.cholesky(a.T @ a, upper=True) is R up to signs",
    "unique": "how many there are is known only at run time; compute it outside",
}


def spelled(function: Any) -> str:
    """A function's name as users write it."""
    module = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np")
    kept = [part for part in module.split(".") if part in ("np", "linalg", "fft", "random")]
    return ".".join([*kept, function.__name__])


def _unsupported(function: Any) -> TraceError:
    name = spelled(function)
    near = near_names(name, map(spelled, TABLE))
    remedy = REMEDIES.get(function.__name__)
    return TraceError(
        f"{name} cannot be traced: it has no expression",
        [f"names like it that can: {', '.join(near)}"] if near else [],
        remedy or "compute it outside the differentiated function and pass the result as an array",
    )


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to four known names that look like ``name``."""
    return difflib.get_close_matches(name, sorted(set(known)), n=4, cutoff=0.6)


def shape_text(extents: Sequence[Any]) -> str:
    """A shape as Python writes tuples, symbols without quotes."""
    return "(" + ", ".join(map(str, extents)) + ("," if len(extents) == 1 else "") + ")"


def described(*nodes: Node) -> list[str]:
    """The operands of a failed operation, one line each."""
    return [
        f"operand {k}: {node}, shape {shape_text(node.extents)}" for k, node in enumerate(nodes)
    ]


# -- axes -----------------------------------------------------------------------------------------
def normal_axis(axis: Any, rank: int) -> int:
    """One axis, counted from the end where negative, as a number from 0 to ``rank - 1``.

    Raises ShapeError if there is no such axis.
    """
    number = axis.__index__()
    if not -rank <= number < rank:
        known = f"axes are 0 to {rank - 1}, or -{rank} to -1 from the end"
        raise ShapeError(
            f"axis {number} of an expression with {rank} axes",
            hint=known if rank else "a scalar has no axes",
        )
    return number % rank


def normal_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """``axis`` as NumPy takes it (None, one, several, negative) as distinct axes in their order.

    Raises ShapeError for an axis that does not exist or is given twice.
    """
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(normal_axis(a, rank) for a in given)
    if len(set(axes)) < len(axes):
        raise ShapeError(f"an axis is given twice: {axis}", hint="name each axis once")
    return axes
