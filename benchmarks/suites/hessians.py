"""Hessians on real data and at growing sizes: shown, checked, timed against JAX."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import autodiff as ad
import tensorcalc as tc
from tensorcalc.errors import NotationError

from ..calling import check
from ..measuring import interleaved, settled
from ..options import Options
from ..peers import jax_call, load_jax
from ..problems import DATA, PROBLEMS, Problem
from ..rows import OURS, Row

DEFAULT = True

HAND = "by hand"
#: Largest accepted error relative to the largest entry, by precision.
TOLERANCES = {"float64": 1e-9, "float32": 2e-3}
#: Sizes above this take long, and are left out of a quick run.
QUICK_SIZE = 200


def parts(options: Options) -> list[str]:
    """The problems."""
    return [problem.name for problem in PROBLEMS if options.wants(problem.name)]


def run(part: str, options: Options) -> Iterator[Row]:
    """A problem: its formulas and checks, then one row for each size."""
    (problem,) = (problem for problem in PROBLEMS if problem.name == part)
    options.show(f"\n{problem.name} ({problem.source})")
    for line in formula_lines(problem):
        options.show("  " + line)
    options.show("  " + derivative_check(problem))
    sizes: list[int | str] = [s for s in problem.sizes if not options.quick or s <= QUICK_SIZE]
    for size in [DATA, *sizes]:
        for dtype in ("float64", "float32"):
            options.doing(f"{part}, size {size}, {dtype}")
            yield measure(problem, size, dtype, options.seconds)
            if size in problem.structured_targets:
                yield measure_structured(problem, size, dtype, options.seconds)


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
        check(f"{problem.name}, {name}, size {size}, {dtype}", call(), wanted, TOLERANCES)
    settled(calls[OURS])
    targets = {}
    if isinstance(size, int) and size in problem.targets and dtype == "float64":
        targets["JAX"] = problem.targets[size]
    found = interleaved(calls, seconds)
    return Row("hessians", problem.name, size, dtype, found, targets)


def measure_structured(problem: Problem, size: Any, dtype: str, seconds: float) -> Row:
    """The Hessian as an operator against JAX's dense one, both checked."""
    arrays = problem.arguments(size, dtype)
    wanted = problem.by_hand(*arrays)
    ours = problem.structured()
    calls: dict[str, Callable[[], Any]] = {OURS: lambda: ours(*arrays)}
    dense = ours(*arrays).todense().reshape(wanted.shape)
    check(f"{problem.name}, structured, size {size}, {dtype}", dense, wanted, TOLERANCES)
    if load_jax() is not None:
        calls["JAX"] = jax_call(problem.jax(load_jax()), arrays)
        check(f"{problem.name}, JAX, size {size}, {dtype}", calls["JAX"](), wanted, TOLERANCES)
    targets = {"JAX": problem.structured_targets[size]} if dtype == "float64" else {}
    found = interleaved(calls, seconds)
    return Row("hessians", f"{problem.name}, structured", size, dtype, found, targets)
