"""NumPy's functions on expressions (``__array_function__``): the table and its dispatch.

The meaning of each function is one small function in one of the modules beside this one,
registered by :func:`implements`. Options that say nothing (``out=None``, ``order="C"``) are dropped
here; any other option that a meaning does not take is refused by name.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError, TraceError
from ..nodes import FUNCTIONS, Node

Meaning = Callable[..., Any]

#: Meaning of each NumPy function, with the names of the parameters it takes.
TABLE: dict[Any, tuple[Meaning, tuple[str, ...]]] = {}

#: What to do instead of a function that cannot be traced, by its name.
REMEDIES: dict[str, str] = {}

#: Values of options that change nothing.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "out": (None,),
    "where": (np._NoValue, True),  # type: ignore[attr-defined]
    "keepdims": (np._NoValue,),  # type: ignore[attr-defined]
    "initial": (np._NoValue,),  # type: ignore[attr-defined]
    "dtype": (None, float, np.float64),
    "order": ("C", "K", "A", None),
    "subok": (True, False),
    "casting": ("same_kind",),
    "copy": (True, False, None),
    "device": (None, "cpu"),
    "optimize": (True, False),
}


def implements(*functions: Any) -> Callable[[Meaning], Meaning]:
    """Register the meaning of NumPy functions on expressions."""

    def register(meaning: Meaning) -> Meaning:
        code = meaning.__code__  # type: ignore[attr-defined]
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        TABLE.update(dict.fromkeys(functions, (meaning, names)))
        return meaning

    return register


def dispatch(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The expression that ``function(*args, **kwargs)`` means.

    Raises TraceError for a function or an option that cannot be traced.
    """
    if function not in TABLE:
        raise _unsupported(function)
    meaning, names = TABLE[function]
    options = {
        key: value for key, value in kwargs.items() if key in names or not _neutral(key, value)
    }
    options = {key: value for key, value in options.items() if value is not np._NoValue}  # type: ignore[attr-defined]
    refused = sorted(options.keys() - set(names))
    if refused:
        raise TraceError(
            f"{spelled(function)} with {', '.join(f'{key}=' for key in refused)} cannot be traced",
            [f"options that can: {', '.join(names[1:]) or 'none'}"],
            "leave the option out, or write its effect as an operation of its own",
        )
    return meaning(*args, **options)


FUNCTIONS["dispatch"] = dispatch


def _neutral(key: str, value: Any) -> bool:
    """Whether an option has a value that changes nothing."""
    known = _NEUTRAL.get(key, ())
    return any(value is each or isinstance(each, str) and value == each for each in known)


def spelled(function: Any) -> str:
    """A function's name as users write it."""
    module = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np")
    public = [part for part in module.split(".") if not part.startswith("_")]
    kept = [part for part in public if part in ("np", "linalg", "fft", "random")]
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


def normal_axis(axis: Any, rank: int) -> int:
    """One axis, counted from the end where negative, as a number from 0 to ``rank - 1``.

    Raises ShapeError if there is no such axis.
    """
    number = axis.__index__()
    if not -rank <= number < rank:
        raise ShapeError(
            f"axis {number} of an expression with {rank} axes",
            hint=f"axes are 0 to {rank - 1}, or -{rank} to -1 from the end"
            if rank
            else "a scalar has no axes",
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


def shape_text(extents: Sequence[Any]) -> str:
    """A shape as Python writes tuples, symbols without quotes."""
    return "(" + ", ".join(map(str, extents)) + ("," if len(extents) == 1 else "") + ")"


def described(*nodes: Node) -> list[str]:
    """The operands of a failed operation, one line each."""
    return [
        f"operand {k}: {node}, shape {shape_text(node.extents)}" for k, node in enumerate(nodes)
    ]
