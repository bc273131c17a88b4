"""Generalised linear models by natural gradient with the exact Fisher information.

With ``eta`` the natural parameters the Fisher information is ``J' A''(eta) J``. For a canonical
link (Poisson) that is the Hessian; for the logarithmic link of exponential waiting times,
``eta = -exp(-X w)``, it is not, and the steps are those of Fisher scoring.

Source: McCullagh, Nelder, *Generalized Linear Models* (1989), section 2.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import GammaRegressor, PoissonRegressor

import autodiff as ad

#: Natural parameters by the linear predictor, and scikit-learn's class of the same estimates: the
#: dispersion of gamma variables does not move them, and exponential ones are gamma variables.
FAMILIES: dict[str, tuple[Any, Any]] = {
    "poisson": (lambda linear: linear, PoissonRegressor),
    "exponential": (lambda linear: -np.exp(-linear), GammaRegressor),
}


def fit(X: Any, y: Any, family: str = "poisson", **options: Any) -> Any:
    """``{"w", "b"}`` of the mean ``exp(X w + b)``, without a penalty."""
    link, _ = FAMILIES[family]

    def natural(params: Any, X: Any, y: Any) -> Any:
        return link(X @ params["w"] + params["b"]), y

    start = {"w": np.zeros(X.shape[1]), "b": float(np.log(np.mean(y)))}
    problem = ad.objective(natural, start, X, np.asarray(y, dtype=float))
    return problem.minimize("natural-gradient", family=family, **options)


def reference(X: Any, y: Any, family: str = "poisson") -> dict[str, Any]:
    """The same parameters by scikit-learn."""
    _, model = FAMILIES[family]
    found = model(alpha=0, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
    return {"w": found.coef_, "b": found.intercept_}
