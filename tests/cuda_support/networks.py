"""Functions of tensors and a small network, for a simulated device and for a GPU alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autodiff as ad

squared = ad.losses.MSELoss()

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "products and functions": lambda a, b: np.sum(np.tanh(a @ b.T) ** 2),
    "shapes and slices": lambda a, b: np.sum(a[1:] * np.reshape(b, (3, 2)).T[1:]),
    "nested arguments": lambda a, b: np.sum(np.concatenate([a, 2.0 * b]) ** 3),
    "one leaf twice": lambda a, b: np.sum(a * a) + np.mean(a / (1 + b * b)),
    "constants of the host": lambda a, b: np.sum(np.where(a > 0, a, 0.1 * a) * np.ones((2, 3)) * b),
    "no derivative": lambda a, b: np.sum(np.sign(a)) + np.sum(b),
}


def network(dtype: str = "float64") -> Any:
    ad.manual_seed(1)
    layers = ad.nn.Linear(3, 2, bias=False), ad.nn.BatchNorm1d(2), ad.nn.Tanh()
    return ad.nn.Sequential(*layers).astype(dtype)


def batches(count: int, dtype: str = "float64") -> list[Any]:
    return list(np.random.default_rng(2).normal(size=(count, 2, 3, 3)).astype(dtype))
