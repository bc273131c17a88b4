"""Questions about nodes that decide how they are lowered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorcalc.nodes import Apply, Constant, Delta, Node, Product, Sum, Variable

from .affine_rows import has_rows
from .steps import Term, constant


def is_trivial(node: Node) -> bool:
    """Whether the node is a number, the same everywhere."""
    if isinstance(node, Product) or (isinstance(node, Apply) and node.operation.is_elementwise):
        return all(map(is_trivial, node.operands))
    return isinstance(node, Constant) or (isinstance(node, Delta) and not node.rows)


def is_scaling(node: Node) -> bool:
    """Whether the node is a number times another node: cheaper to repeat than to store."""
    return (
        isinstance(node, Product)
        and len(node.operands) == 2
        and isinstance(node.operands[0], Constant)
        and not isinstance(node.operands[1], Delta)
        and len(set(node.subscripts[1])) == len(node.output) == node.operands[1].ndim
    )


def is_stored(node: Node) -> bool:
    """Whether the node is its operand, on the far side of a border for rewriting."""
    return isinstance(node, Apply) and node.operation.name == "stored"


def is_elementwise(node: Node) -> bool:
    """Whether each entry of the node needs one entry of each operand and nothing is summed."""
    if isinstance(node, Apply):
        return node.operation.is_elementwise
    if isinstance(node, Sum):
        return not any(has_rows(operand) for operand in node.operands)
    if isinstance(node, Product):
        labels = {label for own in node.subscripts for label in own}
        return len(labels) == len(node.output) and not has_rows(node)
    return False


def kind_of(term: Term) -> Any:
    """The kind of number a term gives."""
    if term.operator == "load":
        return term.payload[0].kind
    if term.operator == "apply":
        return term.payload[0].result
    return "real"


def real(term: Term) -> Term:
    """A term as numbers: truth as 0 and 1."""
    if kind_of(term) == "boolean":
        return Term("select", (term, constant(1)))
    return term


def as_wanted(node: Apply, arguments: Sequence[Term]) -> tuple[Term, ...]:
    """Booleans stay booleans in logic and as conditions."""
    if node.operation.result == "boolean":
        return tuple(arguments)
    if node.operation.name == "where":
        return arguments[0], *map(real, arguments[1:])
    return tuple(map(real, arguments))


def result_kind(node: Apply) -> Any:
    """The kind of number an operation gives."""
    return node.operation.result


def variable_kind(variable: Variable) -> str:
    """The kind of number a variable is declared to hold."""
    for kind in ("boolean", "integer"):
        if kind in variable.flags:
            return kind
    return "real"
