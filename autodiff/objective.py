"""Objectives for SciPy: nested parameters as one vector, derivatives evaluated together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from . import pytrees, rules
from .arguments import arguments_of
from .directions import check_real
from .transforms import Transform

#: What each method of ``scipy.optimize.minimize`` takes besides the function.
TAKES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("nelder-mead", "powell", "cobyla", "cobyqa"), frozenset()),
    **dict.fromkeys(("cg", "bfgs", "l-bfgs-b", "tnc", "slsqp"), frozenset({"jac"})),
    **dict.fromkeys(("dogleg", "trust-exact"), frozenset({"jac", "hess"})),
    **dict.fromkeys(
        ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr"),
        frozenset({"jac", "hess", "hessp"}),
    ),
}
#: Keywords of ``scipy.optimize.minimize`` itself; all others are options of the method.
KEYWORDS = frozenset({"tol", "bounds", "constraints", "callback", "options"})
#: Up to this many unknowns the dense Hessian is preferred to products with it.
DENSE_LIMIT = 400


class ScipyFunctions(NamedTuple):
    """Functions of one vector, as ``scipy.optimize.minimize`` takes them."""

    fun: Callable[[Any], float]
    jac: Callable[[Any], Any]
    hess: Callable[[Any], Any]
    hessp: Callable[[Any, Any], Any]


def objective(fun: Callable[..., Any], params: Any, *args: Any, **kwargs: Any) -> Objective:
    """A scalar function of ``params``, an array or any nesting of arrays, for optimizers.

    ``fun(params, *args, **kwargs)`` is minimised over its first argument.

    >>> result = objective(lambda p: (p["a"] - 3) ** 2, {"a": 0.0}).minimize()
    >>> round(float(result.params["a"]), 6)
    3.0
    """
    return Objective(fun, params, args, kwargs)


class Objective:
    """Value, gradient, Hessian and Hessian products of a function of one vector.

    What was computed at a point is kept until another point comes. If the Hessian was wanted at
    the point before, all three are computed in one go, sharing what they have in common.
    """

    def __init__(
        self, fun: Callable[..., Any], params: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        arguments = arguments_of((params, *args), kwargs)
        check_real("objective", arguments, 0)
        self._args, self._kwargs = args, kwargs
        self._layout = _Layout(params)
        #: The parameters as one vector of float64.
        self.x0 = self._layout.vector(params)
        self._value_and_grad = Transform(fun, rules.value_and_gradient, "value_and_grad")
        self._hessian = Transform(fun, rules.hessian, "hessian")
        self._everything = Transform(fun, rules.value_gradient_hessian, "objective")
        self._hvp = Transform(fun, rules.hvp, "hvp")
        self._point: Any = None
        self._known: dict[str, Any] = {}
        #: Runs of compiled functions so far.
        self.evaluations = 0

    # -- functions of a vector --------------------------------------------------------------
    def fun(self, x: Any) -> float:
        """The value at ``x``."""
        return float(self._at(x, "fun"))

    def jac(self, x: Any) -> Any:
        """The gradient at ``x``, a vector."""
        return self._at(x, "jac")

    def hess(self, x: Any) -> Any:
        """The Hessian at ``x``, a square matrix."""
        return self._at(x, "hess")

    def hessp(self, x: Any, p: Any) -> Any:
        """The Hessian at ``x`` times the vector ``p``."""
        self.evaluations += 1
        tangents = (self._layout.params(p), *(None for _ in self._args))
        return self._layout.vector(self._hvp.run(self._arguments(x), self._kwargs, tangents))

    def to_scipy(self) -> ScipyFunctions:
        """``fun, jac, hess, hessp`` for ``scipy.optimize.minimize``; start from :attr:`x0`."""
        return ScipyFunctions(self.fun, self.jac, self.hess, self.hessp)

    def params(self, x: Any) -> Any:
        """A vector in the nesting, shapes and dtypes of the parameters."""
        return self._layout.params(x, restore_dtypes=True)

    def _arguments(self, x: Any) -> tuple[Any, ...]:
        return (self._layout.params(x), *self._args)

    def _at(self, x: Any, what: str) -> Any:
        x = np.asarray(x, dtype=float)
        if self._point is None or not np.array_equal(x, self._point):
            joint = what == "hess" or "hess" in self._known
            self._point, self._known = x.copy(), {}
            self._evaluate(joint)
        elif what not in self._known:
            self._evaluate_hessian()
        return self._known[what]

    def _evaluate(self, joint: bool) -> None:
        self.evaluations += 1
        run = self._everything if joint else self._value_and_grad
        value, gradient, *hessian = run.run(self._arguments(self._point), self._kwargs)
        self._known = {"fun": value, "jac": self._layout.vector(gradient)}
        if hessian:
            self._known["hess"] = self._layout.matrix(hessian[0])

    def _evaluate_hessian(self) -> None:
        self.evaluations += 1
        blocks = self._hessian.run(self._arguments(self._point), self._kwargs)
        self._known["hess"] = self._layout.matrix(blocks)

    # -- minimising -------------------------------------------------------------------------
    def minimize(self, method: str | None = None, *, progress: bool = False, **options: Any) -> Any:
        """Minimise with SciPy from the given parameters.

        Keywords of ``scipy.optimize.minimize`` (tol, bounds, constraints, callback, options) are
        passed on, others are options of the method (maxiter, gtol, ...). Without a method it is
        trust-exact up to DENSE_LIMIT unknowns, trust-krylov beyond, L-BFGS-B with bounds and
        trust-constr with constraints. ``progress`` shows a bar of tqdm.

        Returns SciPy's result with ``params``, the solution in the nesting of the parameters.
        """
        from scipy.optimize import minimize

        method = method or self._default_method(options)
        passed = {key: options.pop(key) for key in KEYWORDS & options.keys()}
        passed["options"] = {**(passed.get("options") or {}), **options}
        functions = self._functions_for(method)
        with _progress(passed, progress):
            result = minimize(self.fun, self.x0, method=method, **functions, **passed)
        result.params = self.params(result.x)
        return result

    def _default_method(self, options: dict[str, Any]) -> str:
        if options.get("constraints"):
            return "trust-constr"
        if options.get("bounds") is not None:
            return "L-BFGS-B"
        return "trust-exact" if self.x0.size <= DENSE_LIMIT else "trust-krylov"

    def _functions_for(self, method: str) -> dict[str, Any]:
        takes = TAKES.get(method.lower())
        if takes is None:
            raise ValueError(f"method {method!r} is none of {', '.join(TAKES)}")
        functions: dict[str, Any] = {"jac": self.jac} if "jac" in takes else {}
        if "hessp" in takes and self.x0.size > DENSE_LIMIT:
            functions["hessp"] = self.hessp
        elif "hess" in takes:
            functions["hess"] = self.hess
        return functions


class _Layout:
    """Where each leaf of nested parameters lies in the vector."""

    def __init__(self, params: Any) -> None:
        leaves, self._definition = pytrees.flatten(params)
        arrays = [np.asarray(leaf) for leaf in leaves]
        self._shapes = [array.shape for array in arrays]
        self._dtypes = [array.dtype for array in arrays]
        ends = np.cumsum([0, *(array.size for array in arrays)])
        self._slices = [
            slice(*pair) for pair in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        ]
        self.size = int(ends[-1])

    def vector(self, params: Any) -> Any:
        leaves, _ = pytrees.flatten(params)
        return np.concatenate([np.ravel(leaf) for leaf in leaves], dtype=float)

    def params(self, x: Any, restore_dtypes: bool = False) -> Any:
        x = np.asarray(x, dtype=float)
        leaves = [
            x[part].reshape(shape) for part, shape in zip(self._slices, self._shapes, strict=True)
        ]
        if restore_dtypes:
            leaves = [
                leaf.astype(dtype)[()] for leaf, dtype in zip(leaves, self._dtypes, strict=True)
            ]
        return pytrees.unflatten(self._definition, leaves)

    def matrix(self, blocks: Any) -> Any:
        """Blocks nested twice as one square matrix."""
        leaves, _ = pytrees.flatten(blocks)
        if len(leaves) == 1:
            return np.reshape(leaves[0], (self.size, self.size))
        result = np.empty((self.size, self.size))
        remaining = iter(leaves)
        for rows in self._slices:
            for columns in self._slices:
                place = result[rows, columns]
                place[...] = np.reshape(next(remaining), place.shape)
        return result


@contextmanager
def _progress(passed: dict[str, Any], wanted: bool) -> Any:
    """Count iterations with tqdm beside the caller's own callback."""
    if not wanted:
        yield
        return
    from tqdm import tqdm

    own = passed.get("callback")
    with tqdm(unit=" iterations") as bar:

        def callback(x: Any, *state: Any) -> Any:
            bar.update()
            return own(x, *state) if own else None

        passed["callback"] = callback
        yield


__all__ = ["Objective", "ScipyFunctions", "objective"]
