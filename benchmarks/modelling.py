"""What a model is to those who time it: its arguments, results and sizes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from . import models
from .discovery import modules

#: What is computed, in the order of the tables.
RESULTS = ("value", "value and gradient", "Hessian", "Hessian product", "Newton step")
CONTRACT = ("NAME", "SIZES", "make", "loss")


@dataclass(frozen=True)
class Model:
    """A module of :mod:`benchmarks.models`."""

    module: ModuleType

    @property
    def name(self) -> str:
        """What the rows of the tables call it."""
        return self.module.NAME

    def loss(self, np: Any, *arguments: Any) -> Any:
        """The loss, computed by the functions of a module like NumPy."""
        return self.module.loss(np, *arguments)

    def variant(self, peer: str) -> Any:
        """The loss as users of a peer write it, where they would not write the shared one."""
        return getattr(self.module, f"{peer}_loss", None)

    def arguments(self, size: int, dtype: str) -> tuple[Any, ...]:
        """Arrays for a size, the same at every call."""
        made = self.module.make(size, np.random.default_rng(size))
        return tuple(np.ascontiguousarray(array, dtype) for array in made)

    def direction(self, arguments: tuple[Any, ...]) -> Any:
        """What the Hessian is multiplied by."""
        x = arguments[0]
        return np.random.default_rng(0).normal(size=x.shape).astype(x.dtype)

    def sizes(self, result: str) -> tuple[int, ...]:
        """The sizes at which a result is asked for, from the smallest."""
        if result == "Newton step" and not getattr(self.module, "NEWTON", True):
            return ()
        if result in ("Hessian", "Newton step"):
            return getattr(self.module, "HESSIAN_SIZES", self.module.SIZES)
        return self.module.SIZES


@lru_cache(maxsize=1)
def all_models() -> dict[str, Model]:
    """The models by name."""
    return {module.NAME: Model(module) for module in modules(models, CONTRACT)}


def model_named(name: str) -> Model:
    """The model; SystemExit naming the others if there is none."""
    known = all_models()
    if name not in known:
        sys.exit(f"no model {name!r}; there are {', '.join(known)}")
    return known[name]
