"""Pairwise sums over vector points in memory linear in the numbers of points."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import backends
import tensorcalc as tc
from backends.lowering import lower
from backends.numba_writer import prepared
from backends.row_tiles import pairwise_values, tiled
from tensorcalc.nodes import free_variables

pytest.importorskip("numba", reason="numba, an optional extra, is not installed")

x, y, w, v = tc.variables("x: m d, y: n d, w: m, v: m d")
SIZES = {"m": 390, "n": 370, "d": 3}


def distances(a: Any, b: Any) -> Any:
    return np.sum((a[:, None, :] - b[None, :, :]) ** 2, axis=2)


KERNEL_DENSITY = np.sum(w * np.sum(np.exp(-distances(x, y)), axis=1))
POTENTIAL = np.sum(1 / np.sqrt(1 + distances(x, x)))
ROOTS = {
    "value": [KERNEL_DENSITY],
    "gradient": [KERNEL_DENSITY, tc.gradient(KERNEL_DENSITY, x), tc.gradient(KERNEL_DENSITY, y)],
    "product": [tc.hvp(KERNEL_DENSITY, x, v)],
    "block": [tc.einsum("iaib->iab", tc.hessian(KERNEL_DENSITY, x))],
    "potential": [POTENTIAL, tc.gradient(POTENTIAL, x)],
    "block of the potential": [tc.einsum("iaib->iab", tc.hessian(POTENTIAL, x))],
    "product of the potential": [tc.hvp(POTENTIAL, x, v)],
    "row sums": [np.sum(np.exp(-distances(x, y)), axis=1), np.sum(np.exp(x @ y.T), axis=0)],
    "normalised": [np.sum(np.log(np.sum(np.exp(-distances(x, y)), axis=1)))],
}
ROOTS["normalised"].append(tc.gradient(ROOTS["normalised"][0], x))


def compiled(name: str) -> tuple[Any, Any, dict[str, Any]]:
    roots = ROOTS[name]
    variables = free_variables(*roots)
    rng = np.random.default_rng(0)
    arrays = {
        str(each): rng.normal(size=[SIZES[str(extent)] for extent in each.shape])
        for each in variables
    }
    return backends.compile(roots, "numba"), backends.compile(roots), arrays


@pytest.mark.parametrize("name", ROOTS)
def test_pairwise_sums_agree_and_no_array_has_both_extents(name: str) -> None:
    function, reference, arrays = compiled(name)
    found, wanted = function(**arrays), reference(**arrays)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * float(np.max(np.abs(b))))
    pairs = re.findall(r"= (?:np\.)?(?:empty|zeros)\(\((?:m, n|n, m|m, m)\)", function.source)
    assert not pairs and "rows_of_" in function.source


def test_small_problems_are_not_cut() -> None:
    function, _, _ = compiled("gradient")
    rng = np.random.default_rng(1)
    function(x=rng.normal(size=(7, 3)), y=rng.normal(size=(5, 3)), w=rng.normal(size=7))
    assert "rows_of_" not in function.source


def test_more_points_than_memory_for_pairs(monkeypatch: Any) -> None:
    monkeypatch.setattr("backends.memory.available", lambda: 2**20)
    monkeypatch.setattr("backends.memory.UNQUESTIONED", 2**16)
    function, reference, arrays = compiled("value")
    with pytest.raises(MemoryError, match=r"needs 1\.2 MB"):
        reference(**arrays)
    assert np.isfinite(function(**arrays)[0])


def test_arguments_and_results_of_that_shape_are_not_pairwise() -> None:
    X, a, b = tc.variables("X: m n, a: m, b: n")
    roots = [np.sum(np.exp(X * a[:, None])), np.exp(a[:, None] + b)]
    for root in roots:
        program, _ = lower([root], free_variables(root))
        assert not pairwise_values(prepared(program))


def test_what_needs_whole_pairs_is_not_cut() -> None:
    gram = np.exp(-distances(x, x))
    root = np.linalg.slogdet(gram + 1)[1]
    program, _ = lower([root], free_variables(root))
    program = prepared(program)
    assert pairwise_values(program) and tiled(program) is None
