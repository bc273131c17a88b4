"""Targets against jitted JAX: elementwise losses, pairwise sums and small problems.

    python -m benchmarks.target_speed [--seconds 1]

Every contestant is checked against the NumPy target first; then all are timed in turn in one
process. JAX is timed until its result is ready.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

import backends
import tensorcalc as tc

from .measuring import interleaved
from .peers import load_jax

PEER = "JAX"
TARGETS = ("numpy", "numba")


class Problem(NamedTuple):
    """A loss of the first variable, the derivatives that are timed, and its shapes."""

    name: str
    variables: str
    loss: Callable[..., Any]
    order: int
    sizes: tuple[dict[str, int], ...]


def margin_loss(np: Any, z: Any, y: Any) -> Any:
    """Logistic loss of margins."""
    return np.sum(np.log1p(np.exp(-y * z)))


def logistic(np: Any, w: Any, X: Any, y: Any) -> Any:
    """Logistic regression."""
    return np.sum(np.log1p(np.exp(-y * (X @ w))))


def potential(np: Any, x: Any, y: Any, w: Any) -> Any:
    """A weighted all-pairs potential of points on a line."""
    return np.sum(w * np.sum(np.exp(-np.abs(x[:, None] - y)), axis=1))


def rosenbrock(np: Any, x: Any) -> Any:
    """The banana in n dimensions."""
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


PROBLEMS = (
    Problem(
        "sum log1p exp(-yz)",
        "z: n, y: n",
        margin_loss,
        0,
        ({"n": 10}, {"n": 100_000}, {"n": 4_000_000}),
    ),
    Problem("sum log1p exp(-yz)", "z: n, y: n", margin_loss, 1, ({"n": 10}, {"n": 4_000_000})),
    Problem("logistic", "w: n, X: m n, y: m", logistic, 0, ({"n": 10, "m": 20},)),
    Problem("logistic", "w: n, X: m n, y: m", logistic, 1, ({"n": 10, "m": 20},)),
    Problem(
        "logistic",
        "w: n, X: m n, y: m",
        logistic,
        2,
        ({"n": 10, "m": 20}, {"n": 100, "m": 200}, {"n": 1000, "m": 2000}),
    ),
    Problem("rosenbrock", "x: n", rosenbrock, 1, ({"n": 10},)),
    Problem("rosenbrock", "x: n", rosenbrock, 2, ({"n": 10},)),
    Problem("all pairs", "x: m, y: n, w: m", potential, 0, ({"m": 10, "n": 10},)),
    Problem(
        "all pairs", "x: m, y: n, w: m", potential, 1, ({"m": 10, "n": 10}, {"m": 2000, "n": 2000})
    ),
)
WHAT = ("value", "value and gradient", "Hessian")


def rows(seconds: float) -> Iterator[tuple[str, str, str, str, dict[str, float]]]:
    """Problem, result, size, precision, and the seconds of every contestant."""
    for problem in PROBLEMS:
        for sizes in problem.sizes:
            for dtype in ("float64", "float32"):
                calls = contestants(problem, sizes, dtype)
                size = ", ".join(f"{k}={v:,}" for k, v in sizes.items())
                yield problem.name, WHAT[problem.order], size, dtype, interleaved(calls, seconds)


def contestants(
    problem: Problem, sizes: Mapping[str, int], dtype: str
) -> dict[str, Callable[[], Any]]:
    """A call per contestant, each checked."""
    declared = tc.variables(problem.variables)
    variables = declared if isinstance(declared, tuple) else (declared,)
    rng = np.random.default_rng(0)
    shapes = [[sizes[str(extent)] for extent in v.shape] for v in variables]
    arrays = [(rng.normal(size=s) / max([1, *s[1:]]) ** 0.5).astype(dtype) for s in shapes]
    loss = problem.loss(np, *variables)
    gradient = tc.gradient(loss, variables[0])
    roots: Any = (loss, [loss, gradient], tc.hessian(loss, variables[0]))[problem.order]
    calls: dict[str, Callable[[], Any]] = {}
    for target in TARGETS:
        function = backends.compile(roots, target, variables=variables)
        calls[target] = lambda function=function: function.call(*arrays)  # type: ignore[misc]
    if load_jax() is not None:
        calls[PEER] = _peer(problem, arrays)
    wanted = calls["numpy"]()
    for name, call in calls.items():
        _check(f"{problem.name}, {name}", call(), wanted, dtype)
    return calls


def _peer(problem: Problem, arrays: list[Any]) -> Callable[[], Any]:
    jax = load_jax()
    jnp = jax.numpy

    def loss(*own: Any) -> Any:
        return problem.loss(jnp, *own)

    function = (loss, jax.value_and_grad(loss), jax.hessian(loss))[problem.order]
    jitted = jax.jit(function)
    held = [jnp.asarray(array) for array in arrays]
    return lambda: jax.block_until_ready(jitted(*held))


def _check(name: str, found: Any, wanted: Any, dtype: str) -> None:
    tolerance = 1e-9 if dtype == "float64" else 3e-3
    pairs = zip(found, wanted, strict=True) if isinstance(wanted, list) else [(found, wanted)]
    for a, b in pairs:
        scale = float(np.max(np.abs(b)))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=name)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="per row")
    seconds = parser.parse_args().seconds
    print(
        f"{'problem':<20}{'result':<20}{'size':<18}{'':<9}"
        f"{'numpy':>11}{'numba':>11}{'JAX':>11}{'JAX/numba':>11}"
    )
    for name, what, size, dtype, found in rows(seconds):
        times = "".join(
            f"{found[k] * 1e6:>9,.1f}us" if k in found else " " * 11 for k in (*TARGETS, PEER)
        )
        ratio = f"{found[PEER] / found['numba']:>11.2f}" if PEER in found else ""
        print(f"{name:<20}{what:<20}{size:<18}{dtype:<9}{times}{ratio}", flush=True)


if __name__ == "__main__":
    main()
