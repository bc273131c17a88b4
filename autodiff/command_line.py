"""The command ``tensorcalc``: a formula in, its derivatives out.

For example: tensorcalc "norm2(X*w - y)^2" "X: m n, w: n, y: m" --wrt w --order 2
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import backends
import tensorcalc as tc
from tensorcalc.errors import NotationError, TensorcalcError, UnknownNameError
from tensorcalc.extents import evaluate as extent_value
from tensorcalc.extents import symbols_of
from tensorcalc.nodes import Node, Variable

TARGETS = ("numpy", "numba", "cuda", "jax")
#: Extents in ``--check``, in turn: different, so that a confusion of axes shows.
CHECK_SIZES = (4, 3, 5, 2)
#: Every extent in ``--bench``, in turn.
BENCH_SIZES = (10, 100, 1000)
#: A result of more entries than this is not computed by ``--bench``.
LARGEST_RESULT = 10_000_000
#: Seconds for which ``--bench`` repeats a call.
BENCH_SECONDS = 0.2
#: Largest relative error that ``--check`` calls agreement.
TOLERANCE = 1e-5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the result is its exit status.

    0 if all went well, 1 if a check failed, 2 if the request could not be understood.
    """
    try:
        request = _parser().parse_args(arguments)
        return _run(request)
    except TensorcalcError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tensorcalc", description="Derivatives of matrix and tensor expressions."
    )
    parser.add_argument("formula", help='matrix text "x\'*A*x" or index text "x[i]*A[i,j]*x[j]"')
    parser.add_argument("variables", help='declarations such as "A: n n symmetric, x: n"')
    parser.add_argument("--wrt", metavar="NAME", help="the variable to differentiate by")
    parser.add_argument("--order", type=int, default=1, choices=range(4), help="default: 1")
    modes = ("forward", "reverse", "cross-country")
    parser.add_argument("--mode", default="reverse", choices=modes)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--latex", action="store_true", help="print LaTeX")
    what.add_argument("--matrix", action="store_true", help="print matrix notation only")
    what.add_argument("--code", choices=TARGETS, metavar="TARGET", help="%(choices)s: print code")
    what.add_argument("--check", action="store_true", help="compare with finite differences")
    what.add_argument("--bench", action="store_true", help="time the compiled derivatives")
    return parser


def _run(request: argparse.Namespace) -> int:
    variables = tc.variables(request.variables)
    variables = variables if isinstance(variables, tuple) else (variables,)
    expression = tc.parse(request.formula, request.variables)
    variable = _chosen(variables, request.wrt)
    tower = _derivatives(expression, variable, request.order, request.mode)
    if request.latex:
        print("\n".join(tc.to_latex(each) for each in tower))
    elif request.matrix:
        print("\n".join(tc.to_matrix(each) for each in tower))
    elif request.code:
        compiled = backends.compile(tower, target=request.code, variables=variables)
        print(compiled.source, end="")
    elif request.check:
        return _check(tower, variable, variables)
    elif request.bench:
        _bench(tower, variables)
    else:
        _show(tower, variable)
    return 0


def _chosen(variables: Sequence[Variable], name: str | None) -> Variable:
    """The variable to differentiate by; the only one needs no name."""
    by_name = {variable.name: variable for variable in variables}
    if name is None and len(variables) == 1:
        return variables[0]
    if name not in by_name:
        raise UnknownNameError(
            f"{name!r} is not declared" if name else "which variable to differentiate by is open",
            [f"declared: {', '.join(by_name)}"],
            "add --wrt with one of them",
        )
    return by_name[name]


def _derivatives(expression: Node, variable: Node, order: int, mode: Any) -> list[Node]:
    """The expression and its derivatives; the second of a scalar in the shorter of its forms."""
    tower = [tc.simplify(expression)]
    for k in range(order):
        if k == 1 and not expression.ndim:
            tower.append(tc.hessian(expression, variable))
        else:
            tower.append(tc.derivative(tower[-1], variable, mode))
    return tower


# -- formulas -------------------------------------------------------------------------------------
def _show(tower: list[Node], variable: Variable) -> None:
    for order, node in enumerate(tower):
        print(f"{_title(tower[0], variable, order)}, shape {_shape(node.shape)}")
        print(f"  index   {node}")
        try:
            print(f"  matrix  {tc.to_matrix(node)}")
        except NotationError as error:
            print(f"  matrix  none: {str(error).splitlines()[0]}")


def _title(expression: Node, variable: Variable, order: int) -> str:
    scalar = ("function", "gradient", "Hessian", "third derivative")
    tensor = ("function", "Jacobian", "second derivative", "third derivative")
    name = (tensor if expression.ndim else scalar)[order]
    return name if order == 0 else f"{name} by {variable.name}"


def _shape(extents: Sequence[Any]) -> str:
    return "(" + ", ".join(map(str, extents)) + ("," if len(extents) == 1 else "") + ")"


# -- checking -------------------------------------------------------------------------------------
def _check(tower: list[Node], variable: Variable, variables: Sequence[Variable]) -> int:
    """Compare every derivative with central differences of the one before."""
    names = sorted({name for v in variables for extent in v.shape for name in symbols_of(extent)})
    sizes = {name: CHECK_SIZES[k % len(CHECK_SIZES)] for k, name in enumerate(names)}
    point, kind = _point(tower, variables, sizes)
    shown = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    print(f"at {kind} values" + (f" with {shown}" if shown else ""))
    passed = True
    direction = _direction(variable, point[variable.name].shape)
    for order in range(1, len(tower)):
        error = _difference(tower[order - 1], tower[order], variable, direction, point, variables)
        agrees = bool(error < TOLERANCE)
        passed = passed and agrees
        title = _title(tower[0], variable, order)
        print(f"  {title}: relative error {error:.1e}, {'agrees' if agrees else 'DISAGREES'}")
    return 0 if passed else 1


def _difference(
    base: Node, derivative: Node, variable: Variable, direction: Any, point: Any, variables: Any
) -> float:
    """Relative error of a derivative along a direction, by Richardson's central difference."""
    function = backends.compile([base, derivative], variables=variables)
    name = variable.name

    def moved(step: float) -> Any:
        return np.asarray(function(**{**point, name: point[name] + step * direction})[0])

    step = 1e-4
    near = (moved(step) - moved(-step)) / (2 * step)
    far = (moved(2 * step) - moved(-2 * step)) / (4 * step)
    derived = np.tensordot(np.asarray(function(**point)[1]), direction, axes=direction.ndim)
    scale = max(1.0, float(np.abs(near).max(initial=0)))
    return float(np.abs(derived - (4 * near - far) / 3).max(initial=0)) / scale


def _direction(variable: Variable, shape: tuple[int, ...]) -> Any:
    drawn = np.random.default_rng(1).normal(size=shape)
    if variable.flags & {"symmetric", "psd"}:
        return (drawn + np.swapaxes(drawn, -1, -2)) / 2
    return drawn


def _point(
    tower: list[Node], variables: Sequence[Variable], sizes: dict[str, int]
) -> tuple[dict[str, Any], str]:
    """Random values where everything is finite: of any sign if possible, else positive."""
    function = backends.compile(tower, variables=variables)
    for kind in ("normal", "positive"):
        rng = np.random.default_rng(0)
        point = {v.name: _sample(v, kind, sizes, rng) for v in variables}
        with np.errstate(all="ignore"):
            results = function(**point)
        if all(np.isfinite(result).all() for result in results):
            return point, kind
    raise TensorcalcError(
        "the check found no values at which the expression and its derivatives are finite",
        ["tried: normal and positive random values"],
        "declare the domain, for example x: n positive",
    )


def _sample(variable: Variable, kind: str, sizes: dict[str, int], rng: Any) -> Any:
    """A random array that a variable's flags allow."""
    shape = tuple(extent_value(extent, sizes) for extent in variable.shape)
    flags = variable.flags
    if "boolean" in flags:
        return rng.integers(0, 2, size=shape).astype(bool)
    if "integer" in flags:
        return rng.integers(0, 2, size=shape)
    positive = kind == "positive" or flags & {"positive", "nonnegative"}
    drawn = rng.uniform(0.2, 0.9, size=shape) if positive else rng.normal(size=shape)
    if "psd" in flags:
        return drawn @ np.swapaxes(drawn, -1, -2) + np.eye(shape[-1])
    if "symmetric" in flags:
        return (drawn + np.swapaxes(drawn, -1, -2)) / 2
    return drawn


# -- timing ---------------------------------------------------------------------------------------
def _bench(tower: list[Node], variables: Sequence[Variable]) -> None:
    """Medians of calls of the NumPy target, each order compiled alone."""
    names = sorted({name for v in variables for extent in v.shape for name in symbols_of(extent)})
    print(f"{'order':>5}  {'size':>5}  {'time':>10}  {'work':>13}  {'rate':>14}")
    for order, node in enumerate(tower):
        function = backends.compile(node, variables=variables)
        for size in BENCH_SIZES:
            sizes = dict.fromkeys(names, size)
            entries = np.prod([extent_value(e, sizes) for e in node.shape], dtype=float)
            if entries > LARGEST_RESULT:
                print(f"{order:5}  {size:5}  {entries:.1e} entries: not computed")
                continue
            rng = np.random.default_rng(0)
            point = {v.name: _sample(v, "positive", sizes, rng) for v in variables}
            seconds = median(_times(function, point))
            flops = function.cost(**point).flops
            print(
                f"{order:5}  {size:5}  {1e6 * seconds:7.1f} µs  {flops:9.2e} flop"
                f"  {flops / seconds / 1e9:6.2f} GFLOP/s"
            )


def _times(function: Any, point: dict[str, Any]) -> Iterator[float]:
    function(**point)
    end = perf_counter() + BENCH_SECONDS
    while True:
        start = perf_counter()
        function(**point)
        now = perf_counter()
        yield now - start
        if now > end:
            return


if __name__ == "__main__":
    sys.exit(main())
