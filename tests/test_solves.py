"""Solves whose matrix and right side were tensors before: one factorization, no inverse."""

import numpy as np
import pytest

import autodiff as ad
import backends
import tensorcalc as tc
from backends.steps import Call, Insert, Reshape, View
from tensorcalc.numpy_protocol.creation import identity

T, C, G = tc.variables("T: m k m k, C: m k, G: m k r")
RNG = np.random.default_rng(0)
DATA = {
    "T": RNG.normal(size=(4, 3, 4, 3)) + 4 * np.eye(12).reshape(4, 3, 4, 3),
    "C": RNG.normal(size=(4, 3)),
    "G": RNG.normal(size=(4, 3, 2)),
}


def flat(tensor):
    """The tensor as a matrix."""
    size = tensor.shape[0] * tensor.shape[1]
    return tensor.reshape(size, size)


def vector(matrix):
    """The matrix as a vector."""
    return matrix.reshape(matrix.shape[0] * matrix.shape[1])


#: Results of the reshaped tensor and its right sides.
EXPRESSIONS = {
    "vector": lambda T, C, G: np.linalg.solve(flat(T), vector(C)),
    "tensor": lambda T, C, G: np.linalg.solve(flat(T), vector(C)).reshape(C.shape),
    "transposed": lambda T, C, G: np.linalg.solve(flat(T).T, vector(C)).reshape(C.shape),
    "other order": lambda T, C, G: np.linalg.solve(flat(T), vector(C)).reshape(C.shape).T,
    "columns": lambda T, C, G: np.linalg.solve(flat(T), G.reshape(-1, G.shape[2])).reshape(G.shape),
    "product": lambda T, C, G: np.linalg.solve(flat(T), vector(C @ C.T @ C)).reshape(C.shape),
}


@pytest.mark.parametrize(
    ("name", "target"),
    [*((name, "numpy") for name in EXPRESSIONS), ("columns", "numba"), ("columns", "jax")],
)
def test_a_reshaped_tensor_is_solved_with(name, target):
    if target == "jax":
        pytest.importorskip("jax").config.update("jax_enable_x64", True)
    function = backends.compile(EXPRESSIONS[name](T, C, G), target, variables=(T, C, G))
    found = function(**DATA)
    np.testing.assert_allclose(found, EXPRESSIONS[name](**DATA), rtol=1e-11, atol=1e-12)
    calls = [step.name for step in function.program.steps if isinstance(step, Call)]
    assert calls == ["solve"]


@pytest.mark.parametrize("name", ["vector", "tensor", "product"])
def test_only_reshapes_stand_between_tensors_and_their_solve(name):
    function = backends.compile(EXPRESSIONS[name](T, C, G), variables=(T, C, G))
    steps = function.program.steps
    assert not any(isinstance(step, View) for step in steps)
    assert sum(isinstance(step, Reshape) for step in steps) == (2 if name == "vector" else 3)


def test_a_right_side_with_a_part_of_the_digits():
    """The other digit is an axis of the result."""
    inverse = np.linalg.inv(flat(T)).reshape(T.shape)
    expression = np.einsum("ijkl,kr->ijrl", inverse, np.sum(G, axis=1))
    function = backends.compile(expression)
    wanted = np.linalg.inv(flat(DATA["T"])).reshape(4, 3, 4, 3)
    wanted = np.einsum("ijkl,kr->ijrl", wanted, DATA["G"].sum(axis=1))
    np.testing.assert_allclose(function(T=DATA["T"], G=DATA["G"]), wanted, rtol=1e-10)


def test_a_mask_over_digits_of_an_inverse():
    inverse = np.linalg.inv(flat(T)).reshape(T.shape)
    expression = np.einsum("ijkl,kl->ij", np.where(T > 0, inverse, 0), C)
    found = backends.compile(expression)(T=DATA["T"], C=DATA["C"])
    wanted = np.linalg.inv(flat(DATA["T"])).reshape(4, 3, 4, 3)
    wanted = np.einsum("ijkl,kl->ij", np.where(DATA["T"] > 0, wanted, 0), DATA["C"])
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_a_newton_step_of_a_matrix_is_one_solve():
    def loss(U, V, T):
        return np.sum((T - U @ V.T) ** 2) + np.sum(U**4)

    def step(U, V, T):
        g, H = ad.grad(loss)(U, V, T), ad.hessian(loss)(U, V, T)
        return np.linalg.solve(H.reshape(U.size, U.size), g.reshape(U.size)).reshape(U.shape)

    U, V = tc.variables("U: m k, V: n k")
    R = tc.variables("R: m n")
    function = backends.compile(step(U, V, R), variables=(U, V, R))
    given = [RNG.normal(size=shape) for shape in ((4, 3), (5, 3), (4, 5))]
    g, H = ad.grad(loss)(*given), ad.hessian(loss)(*given)
    wanted = np.linalg.solve(H.reshape(12, 12), g.ravel()).reshape(4, 3)
    np.testing.assert_allclose(function.call(*given), wanted, rtol=1e-10)
    assert [step.name for step in function.program.steps if isinstance(step, Call)] == ["solve"]


def program_of(step, *given, target="numpy"):
    """Results, and what is solved with, of a Newton step for a parameter's rows."""
    U, V = tc.variables("U: m k, V: n k")
    R, M = tc.variables("R: m n, M: m n")
    function = backends.compile(step(U, V, R, M), target, variables=(U, V, R, M))
    found = function.call(*given)
    return found, [step for step in function.program.steps if isinstance(step, Call)]


#: Losses of a factorization, the shape of what a Newton step of it solves with.
LOSSES = {
    "equal blocks": (lambda U, V, R, M: np.sum((R - U @ V.T) ** 2), ("k", "k")),
    "blocks": (
        lambda U, V, R, M: np.sum(M * (R - U @ V.T) ** 2) + 0.1 * np.sum(U**2),
        ("m", "k", "k"),
    ),
    "blocks with a diagonal of their own": (
        lambda U, V, R, M: np.sum((R - U @ V.T) ** 2) + np.sum(U**4) / 4,
        ("m", "k", "k"),
    ),
    "no blocks": (
        lambda U, V, R, M: np.sum((R - U @ V.T) ** 2) + np.sum(np.sum(U, axis=0) ** 2),
        ("k*m", "k*m"),
    ),
}


@pytest.mark.parametrize(
    ("name", "target"), [*((name, "numpy") for name in LOSSES), ("blocks", "numba")]
)
def test_block_diagonal_hessians_are_solved_with_block_by_block(name, target):
    loss, shape = LOSSES[name]

    def step(U, V, R, M):
        g, H = ad.grad(loss)(U, V, R, M), ad.hessian(loss)(U, V, R, M)
        return np.linalg.solve(H.reshape(U.size, U.size), g.reshape(U.size)).reshape(U.shape)

    given = [RNG.normal(size=shape) for shape in ((4, 3), (6, 3), (4, 6))]
    given.append(RNG.uniform(0.5, 1, size=(4, 6)))
    found, (solve,) = program_of(step, *given, target=target)
    g, H = ad.grad(loss)(*given), ad.hessian(loss)(*given)
    wanted = np.linalg.solve(H.reshape(12, 12), g.ravel()).reshape(4, 3)
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    assert tuple(map(str, solve.arguments[0].extents)) == shape


@pytest.mark.parametrize("columns", [None, 2])
@pytest.mark.parametrize("transposed", [False, True])
def test_kronecker_products_with_an_identity_are_solved_with_their_factor(transposed, columns):
    B, b = tc.variables("B: k k, b: n k c") if columns else tc.variables("B: k k, b: n k")
    count, size = b.shape[:2]
    matrix = np.kron(identity(count), B)
    matrix = matrix.T if transposed else matrix
    side = b.reshape(count * size, *b.shape[2:])
    function = backends.compile(np.linalg.solve(matrix, side), variables=(B, b))
    given = RNG.normal(size=(3, 3)), RNG.normal(size=(4, 3, *([columns] if columns else [])))
    whole = np.kron(np.eye(4), given[0])
    whole = whole.T if transposed else whole
    wanted = np.linalg.solve(whole, given[1].reshape(12, *given[1].shape[2:]))
    np.testing.assert_allclose(function.call(*given), wanted, rtol=1e-10)
    (solve,) = [step for step in function.program.steps if isinstance(step, Call)]
    assert tuple(map(str, solve.arguments[0].extents)) == ("k", "k")


def test_a_matrix_that_others_read_is_stored_and_solved_with_once():
    B, b = tc.variables("B: k k, b: n k")
    matrix = np.kron(identity(b.shape[0]), B)
    function = backends.compile([matrix, np.linalg.solve(matrix, b.reshape(-1))], variables=(B, b))
    given = RNG.normal(size=(3, 3)), RNG.normal(size=(4, 3))
    found, solution = function.call(*given)
    np.testing.assert_array_equal(found, np.kron(np.eye(4), given[0]))
    np.testing.assert_allclose(solution, np.linalg.solve(found, given[1].ravel()), rtol=1e-10)


@pytest.mark.parametrize("size", [0, 1, 2, 5, 16, 17])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_solves_of_all_sizes_on_the_numba_target(size, dtype):
    A, b, B = tc.variables("A: n n, b: n, B: n r")
    both = [np.linalg.solve(A, b), np.linalg.solve(A.T @ A, B)]
    function = SMALL_SOLVES.setdefault("function", backends.compile(both, "numba"))
    given = [RNG.normal(size=shape).astype(dtype) for shape in ((size, size), (size,), (size, 3))]
    given[0] = given[0] + np.diag(np.full(size, 3, dtype))
    solution, columns = function(A=given[0], b=given[1], B=given[2])
    rtol = 1e-9 if dtype == "float64" else 1e-2
    np.testing.assert_allclose(solution, np.linalg.solve(given[0], given[1]), rtol, 1e-5)
    wanted = np.linalg.solve(given[0].T @ given[0], given[2])
    np.testing.assert_allclose(columns, wanted, rtol, 1e-3 if dtype == "float32" else 1e-9)


SMALL_SOLVES: dict[str, backends.CompiledFunction] = {}


@pytest.mark.parametrize("size", [17, 40])
@pytest.mark.parametrize("kind", ["positive", "indefinite", "almost symmetric"])
def test_symmetric_matrices_are_solved_with_whatever_their_signs(kind, size):
    """Cholesky's factorization stands for positive definite ones, and for no others."""
    A, b, B = tc.variables("A: n n, b: n, B: n r")
    both = [np.linalg.solve(A, b), np.linalg.solve(A + A, B)]
    function = SMALL_SOLVES.setdefault("symmetric", backends.compile(both, "numba"))
    half = RNG.normal(size=(size, size))
    matrix = half @ half.T + np.eye(size)
    if kind == "indefinite":
        matrix -= 20 * np.outer(np.eye(size)[-1], np.eye(size)[-1])
        np.fill_diagonal(matrix, np.abs(np.diag(matrix)))
        matrix[0, 1] = matrix[1, 0] = 10 * matrix[0, 0]
        assert np.linalg.eigvalsh(matrix)[0] < 0
    elif kind == "almost symmetric":
        matrix[size - 1, 0] += 1.0
    given = {"A": matrix, "b": RNG.normal(size=size), "B": RNG.normal(size=(size, 3))}
    found = function(**given)
    wanted = np.linalg.solve(matrix, given["b"]), np.linalg.solve(2 * matrix, given["B"])
    for mine, reference in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-7, atol=1e-9)


def test_a_singular_symmetric_matrix_is_refused():
    A, b = tc.variables("A: n n, b: n")
    function = backends.compile(np.linalg.solve(A, b), "numba")
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        function(A=np.ones((20, 20)), b=np.ones(20))


@pytest.mark.parametrize("size", [3, 20])
def test_singular_matrices_are_refused_at_every_size(size):
    A, b = tc.variables("A: n n, b: n")
    function = backends.compile(np.linalg.solve(A, b), "numba")
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        function(A=np.zeros((size, size)), b=np.ones(size))


def test_terms_that_fill_a_flat_hessian_are_reshaped_not_written_entry_by_entry():
    """Of the Hessian of a softmax loss, the outer products fill it, the blocks do not."""

    def step(W, X):
        def loss(W):
            return np.sum(np.log(np.sum(np.exp(X @ W), axis=1))) + np.sum(W**2)

        H = ad.hessian(loss)(W)
        return H.reshape(W.size, W.size)

    X, W = tc.variables("X: s n, W: n c")
    function = backends.compile(step(W, X), variables=(W, X))
    given = RNG.normal(size=(3, 2)), RNG.normal(size=(7, 3))
    found = function.call(*given)
    wanted = np.asarray(
        ad.hessian(lambda W: np.sum(np.log(np.sum(np.exp(given[1] @ W), axis=1))))(given[0])
    )
    np.testing.assert_allclose(found, wanted.reshape(6, 6) + 2 * np.eye(6), rtol=1e-10)
    inserts = [step for step in function.program.steps if isinstance(step, Insert)]
    assert [step.core.ndim for step in inserts] == [0, 3]
    assert inserts[0].base is not None
