"""Differences of all pairs keep their digits: nothing is gained by expanding their squares."""

import numpy as np

import autodiff as ad
import tensorcalc as tc

FAR = 1e8


def gaussian(x, y):
    return np.sum(np.exp(-0.5 * (x[:, None] - y) ** 2))


def test_squared_difference_of_pairs_is_not_expanded():
    x, y = tc.variables("x: m, y: n")
    assert str(tc.simplify(gaussian(x, y))) == "sum[i,j](exp(-(x[i]*1[j] - y[j]*1[i])^2/2))"


def test_gradient_of_pairs_is_a_weighted_sum_of_differences():
    x, y = tc.variables("x: m, y: n")
    gradient = tc.gradient(gaussian(x, y), x)
    assert str(gradient).count("exp") == 1
    assert tc.node_count(gradient) <= 12


def test_derivatives_of_pairs_do_not_depend_on_the_origin():
    x, y = np.array([0.0, 1.0, 2.5]), np.array([0.5, 2.0])
    for transform in (ad.value_and_grad, ad.hessian):
        near, far = transform(gaussian)(x, y), transform(gaussian)(x + FAR, y + FAR)
        for a, b in zip(near, far, strict=True):
            assert np.allclose(a, b, rtol=1e-13, atol=1e-15)
