"""Gaussian mixtures with diagonal covariances, by Newton's method on the likelihood itself.

Parameters are unconstrained: scores of the weights (softmax), means, logarithms of variances.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

import autodiff as ad


def negative_log_likelihood(params: Any, X: Any) -> Any:
    """``-sum_i log(sum_c pi_c N(x_i | mu_c, diag(v_c)))``, and what fixes the scores' sum."""
    scores, means, logs = params["scores"], params["means"], params["log_variances"]
    distances = (X[:, None, :] - means[None]) ** 2 * np.exp(-logs)[None]
    densities = -np.sum(distances + logs[None] + np.log(2 * np.pi), axis=2) / 2
    weights = scores - np.log(np.sum(np.exp(scores)))
    likelihood = np.sum(np.log(np.sum(np.exp(densities + weights[None]), axis=1)))
    return np.sum(scores) ** 2 / 2 - likelihood


def fit(X: Any, start: Any, method: str = "trust-region", **options: Any) -> Any:
    """``{"scores", "means", "log_variances"}`` from a start of the same nesting."""
    return ad.objective(negative_log_likelihood, start, X).minimize(method, **options)


def reference(X: Any, components: int, seed: int = 0, tol: float = 1e-3) -> tuple[Any, float]:
    """Parameters by scikit-learn's expectation maximisation, and their total log-likelihood."""
    model = GaussianMixture(
        components,
        covariance_type="diag",
        reg_covar=0.0,
        tol=tol,
        max_iter=100_000,
        random_state=seed,
    ).fit(X)
    scores = np.log(model.weights_)
    params = {
        "scores": scores - scores.mean(),
        "means": model.means_,
        "log_variances": np.log(model.covariances_),
    }
    return params, float(model.score(X) * len(X))
