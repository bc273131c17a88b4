"""What each transform derives from a trace: expressions and the nesting of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tensorcalc.derivatives import pullback, pushforward
from tensorcalc.errors import DerivativeError, TraceError
from tensorcalc.nodes import Constant, Node, Variable
from tensorcalc.products import kronecker, transpose, zeros
from tensorcalc.simplify import simplify_all
from tensorcalc.sums import add

from . import pytrees
from .pytrees import LEAF, Definition, leaf_count, nested, tuple_of
from .tracing import Trace


class Selection(NamedTuple):
    """The leaves to differentiate, and how their derivatives nest."""

    leaves: list[int]
    definition: Definition


class Outputs(NamedTuple):
    """Leaves of the function's value and of its auxiliary result."""

    value: list[Node]
    definition: Definition
    aux: list[Any]
    aux_definition: Definition | None


class Derivation(NamedTuple):
    """Expressions, the leaf whose dtype each result takes (None: NumPy's), and their nesting.

    ``assemble``, where there is one, gives for the sizes of the symbols and the shapes of the
    selected leaves what makes the result of the arrays; ``found`` is the structure of a structured
    matrix.
    """

    nodes: list[Node]
    dtypes: Sequence[int | None]
    definition: Definition
    assemble: Callable[[Mapping[str, int], Sequence[Any]], Callable[[Any], Any]] | None = None
    found: Any = None


def split_outputs(trace: Trace, has_aux: bool, what: str) -> Outputs:
    """The value and, where announced, what the function returned beside it."""
    leaves, definition = trace.outputs, trace.definition
    aux_definition = None
    if has_aux:
        if definition[0] != "tuple" or len(definition[2]) != 2:
            raise TraceError(
                f"{what} with has_aux=True needs a function that returns a pair (value, aux)",
                [f"returned: {_shown(definition, leaves)}"],
            )
        definition, aux_definition = definition[2]
    count = leaf_count(definition)
    if not count:
        raise _not_numeric(what, pytrees.unflatten(definition, []))
    for leaf in leaves[:count]:
        if not isinstance(leaf, Node):
            raise _not_numeric(what, leaf)
    return Outputs(leaves[:count], definition, leaves[count:], aux_definition)


def _shown(definition: Definition, leaves: list[Any]) -> str:
    shown = [x if not isinstance(x, Node) else f"tensor of {x.ndim} axes" for x in leaves]
    return repr(pytrees.unflatten(definition, shown))


def _not_numeric(what: str, leaf: Any) -> TraceError:
    if leaf is None:
        attempt, remedy = "returned None", "end it with a return statement"
    else:
        attempt = f"returned a {type(leaf).__name__}, which is no number or array"
        remedy = "return arrays; for anything else return a pair (value, aux) with has_aux=True"
    return TraceError(f"{what}: the function {attempt}", [f"returned: {leaf!r:.60}"], remedy)


def scalar(trace: Trace, outputs: Outputs, what: str) -> Node:
    """The single scalar output, or a DerivativeError that says what to use instead."""
    if outputs.definition == LEAF and not outputs.value[0].ndim:
        return outputs.value[0]
    if outputs.definition == LEAF:
        got = f"an array of shape {trace.shape_of(outputs.value[0])}"
    else:
        got = _shown(outputs.definition, outputs.value)
    raise DerivativeError(
        f"{what} needs a function that returns a scalar",
        [f"returned: {got}"],
        _remedy(outputs, what),
    )


def _remedy(outputs: Outputs, what: str) -> str:
    """What to do about a function that returns something else than one number."""
    if outputs.definition[0] == "tuple" and what in ("grad", "value_and_grad"):
        return "return the loss alone, or a pair (loss, aux) with has_aux=True; else use jacobian"
    return f"use {_OF_ARRAYS.get(what, 'jacobian')}, or sum the result"


#: What takes functions that return arrays, by the transform that does not.
_OF_ARRAYS = {
    "structured hessian": "hessian without structured= and memory=",
    "hvp": "jvp(jacobian(f), ...)",
}


def variables_of(trace: Trace, selection: Selection) -> list[Variable]:
    """The variables of the selected leaves."""
    return [trace.variables[k] for k in selection.leaves]  # type: ignore[misc]


# -- one function per transform -------------------------------------------------------------------
def value(trace: Trace, selection: Selection, outputs: Outputs, extras: Any) -> Derivation:
    """The function itself."""
    return _plain(simplify_all(list(outputs.value)), outputs.definition)


def gradient(trace: Trace, selection: Selection, outputs: Outputs, extras: Any) -> Derivation:
    """Reverse mode, once for all selected leaves."""
    _, adjoints = loss_and_adjoints(trace, selection, outputs, "grad")
    return Derivation(simplify_all(adjoints), list(selection.leaves), selection.definition)


def value_and_gradient(
    trace: Trace, selection: Selection, outputs: Outputs, extras: Any
) -> Derivation:
    """The loss and its gradient, sharing what they have in common."""
    loss, adjoints = loss_and_adjoints(trace, selection, outputs, "value_and_grad")
    nesting = tuple_of((LEAF, selection.definition))
    return Derivation(simplify_all([loss, *adjoints]), [None, *selection.leaves], nesting)


def jacobian(trace: Trace, selection: Selection, outputs: Outputs, extras: Any) -> Derivation:
    """Axes of each output, then axes of each selected leaf."""
    xs = variables_of(trace, selection)
    results = simplify_all(list(outputs.value))
    blocks = [
        block
        for result in results
        for block in pullback(result, xs, kronecker(result.extents), result.ndim)
    ]
    nesting = nested(outputs.definition, selection.definition)
    return Derivation(simplify_all(blocks), list(selection.leaves) * len(results), nesting)


def hessian(trace: Trace, selection: Selection, outputs: Outputs, extras: Any) -> Derivation:
    """Axes of each output, then those of two selected leaves; nested in the same order."""
    xs = variables_of(trace, selection)
    nodes = [
        block
        for result in simplify_all(list(outputs.value))
        for block in hessian_blocks(
            simplify_all(pullback(result, xs, kronecker(result.extents), result.ndim)),
            xs,
            result.ndim,
        )
    ]
    rows = [leaf for leaf in selection.leaves for _ in selection.leaves]
    square = nested(selection.definition, selection.definition)
    return Derivation(nodes, rows * len(outputs.value), nested(outputs.definition, square))


def value_gradient_hessian(
    trace: Trace, selection: Selection, outputs: Outputs, extras: Any
) -> Derivation:
    """Everything Newton's method needs, sharing what there is in common."""
    loss, adjoints = loss_and_adjoints(trace, selection, outputs, "hessian")
    loss, *gradients = simplify_all([loss, *adjoints])
    blocks = hessian_blocks(gradients, variables_of(trace, selection))
    nodes = simplify_all([loss, *gradients, *blocks])
    square = nested(selection.definition, selection.definition)
    return _plain(nodes, tuple_of((LEAF, selection.definition, square)))


def jvp(trace: Trace, selection: Selection, outputs: Outputs, extras: Any) -> Derivation:
    """The value and its derivative in the direction of ``extras``."""
    results = simplify_all(list(outputs.value))
    tangents = _tangents(results, trace, extras)
    nodes = simplify_all([*results, *tangents])
    return _plain(nodes, tuple_of((outputs.definition, outputs.definition)))


def vjp(trace: Trace, selection: Selection, outputs: Outputs, extras: Any) -> Derivation:
    """The adjoints of the selected leaves, given those of the outputs."""
    xs = variables_of(trace, selection)
    parts = [
        pullback(result, xs, seed, 0)
        for result, seed in zip(simplify_all(list(outputs.value)), extras, strict=True)
    ]
    adjoints = [add(*column) for column in zip(*parts, strict=True)]
    return Derivation(simplify_all(adjoints), list(selection.leaves), selection.definition)


def hvp(trace: Trace, selection: Selection, outputs: Outputs, extras: Any) -> Derivation:
    """The derivative of the gradient in the direction of ``extras``: forward over reverse."""
    _, adjoints = loss_and_adjoints(trace, selection, outputs, "hvp")
    products = simplify_all(_tangents(simplify_all(adjoints), trace, extras))
    return Derivation(products, list(selection.leaves), selection.definition)


def hessian_blocks(gradients: Sequence[Node], xs: Sequence[Node], rank: int = 0) -> list[Node]:
    """All blocks row by row, each the derivative of a gradient with respect to a variable.

    The gradients begin with the ``rank`` axes of what was differentiated. A block below the
    diagonal is the transpose of the one above it.
    """
    blocks: dict[tuple[int, int], Node] = {}
    for a, gradient in enumerate(gradients):
        seed = kronecker(gradient.extents)
        for b, block in enumerate(pullback(gradient, xs[a:], seed, gradient.ndim), a):
            blocks[a, b] = block
    upper = dict(zip(blocks, simplify_all(list(blocks.values())), strict=True))
    count = range(len(xs))
    return [
        upper[a, b] if a <= b else _blocks_swapped(upper[b, a], rank, xs[b].ndim)
        for a in count
        for b in count
    ]


def _blocks_swapped(block: Node, rank: int, rows: int) -> Node:
    middle = rank + rows
    return transpose(block, (*range(rank), *range(middle, block.ndim), *range(rank, middle)))


def loss_and_adjoints(
    trace: Trace, selection: Selection, outputs: Outputs, what: str
) -> tuple[Node, list[Node]]:
    """The scalar output and its derivatives with respect to the selected leaves."""
    loss = simplify_all([scalar(trace, outputs, what)])[0]
    return loss, pullback(loss, variables_of(trace, selection), Constant(1), 0)


def _tangents(
    results: Sequence[Node], trace: Trace, directions: Sequence[Node | None]
) -> list[Node]:
    leaves = trace.variables[: len(directions)]
    seeds: dict[Node, Node] = {
        x: v for x, v in zip(leaves, directions, strict=True) if x is not None and v is not None
    }
    if not seeds:
        return [zeros(result.extents) for result in results]
    return [pushforward(result, dict(seeds), 0) for result in results]


def _plain(nodes: list[Node], definition: Definition) -> Derivation:
    return Derivation(nodes, [None] * len(nodes), definition)
