"""Which subexpressions a formula names: those used repeatedly, and every so often in a deep one."""

from __future__ import annotations

from ..nodes import Constant, Delta, Node, Variable, postorder, use_counts

#: Unfolded expressions of at most so many nodes are written in one line without definitions.
ONE_LINE = 60
#: A shared subexpression of fewer nodes is repeated rather than named.
SMALLEST = 5
#: Levels of nesting that are written without a definition.
DEEPEST = 20
_HUGE = 10**9


def definitions_for(expression: Node, taken: set[str]) -> dict[Node, str]:
    """Names ``t1``, ``t2``, ... for subexpressions, operands before users."""
    order = postorder(expression)
    counts = use_counts(expression)
    size: dict[Node, int] = {}
    depth: dict[Node, int] = {}
    chosen: list[Node] = []
    for node in order:
        size[node] = min(_HUGE, 1 + sum(size[operand] for operand in node.operands))
        depth[node] = 1 + max((depth[operand] for operand in node.operands), default=0)
    if size[expression] <= ONE_LINE and depth[expression] <= DEEPEST:
        return {}
    for node in order:
        size[node] = min(_HUGE, 1 + sum(size[operand] for operand in node.operands))
        depth[node] = 1 + max((depth[operand] for operand in node.operands), default=0)
        if node is expression or isinstance(node, (Variable, Constant, Delta)):
            continue
        shared = counts[node] > 1 and size[node] >= SMALLEST
        if shared or depth[node] >= DEEPEST:
            chosen.append(node)
            size[node] = depth[node] = 1
    prefix = "t"
    while any(name.startswith(prefix) and name[len(prefix) :].isdigit() for name in taken):
        prefix += "t"
    return {node: f"{prefix}{k}" for k, node in enumerate(chosen, 1)}
