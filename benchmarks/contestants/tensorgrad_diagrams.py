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
    """The compiled diagram of torch tensors with named edges."""
    import tensorgrad as tg
    import torch
    from tensorgrad.compiler import compile_to_callable

    if model.name not in DIAGRAMS:
        raise Refused("no diagram was written for it")
    if result == "Newton step":
        raise Refused("has no solve")
    loss, variables, edges, sizes = DIAGRAMS[model.name](tg, *arguments)
    x = variables[0]
    gradient = loss.grad(x)
    values = dict(zip(variables, _named(torch, arguments, edges), strict=True))
    expressions = [loss] if result == "value" else [loss, gradient]
    if result == "Hessian":
        expressions = [gradient.grad(x)]
    if result == "Hessian product":
        v = tg.Variable("v", **dict(x.edges.items()) if hasattr(x.edges, "items") else x.shape)
        values[v] = _named(torch, [direction], edges[:1])[0]
        expressions = [(gradient @ v).grad(x)]
    expressions = [each.full_simplify() for each in expressions]
    step = compile_to_callable(*expressions)

    def call() -> Any:
        found = step(values, sizes)
        return [_plain(each) for each in (found if isinstance(found, tuple) else (found,))]

    return call


def _named(torch: Any, arrays: Any, edges: list[list[str]]) -> list[Any]:
    return [torch.from_numpy(a).refine_names(*e) for a, e in zip(arrays, edges, strict=True)]


def _plain(tensor: Any) -> Any:
    return tensor.rename(None)
