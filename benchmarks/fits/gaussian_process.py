"""Hyperparameters of a Gaussian process: ``(y' inv(K) y + logdet(K) + n log(2 pi)) / 2``.

``K = variance exp(-|x_i - x_j|^2 / (2 length^2)) + noise I``, in logarithms of the three.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

import autodiff as ad


def negative_log_likelihood(theta: Any, squared: Any, y: Any, identity: Any) -> Any:
    """``theta = log [variance, length, noise]``; ``squared`` holds squared distances."""
    K = np.exp(theta[0] - squared / (2 * np.exp(2 * theta[1]))) + np.exp(theta[2]) * identity
    fit = y @ np.linalg.solve(K, y)
    return (fit + np.linalg.slogdet(K)[1] + len(y) * np.log(2 * np.pi)) / 2


def fit(x: Any, y: Any, start: Any, method: str = "trust-region", **options: Any) -> Any:
    """Logarithms of variance, length and noise for inputs ``x`` of one row per point."""
    squared = np.sum((x[:, None] - x[None]) ** 2, axis=2)
    identity = np.eye(len(y))
    problem = ad.objective(negative_log_likelihood, np.asarray(start), squared, y, identity)
    return problem.minimize(method, **options)


def reference(x: Any, y: Any, start: Any) -> tuple[Any, float]:
    """The same logarithms and the negative log-likelihood by scikit-learn."""
    variance, length, noise = np.exp(start)
    wide = (1e-9, 1e9)
    kernel = ConstantKernel(variance, wide) * RBF(length, wide) + WhiteKernel(noise, wide)
    model = GaussianProcessRegressor(kernel, alpha=0.0).fit(x, y)
    return model.kernel_.theta, -model.log_marginal_likelihood_value_
