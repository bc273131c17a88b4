"""Functions in index text: elementwise ones, and those of whole vectors and matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..nodes import Apply, Node, Variable
from ..notation.formula import COMPARISONS
from ..notation.reader import Labels
from ..notation.summation import natural_order
from .arrangement import number_text
from .pieces import (
    ATOM,
    COMPARISON,
    POWER,
    SUM,
    Text,
    bracket,
    combined,
    distinct,
    leaf,
    outside,
    parameter_list,
)

_INFIX = {name: sign for sign, name in COMPARISONS.items()}


class FunctionPrinter:
    """The part of the printer that writes functions; their operands are the subclass's to write."""

    sizes: dict[str, Any]
    definitions: Mapping[Node, str]
    render: Callable[[Node, Labels, frozenset[str]], Text]
    ordered: Callable[[Text, Labels], Text]
    fresh: Callable[[Any, frozenset[str]], Labels]
    _declare: Callable[[Text, Any], None]
    _factors: Callable[..., Text]

    # -- functions --------------------------------------------------------------------------
    def _power(self, base: Node, exponent: float, labels: Labels, used: frozenset[str]) -> Text:
        text = (
            self.ordered(self.render(base, labels, used), labels)
            if base.ndim
            else self.render(base, (), used)
        )
        if exponent == 0.5:
            return text.replaced(text=f"sqrt({text.text})", level=ATOM)
        if exponent == 1:
            return text
        power = number_text(exponent)
        return text.replaced(text=f"{text.at(ATOM)}^{power}", level=POWER)

    def _elementwise(self, node: Apply, labels: Labels, used: frozenset[str]) -> Text:
        name, params = node.operation.name, dict(node.params)
        if name == "power" and params.get("at_zero") is None:
            if params["exponent"] < 0:
                return self._factors([(node, labels)], 1, labels, used)
            return self._power(node.operands[0], params["exponent"], labels, used)
        texts = [self.render(o, labels if o.ndim else (), used) for o in node.operands]
        lead = next((k for k, o in enumerate(node.operands) if o.ndim), 0)
        if texts[lead].order != labels and node.operands[lead].ndim:
            texts[lead] = self.ordered(texts[lead], labels)
        whole = combined(texts)
        if name in _INFIX:
            joined = f" {_INFIX[name]} ".join(t.at(SUM) for t in texts)
            return whole.replaced(text=joined, level=COMPARISON, order=labels)
        arguments = [t.text for t in texts] + parameter_list(name, params)
        return whole.replaced(text=f"{name}({', '.join(arguments)})", level=ATOM, order=labels)

    def _core_apply(self, node: Apply, labels: Labels, used: frozenset[str]) -> Text:
        """A function of vectors or matrices, in the shortest form that says it."""
        cores = node.operation.operand_cores
        rank = len(node.operation.result_core)
        split = len(labels) - rank
        batch, core = labels[:split], labels[split:]
        name = node.operation.name
        parameters = parameter_list(name, dict(node.params))
        if not batch and all(map(len, cores)):
            whole = [self._closed_operand(o, used | set(labels)) for o in node.operands]
            if all(whole) and not (
                self._binds_one(node)
                and distinct(labels)
                and not all(map(self._is_short, node.operands))
            ):
                return leaf(f"{name}({', '.join(whole + parameters)})", core)
        if distinct(labels) and self._binds_one(node):
            lead = next(o for o, c in zip(node.operands, cores, strict=True) if c)
            bound = core or self.fresh(lead.extents[-1:], used | set(labels))
            texts = [
                self._operand(o, batch, bound if c else (), used, "")
                for o, c in zip(node.operands, cores, strict=True)
            ]
            joined = f"{name}{bracket(bound)}({', '.join([t.text for t in texts] + parameters)})"
            return outside(texts, batch).replaced(
                text=joined, level=ATOM, order=labels, known=outside(texts, batch).known | set(core)
            )
        if not distinct(batch):
            return self._relabelled_batch(node, labels, used)
        texts = []
        for o, c in zip(node.operands, cores, strict=True):
            inner = self.fresh(o.extents[split:] if c else (), used | set(labels))
            texts.append(self._operand(o, batch, inner, used, f"{bracket(inner)} -> " if c else ""))
        joined = f"{name}({', '.join([t.text for t in texts] + parameters)}){bracket(core)}"
        around = outside(texts, batch)
        return around.replaced(
            text=joined, level=ATOM, order=(*batch, *core), known=around.known | set(core)
        )

    def _operand(
        self, node: Node, batch: Labels, inner: Labels, used: frozenset[str], prefix: str
    ) -> Text:
        names = batch + inner
        text = self.render(node, names, used | set(names))
        own = tuple(label for label in text.order if label not in inner)
        if own != batch:
            text = self.ordered(text, names)
        bound = dict(zip(inner, node.extents[len(batch) :], strict=True))
        for label in text.unknown & set(inner):
            self.sizes[label] = bound[label]
        return text.replaced(text=prefix + text.text, demands=text.demands - set(inner))

    def _is_short(self, node: Node) -> bool:
        return isinstance(node, Variable) or node in self.definitions

    def _closed_operand(self, node: Node, used: frozenset[str]) -> str:
        """A tensor without indices or with free ones in alphabetical order, else nothing."""
        if node in self.definitions:
            return self.definitions[node]
        if isinstance(node, Variable):
            return node.name
        if _is_matrix_function(node):
            return self.render(node, tuple("ij"[: node.ndim]), used).text.rpartition("[")[0]
        names = self.fresh(node.extents, used)
        if natural_order(names) != names:
            return ""
        text = self.render(node, names, used | set(names))
        self._declare(text, zip(names, node.extents, strict=True))
        return "" if text.demands else text.text

    def _binds_one(self, node: Apply) -> bool:
        """Whether the operation runs over one axis, so that one name says which."""
        names = {axis for core in node.operation.operand_cores for axis in core}
        single = all(len(core) <= 1 for core in node.operation.operand_cores) and len(names) == 1
        return single and (
            not node.operation.result_core or set(node.operation.result_core) == names
        )

    def _relabelled_batch(self, node: Apply, labels: Labels, used: frozenset[str]) -> Text:
        inner = self.fresh(node.extents, used | set(labels))
        text = self._core_apply(node, inner, used | set(inner))
        self._declare(text, zip(inner, node.extents, strict=True))
        return leaf(f"({bracket(inner)} -> {text.text})", labels)


def _is_matrix_function(node: Node) -> bool:
    """Whether ``node`` is a function of whole tensors, such as ``inv(A)``."""
    return (
        isinstance(node, Apply)
        and len(node.operation.result_core) == node.ndim > 0
        and all(isinstance(operand, Variable) for operand in node.operands)
    )
