"""Hessians on real data and at growing sizes: shown, checked, timed against JAX."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import autodiff as ad
import tensorcalc as tc
from tensorcalc.errors import NotationError

from .measuring import interleaved
from .peers import jax_call, load_jax
from .problems import DATA, PROBLEMS, Problem
from .rows import OURS, Row

HAND = "by hand"
#: Largest accepted error relative to the largest entry, by precision.
TOLERANCES = {"float64": 1e-9, "float32": 2e-3}
#: Sizes above this take long, and are left out of a quick run.
QUICK_SIZE = 200


def run(seconds: float, quick: bool, show: Callable[[str], None]) -> Iterator[Row]:
    """Every problem: its formulas and checks through ``show``, one row for each size."""
    for problem in PROBLEMS:
        show(f"\n{problem.name} ({problem.source})")
        for line in formula_lines(problem):
            show("  " + line)
        show("  " + derivative_check(problem))
        sizes: list[int | str] = [DATA, *(s for s in problem.sizes if not quick or s <= QUICK_SIZE)]
        for size in sizes:
            for dtype in ("float64", "float32"):
                yield measure(problem, size, dtype, seconds)


def formula_lines(problem: Problem) -> Iterator[str]:
    """The function, its gradient and its Hessian in index and in matrix notation."""
    for name, node in problem.formulas().items():
        yield f"{name:9} index   {node}"
        try:
            yield f"{'':9} matrix  {tc.to_matrix(node)}"
        except NotationError as error:
            yield f"{'':9} matrix  none: {str(error).splitlines()[0]}"


def derivative_check(problem: Problem) -> str:
    """Gradient and Hessian on the data against finite differences, in words.

    Raises CheckError where they disagree.
    """
    arrays = problem.arguments(DATA, np.float64)
    function = problem.function(np)
    x, *rest = arrays
    report = ad.check(lambda x: function(x, *rest), x, order=2, rtol=1e-4)
    worst = max(c.error / max(1.0, abs(c.differences)) for c in report.comparisons)
    return f"finite differences agree to {worst:.0e}, orders 1 and 2, forward and reverse"


def measure(problem: Problem, size: int | str, dtype: str, seconds: float) -> Row:
    """Check every contestant against the formula typed by hand, then time them in turn."""
    arrays = problem.arguments(size, dtype)
    wanted = problem.by_hand(*arrays)
    ours = problem.ours()
    calls: dict[str, Callable[[], Any]] = {OURS: lambda: ours(*arrays)}
    if load_jax() is not None:
        calls["JAX"] = jax_call(problem.jax(load_jax()), arrays)
    calls[HAND] = lambda: problem.by_hand(*arrays)
    for name, call in calls.items():
        check(f"{problem.name}, {name}, size {size}, {dtype}", call(), wanted)
    targets = {}
    if isinstance(size, int) and size in problem.targets and dtype == "float64":
        targets["JAX"] = problem.targets[size]
    found = interleaved(calls, seconds)
    return Row("hessians", problem.name, size, dtype, found, targets)


def check(name: str, found: Any, wanted: Any) -> None:
    """Raise AssertionError unless a contestant's result is right to its precision."""
    found = np.asarray(found)
    tolerance = TOLERANCES[str(wanted.dtype)]
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        raise AssertionError(f"{name}: {found.dtype} {found.shape} instead of {wanted.dtype}")
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    if not error < tolerance:
        raise AssertionError(f"{name}: relative error {error:.1e}, allowed {tolerance:.0e}")
