"""The source of random numbers of layers: one generator, seeded by :func:`manual_seed`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_generator: list[np.random.Generator] = [np.random.default_rng()]


def manual_seed(seed: int | np.random.SeedSequence) -> np.random.Generator:
    """Start the default generator anew; the same seed gives the same numbers everywhere.

    >>> float(manual_seed(0).random()) == float(manual_seed(0).random())
    True
    """
    _generator[0] = np.random.default_rng(seed)
    return _generator[0]


def default_generator() -> np.random.Generator:
    """The generator that layers draw from unless they were given their own.

    >>> import numpy as np, autodiff as ad
    >>> _ = ad.manual_seed(0)
    >>> type(ad.init.default_generator()).__name__
    'Generator'
    """
    return _generator[0]


def snapshot() -> Any:
    """The state of the default generator, to be saved or restored."""
    return copy.deepcopy(_generator[0].bit_generator.state)


def set_state(state: Any) -> None:
    """Continue from a :func:`snapshot`."""
    generator = getattr(np.random, state["bit_generator"])()
    generator.state = state
    _generator[0] = np.random.Generator(generator)


@contextmanager
def restored(state: Any) -> Iterator[None]:
    """Draw from ``state`` inside the block, and go on as before after it."""
    before = _generator[0]
    set_state(state)
    try:
        yield
    finally:
        _generator[0] = before
