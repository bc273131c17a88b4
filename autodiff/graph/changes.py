"""Changes in place of arrays that records have saved, noticed by the backward pass.

PyTorch counts versions of every tensor and compares them for whatever was saved. Here a change that
goes through a tensor notes its place among the numbers of records: a record that is older, and has
saved the memory, refuses to go backward. Recording an operation costs nothing, and neither does a
backward pass as long as no tensor has been changed. What is done to ``t.data`` is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from .record import next_number

#: For the owner of memory, by its identity: parts of it and when each was changed last.
changed: dict[int, dict[tuple[int, int], int]] = {}


def note(array: Any) -> None:
    """Remember that an array has been changed in place just now."""
    if not isinstance(array, np.ndarray) or not array.size:
        return
    owner = _owner(array)
    if id(owner) not in changed:
        changed[id(owner)] = {}
        weakref.finalize(owner, changed.pop, id(owner), None)
    changed[id(owner)][byte_bounds(array)] = next_number()


def first_changed(arrays: Iterable[Any], number: int) -> Any:
    """The first of the arrays that was changed after the record of this number; None if none."""
    for array in arrays:
        if not isinstance(array, np.ndarray):
            continue
        parts = changed.get(id(_owner(array)))
        if parts is None:
            continue
        low, high = byte_bounds(array)
        if any(a < high and low < b and when > number for (a, b), when in parts.items()):
            return array
    return None


def _owner(array: Any) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
