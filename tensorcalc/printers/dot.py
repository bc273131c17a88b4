"""Expressions as Graphviz text: one box per node of the DAG, operands below their users."""

from __future__ import annotations

from ..nodes import Apply, Constant, Delta, Node, Product, Sum, Variable, as_expression, postorder
from .arrangement import number_text
from .index_text import index_text
from .pieces import parameter_list

_LETTERS = "ijklabcdefghpqrstuvwxyzmno"
_STYLE = {
    Variable: "shape=box, style=filled, fillcolor=lightblue",
    Constant: "shape=plaintext",
    Delta: "shape=diamond",
    Product: "shape=box",
    Sum: "shape=circle",
    Apply: "shape=box, style=rounded",
}


def to_dot(expression: Node) -> str:
    r"""The DAG of ``expression`` in the DOT language.

    Products show their einsum subscripts, functions their name; edges of a product are labelled by
    the indices of the operand.

    >>> import tensorcalc as tc
    >>> x = tc.variables("x: n")
    >>> print(to_dot(2 * x))  # doctest: +NORMALIZE_WHITESPACE
    digraph expression {
      node [fontname="Helvetica"];
      n0 [label="2", shape=plaintext];
      n1 [label="x\n(n)", shape=box, style=filled, fillcolor=lightblue];
      n2 [label=",i -> i\n(n)", shape=box];
      n2 -> n0;
      n2 -> n1 [label="i"];
    }
    """
    order = postorder(as_expression(expression))
    names = {node: f"n{k}" for k, node in enumerate(order)}
    lines = ["digraph expression {", '  node [fontname="Helvetica"];']
    for node in order:
        lines.append(f'  {names[node]} [label="{_label(node)}", {_STYLE[type(node)]}];')
    for node in order:
        for position, operand in enumerate(node.operands):
            lines.append(f"  {names[node]} -> {names[operand]}{_edge(node, position)};")
    return "\n".join([*lines, "}"])


def _label(node: Node) -> str:
    text = _quoted(_title(node))
    if not node.ndim:
        return text
    return f"{text}\\n({_quoted(', '.join(map(str, node.extents)))})"


def _title(node: Node) -> str:
    if isinstance(node, Variable):
        return node.name
    if isinstance(node, Constant):
        return number_text(node.value)
    if isinstance(node, Delta):
        return index_text(node).partition(" where ")[0]
    if isinstance(node, Sum):
        return "+"
    if isinstance(node, Product):
        left = ",".join(_letters(labels) for labels in node.subscripts)
        return f"{left} -> {_letters(node.output)}"
    assert isinstance(node, Apply)
    parameters = parameter_list(node.operation.name, dict(node.params))
    return f"{node.operation.name}({', '.join(parameters)})" if parameters else node.operation.name


def _edge(node: Node, position: int) -> str:
    if isinstance(node, Product) and node.subscripts[position]:
        return f' [label="{_letters(node.subscripts[position])}"]'
    if isinstance(node, Apply) and len(node.operands) > 1:
        return f' [label="{position + 1}"]'
    return ""


def _letters(labels: tuple[int, ...]) -> str:
    return "".join(_LETTERS[k] if k < len(_LETTERS) else f"i{k}" for k in labels)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
