"""Block systems over several parameters: what joins two of them is stored by its structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import autodiff as ad
from autodiff import curvature_rules
from autodiff.structured import NotPositiveDefinite, system
from autodiff.structured.system import FORMED
from autodiff.transforms import StructuredTransform
from tensorcalc.errors import TensorcalcError

rng = np.random.default_rng(0)
N, K = 15, 3
a, b, y, u = rng.normal(size=N), rng.normal(size=N), rng.normal(size=N), rng.normal(size=5)
w, X, groups = rng.normal(size=4), rng.normal(size=(N, 4)), rng.integers(0, 5, size=N)
U, W = rng.normal(size=(N, K)) / 10, rng.normal(size=(N, K)) / 10
V, T = rng.normal(size=(7, K)), rng.normal(size=(N, 7))


def means_and_variances(p: Any, y: Any) -> Any:
    return np.sum((y - p["a"]) ** 2 * np.exp(p["b"] / 10) + p["a"] ** 4 + np.exp(-p["b"]))


def with_a_head(p: Any, y: Any, X: Any) -> Any:
    return means_and_variances({"a": p["a"] + X @ p["w"], "b": p["b"]}, y) + np.sum(p["w"] ** 2)


def factors_and_biases(p: Any, V: Any, T: Any) -> Any:
    fitted = p["U"] @ V.T + p["b"][:, None]
    return np.sum((T - fitted) ** 2) + np.sum(p["U"] ** 2) + np.sum(p["b"] ** 2)


def two_factors(p: Any, V: Any, T: Any) -> Any:
    fitted = (p["U"] + p["W"] ** 2) @ V.T
    return np.sum((T - fitted) ** 2) + np.sum(p["U"] ** 2) + 50 * np.sum(p["W"] ** 2)


def groups_and_entries(p: Any, y: Any, groups: Any) -> Any:
    return np.sum((y - p["u"][groups] - p["b"]) ** 2) + np.sum(p["u"] ** 2) + np.sum(p["b"] ** 2)


def mixed_effects(p: Any, y: Any, X: Any, groups: Any) -> Any:
    fitted = X @ p["w"] + p["u"][groups]
    return np.sum((y - fitted) ** 2) + np.sum(p["u"] ** 2) + np.sum(p["w"] ** 2)


def smooth_difference(p: Any, y: Any) -> Any:
    rough = np.sum(np.diff(p["a"] - p["b"]) ** 2)
    return np.sum((y - p["a"]) ** 2) + rough + np.sum(p["b"] ** 2)


def reversed_sum(p: Any, y: Any) -> Any:
    return np.sum((y - p["a"] - p["b"][::-1]) ** 2) + np.sum(p["a"] ** 2) + np.sum(p["b"] ** 2)


#: Functions, their parameters and data, the structure that joins the first two parameters, and
#: those that a solve eliminates.
SYSTEMS: list[tuple[Any, dict[str, Any], tuple[Any, ...], str, tuple[int, ...]]] = [
    (means_and_variances, {"a": a, "b": b}, (y,), "diagonal", (0, 1)),
    (with_a_head, {"a": a, "b": b, "w": w}, (y, X), "diagonal", (0, 1)),
    (factors_and_biases, {"U": U, "b": b}, (V, T), "sparse by affine patterns", (0, 1)),
    (two_factors, {"U": U, "W": W}, (V, T), "block diagonal", (0, 1)),
    (groups_and_entries, {"b": b, "u": u}, (y, groups), "sparse by index arrays", (0, 1)),
    (
        mixed_effects,
        {"u": u, "w": w},
        (y, X, groups),
        "low rank product, stored as a dense matrix",
        (0,),
    ),
    (smooth_difference, {"a": a, "b": b}, (y,), "banded", (0, 1)),
    (reversed_sum, {"a": a, "b": b}, (y,), "sparse by affine patterns", (0, 1)),
]


def whole(function: Any, params: dict[str, Any], data: tuple[Any, ...]) -> Any:
    blocks = ad.hessian(function)(params, *data)
    sizes = {name: np.size(value) for name, value in params.items()}
    return np.block(
        [[np.reshape(blocks[p][q], (sizes[p], sizes[q])) for q in params] for p in params]
    )


@pytest.mark.parametrize("formed", [0, FORMED])
@pytest.mark.parametrize(
    ("function", "params", "data", "word", "eliminated"),
    SYSTEMS,
    ids=[each[0].__name__ for each in SYSTEMS],
)
def test_systems_equal_the_dense_matrix(
    function: Any,
    params: Any,
    data: Any,
    word: str,
    eliminated: tuple[int, ...],
    formed: int,
    monkeypatch: Any,
) -> None:
    """The small ones, which are formed, by elimination as well."""
    monkeypatch.setattr(system, "FORMED", formed)
    H, dense = ad.hessian(function, structured=True)(params, *data), whole(function, params, data)
    n = len(dense)
    damping = max(0.0, 1 - np.linalg.eigvalsh(dense)[0])
    damped, v = dense + damping * np.eye(n), rng.normal(size=(n, 2))
    assert H.eliminated == (eliminated if n > formed else ())
    found = [
        (H @ v, dense @ v),
        (H.todense(), dense),
        (H.diagonal(), np.diagonal(dense)),
        (H.solve(v, damping=damping), np.linalg.solve(damped, v)),
        (H.logdet(damping=damping), np.linalg.slogdet(damped)[1]),
        (H.inverse_diagonal(damping=damping), np.diagonal(np.linalg.inv(damped))),
    ]
    for ours, theirs in found:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * (1 + np.abs(theirs).max()))
    assert H.structure.blocks[0][1].name == word
    assert sparse.issparse(H.coupling[0, 1]) == (len(eliminated) > 1)


def test_parameters_of_a_hundred_thousand_entries_are_joined_by_a_diagonal() -> None:
    n = 100_000
    params = {"a": np.linspace(-1, 1, n), "b": np.zeros(n)}
    data = rng.normal(size=n)
    H = ad.hessian(means_and_variances, memory="50 MB")(params, data)
    assert H.choice.kind == "structured" and H.nbytes < 10e6
    g = ad.grad(means_and_variances)(params, data)
    right = np.concatenate([g["a"], g["b"]])
    np.testing.assert_allclose(H @ H.solve(right, damping=1.0), right - H.solve(right, damping=1.0))


def test_an_indefinite_system_says_so_with_its_smallest_eigenvalue() -> None:
    params = {"a": 10 * a, "b": b + 30}
    dense = whole(means_and_variances, params, (y,))
    H = ad.hessian(means_and_variances, structured=True)(params, y)
    with pytest.raises(NotPositiveDefinite, match="the block system is not positive") as raised:
        H.solve(np.ones(2 * N))
    assert raised.value.smallest == pytest.approx(np.linalg.eigvalsh(dense)[0])


# -- couplings that are not stored ----------------------------------------------------------------
def factorization(params: dict[str, Any], T: Any) -> Any:
    return np.sum((T - params["U"] @ params["V"].T) ** 2)


def by_products(function: Any, limit: int = 0) -> StructuredTransform:
    """Structured Hessians with every dense coupling known by its products alone."""
    rule = curvature_rules.structured_hessian
    return StructuredTransform(function, rule, "structured hessian", limit=limit)


BY_PRODUCTS = [s[:3] for s in SYSTEMS if s[0] in (factors_and_biases, mixed_effects, with_a_head)]
BY_PRODUCTS.append((factorization, {"U": U, "V": V}, (T,)))


@pytest.mark.parametrize(
    ("function", "params", "data"), BY_PRODUCTS, ids=[each[0].__name__ for each in BY_PRODUCTS]
)
def test_couplings_by_products_equal_the_dense_matrix(
    function: Any, params: Any, data: Any
) -> None:
    H, dense = by_products(function)(params, *data), whole(function, params, data)
    n = len(dense)
    damping = max(0.0, 1 - np.linalg.eigvalsh(dense)[0])
    v = rng.normal(size=(n, 2))
    found = [
        (H @ v, dense @ v),
        (H.todense(), dense),
        (H.diagonal(), np.diagonal(dense)),
        (H.solve(v, damping=damping), np.linalg.solve(dense + damping * np.eye(n), v)),
    ]
    for ours, theirs in found:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8 * (1 + np.abs(theirs).max()))


def test_a_coupling_that_is_too_large_is_not_formed() -> None:
    m, n, k = 4000, 600, 5
    params = {"U": rng.normal(size=(m, k)), "V": rng.normal(size=(n, k))}
    data = params["U"] @ params["V"].T + 0.1 * rng.normal(size=(m, n))
    H = ad.hessian(factorization, structured=True)(params, data)
    assert H.structure.blocks[0][1].name == "dense, by products"
    assert H.nbytes < 1.2 * data.nbytes < 8 * m * k * n * k / 20
    b = rng.normal(size=H.shape[0])
    x = H.solve(b, damping=100.0)
    np.testing.assert_allclose(H @ x + 100 * x, b, atol=1e-7)
    for attempt in (H.logdet, H.inverse_diagonal):
        with pytest.raises(TensorcalcError, match=r"couplings: 20,000 x 3,000 \(0.48 GB\)"):
            attempt(damping=10.0)


def test_an_indefinite_system_with_products_says_so() -> None:
    params = {"U": 3 * U, "V": -V}
    H, dense = by_products(factorization)(params, T), whole(factorization, params, (T,))
    with pytest.raises(NotPositiveDefinite, match="the block system is not positive") as raised:
        H.solve(rng.normal(size=len(dense)))
    assert raised.value.smallest == pytest.approx(np.linalg.eigvalsh(dense)[0])


def test_a_budget_below_a_coupling_is_met_by_its_products() -> None:
    m, n, k = 400, 300, 4
    params = {"U": rng.normal(size=(m, k)), "V": rng.normal(size=(n, k))}
    data = rng.normal(size=(m, n))
    H = ad.hessian(factorization, memory="8 MB")(params, data)
    assert H.choice.kind == "structured" and H.nbytes < 2e6 < 8 * m * n * k * k
