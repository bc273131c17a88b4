"""Calls of contestants: who takes part, what they refuse, whether they are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from . import contestants
from .discovery import modules
from .rows import WRONG

CONTRACT = ("NAME", "PACKAGE", "contestant")
#: Largest accepted error relative to the largest entry, by precision.
TOLERANCES = {"float64": 1e-10, "float32": 2e-3}

Call = Callable[[], Any]


class Refused(Exception):
    """Why a contestant does not compute a result."""


def sentence(error: Exception) -> str:
    """What a person needs of an error."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    if isinstance(error, AssertionError):
        return f"{WRONG}: {text}"
    return text if isinstance(error, Refused) else f"{type(error).__name__}: {text}"[:200]


@lru_cache(maxsize=1)
def peers() -> dict[str, ModuleType]:
    """The installed peers by name."""
    return {m.NAME: m for m in modules(contestants, CONTRACT) if find_spec(m.PACKAGE)}


@lru_cache(maxsize=1)
def missing_peers() -> dict[str, str]:
    """The package that would bring each peer that is not installed."""
    found = modules(contestants, CONTRACT)
    return {m.NAME: m.PACKAGE for m in found if find_spec(m.PACKAGE) is None}


def check(name: str, found: Any, wanted: Any, tolerances: Mapping[str, float] = TOLERANCES) -> None:
    """Raise AssertionError unless a contestant's result is right to its precision."""
    found = np.asarray(found)
    tolerance = tolerances[str(wanted.dtype)]
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        raise AssertionError(
            f"{name}: {found.dtype} {found.shape} instead of {wanted.dtype} {wanted.shape}"
        )
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    if not error < tolerance:
        raise AssertionError(f"{name}: relative error {error:.1e}, allowed {tolerance:.0e}")


def check_all(name: str, found: Any, wanted: tuple[Any, ...]) -> None:
    """:func:`check` every array of a result."""
    own = found if isinstance(found, (tuple, list)) else (found,)
    for one, right in zip(own, wanted, strict=True):
        check(name, np.reshape(one, right.shape), right)
