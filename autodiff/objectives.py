"""Objectives for SciPy: nested parameters as one vector, derivatives evaluated together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from scipy.optimize import NonlinearConstraint

from . import curvature_rules, pytrees, rules
from .arguments import arguments_of
from .curvature_rules import Local
from .directions import check_real
from .method_options import check_options, unknown_method
from .result import Result
from .transforms import StructuredTransform, Transform

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
#: Methods of this library by name; :mod:`autodiff.optim` enters them.
METHODS: dict[str, Callable[..., Result]] = {}
#: Keywords of ``scipy.optimize.minimize`` itself; all others are options of the method.
KEYWORDS = frozenset({"tol", "bounds", "constraints", "callback", "options"})
#: Up to this many unknowns the dense Hessian is preferred to products with it.
DENSE_LIMIT = 400


#: A number per log-partition function: their Fisher matrices are different derivations.
_labels: WeakKeyDictionary[Callable[[Any], Any], int] = WeakKeyDictionary()
_fresh = itertools.count()


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

    Raises DerivativeError if a parameter is not real.
    """
    return Objective(fun, params, args, kwargs)


class Objective:
    """Value, gradient, Hessian and Hessian products of a function of one vector.

    What was computed at a point is kept until another point comes. If the Hessian was wanted at
    the point before, all three are computed in one go, sharing what they have in common.

    >>> import numpy as np, autodiff as ad
    >>> problem = ad.objective(lambda x: np.sum((x - 1) ** 2), np.zeros(2))
    >>> problem.fun(problem.x0), problem.jac(problem.x0)
    (2.0, array([-2., -2.]))
    >>> problem.hess(problem.x0)
    array([[2., 0.],
           [0., 2.]])
    >>> problem.evaluations
    2
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        params: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        curvature: Transform | None = None,
    ) -> None:
        arguments = arguments_of((params, *args), kwargs)
        check_real("objective", arguments, 0)
        self.function, self._args, self._kwargs = fun, args, kwargs
        self._layout = _Layout(params)
        #: The parameters as one vector of float64.
        self.x0 = self._layout.vector(params)
        self._value = Transform(fun, rules.value, "value")
        self._value_and_grad = Transform(fun, rules.value_and_gradient, "value_and_grad")
        self._hessian = Transform(fun, rules.hessian, "hessian")
        self._everything = Transform(fun, rules.value_gradient_hessian, "objective")
        self._hvp = Transform(fun, rules.hvp, "hvp")
        self._local = curvature or StructuredTransform(
            fun, curvature_rules.local_hessian, "local hessian"
        )
        self._point: Any = None
        self._known: dict[str, Any] = {}
        self._local_point: Any = None
        self._local_known: Any = None
        #: Runs of compiled functions so far.
        self.evaluations = 0
        #: Values, gradients, and Hessians (or products with them) computed so far.
        self.counts = {"nfev": 0, "njev": 0, "nhev": 0}

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
        self._count(nhev=1)
        tangents = (self._layout.params(p), *(None for _ in self._args))
        return self._layout.vector(self._hvp.run(self._arguments(x), self._kwargs, tangents))

    def value(self, x: Any) -> float:
        """The value at ``x`` without a gradient, for searches that try many points."""
        if self._point is not None and np.array_equal(x, self._point):
            return float(self._known["fun"])
        self._count(nfev=1)
        return float(self._value.run(self._arguments(x), self._kwargs))

    def local(self, x: Any) -> Local:
        """Value, gradient (a vector) and Hessian (a structured operator) at ``x``, in one run."""
        x = np.asarray(x, dtype=float)
        if self._local_point is None or not np.array_equal(x, self._local_point):
            self._count(nfev=1, njev=1, nhev=1)
            found = self._local.run(self._arguments(x), self._kwargs)
            gradient = np.concatenate([np.ravel(g) for g in found.gradients], dtype=float)
            self._local_point = x.copy()
            self._local_known = Local(float(found.value), gradient, found.operator)
        return self._local_known

    def operator(self, x: Any) -> Any:
        """The Hessian at ``x`` as a structured operator."""
        return self.local(x).operator

    def least_squares(self) -> Objective:
        """For a function that returns residuals ``r``: ``sum(r^2) / 2``, with ``J' J`` as Hessian.

        The Hessian is that of the Gauss-Newton model only where an operator is asked for.
        """
        rule = curvature_rules.local_gauss_newton
        curvature = StructuredTransform(self.function, rule, "gauss-newton")
        return self._with(curvature_rules.half_squares(self.function), curvature)

    def likelihood(self, log_partition: Callable[[Any], Any]) -> Objective:
        """For a function that returns ``(eta, y)``: ``A(eta) - sum(eta * y)``, with its Fisher
        information as Hessian where an operator is asked for.
        """
        rule = curvature_rules.local_fisher(log_partition)
        label = _labels.setdefault(log_partition, next(_fresh))
        both = curvature_rules.exponential_family(self.function, log_partition)
        curvature = StructuredTransform(both, rule, f"fisher information {label}")
        return self._with(curvature_rules.first_of(both), curvature)

    def _with(self, fun: Callable[..., Any], curvature: Transform) -> Objective:
        start = self._layout.params(self.x0)
        return Objective(fun, start, self._args, self._kwargs, curvature)

    def to_scipy(self) -> ScipyFunctions:
        """``fun, jac, hess, hessp`` for ``scipy.optimize.minimize``; start from :attr:`x0`."""
        return ScipyFunctions(self.fun, self.jac, self.hess, self.hessp)

    def params(self, x: Any) -> Any:
        """A vector in the nesting, shapes and dtypes of the parameters."""
        return self._layout.params(x, restore_dtypes=True)

    def vector(self, params: Any) -> Any:
        """Nested arrays as one vector, in the order of :attr:`x0`."""
        return self._layout.vector(params)

    @property
    def leaves(self) -> list[int]:
        """Number of entries of each array of the parameters, in the order of the vector."""
        return self._layout.sizes

    def call(self, transform: Transform, x: Any) -> Any:
        """Another transform of the same arguments at ``x``."""
        self._count()
        return transform.run(self._arguments(x), self._kwargs)

    def _count(self, **computed: int) -> None:
        self.evaluations += 1
        for name, number in computed.items():
            self.counts[name] += number

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
        self._count(nfev=1, njev=1, nhev=int(joint))
        run = self._everything if joint else self._value_and_grad
        value, gradient, *hessian = run.run(self._arguments(self._point), self._kwargs)
        self._known = {"fun": value, "jac": self._layout.vector(gradient)}
        if hessian:
            self._known["hess"] = self._layout.matrix(hessian[0])

    def _evaluate_hessian(self) -> None:
        self._count(nhev=1)
        blocks = self._hessian.run(self._arguments(self._point), self._kwargs)
        self._known["hess"] = self._layout.matrix(blocks)

    # -- minimising -------------------------------------------------------------------------
    def minimize(
        self, method: str | None = None, *, progress: bool = False, **options: Any
    ) -> Result:
        """Minimise from the given parameters by a method of this library or of SciPy.

        Methods of this library are those of :mod:`autodiff.optim` (``newton``, ``trust-region``,
        ``gauss-newton``, ``levenberg-marquardt``, ...); options are the function's. For SciPy's,
        keywords of ``scipy.optimize.minimize`` (tol, bounds, constraints, callback, options) are
        passed on, others are options of the method (maxiter, gtol, ...). A constraint whose
        Jacobian is not given is a function of the nested parameters, and its Jacobian is derived.

        Without a method it is trust-exact up to DENSE_LIMIT unknowns, trust-krylov beyond,
        L-BFGS-B with bounds and trust-constr with constraints. ``progress`` shows a bar of tqdm.
        """
        method = method or self._default_method(options)
        if method.lower() in METHODS:
            solver = METHODS[method.lower()]
            check_options(method, solver, options)
            return solver(self, progress=progress, **options)
        return self._scipy(method, progress, options)

    def _scipy(self, method: str, progress: bool, options: dict[str, Any]) -> Result:
        from scipy.optimize import minimize

        passed = {key: options.pop(key) for key in KEYWORDS & options.keys()}
        passed["options"] = {**(passed.get("options") or {}), **options}
        if passed.get("constraints"):
            passed["constraints"] = derived_constraints(self, passed["constraints"])
        functions = self.functions_for(method)
        with _watched(self, passed, progress) as history:
            found = minimize(self.fun, self.x0, method=method, **functions, **passed)
        entries = {"nit": len(history), **found, "method": method, "history": history}
        result = Result(self, **entries)
        result.jac = self.jac(result.x)
        result.gradient_norm = float(np.linalg.norm(result.jac))
        return result

    def _default_method(self, options: dict[str, Any]) -> str:
        if options.get("constraints"):
            return "trust-constr"
        if options.get("bounds") is not None:
            return "L-BFGS-B"
        return "trust-exact" if self.x0.size <= DENSE_LIMIT else "trust-krylov"

    def functions_for(self, method: str) -> dict[str, Any]:
        """Those derivatives that a method of ``scipy.optimize.minimize`` takes, as keywords.

        Raises ValueError for a method that neither SciPy nor this library has.
        """
        takes = TAKES.get(method.lower())
        if takes is None:
            raise unknown_method(method, [*METHODS, *TAKES])
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

    @property
    def sizes(self) -> list[int]:
        return [part.stop - part.start for part in self._slices]

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
def _watched(problem: Objective, passed: dict[str, Any], progress: bool) -> Any:
    """Keep the values of iterations, and count them with tqdm, beside the caller's callback."""
    history: list[dict[str, float]] = []
    own, bar = passed.get("callback"), None
    if progress:
        from tqdm import tqdm

        bar = tqdm(unit=" iterations")

    def callback(x: Any, *state: Any) -> Any:
        history.append({"fun": problem.value(x)})
        if bar is not None:
            bar.update()
        return own(x, *state) if own else None

    passed["callback"] = callback
    try:
        yield history
    finally:
        if bar is not None:
            bar.close()


def derived_constraints(problem: Objective, constraints: Any) -> Any:
    """SciPy's constraints with Jacobians and Hessians derived where they are not given.

    A ``NonlinearConstraint`` or dict without a Jacobian has a function of the nested parameters;
    all others are passed on as they are.
    """
    if isinstance(constraints, (list, tuple)):
        return [_with_jacobian(problem, each) for each in constraints]
    return _with_jacobian(problem, constraints)


def _with_jacobian(problem: Objective, constraint: Any) -> Any:
    if isinstance(constraint, dict) and constraint.get("jac") is None:
        made = _Constraint(problem, constraint["fun"], constraint.get("args", ()))
        kept = {key: value for key, value in constraint.items() if key != "args"}
        return {**kept, "fun": made.fun, "jac": made.jac}
    if isinstance(constraint, NonlinearConstraint) and not callable(constraint.jac):
        made = _Constraint(problem, constraint.fun)
        lower, upper = constraint.lb, constraint.ub
        return NonlinearConstraint(made.fun, lower, upper, jac=made.jac, hess=made.hess)
    return constraint


class _Constraint:
    """A function of nested parameters as one of a vector, with derivatives."""

    def __init__(
        self, problem: Objective, fun: Callable[..., Any], args: Sequence[Any] = ()
    ) -> None:
        self._problem, self._fun, self._args = problem, fun, tuple(args)
        self._jacobian = Transform(fun, rules.jacobian, "jacobian")

        def weighted(params: Any, multipliers: Any, *rest: Any) -> Any:
            return np.sum(np.ravel(fun(params, *rest)) * multipliers)

        self._weighted = Transform(weighted, rules.hessian, "hessian")

    def fun(self, x: Any) -> Any:
        return np.ravel(self._fun(self._problem.params(x), *self._args))

    def jac(self, x: Any) -> Any:
        blocks, _ = pytrees.flatten(self._jacobian(self._problem.params(x), *self._args))
        rows = len(self.fun(x))
        return np.concatenate([np.reshape(b, (rows, -1)) for b in blocks], axis=1)

    def hess(self, x: Any, multipliers: Any) -> Any:
        params = self._problem.params(x)
        blocks = self._weighted(params, np.asarray(multipliers, float), *self._args)
        return self._problem._layout.matrix(blocks)


__all__ = ["METHODS", "Objective", "ScipyFunctions", "objective"]
