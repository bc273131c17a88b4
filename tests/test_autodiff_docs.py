"""Examples in docstrings run as printed."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "autodiff.budget",
    "autodiff.check",
    "autodiff.hessians",
    "autodiff.objectives",
    "autodiff.pytrees",
    "autodiff.result",
    "autodiff.transforms",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_as_printed(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0 and result.failed == 0
