"""Compiled steps layer by layer: what stands between layers, shared weights, memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.optim import SGD, Adam

RNG = np.random.default_rng(1)


class Tied(nn.Module):
    """One layer used twice, with NumPy between the calls and a second result that nobody uses."""

    def __init__(self) -> None:
        self.inner, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6)
        self.outer = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        y = np.tanh(self.norm(self.inner(x))) * 2 - x
        return self.outer(self.inner(y) + y[:, ::-1])


def losses_of(compiled: bool, build: Any, batch: Any, loss: Any, steps: int) -> list[float]:
    ad.manual_seed(3)
    model = build().double()
    optimizer = Adam(model.parameters(), lr=0.01)
    step = ad.compile_step(model, loss, optimizer)
    found = []
    for _ in range(steps):
        if compiled:
            found.append(float(step(*batch)))
            continue
        optimizer.zero_grad()
        value = loss(model(*batch[:-1]), batch[-1])
        value.backward()
        optimizer.step()
        found.append(float(value.data))
    return found


def squares(output: Any, target: Any) -> Any:
    """A loss that is no layer function."""
    return np.mean((output - target) ** 2)


def network(*layers: Any) -> Any:
    return lambda: nn.Sequential(*(make() for make in layers))


CASES = {
    "shared weights": (Tied, (8, 6), (8, 3)),
    "max-pooling": (
        network(lambda: nn.Conv2d(2, 3, 3, padding=1), lambda: nn.MaxPool2d(2), nn.Flatten),
        (4, 2, 6, 6),
        (4, 27),
    ),
    "strides and average pooling": (
        network(lambda: nn.Conv2d(2, 4, 3, stride=2, padding=1), lambda: nn.AvgPool2d(2, 1)),
        (3, 2, 8, 8),
        (3, 4, 3, 3),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_compiled_steps_are_the_eager_steps(name):
    build, shape, target = CASES[name]
    batch = RNG.normal(size=shape), RNG.normal(size=target)
    compiled, eager = (losses_of(c, build, batch, squares, 4) for c in (True, False))
    np.testing.assert_allclose(compiled, eager, rtol=1e-10)
    assert compiled[-1] < compiled[0]


def test_a_deep_network_compiles_in_a_program_that_grows_with_its_depth():
    lengths = []
    for depth in (4, 8):
        ad.manual_seed(0)
        model = nn.Sequential(*(nn.Linear(5, 5) for _ in range(depth)))
        step = ad.compile_step(model, squares, SGD(model.parameters(), lr=0.1))
        step(np.ones((2, 5), "f4"), np.zeros((2, 5), "f4"))
        lengths.append(len(step.sources[0].splitlines()))
    assert lengths[1] < 2.2 * lengths[0]


def test_steps_overwrite_what_steps_have_made_and_nothing_else():
    """A large weight stays in its memory from the second step on; the user's array is theirs."""
    ad.manual_seed(0)
    layer = nn.Linear(700, 800)
    own = layer.weight.data
    before = own.copy()
    optimizer = Adam(layer.parameters())
    step = ad.compile_step(layer, squares, optimizer)
    batch = np.ones((2, 700), "f4"), np.zeros((2, 800), "f4")
    step(*batch)
    made = layer.weight.data
    state = optimizer.state[layer.weight]["exp_avg"]
    first = made.copy()
    step(*batch)
    assert np.array_equal(own, before) and not np.array_equal(first, before)
    assert layer.weight.data is made and not np.array_equal(made, first)
    assert optimizer.state[layer.weight]["exp_avg"] is state
