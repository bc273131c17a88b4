"""Factor analysis: ``x ~ N(mean, L L' + diag(exp(p)))``, by Newton's method on the likelihood.

With the covariance ``S`` of ``n`` samples the negative log-likelihood is
``n (logdet C + tr(inv(C) S) + d log(2 pi)) / 2``; a rotation of the loadings ``L`` changes nothing,
so that Hessians are singular and the trust region decides how far to go.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import FactorAnalysis

import autodiff as ad


def negative_log_likelihood(params: Any, S: Any) -> Any:
    """Per sample, without the constant."""
    L, noise = params["loadings"], np.exp(params["log_noise"])
    C = L @ L.T + np.diag(noise)
    return (np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, S))) / 2


def fit(X: Any, factors: int, method: str = "trust-region", **options: Any) -> Any:
    """``{"loadings", "log_noise"}`` from the principal components."""
    S = np.cov(X.T, bias=True)
    values, vectors = np.linalg.eigh(S)
    noise = values[:-factors].mean()
    scale = np.sqrt(np.maximum(values[-factors:] - noise, noise / 10))
    start = {
        "loadings": vectors[:, -factors:] * scale,
        "log_noise": np.log(np.maximum(np.diag(S) / 2, 1e-6)),
    }
    problem = ad.objective(negative_log_likelihood, start, S)
    return problem.minimize(method, **{"gtol": 1e-9, **options})


def covariance(params: Any) -> Any:
    """``L L' + diag(exp(p))``, which no rotation changes."""
    return params["loadings"] @ params["loadings"].T + np.diag(np.exp(params["log_noise"]))


def log_likelihood(params: Any, X: Any) -> float:
    """Of all samples."""
    S = np.cov(X.T, bias=True)
    constant = X.shape[1] * np.log(2 * np.pi) / 2
    return -len(X) * (float(negative_log_likelihood(params, S)) + constant)


def reference(X: Any, factors: int) -> tuple[Any, float]:
    """Covariance and total log-likelihood by scikit-learn's expectation maximisation."""
    model = FactorAnalysis(factors, tol=1e-12, max_iter=10_000, svd_method="lapack").fit(X)
    return model.get_covariance(), float(model.score(X) * len(X))
