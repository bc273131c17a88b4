"""Rows with core axes that the numba target compiles, against the spelling of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backends
from backends.numba_calls import COMPILED
from tensorcalc.applications import apply
from tensorcalc.extents import symbol
from tensorcalc.nodes import Variable
from tensorcalc.table import TABLE

pytest.importorskip("numba", reason="numba, an optional extra, is not installed")

B, M, N = map(symbol, "bmn")
AT_ZERO = {"normalize": {"at_zero": 0.0}, "frobenius_normalize": {"at_zero": 0.0}}


def functions(name: str, batch: bool) -> dict[str, Any]:
    core = (N,) if COMPILED[name].core == 1 else (N, N) if COMPILED[name].matrices else (M, N)
    x = Variable("x", ((B,) if batch else ()) + core)
    node = apply(name, x, **AT_ZERO.get(name, {}))
    return {target: backends.compile(node, target) for target in ("numpy", "numba")}


def samples(name: str, batch: bool, dtype: Any) -> list[Any]:
    rng = np.random.default_rng(len(name))
    row = COMPILED[name]
    arrays = []
    for n in (1, 2, 7, 20):
        core = (n,) if row.core == 1 else (n, n)
        x = rng.normal(size=((3,) if batch else ()) + core)
        if row.matrices:
            x = x @ np.swapaxes(x, -1, -2) + np.eye(n)
        arrays.append(x.astype(dtype))
    return arrays


@pytest.mark.parametrize("batch, dtype", [(False, np.float32), (True, np.float64)])
@pytest.mark.parametrize("name", list(COMPILED))
def test_compiled_rows_agree_with_numpy(name: str, batch: bool, dtype: Any) -> None:
    both = functions(name, batch)
    for x in samples(name, batch, dtype):
        wanted, found = both["numpy"](x=x), both["numba"](x=x)
        tolerance = 1e-4 if dtype is np.float32 else 1e-11
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
        assert np.asarray(found).dtype == np.asarray(wanted).dtype
        assert np.shape(found) == np.shape(wanted)


INF, NAN = np.inf, np.nan
SPECIAL = [
    [0.0, 0.0, 0.0],
    [1.0, INF, -2.0],
    [INF, INF, 1.0],
    [-INF, -INF, -INF],
    [1.0, NAN, INF],
    [1e200, 1e200, -1e200],
    [1e-200, -1e-200, 0.0],
    [2.0, 2.0, 2.0],
]


@pytest.mark.parametrize("name", [n for n, row in COMPILED.items() if row.core == 1])
def test_infinities_and_nan_are_those_of_numpy(name: str) -> None:
    both = functions(name, True)
    x = np.array(SPECIAL)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(both["numba"](x=x), both["numpy"](x=x), rtol=1e-12)


@pytest.mark.parametrize("name", ["inv", "cholesky"])
def test_a_singular_matrix_raises_as_in_numpy(name: str) -> None:
    for function in functions(name, False).values():
        with pytest.raises(np.linalg.LinAlgError):
            function(x=-np.ones((3, 3)))


@pytest.mark.parametrize("name", ["max", "argmin"])
def test_an_empty_axis_raises_as_in_numpy(name: str) -> None:
    for function in functions(name, False).values():
        with pytest.raises(ValueError, match=r"empty|zero-size"):
            function(x=np.ones(0))


def test_every_compiled_row_is_in_the_table() -> None:
    assert COMPILED.keys() <= TABLE.keys()
