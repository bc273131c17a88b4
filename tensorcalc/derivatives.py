"""Derivatives by the tensor calculus: forward, reverse and cross-country mode.

One rule for products serves all modes: the partial derivative with respect to an operand is the
product of the others. Source: Laue, Mitterreiter, Giesen, *Computing Higher Order Derivatives of
Matrix and Tensor Expressions* (NeurIPS 2018), section 4, and *A Simple and Efficient Tensor
Calculus* (AAAI 2020), section 3.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Literal

from .errors import DerivativeError, ShapeError
from .nodes import (
    Apply,
    Constant,
    Node,
    Product,
    Sum,
    Variable,
    as_expression,
    node_count,
    postorder,
)
from .products import kronecker, product, transpose, zeros
from .simplify import simplify
from .sums import add

Mode = Literal["forward", "reverse", "cross-country"]


def derivative(expression: Node, x: Node, mode: Mode = "reverse") -> Node:
    """All partial derivatives: axes of ``expression``, then axes of ``x``.

    ``J[i..., k...] = d expression[i...] / d x[k...]``; ``x`` may be any node of the expression.

    >>> import tensorcalc as tc
    >>> A, x = tc.variables("A: m n, x: n")
    >>> derivative(A @ x, x) is A
    True

    Raises DerivativeError if ``x`` was declared an integer, or for an unknown mode. Source: Laue,
    Mitterreiter, Giesen, *A Simple and Efficient Tensor Calculus* (AAAI 2020), sections 3 to 5.
    """
    expression = as_expression(expression)
    _check_real(x)
    if isinstance(x, Variable):
        expression = simplify(expression)
    if mode == "reverse":
        result = pullback(expression, [x], kronecker(expression.extents), expression.ndim)[0]
    elif mode == "forward":
        seed = kronecker(x.extents)
        result = pushforward(expression, {x: seed}, x.ndim)
    elif mode == "cross-country":
        result = _eliminate(expression, x)
    else:
        raise DerivativeError(
            f"derivative in an unknown mode {mode!r}",
            hint="the modes are 'forward', 'reverse' and 'cross-country'",
        )
    return simplify(result)


def gradient(loss: Node, x: Node) -> Node:
    """The gradient of a scalar: ``g[k...] = d loss / d x[k...]``, shape of ``x``.

    >>> import numpy as np, tensorcalc as tc
    >>> A, x = tc.variables("A: n n symmetric, x: n")
    >>> print(tc.to_matrix(gradient(x @ A @ x, x)))
    2*A*x

    Raises DerivativeError if ``loss`` is not a scalar, or ``x`` an integer.
    """
    loss = as_expression(loss)
    check_scalar(loss, "gradient")
    return derivative(loss, x)


def hessian(loss: Node, x: Node, y: Node | None = None) -> Node:
    """Second derivatives of a scalar: ``H[i..., j...] = d^2 loss / d x[i...] d y[j...]``.

    Shape of ``x``, then shape of ``y``; ``y`` is ``x`` unless given. Forward and reverse mode over
    the gradient mostly meet in one formula; where they do not, the shorter one is returned.

    >>> import tensorcalc as tc
    >>> A, x = tc.variables("A: n n, x: n")
    >>> print(tc.to_matrix(hessian(x @ A @ x, x)))
    A + A'

    Raises DerivativeError if ``loss`` is not a scalar, or ``x`` or ``y`` an integer.
    """
    loss = as_expression(loss)
    check_scalar(loss, "hessian")
    slope = gradient(loss, x)
    modes: tuple[Mode, Mode] = ("forward", "reverse")
    formulas = [derivative(slope, x if y is None else y, mode) for mode in modes]
    return min(formulas, key=node_count)


def jvp(expression: Node, x: Node, v: Node) -> Node:
    """Jacobian times tangent: ``sum(J[i..., k...] v[k...] over k)``, shape of ``expression``.

    ``v`` has the shape of ``x``. One sweep in forward mode; the Jacobian is never formed.

    >>> import numpy as np, tensorcalc as tc
    >>> A, x, v = tc.variables("A: m n, x: n, v: n")
    >>> print(tc.to_matrix(jvp(np.sin(A @ x), x, v)))
    cos(A*x) .* (A*v)

    Raises ShapeError if ``v`` has another shape. Source: Laue, Mitterreiter, Giesen, *Computing
    Higher Order Derivatives of Matrix and Tensor Expressions* (NeurIPS 2018), section 3.1.
    """
    expression, v = as_expression(expression), as_expression(v)
    _check_direction(v, x, "tangent", "variable")
    return simplify(pushforward(expression, {x: v}, 0))


def vjp(expression: Node, x: Node, u: Node) -> Node:
    """Adjoint times Jacobian: ``sum(u[i...] J[i..., k...] over i)``, shape of ``x``.

    ``u`` has the shape of ``expression``. One sweep in reverse mode; the Jacobian is never formed.

    >>> import numpy as np, tensorcalc as tc
    >>> A, x, u = tc.variables("A: m n, x: n, u: m")
    >>> print(tc.to_matrix(vjp(np.sin(A @ x), x, u)))
    A'*(u .* cos(A*x))

    Raises ShapeError if ``u`` has another shape. Source: as :func:`jvp`, section 3.2.
    """
    expression, u = as_expression(expression), as_expression(u)
    _check_direction(u, expression, "adjoint", "expression")
    return simplify(pullback(expression, [x], u, 0)[0])


def hvp(loss: Node, x: Node, v: Node) -> Node:
    """Hessian times tangent: ``sum(H[i..., k...] v[k...] over k)``, shape of ``x`` and of ``v``.

    Forward mode over the gradient; the Hessian is never formed.

    >>> import numpy as np, tensorcalc as tc
    >>> X, w, v = tc.variables("X: m n, w: n, v: n")
    >>> print(tc.to_matrix(hvp(np.sum(np.exp(X @ w)), w, v)))
    X'*(exp(X*w) .* (X*v))

    Raises DerivativeError if ``loss`` is not a scalar, ShapeError if ``v`` has not the shape of
    ``x``. Source: Pearlmutter, *Fast Exact Multiplication by the Hessian* (1994).
    """
    return jvp(gradient(loss, x), x, v)


def check_scalar(loss: Node, what: str) -> None:
    """Raise DerivativeError unless ``loss`` is a scalar."""
    if loss.ndim:
        raise DerivativeError(
            f"{what} of an expression that is not a scalar",
            [f"expression: {loss}, shape {loss.extents}"],
            "use derivative (autodiff: jacobian), or sum the expression first",
        )


def _check_real(x: Node) -> None:
    if isinstance(x, Variable) and x.flags & {"integer", "boolean"}:
        raise DerivativeError(
            f"derivative by {x.name}, whose values are integers",
            [f"{x.name}, shape {x.extents}, flags: {', '.join(sorted(x.flags))}"],
            "declare it without the flag, or differentiate by another variable",
        )


def _check_direction(direction: Node, base: Node, what: str, of: str) -> None:
    if direction.ndim != base.ndim or any(map(_differ, direction.extents, base.extents)):
        raise ShapeError(
            f"the {what} does not have the shape of the {of}",
            [f"{what}: shape {direction.extents}", f"{of}: {base}, shape {base.extents}"],
        )


def _differ(left: Any, right: Any) -> bool:
    return not left == right


# -- reverse mode ---------------------------------------------------------------------------------
def pullback(expression: Node, xs: Sequence[Node], seed: Node, rank: int) -> list[Node]:
    """Adjoints of ``xs``: ``rank`` leading axes of ``seed``, then the axes of each of ``xs``.

    ``seed`` has ``rank`` axes of its own, then the axes of ``expression``.
    """
    active = _active(expression, xs)
    contributions: dict[Node, list[Node]] = {expression: [seed]}
    leading = seed.extents[:rank]
    targets = set(xs)
    for node in reversed([node for node in postorder(expression) if node in active]):
        if node not in contributions:
            continue
        adjoint = add(*contributions[node])
        contributions[node] = [adjoint]
        if node in targets and not any(operand in active for operand in node.operands):
            continue
        for operand, part in _operand_adjoints(node, adjoint, rank, active):
            contributions.setdefault(operand, []).append(part)
    return [
        add(*contributions[x]) if x in contributions else zeros((*leading, *x.extents)) for x in xs
    ]


def _operand_adjoints(
    node: Node, adjoint: Node, rank: int, active: set[Node]
) -> Iterator[tuple[Node, Node]]:
    if isinstance(node, Sum):
        for operand in node.operands:
            if operand in active:
                yield operand, adjoint
    elif isinstance(node, Product):
        lead = _names("lead", rank)
        for k, operand in enumerate(node.operands):
            if operand in active:
                labels, deltas = _distinct(node, k)
                others = _without(node, k)
                yield (
                    operand,
                    product(
                        [adjoint, *others[0], *deltas[0]],
                        [(*lead, *node.output), *others[1], *deltas[1]],
                        (*lead, *labels),
                        dict(zip(labels, operand.extents, strict=True)),
                    ),
                )
    elif isinstance(node, Apply):
        for k, operand in enumerate(node.operands):
            if operand in active and node.operation.partials[k] is not None:
                yield operand, _apply_adjoint(node, k, adjoint, rank)


def _apply_adjoint(node: Apply, k: int, adjoint: Node, rank: int) -> Node:
    if node.operation.pullback is not None:
        return node.operation.pullback(k, adjoint, rank, node, *node.operands, **dict(node.params))
    lead = _names("lead", rank)
    partial, (batch, out, own) = local_partial(node, k)
    return product(
        [adjoint, partial],
        [(*lead, *batch, *out), _partial_labels(partial, batch, out, own)],
        (*lead, *_own_batch(node.operands[k], batch, own), *own),
        _batch_extents(node, batch),
    )


# -- forward mode ---------------------------------------------------------------------------------
def pushforward(expression: Node, seeds: dict[Node, Node], rank: int) -> Node:
    """Tangent of ``expression``: its axes, then the ``rank`` trailing axes of the seeds."""
    active = _active(expression, list(seeds))
    tangents = dict(seeds)
    for node in postorder(expression):
        if node in active and node not in tangents:
            parts = list(_tangent_parts(node, tangents, rank))
            if parts:
                tangents[node] = add(*parts)
    if expression in tangents:
        return tangents[expression]
    any_seed = next(iter(seeds.values()))
    return zeros((*expression.extents, *any_seed.extents[any_seed.ndim - rank :]))


def _tangent_parts(node: Node, tangents: dict[Node, Node], rank: int) -> Iterator[Node]:
    trail = _names("trail", rank)
    for k, operand in enumerate(node.operands):
        if operand not in tangents:
            continue
        tangent = tangents[operand]
        if isinstance(node, Sum):
            yield tangent
        elif isinstance(node, Product):
            others = _without(node, k)
            yield product(
                [tangent, *others[0]],
                [(*node.subscripts[k], *trail), *others[1]],
                (*node.output, *trail),
            )
        elif isinstance(node, Apply) and node.operation.partials[k] is not None:
            partial, (batch, out, own) = local_partial(node, k)
            yield product(
                [partial, tangent],
                [
                    _partial_labels(partial, batch, out, own),
                    (*_own_batch(operand, batch, own), *own, *trail),
                ],
                (*batch, *out, *trail),
                _batch_extents(node, batch),
            )


# -- cross-country mode ---------------------------------------------------------------------------
def _eliminate(expression: Node, x: Node) -> Node:
    """Vertex elimination on the graph of partial derivatives, tensors of low order first.

    Source: AAAI 2020, section 3.3; Griewank and Walther, *Evaluating Derivatives*, chapter 9.
    """
    if expression is x:
        return kronecker(x.extents)
    active = _active(expression, [x])
    if expression not in active:
        return zeros((*expression.extents, *x.extents))
    edges = _edges(expression, active)
    inner = dict.fromkeys(n for n in postorder(expression) if n in active)
    del inner[x], inner[expression]
    while inner:
        node = min(inner, key=lambda n: _elimination_order(n, edges))
        del inner[node]
        _eliminate_vertex(node, edges)
    return edges.get((expression, x), zeros((*expression.extents, *x.extents)))


def _edges(expression: Node, active: set[Node]) -> dict[tuple[Node, Node], Node]:
    edges: dict[tuple[Node, Node], Node] = {}
    for node in postorder(expression):
        if node not in active:
            continue
        for operand in dict.fromkeys(node.operands):
            if operand in active:
                tangent = kronecker(operand.extents)
                parts = list(_tangent_parts(node, {operand: tangent}, operand.ndim))
                if parts:
                    edges[node, operand] = add(*parts)
    return edges


def _elimination_order(node: Node, edges: dict[tuple[Node, Node], Node]) -> int:
    users = [user.ndim for user, operand in edges if operand is node]
    operands = [operand.ndim for user, operand in edges if user is node]
    return max(users, default=0) + max(operands, default=0)


def _eliminate_vertex(node: Node, edges: dict[tuple[Node, Node], Node]) -> None:
    users = [user for user, operand in edges if operand is node]
    operands = [operand for user, operand in edges if user is node]
    middle = _names("middle", node.ndim)
    for user in users:
        into = edges.pop((user, node))
        for operand in operands:
            first, last = _names("first", user.ndim), _names("last", operand.ndim)
            through = product(
                [into, edges[node, operand]],
                [(*first, *middle), (*middle, *last)],
                (*first, *last),
            )
            known = edges.get((user, operand))
            edges[user, operand] = through if known is None else add(known, through)
    for operand in operands:
        del edges[node, operand]


# -- shared pieces --------------------------------------------------------------------------------
def local_partial(node: Apply, k: int) -> tuple[Node, tuple[Any, Any, Any]]:
    """The partial derivative tensor of a table row and its labels: batch, core of out, own core."""
    operation = node.operation
    rule = operation.partials[k]
    assert rule is not None
    partial = rule(node, *node.operands, **dict(node.params))
    if not isinstance(partial, Node):
        partial = Constant(partial)
    core = len(operation.result_core) if operation.core_extents is None else None
    own_core = operation.operand_cores[k]
    batch_rank = node.operands[k].ndim - len(own_core)
    if operation.is_elementwise:
        batch_rank = node.ndim
    core = node.ndim - batch_rank
    return partial, (_names("b", batch_rank), _names("o", core), _names("i", len(own_core)))


def _partial_labels(partial: Node, batch: Any, out: Any, own: Any) -> tuple[Hashable, ...]:
    """A partial derivative that is a scalar is the same on every batch index."""
    return (*batch, *out, *own) if partial.ndim else ()


def _own_batch(operand: Node, batch: Any, own: Any) -> tuple[Hashable, ...]:
    """A scalar operand of an elementwise operation has no batch axes."""
    return batch if operand.ndim else ()


def _batch_extents(node: Apply, batch: Any) -> dict[Hashable, Any]:
    return dict(zip(batch, node.extents, strict=False))


def _names(prefix: str, rank: int) -> tuple[Hashable, ...]:
    return tuple((prefix, k) for k in range(rank))


def _without(node: Product, k: int) -> tuple[list[Node], list[Any]]:
    operands, subscripts = list(node.operands), list(node.subscripts)
    del operands[k], subscripts[k]
    return operands, subscripts


def _distinct(node: Product, k: int) -> tuple[list[Hashable], tuple[list[Node], list[Any]]]:
    """Labels of operand ``k`` made distinct, with the Kronecker deltas that tie the copies."""
    labels: list[Hashable] = []
    deltas: list[Node] = []
    subscripts: list[Any] = []
    for axis, label in enumerate(node.subscripts[k]):
        if label in labels:
            copy = ("copy", axis)
            deltas.append(kronecker((node.operands[k].extents[axis],)))
            subscripts.append((label, copy))
            labels.append(copy)
        else:
            labels.append(label)
    return labels, (deltas, subscripts)


def _active(expression: Node, xs: Sequence[Node]) -> set[Node]:
    """Nodes through which the expression depends on one of ``xs`` differentiably."""
    active: set[Node] = set(xs)
    for node in postorder(expression):
        if isinstance(node, (Constant, Variable)):
            continue
        everywhere: Sequence[Any] = (True,) * len(node.operands)
        partials = node.operation.partials if isinstance(node, Apply) else everywhere
        if any(o in active and p is not None for o, p in zip(node.operands, partials, strict=True)):
            active.add(node)
    return active


__all__ = ["derivative", "gradient", "hessian", "hvp", "jvp", "transpose", "vjp"]
