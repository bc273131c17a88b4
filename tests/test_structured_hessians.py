"""Operators of second derivatives, of expressions and of functions, equal the oracle's matrix."""

import numpy as np
import pytest

import autodiff as ad
import backends
import tensorcalc as tc
from autodiff.structured import (
    DiagonalOperator,
    SystemOperator,
    structured_operator,
    system_operator,
)
from tensorcalc.substitution import replace_extents

from .examples import EXAMPLES
from .test_structure import DENSE, SIZES, STRUCTURED, drawn
from .test_structured_operators import check, close


# -- from expressions -----------------------------------------------------------------------------
def compiled(nodes):
    return backends.compile(list(nodes))


def built(loss, x, seed=0):
    """The structured operator of a Hessian at SIZES, and the dense matrix of the oracle."""
    roots = [tc.hessian(loss, x), x]
    H, x = map(replace_extents(roots, SIZES).__getitem__, roots)
    values = drawn(np.random.default_rng(seed), H)
    shape = x.extents
    op = structured_operator(H, compiled, values, shape)
    n = op.shape[0]
    dense = np.asarray(tc.evaluate(H, **values), dtype=float)
    return op, np.broadcast_to(dense, (*shape, *shape)).reshape(n, n)


@pytest.mark.parametrize("name", [*STRUCTURED, *DENSE])
def test_operator_of_a_hessian_equals_the_oracle(name):
    loss, x = (STRUCTURED.get(name) or DENSE[name])[:2]
    op, dense = built(loss, x)
    rng = np.random.default_rng(1)
    V = rng.normal(size=(op.shape[0], 2))
    close(op @ V, dense @ V)
    close(op.todense(), dense)
    close(op.diagonal().reshape(-1), np.diagonal(dense))
    damping = 1.0 - np.linalg.eigvalsh(dense)[0]
    damped = dense + damping * np.eye(len(dense))
    close(op.solve(V, damping=damping), np.linalg.solve(damped, V))
    close(op.logdet(damping=damping), np.linalg.slogdet(damped)[1])


def test_cores_alone_are_stored():
    rng = np.random.default_rng(0)
    T, U, V = tc.variables("T: m n, U: m k, V: n k")
    H = tc.hessian(np.sum((T - U @ V.T) ** 2), U)
    op = structured_operator(H, compiled, {"V": rng.normal(size=(300, 4))}, (2000, 4))
    assert op.shape == (8000, 8000) and op.nbytes == 8 * 16
    b = rng.normal(size=(2000, 4))
    np.testing.assert_allclose((op @ op.solve(b).reshape(-1)).reshape(b.shape), b, atol=1e-9)


def test_diagonal_plus_low_rank_at_a_million_unknowns():
    x = tc.variables("x: n")
    H = tc.hessian(np.sqrt(1 + x @ x), x)
    value = np.random.default_rng(0).normal(size=1_000_000)
    op = structured_operator(H, compiled, {"x": value}, (1_000_000,))
    b = np.ones(1_000_000)
    np.testing.assert_allclose(op @ op.solve(b), b, atol=1e-8)
    assert op.nbytes < 2 * value.nbytes


def test_system_in_two_parameters_is_solved_by_its_schur_complement(monkeypatch):
    monkeypatch.setattr("autodiff.structured.system.FORMED", 0)
    g, X, w, b, y = tc.variables("g: s integer, X: s n, w: n, b: h, y: s")
    loss = np.sum((X @ w + b[g] - y) ** 2) + w @ w + b @ b
    rng = np.random.default_rng(0)
    arrays = {"g": rng.integers(0, 7, size=30), "X": rng.normal(size=(30, 3))}
    parameters = (w, b)
    blocks = [[tc.hessian(loss, p, q) for q in parameters] for p in parameters]
    op = system_operator(blocks, compiled, arrays, [(3,), (7,)])
    assert isinstance(op.blocks[1], DiagonalOperator) and op.eliminated == (1,)
    E = np.eye(7)[arrays["g"]]
    J = np.concatenate([arrays["X"], E], axis=1)
    check(op, 2 * (J.T @ J + np.eye(10)), rng)


# -- of plain functions ---------------------------------------------------------------------------
def factorization(U, V, T):
    return np.sum((T - U @ V.T) ** 2)


def test_structured_hessian_of_a_function():
    rng = np.random.default_rng(0)
    hessian = ad.hessian(factorization, structured=True)
    for m, n in ((5, 4), (7, 3)):
        U, V, T = rng.normal(size=(m, 2)), rng.normal(size=(n, 2)), rng.normal(size=(m, n))
        H = hessian(U, V, T)
        assert "Kronecker" in H.structure.name and H.nbytes == 32
        close(H.todense(), np.kron(np.eye(m), 2 * V.T @ V))
        close(H @ H.solve(U).reshape(-1), U.reshape(-1))
    assert ad.trace_count(hessian) == 1


def test_structured_hessian_in_two_parameters_is_a_block_system():
    rng = np.random.default_rng(0)
    U, V, T = rng.normal(size=(5, 2)), rng.normal(size=(4, 2)), rng.normal(size=(5, 4))
    H = ad.hessian(factorization, argnums=(0, 1), structured=True)(U, V, T)
    assert isinstance(H, SystemOperator) and H.shape == (18, 18)
    dense = ad.hessian(lambda p: factorization(p[:10].reshape(5, 2), p[10:].reshape(4, 2), T))(
        np.concatenate([U.ravel(), V.ravel()])
    )
    close(H.todense(), dense)
    damping = 1 - np.linalg.eigvalsh(dense)[0]
    b = rng.normal(size=18)
    close(H.solve(b, damping=damping), np.linalg.solve(dense + damping * np.eye(18), b))


def test_structured_hessian_of_a_closure_over_data():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 4)), rng.normal(size=30)

    def loss(w):
        return np.sum(np.log1p(np.exp(-y * (X @ w)))) + w @ w

    H = ad.hessian(loss, structured=True)(np.zeros(4))
    close(H.todense(), X.T @ (0.25 * (y**2)[:, None] * X) + 2 * np.eye(4))


def test_structured_hessian_of_a_vector_function_is_refused():
    with pytest.raises(tc.errors.DerivativeError):
        ad.hessian(lambda w: 2 * w, structured=True)(np.ones(3))


# -- every example --------------------------------------------------------------------------------
def _is_covered(example):
    """Scalars; in a variable declared symmetric, second derivatives are no symmetric tensor."""
    x = example.declared()[0]
    plain = x.ndim and not x.flags & {"symmetric", "psd"}
    return plain and example.order >= 2 and not example.expression().ndim


SCALARS = list(filter(_is_covered, EXAMPLES))


@pytest.mark.parametrize("example", SCALARS, ids=str)
def test_structured_hessian_of_every_example_equals_the_oracle(example):
    x = example.declared()[0]
    H = tc.hessian(example.expression(), x)
    values = example.values()
    shape = values[x.name].shape
    op = structured_operator(H, compiled, values, shape)
    n = op.shape[0]
    dense = np.broadcast_to(np.asarray(example.evaluate(H), float), (*shape, *shape)).reshape(n, n)
    scale = 1 + np.abs(dense).max(initial=0)
    np.testing.assert_allclose(op @ np.eye(n), dense, rtol=0, atol=1e-9 * scale)
    np.testing.assert_allclose(op.diagonal().reshape(-1), np.diagonal(dense), atol=1e-9 * scale)


# -- bands ----------------------------------------------------------------------------------------
SMOOTH = {
    "differences": lambda x: np.sum(np.diff(x) ** 2) + np.sum(x**4) + np.sum(x**2),
    "second differences": lambda x: (
        np.sum((x[2:] - 2 * x[1:-1] + x[:-2]) ** 2) + np.sum(x**4 + x**2)
    ),
    "curve length": lambda x: np.sum(np.sqrt(1 + np.diff(x) ** 2)) + np.sum(x**2),
}


KERNEL = np.array([0.3, -0.2, 0.5, 0.1])
FILTERED = {
    "whole": lambda x, c: np.sum(np.convolve(x, c) ** 2) + np.sum(x**2),
    "inside": lambda x, c: np.sum(np.exp(np.convolve(x, c, mode="valid"))) + np.sum(x**2),
    "same": lambda x, c: np.sum(np.convolve(x, c, mode="same") ** 2) + np.sum(x**2),
}


@pytest.mark.parametrize("name", FILTERED)
def test_convolutions_are_bands_of_windows(name):
    rng = np.random.default_rng(0)
    hessian = ad.hessian(FILTERED[name], structured=True)
    x = rng.normal(size=11)
    H, dense = hessian(x, KERNEL), ad.hessian(FILTERED[name])(x, KERNEL)
    close(H.todense(), dense)
    close(H.to_scipy_sparse().toarray(), dense)
    close(H.solve(x), np.linalg.solve(dense, x))
    assert H.structure.name == ("banded Toeplitz" if name == "whole" else "banded")
    H, b = hessian(rng.normal(size=100_000), KERNEL), rng.normal(size=100_000)
    np.testing.assert_allclose(H @ H.solve(b), b, atol=1e-9)


def windows(x):
    return np.lib.stride_tricks.sliding_window_view(x, 4)


#: Weights that are windows themselves, and windows of windows, with the word for the Hessian.
WEIGHTED = {
    "correlation": (lambda x, c: np.sum(np.correlate(x, c, mode="same") ** 4), "banded"),
    "kernel first": (lambda x, c: np.sum(np.correlate(c, x, mode="valid") ** 4), "banded"),
    "strided windows": (lambda x, c: np.sum((windows(x)[::2] @ c) ** 4), "banded"),
    "central differences": (lambda x, c: np.sum(np.gradient(x) ** 4), "sparse by affine patterns"),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_that_are_windows_are_computed_in_linear_memory(name):
    function, word = WEIGHTED[name]
    rng = np.random.default_rng(0)
    hessian = ad.hessian(function, structured=True)
    x = rng.normal(size=11)
    H = hessian(x, KERNEL)
    close(H.todense(), ad.hessian(function)(x, KERNEL))
    assert H.structure.name == word
    x = rng.normal(size=100_000)
    assert hessian(x, KERNEL).nbytes <= 12 * x.nbytes


#: Inverses whose identity is written with the size of an argument, or with a number.
INVERTED = {
    "size of an argument": lambda x, Z: x @ np.linalg.inv(2 * np.eye(len(x)) + Z.T @ Z) @ x,
    "a number": lambda x, Z: x @ np.linalg.inv(2 * np.eye(11) + Z.T @ Z) @ x,
    "a solve": lambda x, Z: (x - 1) @ np.linalg.solve(3 * np.identity(11) + Z.T @ Z, x - 1),
    "plus a ridge": lambda x, Z: x @ np.linalg.inv(np.eye(11) + Z.T @ Z) @ x + np.sum(x**2),
}


@pytest.mark.parametrize("name", INVERTED)
def test_an_identity_inside_of_a_function_is_one(name):
    rng = np.random.default_rng(0)
    x, Z = rng.normal(size=11), rng.normal(size=(2, 11))
    H, dense = ad.hessian(INVERTED[name], structured=True)(x, Z), ad.hessian(INVERTED[name])(x, Z)
    assert H.structure.name.startswith("inverse of multiple of the identity plus low rank")
    assert H.nbytes <= 8 * (2 * 11 + 4)
    check(H, dense, rng)


def test_a_filter_after_a_filter_is_a_wider_band():
    def loss(x, c):
        inner = np.tanh(np.convolve(x, c, mode="same"))
        return np.sum(np.convolve(inner, c, mode="same") ** 4)

    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    hessian = ad.hessian(loss, structured=True)
    H = hessian(x, KERNEL)
    close(H.todense(), ad.hessian(loss)(x, KERNEL))
    assert H.structure.name == "banded" and H.nbytes == 8 * 40 * 13
    x = rng.normal(size=100_000)
    assert hessian(x, KERNEL).nbytes == 8 * x.size * 13


def test_two_dimensional_windows_are_sparse():
    def loss(x, c):
        inside = np.lib.stride_tricks.sliding_window_view(x, (2, 3))
        return np.sum(np.einsum("abuv,uv->ab", inside, c) ** 4)

    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(6, 5)), rng.normal(size=(2, 3))
    hessian = ad.hessian(loss, structured=True)
    H = hessian(x, c)
    close(H.todense(), ad.hessian(loss)(x, c).reshape(30, 30))
    assert H.structure.name == "sparse by affine patterns"
    x = rng.normal(size=(100, 80))
    assert hessian(x, c).nbytes < 32 * x.nbytes


@pytest.mark.parametrize("name", SMOOTH)
def test_bands_are_computed_from_their_entries(name):
    rng = np.random.default_rng(0)
    hessian = ad.hessian(SMOOTH[name], structured=True)
    x = rng.normal(size=9)
    H, dense = hessian(x), ad.hessian(SMOOTH[name])(x)
    close(H.todense(), dense)
    close(H.inverse_diagonal(), np.diagonal(np.linalg.inv(dense)))
    H, b = hessian(rng.normal(size=200_000)), rng.normal(size=200_000)
    assert "banded" in H.structure.name
    np.testing.assert_allclose(H @ H.solve(b), b, atol=1e-9)


def test_an_image_with_a_penalty_on_its_total_variation_is_sparse():
    def loss(U):
        rough = np.sqrt(1 + np.diff(U, axis=0) ** 2), np.sqrt(1 + np.diff(U, axis=1) ** 2)
        return np.sum(rough[0]) + np.sum(rough[1]) + np.sum(U**2)

    rng = np.random.default_rng(0)
    U = rng.normal(size=(6, 5))
    hessian = ad.hessian(loss, structured=True)
    close(hessian(U).todense(), ad.hessian(loss)(U).reshape(30, 30))
    U = rng.normal(size=(120, 100))
    H = hessian(U)
    assert H.nbytes < 100 * U.nbytes
    np.testing.assert_allclose(H @ H.solve(U).ravel(), U.ravel(), atol=1e-9)
