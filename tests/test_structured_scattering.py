"""Sparse matrices by the places of their entries: what is kept from call to call."""

from collections import Counter

import numpy as np
import pytest
from scipy import sparse

import autodiff as ad
from autodiff.structured.scattering import BandScattering, SparseScattering


@pytest.fixture
def sorted_places(monkeypatch):
    """How often places were sorted."""
    count = Counter()
    for kind in (SparseScattering, BandScattering):
        laid_out = kind._laid_out

        def counted(self, entries, laid_out=laid_out):
            count[type(self)] += 1
            return laid_out(self, entries)

        monkeypatch.setattr(kind, "_laid_out", counted)
    return count


def pairs(x, first, second):
    """A sum over pairs given by index arrays."""
    return np.sum(np.exp(x[first] * x[second])) + np.sum(x**2)


def test_index_arrays_that_change_are_followed_and_others_sorted_once(sorted_places):
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, size=(2, 6))
    structured = ad.hessian(pairs, structured=True)
    dense = ad.hessian(pairs)
    for _ in range(3):
        x = rng.normal(size=9)
        H = structured(x, first, second)
        np.testing.assert_allclose(H.todense(), dense(x, first, second), atol=1e-12)
    assert "index arrays" in H.name and sorted_places[SparseScattering] == 1
    first[0] = (first[0] + 1) % 9  # in place
    np.testing.assert_allclose(
        structured(x, first, second).todense(), dense(x, first, second), atol=1e-12
    )
    assert sorted_places[SparseScattering] == 2


def test_operators_of_one_function_share_no_arrays(sorted_places):
    structured = ad.hessian(
        lambda x: np.sum(x[1:, 1:] * x[:-1, :-1] * x[1:, :-1]) + np.sum(x**4), structured=True
    )
    x = np.random.default_rng(0).normal(size=(4, 5))
    one, other = structured(x), structured(2 * x)
    assert sorted_places[SparseScattering] == 1
    for mine, others in zip(one.arrays, other.arrays, strict=True):
        assert not np.shares_memory(mine, others)


def test_entries_that_are_zero_at_a_point_are_not_stored():
    scattering = SparseScattering([[((1,), 0), ((1,), 1)], [((1,), 0), ((1,), 0)]], (4,), (4,))
    first = scattering([np.array([1.0, 0.0, 3.0, 4.0]), np.array([5.0, 6.0, 0.0, 8.0])])
    expected = np.diag([5.0, 6.0, 0.0, 8.0]) + np.diag([1.0, 0.0, 3.0], 1)
    np.testing.assert_array_equal(first.toarray(), expected)
    assert first.nnz == 5
    second = scattering([np.ones(4), np.ones(4)])
    np.testing.assert_array_equal(second.toarray(), np.eye(4) + np.eye(4, k=1))
    assert second.nnz == 7 and second.has_canonical_format


def test_places_that_repeat_or_lie_outside_are_added_or_left_out():
    rng = np.random.default_rng(0)
    values, rows, columns = rng.normal(size=50), *rng.integers(-5, 5, size=(2, 50))
    found = SparseScattering([[0, 1]], (5,), (5,))([values], [rows, columns])
    expected = sparse.coo_array((values, (rows % 5, columns % 5)), shape=(5, 5)).toarray()
    np.testing.assert_allclose(found.toarray(), expected)
    moved = SparseScattering([[((1, 0), -1), ((0, 1), 2)]], (3,), (4,))([np.ones((5, 5))])
    expected = np.zeros((3, 4))
    expected[:, 2:] = 1
    np.testing.assert_array_equal(moved.toarray(), expected)


def test_a_band_is_laid_out_once(sorted_places):
    structured = ad.hessian(
        lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), structured=True
    )
    dense = ad.hessian(lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))
    for x in np.random.default_rng(0).normal(size=(3, 12)):
        H = structured(x)
        np.testing.assert_allclose(H.todense(), dense(x), atol=1e-12)
    assert H.name == "banded" and sorted_places[BandScattering] == 1
