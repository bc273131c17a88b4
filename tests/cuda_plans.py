"""What the tests of the CUDA target share: plans of examples and of single programs."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

import backends
import tensorcalc as tc
from backends.cuda.lowering import plan_of
from tensorcalc.nodes import Node

from .examples import EXAMPLES

#: Every how many of EXAMPLES is taken; ``TENSORCALC_CUDA_EVERY=1`` takes all of them.
EVERY = int(os.environ.get("TENSORCALC_CUDA_EVERY", "0"))


def taken(every: int, first: int = 0) -> list[Any]:
    """The examples that are tested, evenly spread over the table."""
    return EXAMPLES[:: EVERY or every] if EVERY == 1 else EXAMPLES[first :: EVERY or every]


def tower(example: Any, order: int = 2) -> list[Node]:
    """The example's expression and its derivatives."""
    variables = example.declared()
    roots = [example.expression()]
    for _ in range(min(example.order, order)):
        roots.append(tc.derivative(roots[-1], variables[0]))
    return roots


def planned(roots: Any, sizes: Any = None, variables: Any = None) -> tuple[Any, Any]:
    """The launch plan of expressions for sizes, and the variables in its order."""
    function = backends.compile(roots, "cuda", variables=variables, real=True)
    return plan_of(function.program, sizes), function.variables


def main_shapes() -> dict[str, Any]:
    """Programs whose kernels matter most, with the sizes they matter at."""
    y, z = tc.variables("y: n, z: n")
    X, w, t = tc.variables("X: m n, w: n, t: m")
    loss = np.sum(np.log1p(np.exp(-t * (X @ w))))
    x, u = tc.variables("x: n, u: m")
    pairs = np.sum(np.exp(-((x[:, None] - u) ** 2)), axis=1)
    energy = np.sum(np.exp(-((x[:, None] - x) ** 2)))
    U, V, T = tc.variables("U: n k, V: m k, T: n m")
    factors = np.sum((T - U @ V.T) ** 2)
    return {
        "sum of log1p(exp)": (np.sum(np.log1p(np.exp(-y * z))), {"n": 4_000_000}),
        "logistic regression": (
            [loss, tc.gradient(loss, w), tc.hessian(loss, w)],
            {"m": 2000, "n": 1000},
        ),
        "pairwise sums": (pairs, {"n": 10_000, "m": 10_000}),
        "all-pairs potential": ([energy, tc.gradient(energy, x)], {"n": 10_000}),
        "matrix factorization": (
            [factors, tc.gradient(factors, U), tc.hessian(factors, U)],
            {"n": 200, "m": 200, "k": 5},
        ),
    }
