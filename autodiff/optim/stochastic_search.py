"""Searches that draw random numbers: random directions, and SciPy's global methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import optimize

from ..objectives import Objective
from ..result import Result
from .bounds import box_of
from .iteration import Point, iterate, method, point_at
from .watched import Watched


@method("random-directions")
def random_directions(
    problem: Objective,
    *,
    seed: Any = None,
    gtol: float = 1e-6,
    maxiter: int = 20000,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = False,
) -> Result:
    """Newton steps along random lines: ``t = -g.d / |d.H d|``, halved until they descend.

    Both numbers are derivatives along the line, exact and without a Hessian.

    >>> import numpy as np, autodiff as ad
    >>> problem = ad.objective(lambda x: np.sum((x - 1) ** 2), np.zeros(3))
    >>> found = problem.minimize("random-directions", seed=0)
    >>> found.x.round(3)
    array([1., 1., 1.])
    """
    rng = np.random.default_rng(seed)

    def steps() -> Iterator[Point]:
        point = point_at(problem, problem.x0)
        while True:
            yield point
            d = rng.normal(size=len(point.x))
            d /= np.linalg.norm(d)
            curvature = abs(float(d @ problem.hessp(point.x, d)))
            t = -float(point.gradient @ d) / max(curvature, 1e-12)
            while not problem.value(point.x + t * d) <= point.value:
                t /= 2
            point = point_at(problem, point.x + t * d)

    return iterate(
        problem,
        steps(),
        "random-directions",
        gtol=gtol,
        maxiter=maxiter,
        callback=callback,
        progress=progress,
    )


@method("basin-hopping")
def basin_hopping(
    problem: Objective,
    *,
    local: str = "L-BFGS-B",
    niter: int = 100,
    seed: Any = None,
    progress: bool = False,
    callback: Callable[[Any], Any] | None = None,
    **options: Any,
) -> Result:
    """SciPy's basin hopping; local searches by a method of SciPy with derived derivatives.

    ``options`` are those of ``scipy.optimize.basinhopping`` (T, stepsize, ...).

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> problem = ad.objective(rosenbrock, np.array([-1.2, 1.0]))
    >>> found = problem.minimize("basin-hopping", niter=2, seed=0)
    >>> found.x.round(3)
    array([1., 1.])
    """
    local_options = {"method": local, **problem.functions_for(local)}
    with Watched(progress, niter, callback) as watched:

        def after(x: Any, value: float, accepted: bool) -> Any:
            return watched(x, value)

        found = optimize.basinhopping(
            problem.fun,
            problem.x0,
            niter=niter,
            minimizer_kwargs=local_options,
            rng=seed,
            callback=after,
            **options,
        )
    return _result(problem, found, watched, "basin-hopping")


@method("dual-annealing", "simulated-annealing")
def dual_annealing(
    problem: Objective,
    *,
    bounds: Any,
    maxiter: int = 1000,
    seed: Any = None,
    progress: bool = False,
    callback: Callable[[Any], Any] | None = None,
    **options: Any,
) -> Result:
    """SciPy's generalised simulated annealing within ``bounds = (lower, upper)``.

    Local searches have the derived gradient. ``options`` are those of
    ``scipy.optimize.dual_annealing``.

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> problem = ad.objective(rosenbrock, np.array([-1.2, 1.0]))
    >>> found = problem.minimize("dual-annealing", bounds=(-2.0, 2.0), seed=0, maxiter=20)
    >>> found.x.round(3)
    array([1., 1.])
    """
    pairs = list(zip(*box_of(problem, bounds), strict=True))
    local = {
        "method": "L-BFGS-B",
        "jac": problem.jac,
        "bounds": pairs,
    }
    with Watched(progress, maxiter, callback) as watched:

        def after(x: Any, value: float, context: int) -> Any:
            return watched(x, value)

        found = optimize.dual_annealing(
            problem.value,
            pairs,
            maxiter=maxiter,
            minimizer_kwargs=local,
            rng=seed,
            callback=after,
            x0=problem.x0,
            **options,
        )
    return _result(problem, found, watched, "dual-annealing")


@method("differential-evolution")
def differential_evolution(
    problem: Objective,
    *,
    bounds: Any,
    maxiter: int = 1000,
    seed: Any = None,
    progress: bool = False,
    callback: Callable[[Any], Any] | None = None,
    **options: Any,
) -> Result:
    """SciPy's differential evolution within ``bounds = (lower, upper)``.

    ``options`` are those of ``scipy.optimize.differential_evolution``.

    >>> import numpy as np, autodiff as ad
    >>> def rosenbrock(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> problem = ad.objective(rosenbrock, np.array([-1.2, 1.0]))
    >>> found = problem.minimize("differential-evolution", bounds=(-2.0, 2.0), seed=0)
    >>> found.x.round(3)
    array([1., 1.])
    """
    pairs = list(zip(*box_of(problem, bounds), strict=True))
    with Watched(progress, maxiter, callback) as watched:

        def after(intermediate_result: Any) -> Any:  # SciPy knows it by this name
            return watched(intermediate_result.x, intermediate_result.fun)

        found = optimize.differential_evolution(
            problem.value,
            pairs,
            maxiter=maxiter,
            rng=seed,
            callback=after,
            **options,
        )
    return _result(problem, found, watched, "differential-evolution")


def _result(problem: Objective, found: Any, watched: Watched, name: str) -> Result:
    gradient = problem.jac(found.x)
    entries = {key: value for key, value in found.items() if key != "lowest_optimization_result"}
    entries["message"] = " ".join(np.atleast_1d(found.message))
    entries |= {"jac": gradient, "gradient_norm": float(np.linalg.norm(gradient)), "method": name}
    return Result(problem, **entries, history=watched.history)


__all__ = ["basin_hopping", "differential_evolution", "dual_annealing", "random_directions"]
