"""What every optimizer of this library returns, SciPy's methods included."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from .structured import StructuredOperator


class Result(OptimizeResult):
    """A ``scipy.optimize.OptimizeResult``: a dict whose entries are attributes.

    ``solution`` (also ``params``) is nested as the start was, ``x`` the same as one vector.
    ``fun`` is the value, ``jac`` the gradient and ``gradient_norm`` its norm (``optimality`` what
    the method brings to zero, which with bounds or a penalty is something else); ``nit``, ``nfev``,
    ``njev``, ``nhev`` count iterations, values, gradients and Hessians (or products with them).
    ``success``, ``status`` and ``message`` say why it ended, ``history`` what value, gradient norm
    and seconds there were after each iteration.

    >>> import numpy as np, autodiff as ad
    >>> r = ad.objective(lambda x: np.sum((x - 1) ** 2), np.zeros(2)).minimize("newton")
    >>> r.solution, r.standard_errors()
    (array([1., 1.]), array([0.70710678, 0.70710678]))
    """

    def __init__(self, problem: Any, **entries: Any) -> None:
        super().__init__(**entries)
        object.__setattr__(self, "_problem", problem)
        self.solution = self.params = problem.params(self.x)

    @property
    def hessian(self) -> StructuredOperator:
        """The Hessian (or its model: ``J' J``, the Fisher matrix) at the solution, an operator."""
        return self._problem.local(self.x).operator

    def standard_errors(self, scale: float = 1.0) -> Any:
        """``sqrt(scale * diag(inv(H)))`` at the solution, nested as the parameters.

        With a negative log-likelihood as objective these are the asymptotic standard errors; with
        half the sum of squared residuals ``scale`` is their variance.
        """
        variances = scale * self.hessian.inverse_diagonal()
        return self._problem.params(np.sqrt(np.ravel(variances)))
