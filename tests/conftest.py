"""What a test finds does not depend on other tests before it, nor on how busy the machine is.

Every test begins with the same random numbers, and in tests the clock of the automatic target
stands still: it goes over to numba where a test says so (``test_numba_target``), not where a call
happened to take long.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from backends import auto_target

#: Most functions of JAX are compiled for one call.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)


@pytest.fixture(scope="session")
def generators() -> list[tuple[Any, dict[str, Any]]]:
    """The random generators of the modules of tests, as importing them left them."""
    modules = [module for name, module in sys.modules.items() if name.startswith("tests.")]
    found = {id(each): each for module in modules for each in vars(module).values()}
    known = [each for each in found.values() if isinstance(each, np.random.Generator)]
    return [(each.bit_generator, each.bit_generator.state) for each in known]


@pytest.fixture(autouse=True)
def _the_same_in_any_order(generators: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for own, state in generators:
        own.state = state
    ad.manual_seed(0)
    monkeypatch.setattr(auto_target, "perf_counter", lambda: 0.0)
    yield
