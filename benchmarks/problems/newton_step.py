"""A Newton step of Poisson regression: gradient, Hessian and a solve by Cholesky."""

import numpy
from scipy.linalg import cho_factor, cho_solve

import backends

from .logistic_regression import standardised
from .problem import Problem, generator


class NewtonStep(Problem):
    """The data: the number that a digit shows as a count of its pixels."""

    name = "Newton step of Poisson regression"
    variables = "w: n, X: m n, y: m"
    source = "digits, pixels and labels"
    targets = {1000: 2}

    def function(self, np):
        return lambda w, X, y: np.sum(np.exp(X @ w) - y * (X @ w)) + 0.5 * (w @ w)

    def make(self, size, dtype):
        rng = generator(size)
        X = rng.normal(size=(2 * size, size)) / size**0.5
        return 0.1 * rng.normal(size=size), X, rng.poisson(1.0, size=2 * size)

    def data(self, dtype):
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        X = standardised(pixels) / 8
        return 0.1 * generator(3).normal(size=X.shape[1]), X, labels

    def ours(self):
        formulas = self.formulas()
        slope_and_curvature = backends.compile([formulas["gradient"], formulas["Hessian"]])

        def step(w, X, y):
            gradient, hessian = slope_and_curvature(w=w, X=X, y=y)
            return cho_solve(cho_factor(hessian, check_finite=False), gradient, check_finite=False)

        return step

    def jax(self, jax):
        loss = self.function(jax.numpy)

        def step(w, X, y):
            hessian, gradient = jax.hessian(loss)(w, X, y), jax.grad(loss)(w, X, y)
            return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(hessian), gradient)

        return step

    def by_hand(self, w, X, y):
        rate = numpy.exp(X @ w)
        hessian = X.T @ (rate[:, None] * X) + numpy.eye(len(w), dtype=w.dtype)
        gradient = X.T @ (rate - y) + w
        return cho_solve(cho_factor(hessian, check_finite=False), gradient, check_finite=False)
