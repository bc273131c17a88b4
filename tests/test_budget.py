"""Hessians within a memory budget: which way is chosen, and that all ways agree."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.budget import memory_bytes
from backends.memory import SizeError

rng = np.random.default_rng(0)


def without_structure(x: Any, A: Any) -> Any:
    """A function whose Hessian A' M A is dense where A is tall."""
    return np.sum(np.sin(A @ x)) * np.sum(np.cos(A @ x)) + np.exp(-np.sum((A @ x) ** 2))


def factorization(U: Any, V: Any, T: Any) -> Any:
    return np.sum((T - U @ V.T) ** 2)


def nested(p: Any, A: Any) -> Any:
    return np.sum(np.sin(A @ p["x"] + p["b"])) ** 2 + np.prod(p["c"]) * np.sum(p["x"])


A = rng.normal(size=(800, 60))
x = rng.normal(size=60) / 50
#: A matrix of 48 GB that takes no memory.
HUGE = np.broadcast_to(np.float64(0), (80_000, 75_000))
PARAMS = {"x": x, "b": 0.3, "c": np.array([1.0, 2.0])}
DENSE = ad.hessian(without_structure)(x, A)


def needs(function: Any, *args: Any) -> dict[str, int]:
    return ad.hessian(function, memory="1 GB").choice(*args).needs


@pytest.mark.parametrize("kind", ["dense", "chunked", "hvp"])
def test_the_best_way_that_fits_is_chosen_and_all_ways_agree(kind: str) -> None:
    found = needs(without_structure, x, A)
    budgets = {"dense": found["dense"], "chunked": found["dense"] - 1, "hvp": found["hvp"]}
    operator = ad.hessian(without_structure, memory=budgets[kind])(x, A)
    assert operator.choice.kind == kind and kind in str(operator.choice)
    np.testing.assert_allclose(operator.todense(), DENSE, atol=1e-9 * np.abs(DENSE).max())


def test_the_ways_need_less_and_less() -> None:
    long = rng.normal(size=300) / 5
    found = needs(without_structure, long, rng.normal(size=(400, 300)))
    assert found["dense"] >= 8 * 300**2 and found["chunked"] >= 8 * 300**2
    assert found["hvp"] < 8 * 300**2 / 10


def test_a_structure_is_preferred_and_its_cores_are_all_that_is_counted() -> None:
    U, V = rng.normal(size=(400, 5)), rng.normal(size=(70, 5))
    operator = ad.hessian(factorization, memory="100 kB")(U, V, U @ V.T)
    assert operator.choice.kind == "structured"
    assert operator.choice.needs["structured"] < 1000
    assert operator.choice.needs["dense"] >= 8 * 2000**2
    np.testing.assert_allclose(operator.trace(), 2 * 400 * np.sum(V**2))


@pytest.mark.parametrize("kind", ["dense", "chunked", "hvp"])
def test_nested_parameters_are_one_matrix(kind: str) -> None:
    function = ad.hessian(nested, memory="1 MB")
    maker = {"dense": function._whole, "hvp": function._products}.get(kind)
    operator = maker(PARAMS, A) if maker else function._chunked(4, PARAMS, A)
    dense = ad.objective(nested, PARAMS, A).hess(ad.objective(nested, PARAMS, A).x0)
    np.testing.assert_allclose(operator.todense(), dense, atol=1e-10 * np.abs(dense).max())


def test_nothing_runs_before_it_is_known_to_fit() -> None:
    """The dense matrix would take 45 GB; asking takes neither time nor memory."""
    choice = ad.hessian(without_structure, memory="1 GB").choice(np.zeros(75_000), HUGE)
    assert choice.kind == "hvp" and choice.needs["dense"] >= 45e9


def test_a_refusal_states_the_size_of_every_way() -> None:
    with pytest.raises(SizeError) as raised:
        ad.hessian(without_structure, memory="100 b")(np.zeros(75_000), HUGE)
    text = str(raised.value)
    assert "n = 75,000" in text and "does not fit into 100 bytes" in text
    for kind in ("dense", "chunked", "hvp"):
        assert re.search(rf"{kind}: [\d.]+ [kMG]B", text)
    assert re.search(r"at least [\d.]+ [kMG]B for hvp", text)


def test_memory_is_written_as_people_write_it() -> None:
    assert memory_bytes("2 GB") == 2 * 10**9 and memory_bytes("2GiB") == 2**31
    assert memory_bytes(1234) == memory_bytes("1234") == memory_bytes("1.234 kb") == 1234
    with pytest.raises(ValueError, match="500 MB"):
        memory_bytes("much")


@pytest.mark.parametrize("argnums", [(0, 1), (1, 0), (-3, 1)])
def test_several_arguments_are_one_matrix_in_their_order(argnums: tuple[int, ...]) -> None:
    U, V = rng.normal(size=(5, 2)), rng.normal(size=(4, 2))
    args = (U, V, rng.normal(size=(5, 4)))
    expected = ad.hessian(factorization, argnums=argnums, structured=True)(*args).todense()
    budgeted = ad.hessian(factorization, argnums=argnums, memory="1 MB")
    assert budgeted.choice(*args).kind == "structured"
    np.testing.assert_allclose(budgeted(*args).todense(), expected, atol=1e-12)
    for memory in (budgeted.choice(*args).needs["structured"] - 1,):
        other = ad.hessian(factorization, argnums=argnums, memory=memory)(*args)
        assert other.choice.kind in ("dense", "chunked", "hvp")
        np.testing.assert_allclose(other.todense(), expected, atol=1e-10)


def test_options_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(TypeError, match="memory="):
        ad.hessian(without_structure, memory="1 GB", structured=True)


def test_a_dense_hessian_that_does_not_fit_names_its_structure() -> None:
    hessian = ad.hessian(lambda x: np.sum(np.exp(x)) ** 2)
    for _ in range(2):
        with pytest.raises(SizeError) as raised:
            hessian(np.zeros(10**6))
        assert "8.0 TB (n0 = 1,000,000); use hvp" in str(raised.value)
        assert "structured=True needs 16.0 MB, hvp needs 16.0 MB" in str(raised.value)


def test_a_dense_hessian_without_structure_does_not_promise_any() -> None:
    A = np.broadcast_to(1.0, (10**6, 10**6))
    with pytest.raises(SizeError, match=r"the result of hessian needs 8.0 TB") as raised:
        ad.hessian(lambda x, A: x @ A @ x)(np.zeros(10**6), A)
    assert "hint: hvp needs" in str(raised.value)
    assert "structured=True" not in str(raised.value)


def test_a_hessian_without_structure_that_does_not_fit_is_known_by_products(monkeypatch):
    rng = np.random.default_rng(5)
    W, V = 0.1 * rng.normal(size=(2, 100, 120))

    def loss(W):
        return np.sum(np.tanh(W @ W.T) ** 2)

    monkeypatch.setattr("backends.memory.available", lambda: 10**9)
    transform = ad.hessian(loss, structured=True)
    for _ in range(2):  # the plan is known at the second call
        H = transform(W)
        assert "products" in str(H) and H.shape == (12_000, 12_000)
    np.testing.assert_allclose(H @ V.ravel(), ad.hvp(loss, (W,), (V,)).ravel(), rtol=1e-10)
    with pytest.raises(SizeError):  # a band has a structure, and is too large itself
        ad.hessian(lambda w: np.sum(np.diff(w) ** 4), structured=True)(np.ones(10**8))
