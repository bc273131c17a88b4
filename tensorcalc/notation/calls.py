"""Functions in index notation: elementwise ones, and those of whole vectors and matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..applications import apply, power
from ..nodes import Node, extent_scalar
from ..numpy_protocol.ufuncs import COMPOSITE
from ..products import product
from ..table import TABLE
from .formula import Arrow, Call, Formula
from .labelled import Labelled, Scope
from .reader import Labels, Reader


class CallReader(Reader):
    """The part of a reader that reads functions; values of operands are the subclass's to read."""

    value: Callable[..., Labelled]
    tensor: Callable[[Formula], Node]
    _solved: Callable[..., list[Any]]
    _output: Callable[..., Labels]

    # -- functions --------------------------------------------------------------------------
    def _call(self, formula: Call, scope: Scope) -> Labelled:
        if formula.function == "size":
            return Labelled(extent_scalar(self.extent(self.only(formula))), ())
        if formula.function not in TABLE and formula.function not in COMPOSITE:
            raise self.unknown_function(formula)
        operation = TABLE.get(formula.function)
        if operation is None or operation.is_elementwise:
            params = {name: self.param(value) for name, value in formula.params.items()}
            return self._elementwise(formula.function, formula.operands, params, scope)
        node, batch = self._core_call(formula, scope)
        if formula.binder and operation.result_core:
            return Labelled(node, batch + self.label_names(formula.binder))
        if operation.result_core:
            raise self.error(
                formula,
                f"{operation.name} has {len(operation.result_core)} axes and needs as many indices",
                f"write {operation.name}(...)[{','.join('ijkl'[: len(operation.result_core)])}]",
            )
        return Labelled(node, batch)

    def _elementwise(
        self, name: str, operands: Sequence[Formula], params: Any, scope: Scope
    ) -> Labelled:
        found = self._solved(operands, self.value, scope)
        labels = next((value.labels for value in found if value.labels), ())
        nodes = []
        for formula, value in zip(operands, found, strict=True):
            if value.labels and set(value.labels) != set(labels):
                raise self.error(
                    formula,
                    f"{name} of operands with indices [{','.join(labels)}] "
                    f"and [{','.join(value.labels)}]",
                    "give every operand the same free indices; 1[i] broadcasts",
                )
            nodes.append(value.arranged(labels) if value.labels else value.node)
        return Labelled(elementwise(name, nodes, params), labels)

    def _core_call(self, formula: Call, scope: Scope) -> tuple[Node, Labels]:
        """A row with core axes: the node and the labels of its batch axes."""
        operation = TABLE.get(formula.function)
        if operation is None:
            raise self.unknown_function(formula)
        if len(formula.operands) != operation.arity:
            raise self.error(
                formula,
                f"{operation.name} takes {operation.arity} operands, not {len(formula.operands)}",
            )
        pairs = list(zip(formula.operands, operation.operand_cores, strict=True))
        found = [self._core_operand(operand, core, formula, scope) for operand, core in pairs]
        batch = next((labels for _, labels in found if labels), ())
        nodes = []
        for (node, own), (operand, core) in zip(found, pairs, strict=True):
            if set(own) != set(batch):
                raise self.error(
                    operand,
                    f"indices [{','.join(own)}] outside the function, not [{','.join(batch)}]",
                )
            axes = tuple(range(len(core)))
            nodes.append(
                product((node,), ((*own, *axes),), (*batch, *axes)) if own != batch else node
            )
        params = {name: self.param(value) for name, value in formula.params.items()}
        return apply(operation.name, *nodes, **with_defaults(operation.name, params)), batch

    def _core_operand(
        self, formula: Formula, core: Sequence[str], call: Call, scope: Scope
    ) -> tuple[Node, Labels]:
        if isinstance(formula, Arrow):
            inner, body = self.label_names(formula.items), formula.body
        elif call.binder and core:
            inner, body = self.label_names(call.binder), formula
        elif not core:
            inner, body = (), formula
        else:
            node = self.tensor(formula)
            if node.ndim != len(core):
                raise self.error(
                    formula,
                    f"{call.function} runs over {len(core)} axes, but its operand has {node.ndim}",
                    f"name them: {call.function}([{','.join('ab'[: len(core)])}] -> ...)",
                )
            return node, ()
        found = self.value(body, scope.keeping(inner))
        batch = tuple(label for label in found.labels if label not in inner)
        return found.arranged(self._output(batch + inner, found.labels, (), formula)), batch

    def _core_rank(self, formula: Call) -> int:
        operation = TABLE.get(formula.function)
        return len(operation.result_core) if operation else 0


def elementwise(name: str, nodes: Sequence[Node], params: Mapping[str, Any]) -> Node:
    """A row of the table, or a ufunc that is a combination of rows, of nodes of one shape."""
    if name == "sqrt":
        return power(nodes[0], 0.5)
    if name == "power":
        return power(nodes[0], params["exponent"], params.get("at_zero"))
    if name in TABLE:
        return apply(name, *nodes, **with_defaults(name, params))
    return COMPOSITE[name](*nodes, **params)


def with_defaults(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with the value at zero that norms have unless a text says another."""
    if name != "power" and name in TABLE and TABLE[name].test_params.get("at_zero") == 0:
        return {"at_zero": 0.0, **params}
    return dict(params)
