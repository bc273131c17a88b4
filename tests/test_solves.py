"""Solves whose matrix and right side were tensors before: one factorization, no inverse."""

import numpy as np
import pytest

import autodiff as ad
import backends
import tensorcalc as tc
from backends.steps import Call, Reshape, View

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


@pytest.mark.parametrize("target", ["numpy", "numba", "jax"])
@pytest.mark.parametrize("name", EXPRESSIONS)
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


def test_a_part_of_the_digits_asks_for_the_inverse():
    """Summed over one digit of the right side alone, there is no right side to solve with."""
    inverse = np.linalg.inv(flat(T)).reshape(T.shape)
    expression = np.einsum("ijkl,kr->ijrl", inverse, np.sum(G, axis=1))
    function = backends.compile(expression)
    wanted = np.linalg.inv(flat(DATA["T"])).reshape(4, 3, 4, 3)
    wanted = np.einsum("ijkl,kr->ijrl", wanted, DATA["G"].sum(axis=1))
    np.testing.assert_allclose(function(T=DATA["T"], G=DATA["G"]), wanted, rtol=1e-10)
    assert [step.name for step in function.program.steps if isinstance(step, Call)] == ["inv"]


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
