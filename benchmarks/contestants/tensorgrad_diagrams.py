"""tensorgrad: diagrams with named edges, compiled to torch programs.

Its losses are written for its own edges, so those of its authors' figures are written here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..calling import Call, Refused
from ..modelling import Model

NAME = "tensorgrad"
PACKAGE = "tensorgrad"

#: The loss, its variables in the order of the arguments, their edges, and the sizes of symbols.
Diagram = tuple[Any, list[Any], list[list[str]], dict[Any, int]]


def _quadratic(tg: Any, x: Any, A: Any) -> Diagram:
    n = tg.symbols("n")
    vector, matrix = tg.Variable("x", i=n), tg.Variable("A", i=n, j=n)
    loss = vector @ matrix @ vector.rename(i="j")
    return loss, [vector, matrix], [["i"], ["i", "j"]], {n: x.shape[0]}


def _regression(last: Callable[..., Any]) -> Callable[..., Diagram]:
    def diagram(tg: Any, w: Any, X: Any, y: Any) -> Diagram:
        import tensorgrad.functions as F  # noqa: N812

        m, n = tg.symbols("m n")
        weights, rows = tg.Variable("w", n=n), tg.Variable("X", m=m, n=n)
        labels = tg.Variable("y", m=m)
        loss = F.sum(last(F, rows @ weights, labels)) + (weights @ weights) / 2
        sizes = {m: X.shape[0], n: X.shape[1]}
        return loss, [weights, rows, labels], [["n"], ["m", "n"], ["m"]], sizes

    return diagram


def _factorization(tg: Any, U: Any, V: Any, T: Any) -> Diagram:
    m, n, k = tg.symbols("m n k")
    left, right = tg.Variable("U", m=m, k=k), tg.Variable("V", n=n, k=k)
    target = tg.Variable("T", m=m, n=n)
    error = target - left @ right
    sizes = {m: T.shape[0], n: T.shape[1], k: U.shape[1]}
    return error @ error, [left, right, target], [["m", "k"], ["n", "k"], ["m", "n"]], sizes


DIAGRAMS: dict[str, Callable[..., Diagram]] = {
    "quadratic form": _quadratic,
    "logistic regression": _regression(lambda F, z, y: F.log(1 + F.exp(-y * z))),
    "Poisson regression": _regression(lambda F, z, y: F.exp(z) - y * z),
    "ridge regression": _regression(lambda F, z, y: (z - y) ** 2),
    "matrix factorization": _factorization,
}


def contestant(model: Model, result: str, arguments: tuple[Any, ...], direction: Any) -> Call:
    """The compiled diagram, called with plain tensors in its own order."""
    import tensorgrad as tg
    import torch
    from tensorgrad.compiler import compile_to_callable

    if model.name not in DIAGRAMS:
        raise Refused("no diagram was written for it")
    if result == "Newton step":
        raise Refused("has no solve")
    loss, variables, edges, sizes = DIAGRAMS[model.name](tg, *arguments)
    x, given = variables[0], dict(zip(variables, zip(arguments, edges, strict=True), strict=True))
    gradient = loss.grad(x)
    expressions = [loss] if result == "value" else [loss, gradient]
    if result == "Hessian":
        expressions = [gradient.grad(x)]
    if result == "Hessian product":
        v = tg.Variable("v", **dict(x.shape))
        given[v] = direction, edges[0]
        expressions = [(gradient.full_simplify() @ v).grad(x).full_simplify()]
    program = compile_to_callable(*expressions)
    tensors = [_in_order(torch, given[v][0], given[v][1], v.edges) for v in program.vars]
    # A call of the program itself needs named tensors, which torch 2.13 no longer has.
    run = program.codegen.specialize(sizes, dtype=tensors[0].dtype)
    plans = [_order(permuted, names, edges[0]) for permuted, names in program._wrap_plans]

    def call() -> Any:
        found = run(*tensors)
        each = found if isinstance(found, tuple) else (found,)
        return [t.permute(order) for t, order in zip(each, plans, strict=True)]

    return call


def _in_order(torch: Any, array: Any, edges: list[str], wanted: Any) -> Any:
    """The array as a tensor with its axes in a wanted order of edges."""
    return torch.from_numpy(array.transpose([edges.index(edge) for edge in wanted]).copy())


def _order(permuted: Any, names: Any, wanted: list[str]) -> list[int]:
    """The permutation of a result; gradients and products have the axes of the first argument."""
    order = list(range(len(names))) if permuted is None else list(permuted)
    if set(names) != set(wanted):
        return order
    return [order[names.index(name)] for name in wanted]
