"""Errors raised while the user's function is traced, with the line of the user's code."""

from __future__ import annotations

import importlib.util
import linecache
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from tensorcalc.errors import TensorcalcError, TraceError


def _root(package: str) -> str:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return os.path.dirname(os.path.abspath(spec.origin)) + os.sep


#: Code below these folders is not the user's.
LIBRARY_ROOTS = tuple(_root(p) for p in ("tensorcalc", "backends", "autodiff", "numpy", "scipy"))
STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


@contextmanager
def located(what: str, sizes: dict[str, int]) -> Iterator[None]:
    """Add the innermost line of user code, and the sizes of the extents, to any error."""
    try:
        yield
    except Exception as error:
        told = _told(error)
        if not getattr(told, "_located", False):
            told._located = True  # type: ignore[attr-defined]
            line = user_line(error.__traceback__)
            where = [f"while tracing {what}", *([line] if line else [])]
            _extend(told, [*where, *_legend(str(told), sizes)])
        if told is error:
            raise
        raise told from None


def _told(error: Exception) -> Exception:
    """The error that says most: NumPy hides ours in ``y[0] = x[0]`` behind a ValueError."""
    cause = error.__cause__
    if type(error) is not ValueError or not isinstance(cause, TraceError):
        return error
    return TraceError(
        "an expression cannot be stored in an entry of an array of numbers",
        [line.strip() for line in str(cause).splitlines() if "expression: " in line],
        "collect the parts in a list and join them with np.stack or np.concatenate",
    )


def user_line(traceback: TracebackType | None) -> str | None:
    """``at file.py, line 7: code`` for the innermost frame outside the libraries."""
    found = None
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if _is_user_file(os.path.abspath(file)):
            found = file, traceback.tb_lineno
        traceback = traceback.tb_next
    if found is None:
        return None
    text = linecache.getline(*found).strip()
    return f"at {found[0]}, line {found[1]}" + (f": {text}" if text else "")


def _is_user_file(path: str) -> bool:
    if path.startswith(STANDARD_LIBRARY) and "site-packages" not in path:
        return False
    return not path.startswith(LIBRARY_ROOTS)


def _legend(text: str, sizes: dict[str, int]) -> list[str]:
    """The sizes of those extents that the message speaks of."""
    words = "".join(c if c.isalnum() or c == "_" else " " for c in text).split()
    named = [f"{name} = {size}" for name, size in sizes.items() if name in words]
    return [f"where {', '.join(named)}"] if named else []


def _extend(error: Exception, lines: list[str]) -> None:
    if not lines:
        return
    if isinstance(error, TensorcalcError):
        error.args = ("\n  ".join([str(error), *lines]), *error.args[1:])
    else:
        error.add_note("\n".join(lines))
