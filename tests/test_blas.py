"""Which BLAS compiled loops call, and their products of matrices of every memory order."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from backends import blas_choice

numba = pytest.importorskip("numba", reason="numba, an optional extra, is not installed")

from backends import numba_runtime as runtime  # noqa: E402

ORDERS: dict[str, Any] = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "every other column": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ORDERS)
def test_products_of_every_memory_order(order: str, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    tolerance = 1e-3 if dtype is np.float32 else 1e-11
    for m, k, n in [(30, 40, 50), (1, 100, 50), (200, 100, 1), (3, 2, 4)]:
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        x = rng.normal(size=m).astype(dtype)
        laid = ORDERS[order](a)
        results = [
            (runtime.matrix_matrix, (laid, b), a @ b),
            (runtime.matrix_matrix, (b.T, laid.T), b.T @ a.T),
            (runtime.matrix_vector, (laid, b[:, 0]), a @ b[:, 0]),
            (runtime.vector_matrix, (x, laid), x @ a),
            (runtime.gram, (laid,), a.T @ a),
            (runtime.row_gram, (laid,), a @ a.T),
        ]
        for function, arguments, wanted in results:
            out = np.full(wanted.shape, np.nan, dtype)
            function(*arguments, out)
            np.testing.assert_allclose(out, wanted, rtol=tolerance, atol=tolerance)


def test_a_processor_with_wide_registers_taken_for_an_old_one_is_noticed() -> None:
    wide = blas_choice.WIDE_FLAGS | {"avx2", "fma"}
    assert blas_choice.mistaken("Haswell", wide)
    assert not blas_choice.mistaken("SkylakeX", wide)
    assert not blas_choice.mistaken("Haswell", frozenset({"avx2", "fma"}))
    assert not blas_choice.mistaken("", wide)


def test_the_library_of_this_process_says_its_core() -> None:
    assert all("openblas" in path for path in blas_choice.loaded_copies())
    if any("numpy" in path for path in blas_choice.loaded_copies()):
        assert blas_choice.numpys().core()
        assert blas_choice.numpys().address("dgemm")


def test_a_mistake_is_remedied_by_a_copy_with_the_right_kernels(monkeypatch: Any) -> None:
    seen: list[str | None] = []

    def found(module: str, name: str) -> int:
        seen.append(os.environ.get(blas_choice.VARIABLE))
        return 1

    monkeypatch.delenv(blas_choice.VARIABLE, raising=False)
    monkeypatch.setattr(blas_choice, "processor_flags", lambda: blas_choice.WIDE_FLAGS)
    monkeypatch.setattr(blas_choice.Library, "core", lambda self: "Haswell")
    monkeypatch.setattr("numba.extending.get_cython_function_address", found)
    blas_choice.is_mistaken.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="takes this processor for a Haswell"):
            assert blas_choice.address("dgemm") == 1
    finally:
        blas_choice.is_mistaken.cache_clear()
    assert seen == ["SkylakeX"] and blas_choice.VARIABLE not in os.environ
