"""Plans in numba's simulator: run by test_cuda_simulator.py in a process of its own.

    NUMBA_ENABLE_CUDASIM=1 python -m tests.cuda_simulation examples FIRST EVERY
    NUMBA_ENABLE_CUDASIM=1 python -m tests.cuda_simulation NAME

prints what was compared and exits with 1 at the first disagreement with the oracle. Blocks have 64
threads instead of 256, so that a launch takes milliseconds and still has two warps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

import tensorcalc as tc
from backends.cuda import grids

grids.THREADS = 64
grids.LONG = 40
grids.BLOCKS = 3
grids.SPLITS = 5
grids.FILLED = 2
grids.HIGHEST = 2
grids.TILE, grids.DEEP = 8, 4

from backends.cuda import blocks as limits  # noqa: E402
from backends.cuda import product_choice  # noqa: E402
from backends.cuda.actions import HostCall  # noqa: E402
from backends.cuda.row_operations import BODIES  # noqa: E402
from backends.cuda.simulator import simulated  # noqa: E402
from backends.cuda.terms import spelling  # noqa: E402
from tensorcalc.applications import apply  # noqa: E402
from tensorcalc.table import TABLE  # noqa: E402

from .cuda_plans import planned, tower  # noqa: E402
from .examples import BY_NAME, EXAMPLES  # noqa: E402


def agree(
    roots: list[Any],
    arrays: dict[str, Any],
    hints: Any,
    precision: str = "float64",
    rtol: float = 1e-9,
) -> None:
    """The simulated plan of expressions gives the oracle's values."""
    plan, variables = planned(roots, hints)
    values = {v.name: arrays.get(v.name, v.value) for v in variables}
    sizes = {
        str(extent): size
        for v in variables
        for extent, size in zip(v.extents, np.shape(values[v.name]), strict=True)
        if not isinstance(extent, int)
    }
    found = simulated(plan, [values[v.name] for v in variables], sizes, precision)
    for root, value in zip(roots, found, strict=True):
        own = {v.name: arrays[v.name] for v in tc.free_variables(root) if v.value is None}
        expected = tc.evaluate(root, **own, **sizes)
        np.testing.assert_allclose(value, expected, rtol=rtol, atol=rtol / 10)
        assert value.shape == np.shape(expected)
    print(f"{len(roots)} results, {len(plan.actions)} actions, {precision}")


def check_example(example: Any, hints: dict[str, int]) -> None:
    """The value and the derivatives of an example."""
    roots = tower(example)
    plan, variables = planned(roots, hints, example.declared())
    values = example.values()
    arrays = [values.get(v.name, v.value) for v in variables]
    found = simulated(plan, arrays, example.sizes())
    for order, (root, value) in enumerate(zip(roots, found, strict=True)):
        expected = example.evaluate(root)
        message = f"{example.name}, order {order}"
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-10, err_msg=message)
        assert np.shape(value) == np.shape(expected), message
    print(example.name)


def examples(first: int, every: int) -> None:
    """Examples planned for tiny and for large sizes in turn."""
    for number, example in enumerate(EXAMPLES[first::every]):
        check_example(example, example.sizes() if number % 2 else {})


def reductions() -> None:
    """Sums over all, rows and columns with several blocks and parts, also of nothing."""
    rng = np.random.default_rng(0)
    A, x, u = tc.variables("A: m n, x: m, u: n")
    sums = [
        np.sum(np.exp(-A)),
        np.sum(np.exp(-A), axis=0),
        np.sum(np.exp(-A), axis=1),
        x @ A,
        A @ u,
        np.sum(np.exp(-((x[:, None] - u) ** 2)), axis=1),
        np.sum(np.exp(-((x[:, None] - u) ** 2)), axis=0),
        np.sum(np.exp(-((x[:, None] - u) ** 2))),
        np.sum(A * x[:, None]),
    ]
    for m, n in ((2, 45), (70, 3), (0, 4), (4, 0)):
        arrays = {"A": rng.normal(size=(m, n)), "x": rng.normal(size=m), "u": rng.normal(size=n)}
        agree(sums, arrays, {})
    agree(sums[:4], {**arrays, "A": rng.normal(size=(4, 5)), "x": np.ones(4)}, {}, "float32", 1e-5)


def structures() -> None:
    """Blocks, transposed and batched products, gathers, scatters, triangles."""
    rng = np.random.default_rng(1)
    A, B, C = tc.variables("A: b m k, B: b k n, C: n m")
    arrays = {
        "A": rng.normal(size=(3, 4, 5)),
        "B": rng.normal(size=(3, 5, 2)),
        "C": rng.normal(size=(2, 4)),
    }
    roots = [
        A @ B,
        tc.einsum("bmk,bkn->mbn", A, B),
        tc.einsum("bmk,bkn,nm->b", A, B, C),
        tc.einsum("bmk,bnk->bmn", A, A),
        tc.einsum("bmk,clk->bmcl", A, A),
        tc.einsum("nm,bmk->kbn", C, A),
    ]
    agree(roots, arrays, {})
    agree(roots, arrays, {"b": 3, "m": 4, "k": 5, "n": 2})
    # its Hessian is a product in another order of axes, with a diagonal added in place
    check_example(BY_NAME["softmax regression"], {})
    E, i = tc.variables("E: v d, i: t integer")
    picked = np.sum(np.exp(E[i]))
    table = {"E": rng.normal(size=(6, 3)), "i": np.array([0, 5, -1, 2, 5, 5, 0])}
    agree([E[i], tc.gradient(picked, E)], table, {})
    try:
        agree([E[i]], {**table, "i": np.array([0, 6])}, {})
    except IndexError as error:
        print(error)
    else:
        raise AssertionError("an index out of range was not reported")


def products() -> None:
    """Products in tiles: orders of axes, batches, what is computed on the way, ends of tiles."""
    product_choice.SHORT = product_choice.SMALL = 1
    rng = np.random.default_rng(4)
    shapes = {"A": "b m k", "B": "b k n", "C": "n m", "D": "k m l", "M": "k n boolean", "d": "k"}
    A, B, C, D, M, d = tc.variables(", ".join(f"{name}: {axes}" for name, axes in shapes.items()))
    roots = [
        [A @ B, tc.einsum("bmk,bkn->nbm", A, B)],
        [np.tanh((A[0] * np.exp(d)) @ B[0] + C.T)],
        [tc.einsum("kml,kn->nlm", D, 1.0 * M), -2 * tc.einsum("kml,bmk->bl", D, A)],
        [
            C @ C.T + C @ A[0] @ A[0].T @ C.T,
            tc.einsum("bmk,bnk->bmn", A * d, A),
            (C @ A[0] < 0) * 1.0,
        ],
    ]
    for m, n, k in ((9, 8, 5), (3, 17, 9)):
        sizes = {"b": 3, "m": m, "n": n, "k": k, "l": 2}
        arrays = {
            name: rng.normal(size=[sizes[axis] for axis in axes.split() if axis in sizes])
            for name, axes in shapes.items()
        }
        arrays["M"] = arrays["M"] > 0
        for together in roots:
            plan, _ = planned(together, sizes)
            names = [getattr(action, "kernel", action) for action in plan.actions]
            assert any(getattr(kernel, "name", "") == "panels" for kernel in names)
            agree(together, arrays, sizes)
    agree(roots[1], arrays, sizes, "float32", 1e-4)


def pairs() -> None:
    """Sums over pairs: several tiles and parts, ends of tiles, masks, batches, several at once."""
    rng = np.random.default_rng(5)
    x, u, c, b, q, M = tc.variables("x: n, u: m, c: m, b: l n, q: l m, M: m boolean")
    near = np.exp(-((x[:, None] - u) ** 2))
    potential = np.sum(np.triu(np.exp(-((x[:, None] - x) ** 2)), 1))
    density = np.sum(np.log(near @ np.exp(c)))
    batch = np.sum(np.tanh(b[:, :, None] * q[:, None, :]), axis=2)
    together = [
        [near @ c, np.sum(near), np.sum(np.where(M, near, x[:, None] * u), axis=1)],
        [potential, tc.gradient(potential, x), tc.hvp(potential, x, np.cos(x))],
        [density, tc.gradient(density, u), tc.gradient(density, c)],
        [batch, np.sum(np.sin(b[:, None, :] + q[:, :, None]), axis=2)],
    ]
    cases = (3, 131, 2, 3), (70, 140, 3, 1), (12, 40, 1024, 3), (0, 4, 3, 3), (4, 0, 3, 3)
    for n, m, grids.PARTS, grids.BLOCKS in cases:
        sizes = {"n": n, "m": m, "l": 3}
        shapes = {"x": "n", "u": "m", "c": "m", "b": "ln", "q": "lm"}
        arrays = {k: rng.normal(size=[sizes[a] for a in axes]) for k, axes in shapes.items()}
        arrays["M"] = rng.normal(size=m) > 0
        for roots in together[: 4 if 0 < n * m < 1000 else 1]:
            plan, _ = planned(roots)
            names = {getattr(getattr(a, "kernel", a), "name", "") for a in plan.actions}
            assert names & {"pairs", "all_pairs"}
            agree(roots, arrays, {})
    agree(together[0], arrays, {}, "float32", 1e-4)


def points() -> list[list[Any]]:
    """Sums over pairs of points with several coordinates, and a network: roots by programs."""
    P, Q, v, c = tc.variables("P: n d, Q: m d, v: n d, c: m")
    far = np.sum((P[:, None, :] - Q[None]) ** 2, axis=-1)
    density = np.sum(np.log(np.sum(np.exp(-far), axis=1)))
    own = np.sum(np.exp(-0.5 * np.sum((P[:, None, :] - P[None]) ** 2, axis=-1)))
    scores = (2 * P) @ Q.T
    return [
        [np.exp(-far) @ c, np.exp(-far).T @ v, -3 * scores.T @ v],
        [density, tc.gradient(density, P), tc.gradient(density, Q), tc.hvp(density, P, v)],
        [own, tc.gradient(own, P), tc.hvp(own, P, v), tc.einsum("iaib->iab", tc.hessian(own, P))],
        [tc.softmax(scores, axis=1) @ c, np.max(scores, axis=1)],
    ]


def blocks() -> None:
    """Pairwise values in blocks of rows, the last one shorter; none if there are no rows."""
    limits.LARGE, limits.ENTRIES, limits.ROWS = 20, 27, 2
    rng = np.random.default_rng(6)
    for n in (7, 0):
        sizes = {"n": n, "m": 9, "d": 2}
        shapes = {"P": "nd", "Q": "md", "v": "nd", "c": "m"}
        arrays = {k: rng.normal(size=[sizes[a] for a in axes]) for k, axes in shapes.items()}
        for roots in points()[: None if n else 1]:
            plan, _ = planned(roots, {"n": 7, "m": 9, "d": 2})
            assert any(isinstance(action, limits.Blocks) for action in plan.actions)
            assert not any(
                buffer.shape(sizes) in ((n, 9), (9, n), (n, n))
                for buffer in plan.layout(sizes, "float64").offsets
                if n
            )
            agree(roots, arrays, {"n": 7, "m": 9, "d": 2})
    arrays = {"P": rng.normal(size=(7, 2)), "v": rng.normal(size=(7, 2))}
    agree(points()[2], arrays, sizes | {"n": 7}, "float32", 1e-4)


def rows() -> None:
    """Every operation along rows, short and long, with ties, infinities and NaN."""
    rng = np.random.default_rng(2)
    for name in BODIES:
        operation = TABLE[name]
        logical = name in ("any", "all")
        matrix = name.startswith("frobenius")
        x = tc.variables(f"x: b {'m n' if matrix else 'n'}{' boolean' if logical else ''}")
        root = apply(name, x, **operation.test_params)
        carried = (39, 150) if name == "prefix_sum" else ()  # from 32 or 64 entries to the next
        for length in (1, 7, 45, *carried):
            values = rng.integers(-2, 3, size=(3, length)) + rng.choice([0, 0.25], size=(3, length))
            values[1] *= 0
            odd = values.copy()
            odd[0, 0] = np.inf
            odd[2, -1] = np.nan
            finite = length != 7 or name in ("prod", "prod_others", "cumprod")
            for given in (values,) if finite else (values, odd):
                given = given > 0.5 if logical else given
                given = given[:, None] if matrix else given
                plan, _ = planned(root)
                assert not any(isinstance(action, HostCall) for action in plan.actions), name
                sizes = {"b": 3, "n": length, "m": 1}
                (found,) = simulated(plan, [given], sizes)
                expected = operation.reference(given, **operation.test_params)
                np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=name)
        print(name)


def elementwise() -> None:
    """Every elementwise row of the table that kernels can say, on its domain."""
    rng = np.random.default_rng(3)
    for operation in TABLE.values():
        if not operation.is_elementwise or not spelling(operation, operation.test_params):
            continue
        if not all(isinstance(domain, tuple) for domain in operation.domain):
            continue
        names = [f"x{k}" for k in range(operation.arity)]
        operands = [tc.variables(f"{name}: n") for name in names]
        root = apply(operation.name, *operands, **operation.test_params)
        values = [rng.uniform(*domain, size=7) for domain in operation.domain]
        plan, _ = planned(root)
        (found,) = simulated(plan, values, {"n": 7})
        expected = operation.reference(*values, **operation.test_params)
        np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=operation.name)
        print(operation.name)


def special_functions() -> None:
    """Gamma's derivatives over their whole range, also below zero and at the poles."""
    x = tc.variables("x: n")
    values = np.array([1e-8, 0.3, 1.0, 1.4616321, 7.5, 11.99, 1e3, 1e8, -0.5, -3.3, -20.25])
    for root, exact in (
        (special.digamma(x), special.digamma(values)),
        (apply("polygamma", x, order=1), special.polygamma(1, values)),
        (apply("polygamma", x, order=3), special.polygamma(3, values)),
    ):
        plan, _ = planned(root)
        (found,) = simulated(plan, [values], {"n": values.size})
        np.testing.assert_allclose(found, exact, rtol=2e-14, atol=1e-15)
    (found,) = simulated(planned(special.digamma(x))[0], [np.array([-2.0])], {"n": 1})
    assert np.isnan(found[0])
    print("digamma, polygamma")


ALL = reductions, structures, products, pairs, blocks, rows, elementwise, special_functions
CHECKS: dict[str, Callable[[], None]] = {check.__name__: check for check in ALL}

if __name__ == "__main__":
    if sys.argv[1] == "examples":
        examples(int(sys.argv[2]), int(sys.argv[3]))
    else:
        CHECKS[sys.argv[1]]()
