"""Quasi-Newton methods: SciPy's BFGS and L-BFGS with derived gradients."""

from __future__ import annotations

from typing import Any

from scipy.optimize import Bounds

from ..objectives import Objective
from ..result import Result
from .bounds import box_of
from .iteration import method


@method()
def bfgs(problem: Objective, *, gtol: float = 1e-8, **options: Any) -> Result:
    """SciPy's BFGS: a dense approximation of the inverse Hessian by updates of rank two.

    ``options`` are those of ``scipy.optimize.minimize(method="BFGS")``, callback and progress.

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> found = ad.objective(rosenbrock, np.array([-1.2, 1.0])).minimize("BFGS")
    >>> found.x.round(3)
    array([1., 1.])
    """
    return problem.minimize("BFGS", gtol=gtol, **options)


@method("l-bfgs")
def lbfgs(
    problem: Objective, *, gtol: float = 1e-8, ftol: float = 0.0, bounds: Any = None, **options: Any
) -> Result:
    """SciPy's L-BFGS-B: the last few updates, within ``bounds = (lower, upper)`` if there are any.

    ``options`` are those of ``scipy.optimize.minimize(method="L-BFGS-B")``, callback and progress.

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> found = ad.objective(rosenbrock, np.array([-1.2, 1.0])).minimize("L-BFGS-B")
    >>> found.x.round(3)
    array([1., 1.])
    """
    options = {"gtol": gtol, "ftol": ftol, **options}
    box = None if bounds is None else Bounds(*box_of(problem, bounds))
    return problem.minimize("L-BFGS-B", bounds=box, **options)


__all__ = ["bfgs", "lbfgs"]
