"""Replacing extents throughout an expression, and the equations between extents that call for it.

While tracing, a question such as ``n0 == n1`` is answered from real sizes; the expression then
relies on the answer but still holds both symbols. Here the equations are solved and the
expression is rebuilt with one symbol for what is one size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .applications import apply
from .extents import Extent, is_nonnegative, substitute, symbol, symbol_name, symbols_of
from .nodes import Apply, Constant, Delta, Node, Product, Sum, Variable, postorder
from .products import product
from .sums import add

Replacements = dict[str, Any]


def replace_extents(roots: Sequence[Node], replacements: Mapping[str, Any]) -> dict[Node, Node]:
    """Every node below ``roots`` with symbols replaced by extents, rebuilt by the constructors.

    Rebuilding normalises: a Delta that two symbols kept apart may become a Kronecker delta.
    """
    new: dict[Node, Node] = {}
    for node in postorder(*roots):
        new[node] = _replaced(node, new, replacements)
    return new


def _replaced(node: Node, new: Mapping[Node, Node], replacements: Mapping[str, Any]) -> Node:
    if isinstance(node, Constant):
        return node
    if isinstance(node, Variable):
        return replace_in_variable(node, replacements)
    if isinstance(node, Delta):
        return _replaced_delta(node, replacements)
    operands = [new[operand] for operand in node.operands]
    if isinstance(node, Product):
        return product(operands, node.subscripts, node.output)
    if isinstance(node, Sum):
        return add(*operands)
    assert isinstance(node, Apply)
    params = {name: _in_value(value, replacements) for name, value in node.params}
    return apply(node.operation.name, *operands, **params)


def replace_in_variable(variable: Variable, replacements: Mapping[str, Any]) -> Variable:
    """The variable with symbols of its shape replaced."""
    extents = [substitute(extent, replacements) for extent in variable.extents]
    return Variable(variable.name, extents, variable.flags, variable.value)


def _replaced_delta(node: Delta, replacements: Mapping[str, Any]) -> Node:
    rows = _in_value(node.rows, replacements)
    axes = range(node.ndim)
    delta = Delta(rows, _in_value(node.extents, replacements))
    return product((delta,), (axes,), axes)


def _in_value(value: Any, replacements: Mapping[str, Any]) -> Any:
    if isinstance(value, Extent):
        return substitute(value, replacements)
    if isinstance(value, tuple):
        return tuple(_in_value(item, replacements) for item in value)
    return value


def solved(equations: Iterable[tuple[Any, Any]], sizes: Mapping[str, int]) -> Replacements:
    """Replacements under which both sides of every equation are the same extent.

    Symbols are ordered as in ``sizes``; of two equal ones the earlier stays. An equation that is
    not linear in any symbol pins its symbols to their ``sizes``.
    """
    rank = {name: k for k, name in enumerate(sizes)}
    replacements: Replacements = {}
    users: dict[str, list[str]] = {}  # whose replacement holds a symbol
    for left, right in equations:
        difference = substitute(left, replacements) - substitute(right, replacements)
        if isinstance(difference, Extent):
            for name, value in _solution(difference, rank, sizes).items():
                _include(replacements, users, name, value)
    return replacements


def _solution(
    difference: Extent, rank: Mapping[str, int], sizes: Mapping[str, int]
) -> Replacements:
    """Some symbols such that ``difference`` is zero once they are replaced."""
    for name in sorted(symbols_of(difference), key=lambda name: -rank[name]):
        coefficient = difference.terms.get(((name, 1),), 0)
        rest = difference - coefficient * symbol(name)
        value = -coefficient * rest
        if coefficient in (1, -1) and name not in symbols_of(rest) and is_nonnegative(value):
            return {name: value}
    return {name: sizes[name] for name in symbols_of(difference)}


def _include(
    replacements: Replacements, users: dict[str, list[str]], name: str, value: Any
) -> None:
    affected = users.pop(name, [])
    for known in affected:
        replacements[known] = substitute(replacements[known], {name: value})
    replacements[name] = value
    for symbol_in_value in symbols_of(value):
        users.setdefault(symbol_in_value, []).extend([name, *affected])


def sizes_from(variables: Iterable[Variable], shapes: Iterable[Sequence[int]]) -> dict[str, int]:
    """Sizes of the symbols that are the whole extent of an axis of some variable."""
    sizes: dict[str, int] = {}
    for variable, shape in zip(variables, shapes, strict=True):
        for extent, size in zip(variable.extents, shape, strict=True):
            name = symbol_name(extent)
            if name is not None:
                sizes[name] = size
    return sizes


__all__ = ["replace_extents", "replace_in_variable", "sizes_from", "solved"]
