"""The benchmark of training steps: its contestants take the same steps; its table says so."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import networks_speed
from benchmarks.networks_models import NETWORKS

MLP = "MLP 784-512-512-10"


def test_all_contestants_take_the_same_steps():
    contestants = [name for name in networks_speed.present() if name != "torch"]
    networks_speed.check(MLP, contestants)


def test_a_contestant_that_takes_other_steps_is_found(monkeypatch):
    def other(name: str, dtype: str) -> networks_speed.Step:
        step = networks_speed.eager(name, dtype)
        return lambda *batch: step(*batch) * (1 + 1e-5)

    monkeypatch.setitem(networks_speed.MAKERS, "other", other)
    with pytest.raises(AssertionError, match="losses of other and eager"):
        networks_speed.check(MLP, ["eager", "other"])


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_give_a_finite_loss(name):
    batch = NETWORKS[name].batch(np.random.default_rng(0), "float32")
    few = batch[0][:2], batch[1][: 2 * len(batch[1]) // len(batch[0])]
    assert np.isfinite(networks_speed.eager(name, "float32")(*few))


def test_missed_targets_are_named():
    row = {
        "step": {"ours": 2.0, "JAX": 1.0},
        "memory": {"ours": 13.0, "torch": 10.0},
        "target": 1.5,
    }
    assert networks_speed.misses(row) == [
        "JAX / ours 0.50, wanted 1.5",
        "memory 1.30 of torch's, wanted at most 1.2",
    ]
