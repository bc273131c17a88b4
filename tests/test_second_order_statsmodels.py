"""Estimates and standard errors against statsmodels, where that is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from benchmarks.fits import data

sm = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")


def with_constant(X: Any) -> Any:
    return np.column_stack([np.ones(len(X)), X])


def test_standard_errors_of_logistic_regression() -> None:
    X, y = data.breast_cancer()
    X = with_constant(X[:, :4])

    def loss(w: Any, X: Any, y: Any) -> Any:
        return np.sum(np.log(1 + np.exp(-y * (X @ w))))

    ours = ad.objective(loss, np.zeros(5), X, y).minimize("newton", gtol=1e-9)
    theirs = sm.Logit((y + 1) / 2, X).fit(method="newton", tol=1e-12, disp=0)
    np.testing.assert_allclose(ours.x, theirs.params, rtol=1e-7)
    np.testing.assert_allclose(ours.standard_errors(), theirs.bse, rtol=1e-6)


@pytest.mark.parametrize("method", ["newton", "natural-gradient"])
def test_standard_errors_of_poisson_regression(method: str) -> None:
    X, y = data.diabetes()
    X = with_constant(X[:, :5])
    start = np.concatenate([[np.log(y.mean())], np.zeros(5)])
    if method == "newton":
        problem = ad.objective(lambda w, X, y: np.sum(np.exp(X @ w) - y * (X @ w)), start, X, y)
        ours = problem.minimize(method, gtol=1e-8)
    else:
        problem = ad.objective(lambda w, X, y: (X @ w, y), start, X, y)
        ours = problem.minimize(method, family="poisson", gtol=1e-8)
    theirs = sm.GLM(y, X, family=sm.families.Poisson()).fit(tol=1e-14)
    np.testing.assert_allclose(ours.x, theirs.params, rtol=1e-7)
    np.testing.assert_allclose(ours.standard_errors(), theirs.bse, rtol=1e-6)


def test_standard_errors_of_huber_regression() -> None:
    """At a given scale; the sandwich of statsmodels' H1 for Huber's psi, from our Hessian."""
    X, y = data.diabetes()
    X = with_constant(X[:, :4])
    scale, k = 55.0, 1.345

    def loss(w: Any, X: Any, y: Any) -> Any:
        r = np.abs((X @ w - y) / scale)
        return np.sum(np.where(r < k, r**2 / 2, k * r - k**2 / 2))

    ours = ad.objective(loss, np.linalg.lstsq(X, y)[0], X, y).minimize("newton", gtol=1e-10)
    norm = sm.robust.norms.HuberT(t=k)
    r = (X @ ours.x - y) / scale
    np.testing.assert_allclose(X.T @ norm.psi(r), 0, atol=1e-7)
    expected = X.T @ (norm.psi_deriv(r)[:, None] * X) / scale**2
    np.testing.assert_allclose(ours.hessian.todense(), expected, rtol=1e-9)
    theirs = sm.RLM(y, X, M=norm).fit(update_scale=True, tol=1e-12, maxiter=500)
    again = ad.objective(
        lambda w, X, y, s: np.sum(huber((X @ w - y) / s, k)), ours.x, X, y, float(theirs.scale)
    ).minimize("newton", gtol=1e-11)
    np.testing.assert_allclose(again.x, theirs.params, rtol=1e-5)
    n, p = X.shape
    r = (y - X @ again.x) / theirs.scale
    slope = np.mean(norm.psi_deriv(r))
    correction = 1 + p / n * np.var(norm.psi_deriv(r)) / slope**2
    variance = np.sum(norm.psi(r) ** 2) * theirs.scale**2 / (n - p) / slope**2
    errors = correction * np.sqrt(variance * np.diag(np.linalg.inv(X.T @ X)))
    np.testing.assert_allclose(errors, theirs.bse, rtol=1e-5)


def huber(r: Any, k: float) -> Any:
    size = np.abs(r)
    return np.where(size < k, r**2 / 2, k * size - k**2 / 2)
