"""Random numbers drawn while a function is traced: refused.

A function is traced once, so that numbers it draws would be the same ones at every later call, and
no error would say so. Seen are draws from NumPy's and Python's global states and from generators
that the function reads as a global, from its closure or from ``self``. A generator that the
function makes itself from a seed gives the same numbers at every call anyway.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tensorcalc.errors import TraceError


@contextmanager
def without_random_numbers(name: str, values: Iterable[Any]) -> Iterator[None]:
    """Raise TraceError if a generator among ``values``, or a global one, was drawn from."""
    states: dict[str, Callable[[], Any]] = {"np.random": _global_state, "random": random.getstate}
    for value in values:
        if isinstance(value, (np.random.Generator, np.random.RandomState)):
            states[repr(value)] = _state_of(value)
        elif isinstance(value, random.Random):
            states[repr(value)] = value.getstate
    before = {name: state() for name, state in states.items()}
    yield
    for source, state in states.items():
        if not _same(before[source], state()):
            raise TraceError(
                f"{name} draws random numbers, which would be the same at every later call",
                [f"drawn from: {source}"],
                "draw them outside and pass them as an argument",
            )


def _global_state() -> Any:
    return np.random.get_state(legacy=False)  # noqa: NPY002, what users draw from is what is looked at


def _state_of(generator: Any) -> Callable[[], Any]:
    if isinstance(generator, np.random.Generator):
        return lambda: generator.bit_generator.state
    return lambda: generator.get_state(legacy=False)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return all(_same(left[key], right[key]) for key in left)
    return bool(np.all(left == right)) if isinstance(left, np.ndarray) else left == right
