"""Derivations compiled and kept: the one place where autodiff meets the targets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import backends
from tensorcalc.nodes import Delta, Node, Product, Variable

from .rules import Derivation

#: Derivations kept for functions that are traced again to the same expressions.
DERIVED_LIMIT = 512


class Derived(NamedTuple):
    """What was derived from a trace, and the function that computes it from the trace's inputs.

    ``formulas`` are those of the derivation, then those of auxiliary results.
    """

    derivation: Derivation
    formulas: list[Node]
    compiled: backends.CompiledFunction


_derived: OrderedDict[Any, tuple[Any, Derived]] = OrderedDict()


def derived(
    key: Any,
    nodes: Sequence[Node],
    inputs: Sequence[Variable],
    target: str,
    derive: Callable[[], tuple[Derivation, list[Node]]],
) -> Derived:
    """What ``derive`` gives, compiled; the same nodes and key give the same object again."""
    whole = key, target, tuple(map(id, nodes)), tuple(map(id, inputs))
    found = _derived.get(whole)
    if found is None:
        derivation, formulas = derive()
        compiled = backends.compile(formulas, target, variables=inputs)
        compiled.result_names = [f"the result of {key[0]}"] * len(formulas)
        result = Derived(derivation, formulas, compiled)
        found = _derived[whole] = ((list(nodes), list(inputs)), result)  # keeps the ids alive
        if len(_derived) > DERIVED_LIMIT:
            _derived.popitem(last=False)
    _derived.move_to_end(whole)
    return found[1]


def may_alias(formulas: Sequence[Node]) -> list[bool]:
    """Which results may be an argument, a view of one, or one array with an earlier result."""
    seen: set[Node] = set()
    result = []
    for formula in formulas:
        result.append(formula in seen or _is_view_of_variable(formula))
        seen.add(formula)
    return result


def _is_view_of_variable(node: Node) -> bool:
    if isinstance(node, Product):
        return all(isinstance(operand, (Delta, Variable)) for operand in node.operands)
    return isinstance(node, (Variable, Delta))
