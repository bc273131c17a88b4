"""Log-probabilities picked by labels are stable in every usual spelling."""

import numpy as np
import pytest

import autodiff as ad
import tensorcalc as tc

pytestmark = pytest.mark.filterwarnings("error")

SCORES = np.array([[1e3, -1e3, 0.0], [1.0, 2.0, 1e3], [-1e3, 1e3, -1e3]])
LABELS = np.array([1, 0, 2])
ROWS = np.arange(3)


def softmax(z):
    return np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)


def shifted_softmax(z):
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


SPELLINGS = {
    "log(softmax[rows, labels])": lambda z: np.log(softmax(z)[ROWS, LABELS]),
    "log(shifted softmax[rows, labels])": lambda z: np.log(shifted_softmax(z)[ROWS, LABELS]),
    "log(softmax)[rows, labels]": lambda z: np.log(softmax(z))[ROWS, LABELS],
    "log(exp[rows, labels] / sum)": lambda z: np.log(
        np.exp(z)[ROWS, LABELS] / np.sum(np.exp(z), axis=1)
    ),
    "log(take_along_axis)": lambda z: np.log(
        np.take_along_axis(softmax(z), LABELS[:, None], axis=1)
    ),
    "z[rows, labels] - log(sum(exp))": lambda z: (
        z[ROWS, LABELS] - np.log(np.sum(np.exp(z), axis=1))
    ),
    "row by row": lambda z: np.stack([np.log(softmax(z)[k, LABELS[k]]) for k in range(3)]),
}


@pytest.mark.parametrize("text", SPELLINGS)
def test_log_likelihood_of_labels_does_not_overflow(text):
    def loss(z):
        return -np.sum(SPELLINGS[text](z))

    value, gradient = ad.value_and_grad(loss)(SCORES)
    assert value == 2000 + 999 + 2000
    assert np.array_equal(gradient, [[1, -1, 0], [-1, 0, 1], [0, 1, -1]])
    assert not np.any(ad.hessian(loss)(SCORES))


def test_likelihood_that_no_index_picks_keeps_its_sum():
    z, weights = tc.variables("z: m n, weights: m n")
    values = {"z": np.log([[1.0, 2.0], [3.0, 4.0]]), "weights": np.array([[1.0, 2.0], [3.0, 4.0]])}
    mixed = np.log(np.sum(weights * np.exp(z), axis=1))
    assert np.allclose(tc.evaluate(mixed, **values), np.log([5.0, 25.0]))


def test_slice_that_leaves_its_axis_is_not_a_selection():
    x, kernel = tc.variables("x: n, kernel: k")
    padded = np.log(np.convolve(np.exp(x), np.exp(kernel)))
    values = {"x": np.zeros(3), "kernel": np.zeros(2)}
    assert np.allclose(tc.evaluate(padded, **values), np.log([1.0, 2.0, 2.0, 1.0]))


@pytest.mark.parametrize("f", [lambda z: np.log(1 + np.exp(z) + np.exp(2 * z)),
                               lambda z: np.log(np.exp(2 * z) + 1 + np.exp(z)),
                               lambda z: np.log1p(np.exp(z) + np.exp(2 * z))])  # fmt: skip
def test_log_of_several_exponentials_does_not_overflow(f):
    assert ad.value_and_grad(f)(1e3) == (2000.0, 2.0)
    assert ad.value_and_grad(f)(-1e3) == (0.0, 0.0)
    assert np.allclose(ad.hessian(f)(0.0), (1 + 4) / 3 - 1)
