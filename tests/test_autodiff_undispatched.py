"""Functions that no protocol of NumPy reaches, inside functions that are differentiated."""

from __future__ import annotations

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.special
from scipy.special import log_softmax, logsumexp, softmax

import autodiff as ad
from tensorcalc.errors import TraceError

RNG = np.random.default_rng(3)
Z = RNG.normal(size=(4, 3))
#: Seconds after which a thread hangs, however busy the machine is.
LONG = 600
#: A function of SciPy and the same of JAX, by its name.
CASES = {
    "logsumexp": (lambda z: logsumexp(z), jax.scipy.special.logsumexp),
    "logsumexp axis": (
        lambda z: np.sum(logsumexp(z, axis=1, keepdims=True) ** 2),
        lambda z: jnp.sum(jax.scipy.special.logsumexp(z, axis=1, keepdims=True) ** 2),
    ),
    "logsumexp weights": (
        lambda z: scipy.special.logsumexp(z, b=np.arange(1.0, 4.0)),
        lambda z: jax.scipy.special.logsumexp(z, b=jnp.arange(1.0, 4.0)),
    ),
    "softmax": (
        lambda z: np.sum(softmax(z, axis=-1) ** 2),
        lambda z: jnp.sum(jax.nn.softmax(z, axis=-1) ** 2),
    ),
    "log_softmax": (
        lambda z: np.sum(log_softmax(z, 0)[1] ** 3),
        lambda z: jnp.sum(jax.nn.log_softmax(z, 0)[1] ** 3),
    ),
    "polygamma": (
        lambda z: np.sum(scipy.special.polygamma(2, z + 5)),
        lambda z: jnp.sum(jax.scipy.special.polygamma(2, z + 5)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_jax(name):
    ours, theirs = CASES[name]
    with jax.enable_x64(True):
        at = jnp.asarray(Z)
        for mine, wanted in ((ad.grad, jax.grad), (ad.hessian, jax.hessian)):
            expected = jax.jit(wanted(theirs))(at)
            np.testing.assert_allclose(mine(ours)(Z), expected, rtol=1e-10, atol=1e-12)


def test_derivatives_of_expm_are_scipys():
    def ours(z):
        return np.trace(scipy.linalg.expm(z))

    A = Z[:3]
    np.testing.assert_allclose(ad.grad(ours)(A), scipy.linalg.expm(A).T, rtol=1e-12)
    hessian = ad.hessian(ours)(A)
    for i, j in np.ndindex(3, 3):
        along = scipy.linalg.expm_frechet(A, np.outer(np.eye(3)[i], np.eye(3)[j]))[1]
        np.testing.assert_allclose(hessian[:, :, i, j], along.T, rtol=1e-10, atol=1e-12)


def test_a_list_of_expressions_is_an_argument_and_numbers_stay_numbers():
    def loss(z):
        share = softmax(np.arange(3.0))
        assert isinstance(share, np.ndarray)
        return logsumexp([z[0], 2 * z[1]]) + share[1] * z[0]

    weights = scipy.special.softmax([1.0, 4.0])
    found = ad.grad(loss)(np.array([1.0, 2.0]))
    wanted = [weights[0] + scipy.special.softmax(np.arange(3.0))[1], 2 * weights[1]]
    np.testing.assert_allclose(found, wanted)


def test_after_a_trace_the_functions_are_scipys_own_also_if_it_failed():
    codes = [function.__code__ for function in (softmax, logsumexp, log_softmax)]
    ad.grad(lambda z: logsumexp(z))(Z)
    with pytest.raises(TraceError):
        ad.grad(lambda z: float(logsumexp(z)))(Z)
    found = [function.__code__ for function in (softmax, logsumexp, log_softmax)]
    assert all(a is b for a, b in zip(found, codes, strict=True))


def test_other_threads_compute_numbers_while_a_function_is_traced():
    inside, done = threading.Event(), threading.Event()
    found, made = [], []

    def loss(z):
        inside.set()
        assert done.wait(LONG)
        return logsumexp(z)

    def outside():
        assert inside.wait(LONG)
        try:
            found.append(logsumexp(Z))
            made.append(np.ones(3))
        finally:
            done.set()

    thread = threading.Thread(target=outside, daemon=True)
    thread.start()
    slope = ad.grad(loss)(Z)
    thread.join()
    np.testing.assert_allclose(found, [logsumexp(Z)])
    assert type(made[0]) is np.ndarray
    np.testing.assert_allclose(slope, softmax(Z))


def test_an_option_that_expressions_cannot_have_is_named():
    with pytest.raises(TraceError, match="logsumexp with return_sign= cannot be traced"):
        ad.grad(lambda z: logsumexp(z, return_sign=True)[0])(Z)


# -- arrays made inside a function ----------------------------------------------------------------
def row_of_ones(x):
    return np.ones(x.shape[0])


MADE = {
    "eye": lambda x: x @ np.eye(x.shape[0]) @ x,
    "eye above": lambda x: x @ np.eye(x.shape[0], k=1) @ x,
    "eye not square": lambda x: np.sum(x @ np.eye(x.shape[0], x.shape[0] + 2, k=1) ** 3),
    "identity": lambda x: np.sum((x[:, None] * np.identity(x.shape[0])) ** 3),
    "ones": lambda x: row_of_ones(x) @ x**3,
    "full": lambda x: np.sum(np.full(x.shape, 2.0) * x**2),
    "tri": lambda x: np.sum((np.tri(x.shape[0], k=-1) @ x) ** 2),
}


@pytest.mark.parametrize("name", MADE)
def test_arrays_of_a_symbolic_size_are_those_of_numpy_and_pin_nothing(name):
    function = MADE[name]
    slope, curvature = ad.grad(function), ad.hessian(function)
    for n in (3, 4, 6):
        at = RNG.normal(size=n)
        step = 1e-6 * np.eye(n)
        differences = [(function(at + e) - function(at - e)) / 2e-6 for e in step]
        np.testing.assert_allclose(slope(at), differences, rtol=1e-6, atol=1e-6)
        differences = [(slope(at + e) - slope(at - e)) / 2e-6 for e in step]
        np.testing.assert_allclose(curvature(at), differences, rtol=1e-6, atol=1e-6)
    assert slope.traces == 1


def test_rows_of_an_identity_are_chosen_by_labels():
    def loss(weights, inputs, labels):
        scores = inputs @ weights
        return -np.sum(np.eye(3)[labels] * (scores - logsumexp(scores, axis=1, keepdims=True)))

    weights, inputs = RNG.normal(size=(4, 3)), RNG.normal(size=(9, 4))
    labels = RNG.integers(0, 3, size=9)
    found = ad.grad(loss)(weights, inputs, labels)
    wanted = inputs.T @ (softmax(inputs @ weights, axis=1) - np.eye(3)[labels])
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_multiple_of_an_identity_is_one_in_the_formula():
    hessian = ad.hessian(lambda x: x @ (2 * np.eye(4)) @ x, structured=True)
    assert "multiple of the identity" in repr(hessian(np.ones(4)))


def test_an_identity_of_a_closure_may_change():
    matrix = np.eye(2)
    slope = ad.grad(lambda x: x @ matrix @ x)
    np.testing.assert_array_equal(slope(np.ones(2)), [2.0, 2.0])
    matrix[0, 0] = 5.0
    np.testing.assert_array_equal(slope(np.ones(2)), [10.0, 2.0])


def test_a_dtype_that_would_change_numbers_is_refused():
    with pytest.raises(TraceError, match=r"np\.full with dtype= cannot be traced"):
        ad.grad(lambda x: np.sum(np.full(x.shape, 2.5, dtype=int) * x))(np.ones(3))
    with pytest.raises(TraceError, match=r"np\.full with dtype= cannot be traced"):
        ad.grad(lambda x: np.sum(np.full(x.shape, 2.5, int) * x))(np.ones(3))
    mask = ad.grad(lambda x: np.sum(x[:, None] * np.where(np.eye(x.shape[0], dtype=bool), x, 0)))
    np.testing.assert_array_equal(mask(np.arange(3.0)), [0.0, 2.0, 4.0])


def test_arrays_of_expressions_are_stacked():
    def residuals(xp, x):
        return xp.array([10 * (x[1] - x[0] ** 2), 1 - x[0], 2.0])

    at = np.array([-1.2, 1.0])
    with jax.enable_x64(True):
        wanted = jax.jacobian(lambda x: residuals(jnp, x))(at)
    np.testing.assert_allclose(ad.jacobian(lambda x: residuals(np, x))(at), wanted)
    rows = ad.jacobian(lambda x: np.array([[x[0], 2], [np.sin(x[1]), x[0] * x[1]]]))(at)
    np.testing.assert_allclose(rows[1], [[0, np.cos(1)], [1, -1.2]])
    whole = ad.grad(lambda x: np.sum(np.asarray(x) ** 3) + np.array(x, dtype=float)[0])(at)
    np.testing.assert_allclose(whole, 3 * at**2 + [1, 0])
    with pytest.raises(TraceError, match=r"np\.array with ndmin= cannot be traced"):
        ad.grad(lambda x: np.sum(np.array([x[0]], ndmin=2)))(at)
    with pytest.raises(TraceError, match="integer dtype"):
        ad.grad(lambda x: np.sum(np.array([x[0]], dtype=int)))(at)


def test_sizes_and_numbers_in_arrays_stay_what_numpy_makes_of_them():
    kept = np.ones(3)

    def f(x):
        sizes, made = np.array(x.shape), np.array([1.0, 2.0, 3.0])
        assert type(sizes) is np.ndarray and np.asarray(kept) is kept
        return sizes[0] * np.sum(x * made * kept)

    np.testing.assert_array_equal(ad.grad(f)(np.ones(3)), [3.0, 6.0, 9.0])


def test_numpy_has_its_own_functions_again_after_a_trace():
    own = np.array, np.asarray

    def failing(x):
        assert np.array is not own[0]
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        ad.grad(failing)(np.ones(2))
    assert (np.array, np.asarray) == own
