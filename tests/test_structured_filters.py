"""Filters after filters: bands whose entries cost the taps, not all positions in between."""

import numpy as np
import pytest

import autodiff as ad


def three(x, c):
    for _ in range(3):
        x = np.tanh(np.convolve(x, c, "same"))
    return np.sum(x**2)


def of_differences(x, c):
    return np.sum(np.convolve(np.tanh(x[1:] - x[:-1]), c, "valid") ** 4)


def of_lengths(x, c):
    lengths = np.sqrt(1 + np.convolve(x, c, "same") ** 2)
    return np.sum((np.convolve(lengths, c, "same") - x) ** 2)


def of_a_product_with_what_is_filtered(x, c):
    return np.sum(np.convolve(np.convolve(x, c, "same") * x, c, "same") ** 2)


def in_two_dimensions(x, c):
    def windows(z):
        inside = np.lib.stride_tricks.sliding_window_view(z, (2, 3))
        return np.einsum("abuv,uv->ab", inside, np.outer(c[:2], c))

    return np.sum(windows(np.tanh(windows(x))) ** 2)


#: Functions, a small and a large shape, the word for the structure, and a bound for the bytes that
#: are stored per entry of the large argument.
FILTERS = [
    (three, (23,), (30_000,), "banded", 8 * 13),
    (of_differences, (21,), (30_000,), "sparse by affine patterns", 100),
    (of_lengths, (21,), (30_000,), "banded", 8 * 9),
    (of_a_product_with_what_is_filtered, (21,), (30_000,), "banded", 8 * 9),
    (in_two_dimensions, (7, 8), (90, 80), "sparse by affine patterns", 13 * 45),
]


@pytest.mark.parametrize(
    ("function", "small", "large", "word", "stored"), FILTERS, ids=[f[0].__name__ for f in FILTERS]
)
def test_filters_of_filters(function, small, large, word, stored):
    rng = np.random.default_rng(0)
    c, x = rng.normal(size=3), rng.normal(size=small)
    structured = ad.hessian(function, structured=True)
    H, dense = structured(x, c), ad.hessian(function)(x, c).reshape(x.size, x.size)
    assert H.name == word
    np.testing.assert_allclose(H.todense(), dense, rtol=0, atol=1e-12 * np.abs(dense).max())
    x = rng.normal(size=large)
    assert structured(x, c).nbytes <= stored * x.size
