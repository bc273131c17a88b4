"""What is paid besides the work: calls, first Hessians, deep chains, imports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import backends
import tensorcalc as tc
from tensorcalc.derivatives import pullback
from tensorcalc.nodes import Constant, node_count
from tensorcalc.simplify import simplify_all

from ..calling import check
from ..first_hessian import SIZE
from ..measuring import interleaved, process_seconds
from ..options import Options
from ..problems import PROBLEMS, Problem
from ..rows import OURS, Row
from .hessians import HAND, TOLERANCES

DEFAULT = True

#: Most that a compiled call on inputs of size 10 may cost of the formula typed by hand.
OVERHEAD = 2.0
#: Seconds in which a new function should have its first Hessian.
FIRST_HESSIAN = 0.030
#: Seconds for all gradients of the deepest chain, and for the import.
CHAIN, IMPORT = 2.0, 0.5
ROUNDS = 3


#: What is measured, and the headings.
PARTS = {
    "overhead": "a compiled Hessian at size 10 against the formula typed by hand",
    "first": "from a function never seen before to its first Hessian, JAX: trace and compile",
    "chain": "all gradients of a chain of tanh layers: derivation and simplification",
    "import": "import in a new process, less the start of Python",
}


def parts(_: Options) -> list[str]:
    """What is paid for."""
    return list(PARTS)


def run(part: str, options: Options) -> Iterator[Row]:
    """Rows of calls, of first Hessians, of chains or of imports."""
    rounds = 1 if options.quick else ROUNDS
    options.show(f"\n{PARTS[part]}")
    options.doing(PARTS[part])
    if part == "overhead":
        for problem in PROBLEMS:
            if type(problem).ours is Problem.ours:
                yield overhead(problem, options.seconds)
    elif part == "first":
        yield from (first_hessian(number, rounds) for number in range(len(PROBLEMS)))
    elif part == "chain":
        yield from (chain(depth, options.show) for depth in (25, 50, 100))
    else:
        yield importing(rounds)


def overhead(problem: Problem, seconds: float) -> Row:
    """A call by name of the compiled Hessian, on inputs where the work is next to nothing."""
    arrays = problem.arguments(SIZE, "float64")
    hessian = backends.compile(problem.formulas()["Hessian"])
    names = [part.partition(":")[0].strip() for part in problem.variables.split(",")]
    read = {variable.name for variable in hessian.variables}
    given = {name: array for name, array in zip(names, arrays, strict=True) if name in read}
    given |= dict.fromkeys(hessian.symbols, SIZE)
    calls = {OURS: lambda: hessian(**given), HAND: lambda: problem.by_hand(*arrays)}
    check(problem.name, calls[OURS](), calls[HAND](), TOLERANCES)
    found = interleaved(calls, seconds)
    return Row("overhead", problem.name, SIZE, "float64", found, {HAND: 1 / OVERHEAD})


def first_hessian(number: int, rounds: int) -> Row:
    """Medians over new processes, in which nothing about the problem is known to either side."""
    command = [sys.executable, "-m", "benchmarks.first_hessian", str(number)]
    runs = [
        json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        for _ in range(rounds)
    ]
    found = {name: median(run[name] for run in runs) for name in runs[0]}
    name = PROBLEMS[number].name
    return Row("first", name, SIZE, "float64", found, {"JAX": 1.0}, FIRST_HESSIAN)


def chain(depth: int, show: Callable[[str], None]) -> Row:
    """Gradients of ``sum(tanh(W_d ... tanh(W_1 x)))`` by every ``W``."""
    text = ", ".join(["x: n", *(f"W{k}: n n" for k in range(depth))])
    x, *weights = tc.variables(text)
    start = perf_counter()
    layer: Any = x
    for W in weights:
        layer = np.tanh(W @ layer)
    loss = np.sum(layer)
    gradients = simplify_all([loss, *pullback(loss, weights, Constant(1), 0)])
    taken = perf_counter() - start
    show(f"  {depth} layers: {node_count(*gradients)} nodes")
    limit = CHAIN if depth == 100 else None
    return Row("chain", "gradients of a tanh chain", depth, "symbolic", {OURS: taken}, {}, limit)


def importing(rounds: int) -> Row:
    """Seconds that ``import tensorcalc`` adds to the start of Python, NumPy's import included."""
    bare = median(process_seconds("pass") for _ in range(rounds))
    with_numpy = median(process_seconds("import numpy") for _ in range(rounds))
    with_ours = median(process_seconds("import tensorcalc") for _ in range(rounds))
    found = {OURS: with_ours - bare, "NumPy": with_numpy - bare}
    return Row("import", "import tensorcalc", "-", "-", found, {}, IMPORT)
