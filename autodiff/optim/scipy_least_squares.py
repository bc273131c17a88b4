"""SciPy's trust-region least squares with derived Jacobians: bounds, robust losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from ..objectives import Objective
from ..result import Result
from .bounds import box_of
from .gauss_newton import Jacobian
from .iteration import method
from .watched import Watched


@method("least-squares")
def least_squares(
    problem: Objective,
    *,
    bounds: Any = None,
    algorithm: str = "trf",
    x_scale: Any = "jac",
    gtol: float = 1e-10,
    xtol: float = 1e-15,
    ftol: float = 1e-15,
    maxiter: int = 10_000,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
    **options: Any,
) -> Result:
    """``scipy.optimize.least_squares`` on the residuals that the function returns.

    ``algorithm`` is ``"trf"``, ``"dogbox"`` or ``"lm"``; ``maxiter`` bounds the evaluations, and
    ``options`` (loss, f_scale, tr_solver, ...) are SciPy's. Source: Branch, Coleman, Li, *A
    subspace, interior, and conjugate gradient method for large-scale bound-constrained
    minimization problems* (1999).

    >>> import numpy as np, autodiff as ad
    >>> residuals = lambda x: np.stack([1 - x[0], 10 * (x[1] - x[0] ** 2)])
    >>> found = ad.objective(residuals, np.array([-1.2, 1.0])).minimize("least-squares")
    >>> found.x.round(3)
    array([1., 1.])
    """
    jacobian = Jacobian(problem)
    with Watched(progress, None, callback) as watched:

        def after(intermediate_result: Any) -> None:
            watched(intermediate_result.x, intermediate_result.cost)

        found = optimize.least_squares(
            jacobian.residuals,
            problem.x0,
            jacobian,
            bounds=box_of(problem, bounds),
            method=algorithm,
            x_scale=x_scale,
            gtol=gtol,
            xtol=xtol,
            ftol=ftol,
            max_nfev=maxiter,
            **({} if algorithm == "lm" else {"callback": after}),  # MINPACK calls nothing
            **options,
        )
    return _result(problem, found, watched.history, f"least-squares ({algorithm})")


def _result(problem: Objective, found: Any, history: list[dict[str, float]], name: str) -> Result:
    return Result(
        problem.least_squares(),
        x=found.x,
        fun=float(found.cost),
        jac=found.grad,
        gradient_norm=float(np.linalg.norm(found.grad)),
        optimality=float(found.optimality),
        nit=len(history),
        nfev=found.nfev,
        njev=found.njev,
        nhev=0,
        success=found.success,
        status=found.status,
        message=found.message,
        history=history,
        method=name,
    )


__all__ = ["least_squares"]
