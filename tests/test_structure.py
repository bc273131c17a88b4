"""Structure: what is claimed of a Hessian is so, and near misses are not claimed."""

import numpy as np
import pytest

import backends
import tensorcalc as tc
from backends.memory import largest_value
from tensorcalc.applications import apply
from tensorcalc.nodes import Node, as_expression
from tensorcalc.notation import declared_variables
from tensorcalc.structure import Dense, Identity, structure
from tensorcalc.substitution import replace_extents

DECLARED = (
    "X: m n, w: n, y: m, T: m n, U: m k, V: n k, W: n k, e: m n boolean, A: n n symmetric, c, "
    "B: k k symmetric, C: k k symmetric, G: n k, u: n, S: n n psd, z: n+2, s: b integer, "
    "t: b integer, q: b, R: n-1 k, Q: n n, p: n positive, M: n n symmetric, b: m, K: l"
)
NAMES = {v.name: v for v in declared_variables(DECLARED)}
X, w, y, T, U, V, W, e, A, c, B, C, G, u, S, z, s, t, q, R, Q, p, M, b, K = NAMES.values()
SIZES = {"m": 6, "n": 4, "k": 3, "b": 5, "l": 2}


def logsumexp(x):
    return apply("logsumexp", x)


logistic = np.sum(np.log(1 + np.exp(-y * (X @ w))))
#: loss, parameter, words for the Hessian, bytes at SIZES
STRUCTURED = {
    "linear": (u @ w, w, "zero", 0),
    "square": (w @ w, w, "multiple of the identity", 8),
    "frobenius": (np.sum(U * U), U, "multiple of the identity", 8),
    "exponentials": (np.sum(np.exp(w)), w, "diagonal", 8 * 4),
    "matrix of exponentials": (np.sum(np.exp(T) + T * T), T, "diagonal", 8 * 24),
    "poisson with intercepts": (np.sum(np.exp(X[:, 0] + b)), b, "diagonal", 8 * 6),
    "factorization": (
        np.sum((T - U @ V.T) ** 2),
        U,
        "Kronecker product of an identity and a matrix",
        8 * 9,
    ),
    "factorization in the other factor": (
        np.sum((T - U @ V.T) ** 2),
        V,
        "Kronecker product of an identity and a matrix",
        8 * 9,
    ),
    "factorization with ridge": (
        np.sum((T - U @ V.T) ** 2) + c * np.sum(U * U),
        U,
        "Kronecker product of an identity and a matrix",
        8 * 9,
    ),
    "masked factorization": (np.sum(e * (T - U @ V.T) ** 2), U, "block diagonal", 8 * 54),
    "masked factorization with ridge": (
        np.sum(e * (T - U @ V.T) ** 2) + np.sum(U * U),
        U,
        "block diagonal",
        8 * 54,
    ),
    "multi-output regression": (
        np.sum((X @ W) ** 2),
        W,
        "Kronecker product of an identity and a matrix",
        8 * 16,
    ),
    "matrix normal": (
        np.einsum("ik,ij,jl,kl->", G, A, G, B),
        G,
        "Kronecker product",
        8 * (16 + 9),
    ),
    "matrix normal with a sum in one factor": (
        np.einsum("ik,ij,jl,kl->", G, A, G, B) + np.einsum("ik,ij,jl,kl->", G, A, G, C),
        G,
        "Kronecker product",
        8 * (16 + 9),
    ),
    "two sides squared, with an identity in one factor": (
        np.sum((X @ G @ B) ** 2) + c * np.sum((X @ G) ** 2),
        G,
        "Kronecker product",
        8 * (16 + 9),
    ),
    "two sides squared, plus identity": (
        np.sum((X @ G @ B) ** 2) + np.sum((X @ G @ C) ** 2) + c * np.sum(G * G),
        G,
        "Kronecker product plus a multiple of the identity",
        8 * (16 + 9 + 1),
    ),
    "logdet": (-apply("logdet", S), S, "Kronecker product", 8 * 32),
    "two sides": (
        np.einsum("ik,ij,jk->", G, A, G) + np.einsum("ik,kl,il->", G, B, G),
        G,
        "Kronecker sum",
        8 * 25,
    ),
    "two sides with ridge": (
        np.einsum("ik,ij,jk->", G, A, G) + np.einsum("ik,kl,il->", G, B, G) + np.sum(G * G),
        G,
        "Kronecker sum",
        8 * 25,
    ),
    "logsumexp": (logsumexp(w), w, "diagonal plus low rank", 8 * 5),
    "length": (np.sqrt(1 + w @ w), w, "multiple of the identity plus low rank", 8 * 6),
    "square of a square": ((w @ w) ** 2, w, "multiple of the identity plus low rank", 8 * 6),
    "two directions": (
        np.sum(w**4) + (u @ w) ** 2 * (p @ w),
        w,
        "diagonal plus low rank",
        8 * 14,
    ),
    "logistic": (logistic, w, "Gram matrix A' D A", 8 * 30),
    "logistic with ridge": (
        logistic + w @ w,
        w,
        "multiple of the identity plus low rank",
        8 * 31,
    ),
    "trace of a Kronecker square": (np.trace(Q) ** 2, Q, "rank one", 8 * 17),
    "rank one": ((u @ w) ** 2, w, "rank one", 8 * 5),
    "softmax regression": (
        np.sum(logsumexp(X @ W)),
        W,
        "Gram matrix A' D A with blocks in D",
        8 * (24 + 54),
    ),
    "softmax regression with ridge": (
        np.sum(logsumexp(X @ W)) + c * np.sum(W * W),
        W,
        "multiple of the identity plus Gram matrix A' D A with blocks in D",
        8 * (24 + 54 + 1),
    ),
    "masked factorization with a sum": (
        np.sum(e * (T - U @ V.T) ** 2) + np.sum(U) ** 2,
        U,
        "block diagonal plus low rank",
        8 * (54 + 18 + 1),
    ),
    "first differences": (np.sum((w[1:] - w[:-1]) ** 2), w, "banded", 8 * 12),
    "second differences": (np.sum((z[2:] - 2 * z[1:-1] + z[:-2]) ** 2), z, "banded", 8 * 30),
    "smoothing": (np.sum((w - u) ** 2) + np.sum((w[1:] - w[:-1]) ** 2), w, "banded", 8 * 12),
    "smoothing of an image": (
        np.sum((G[1:] - G[:-1]) ** 2) + np.sum((G[:, 1:] - G[:, :-1]) ** 2) + np.sum(G * G),
        G,
        "Kronecker sum",
        8 * 25,
    ),
    "weighted smoothing of an image": (
        np.sum((R * (G[1:] - G[:-1])) ** 2) + np.sum((G[:, 1:] - G[:, :-1]) ** 2),
        G,
        "sparse by affine patterns",
        8 * 34,
    ),
    "weighted chain": (np.sum(w[:-1] * w[1:] * u[1:]), w, "banded", 8 * 12),
    "gather": (np.sum((w[s] - q) ** 2), w, "diagonal", 8 * 4),
    "graph": (np.sum(q * (w[s] - w[t]) ** 2), w, "sparse by index arrays", 8 * 19),
    "graph and a chain": (
        np.sum(q * (w[s] - w[t]) ** 2) + np.sum((w[1:] - w[:-1]) ** 2) + w @ w,
        w,
        "sparse by index arrays",
        8 * 25,
    ),
    "graph with all weights": (
        np.sum(q * (w[s] - w[t]) ** 2) + np.sum(np.exp(w)),
        w,
        "sparse by index arrays",
        8 * 19,
    ),
    "pairs of rows": (
        np.sum((np.sum(V[s] * V[t], axis=1) - q) ** 2),
        V,
        "sparse by index arrays",
        8 * 315,
    ),
    "wrapped differences": (
        np.sum((w - np.roll(w, 1)) ** 2),
        w,
        "sparse by affine patterns",
        8 * 36,
    ),
    "wrapped image": (
        np.sum((G - np.roll(G, 1, axis=0)) ** 2) + np.sum(np.exp(G)),
        G,
        "sparse by affine patterns",
        8 * 108,
    ),
    "transposition": (np.sum(Q * Q.T), Q, "sparse by affine patterns", 8 * 16),
    "symmetric part": (
        np.sum((Q + Q.T) ** 2) + np.sum(np.exp(Q)),
        Q,
        "sparse by affine patterns",
        8 * 32,
    ),
    "kronecker plus identity": (
        np.einsum("ik,ij,jl,kl->", G, A, G, B) + np.sum(G * G),
        G,
        "Kronecker product plus a multiple of the identity",
        8 * (16 + 9 + 1),
    ),
    "inverse of a diagonal plus low rank": (
        w @ np.linalg.inv(np.diag(p) + np.outer(u, u)) @ w,
        w,
        "inverse of diagonal plus low rank",
        8 * 9,
    ),
    "inverse plus identity": (
        w @ np.linalg.inv(np.diag(p) + np.outer(u, u)) @ w + c * (w @ w),
        w,
        "inverse of diagonal plus low rank, plus a multiple of the identity",
        8 * 10,
    ),
    "chain with a sum": (
        np.sum((w[1:] - w[:-1]) ** 2 * u[1:]) + np.exp(np.sum(w)) + np.sum(w**4),
        w,
        "banded plus low rank",
        8 * (12 + 4 + 1),
    ),
}

#: Near misses: dense for all the library can say, or less than one could hope for.
DENSE = {
    "hadamard of two forms": (np.einsum("i,ij,j,ij->", w, A, w, M), w),
    "general form": (w @ A @ w, w),
    "sum of two kronecker products": (
        np.einsum("ik,ij,jl,kl->", G, A, G, B) + np.einsum("ik,ij,jl,kl->", G, M, G, C),
        G,
    ),
    "kronecker plus diagonal": (np.einsum("ik,ij,jl,kl->", G, A, G, B) + np.sum(G**4), G),
    "embedding of a block": (w[1:] @ Q[1:, 1:] @ w[1:], w),
    "inverse of any matrix": (w @ np.linalg.inv(Q) @ w, w),
    "inverse of a triangle": (w @ np.linalg.inv(np.diag(p) + np.outer(u, p)) @ w, w),
    "all pairs": (np.sum(np.exp(w[:, None] - w[None, :])) * w[0], w),
    "square of a sum times a form": (np.sum(w) ** 2 * (w @ A @ w), w),
    "scaled by a coupled weight": (np.einsum("ik,jl,ijkl->", G, G, tc.variables("F: n n k k")), G),
    "scores of pairs": (np.sum(np.tanh(w[:, None] * w[None, :] * A)), w),
}


def drawn(rng, *roots):
    """Values at SIZES for the free variables."""
    values = {}
    for v in tc.free_variables(*roots):
        shape = [tc.extents.evaluate(extent, SIZES) for extent in v.extents]
        value = rng.normal(size=shape)
        if v.flags & {"symmetric", "psd"}:
            value = value @ value.T + np.eye(shape[0])
        if "positive" in v.flags:
            value = np.abs(value) + 0.1
        if "boolean" in v.flags:
            value = value > 0
        if "integer" in v.flags:
            value = rng.integers(0, SIZES["n"], size=shape)
        values[v.name] = value
    return values


@pytest.mark.parametrize("name", STRUCTURED)
def test_structure_of_a_hessian(name):
    loss, x, words, size = STRUCTURED[name]
    found = structure(tc.hessian(loss, x))
    assert found.name == words
    assert tc.extents.evaluate(found.bytes, SIZES) == size
    assert str(found).startswith(words)


@pytest.mark.parametrize("name", DENSE)
def test_structure_is_not_claimed(name):
    loss, x = DENSE[name]
    assert isinstance(structure(tc.hessian(loss, x)), Dense)


@pytest.mark.parametrize("name", [*STRUCTURED, *DENSE])
def test_diagonal_and_trace_are_those_of_the_whole(name):
    loss, x = (STRUCTURED.get(name) or DENSE[name])[:2]
    H = tc.hessian(loss, x)
    roots = [H, tc.diagonal(H), tc.trace(H)]
    fixed = list(map(replace_extents(roots, SIZES).__getitem__, roots))
    values = drawn(np.random.default_rng(3), *fixed)

    def value(node):
        names = {v.name for v in tc.free_variables(node)}
        return np.asarray(tc.evaluate(node, **{k: a for k, a in values.items() if k in names}))

    shape = fixed[0].extents[: x.ndim]
    n = int(np.prod(shape))
    dense = np.broadcast_to(value(fixed[0]), (*shape, *shape)).reshape(n, n)
    np.testing.assert_allclose(value(fixed[1]), np.diagonal(dense).reshape(shape), atol=1e-10)
    np.testing.assert_allclose(value(fixed[2]), np.trace(dense), atol=1e-9)


def test_diagonal_of_a_gram_matrix_needs_no_square():
    diagonal = tc.diagonal(tc.hessian(np.sum((X @ w) ** 2), w))
    squares = [n for n in tc.nodes.postorder(diagonal) if n.extents == (*w.extents, *w.extents)]
    assert not squares and diagonal.extents == w.extents


def test_trace_of_a_kronecker_product_is_an_extent_times_a_trace():
    loss = np.sum((T - U @ V.T) ** 2)
    assert all(node.ndim <= 2 for node in tc.nodes.postorder(tc.trace(tc.hessian(loss, U))))


def test_rows_and_columns_must_agree():
    with pytest.raises(tc.errors.ShapeError, match="rows and columns differ"):
        tc.diagonal(X)
    with pytest.raises(tc.errors.ShapeError, match="no middle"):
        structure(tc.variables("F: a b c"))


def test_mixed_block_is_rectangular_and_dense():
    found = structure(tc.hessian(np.sum((T - U @ V.T) ** 2), U, V))
    assert isinstance(found, Dense) and found.rank == 2


def test_identity_is_scaled_by_its_factor():
    found = structure(tc.hessian(c * (w @ w), w))
    assert isinstance(found, Identity) and found.factor is 2 * c


def test_block_of_a_shared_axis_depends_on_it_only_if_the_core_does():
    plain = structure(tc.hessian(np.sum((T - U @ V.T) ** 2), U))
    weighted = structure(tc.hessian(np.sum(b[:, None] * (T - U @ V.T) ** 2), U))
    assert plain.batch == () and weighted.batch == (0,)


LAPLACIANS = {
    "product of sums": lambda w, X: np.sum(np.sin(w) ** 2) * np.sum(w),
    "logsumexp": lambda w, X: np.log(np.sum(np.exp(w))),
    "logistic with ridge": lambda w, X: np.sum(np.log1p(np.exp(X @ w))) + np.sum(w**2),
    "length": lambda w, X: np.sqrt(1 + w @ w),
    "exponential of squares": lambda w, X: np.exp(np.sum((X @ w) ** 2)),
}


@pytest.mark.parametrize("name", LAPLACIANS)
def test_the_laplacian_of_a_sum_of_terms_never_forms_the_hessian(name):
    w, X = tc.variables("w: n, X: m n")
    H = tc.hessian(LAPLACIANS[name](w, X), w)
    n = w.extents[0]
    for restricted in (tc.trace(H), tc.diagonal(H), np.trace(H)):
        assert not tc.cost(restricted).flops.has(n**2)
    values = {"w": np.linspace(-0.5, 0.4, 5), "X": np.sin(np.arange(15.0)).reshape(3, 5)}
    known = {v.name: values[v.name] for v in tc.free_variables(H)}
    dense = np.trace(tc.evaluate(H, **known))
    np.testing.assert_allclose(tc.evaluate(tc.trace(H), **known), dense, rtol=1e-10)


def largest(expression):
    """Bytes of the largest array on the way to an expression of fixed sizes."""
    return largest_value(backends.compile(expression).program, {}, 8)


SAME = tc.indices("i")
RESTRICTIONS = {
    "trace": lambda H: np.einsum("ii->", H),
    "NumPy's trace": np.trace,
    "NumPy's diagonal": np.diagonal,
    "one entry": lambda H: H[0, 1],
    "an entry from the end": lambda H: H[-1, -2],
    "a row": lambda H: H[5],
    "a block": lambda H: H[3:6, 8:10],
    "single entries": lambda H: H[[0, 1, 2], [3, 4, 5]],
    "index notation": lambda H: (
        as_expression(H[SAME, SAME]) if isinstance(H, Node) else np.trace(H)
    ),
}
SUMS = {
    "logsumexp": lambda X, A, w: np.log(np.sum(np.exp(w))),
    "logistic with a penalty": lambda X, A, w: np.sum(np.log1p(np.exp(X @ w))) + np.sum(w**4),
    "quadratic": lambda X, A, w: w @ A @ w,
    "differences": lambda X, A, w: np.sum(np.diff(w) ** 4),
    "square of a sum": lambda X, A, w: np.sum(np.exp(X @ w)) ** 2,
}


@pytest.mark.parametrize("restriction", RESTRICTIONS)
@pytest.mark.parametrize("loss", SUMS)
def test_restrictions_of_a_hessian_never_form_it(loss, restriction):
    def restricted(n):
        X, A, w = tc.variables(f"X: 3 {n}, A: {n} {n}, w: {n}")
        H = tc.hessian(SUMS[loss](X, A, w), w)
        return H, RESTRICTIONS[restriction](H)

    assert largest(restricted(2000)[1]) <= 8 * 10 * 2000
    H, expression = restricted(12)
    values = drawn(np.random.default_rng(0), H)
    whole = tc.evaluate(H, **values)
    dense = RESTRICTIONS[restriction](whole)
    used = {v.name: values[v.name] for v in tc.free_variables(expression)}
    np.testing.assert_allclose(tc.evaluate(expression, **used), dense, rtol=1e-10, atol=1e-12)
