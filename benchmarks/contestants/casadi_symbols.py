"""CasADi: matrix symbols, expanded to scalars where that is small, sparse Hessians made dense.

Its matrices have two axes and its functions are its own, so the losses it can say are written here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..calling import Call, Refused
from ..modelling import Model

NAME = "CasADi"
PACKAGE = "casadi"
#: Entries of arguments up to which a function is expanded to scalars.
EXPANDED = 2000


def _ridge(ca: Any, w: Any) -> Any:
    return 0.5 * ca.sumsqr(w)


def _rosenbrock(ca: Any, x: Any) -> Any:
    return 100 * ca.sumsqr(x[1:] - x[:-1] ** 2) + ca.sumsqr(1 - x[:-1])


def _huber(ca: Any, w: Any, X: Any, y: Any) -> Any:
    r = ca.fabs(X @ w - y)
    return ca.sum1(ca.if_else(r < 1, 0.5 * r**2, r - 0.5)) + _ridge(ca, w)


def _softmax(ca: Any, W: Any, X: Any, Y: Any) -> Any:
    scores = X @ W
    totals = ca.sum1(ca.log(ca.sum2(ca.exp(scores))))
    return _ridge(ca, W) + totals - ca.sum1(ca.sum2(Y * scores))


LOSSES: dict[str, Callable[..., Any]] = {
    "quadratic form": lambda ca, x, A: ca.bilin(A, x, x),
    "logistic regression": lambda ca, w, X, y: (
        ca.sum1(ca.log1p(ca.exp(-y * (X @ w)))) + _ridge(ca, w)
    ),
    "softmax regression": _softmax,
    "Poisson regression": lambda ca, w, X, y: ca.sum1(ca.exp(X @ w) - y * (X @ w)) + _ridge(ca, w),
    "ridge regression": lambda ca, w, X, y: ca.sumsqr(X @ w - y) + _ridge(ca, w),
    "squared hinge": lambda ca, w, X, y: ca.sumsqr(ca.fmax(0, 1 - y * (X @ w))) + _ridge(ca, w),
    "Huber regression": _huber,
    "matrix factorization": lambda ca, U, V, T: ca.sumsqr(T - U @ V.T),
    "masked factorization": lambda ca, U, V, T, M: (
        ca.sum1(ca.sum2(M * (T - U @ V.T) ** 2)) + 0.1 * ca.sumsqr(U)
    ),
    "Rosenbrock": _rosenbrock,
    "margin loss": lambda ca, z, y: ca.sum1(ca.log1p(ca.exp(-y * z))),
}


def contestant(model: Model, result: str, arguments: tuple[Any, ...], direction: Any) -> Call:
    """A CasADi function of the arguments; arrays become its dense matrices at every call."""
    import casadi as ca

    if model.name not in LOSSES:
        raise Refused("needs arrays of more than two axes, or functions that it lacks")
    if str(arguments[0].dtype) != "float64":
        raise Refused("computes in float64 only")
    if sum(a.size for a in arguments) > 100 * EXPANDED:
        raise Refused("takes minutes to build at this size")
    symbols = [ca.MX.sym(f"a{k}", *_shape(a)) for k, a in enumerate(arguments)]
    loss = LOSSES[model.name](ca, *symbols)
    v = ca.MX.sym("v", *_shape(direction))
    inputs, given = (symbols, arguments)
    if result == "Hessian product":
        inputs, given = [*symbols, v], (*arguments, direction)
    function = ca.Function("f", inputs, _outputs(ca, result, loss, symbols[0], v))
    if sum(a.size for a in arguments) <= EXPANDED and result != "Newton step":
        function = function.expand()
    shape = arguments[0].shape
    return lambda: _arrays(result, function(*given), shape)


def _outputs(ca: Any, result: str, loss: Any, x: Any, v: Any) -> list[Any]:
    if result == "value":
        return [loss]
    if result == "value and gradient":
        return [loss, ca.gradient(loss, x)]
    if result == "Hessian product":
        return [ca.jtimes(ca.gradient(loss, x), x, v)]
    hessian, gradient = ca.hessian(loss, x)
    if result == "Hessian":
        return [hessian]
    return [ca.solve(ca.densify(hessian), ca.vec(gradient), "ldl")]


def _shape(array: Any) -> tuple[int, int]:
    return (array.shape[0], array.shape[1] if array.ndim > 1 else 1)


def _arrays(result: str, found: Any, shape: tuple[int, ...]) -> Any:
    """NumPy arrays with the axes in order; CasADi's matrices run through columns first."""
    if result == "value":
        return float(found)
    if result == "value and gradient":
        return float(found[0]), found[1].full().reshape(shape)
    if result == "Hessian":
        dense = found.full().reshape(*shape[::-1], *shape[::-1])
        axes = range(len(shape))
        return dense.transpose(*reversed(axes), *(len(shape) + k for k in reversed(axes)))
    if result == "Newton step":
        return found.full().ravel().reshape(shape, order="F")
    return found.full().reshape(shape)
