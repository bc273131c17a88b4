"""The simplification pass: flattening what is not shared, factoring what terms have in common.

Constructors normalise one node; this pass looks at the whole DAG, since flattening a *shared*
product or sum would compute it twice (gradients of a 32-layer chain: 1,281 factors with
flattening, 385 without).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .applications import PRODUCT_RULES, SUM_RULES, apply
from .factoring import factored
from .nodes import Apply, Node, Product, Sum, as_expression, postorder, use_counts
from .pairs import contracted, repeated_reductions
from .products import is_view, product
from .sums import add

#: Products and sums are not flattened beyond this many operands: a chain of a thousand factors
#: would cost the square of that.
OPERAND_LIMIT = 40

#: Rounds after which the pass stops even if something still changes.
ROUNDS = 12


def simplify(root: Node) -> Node:
    """A shorter expression with the same value and shape; see :func:`simplify_all`.

    >>> import numpy as np, tensorcalc as tc
    >>> z = tc.variables("z: n")
    >>> print(simplify(np.exp(z) / np.sum(np.exp(z))))
    softmax(z)[i]
    """
    return simplify_all([as_expression(root)])[0]


def simplify_all(roots: list[Node]) -> list[Node]:
    """Shorter expressions with the same values; sharing among all of ``roots`` is kept."""
    for _ in range(ROUNDS):
        changed = _round(roots)
        if all(map(_is, changed, roots)):
            break
        roots = changed
    return roots


def _round(roots: list[Node]) -> list[Node]:
    counts = use_counts(*roots)
    new: dict[Node, Node] = {}
    for node in postorder(*roots):
        new[node] = _rewritten(node, new, counts)
    return _repetitions_shared([new[root] for root in roots])


def _repetitions_shared(roots: list[Node]) -> list[Node]:
    """A matrix-vector product that several products make becomes an operand of each."""
    repeated = repeated_reductions(roots)
    if not repeated:
        return roots
    new: dict[Node, Node] = {}
    for node in postorder(*roots):
        new[node] = rebuilt(node, new)
        if isinstance(node, Product) and node in repeated and new[node] is node:
            new[node] = contracted(node, repeated[node])
    return [new[root] for root in roots]


def _rewritten(node: Node, new: Mapping[Node, Node], counts: Mapping[Node, int]) -> Node:
    if isinstance(node, Product):
        return _settled(_flat_product(node, new, counts))
    if isinstance(node, Sum):
        return _settled(_flat_sum(node, new, counts))
    if isinstance(node, Apply):
        return _rebuilt_apply(node, new)
    return node


def _settled(node: Node) -> Node:
    """The node, factored and by the first rule that fires; that none does is remembered."""
    if "settled" in node.facts:
        return node
    result = _ruled(factored(node) if isinstance(node, Sum) else node)
    if result is node:
        node.facts["settled"] = True
    return result


def _ruled(node: Node) -> Node:
    """Apply the first rule for whole products or sums that fires."""
    for rewrite in _rules(node):
        rewritten = rewrite(node)
        if rewritten is not None:
            return rewritten
    return node


def _rules(node: Node) -> Iterable[Any]:
    if isinstance(node, Product):
        return PRODUCT_RULES
    return SUM_RULES if isinstance(node, Sum) else ()


def _rebuilt_apply(node: Apply, new: Mapping[Node, Node]) -> Node:
    operands = [new[operand] for operand in node.operands]
    if all(map(_is, operands, node.operands)):
        return node
    return apply(node.operation.name, *operands, **dict(node.params))


def _flat_product(node: Product, new: Mapping[Node, Node], counts: Mapping[Node, int]) -> Node:
    """``sum(A sum(B C))`` is one product if the inner one has no other user."""
    operands: list[Node] = []
    subscripts: list[tuple[Any, ...]] = []
    changed = False
    for position, (old, labels) in enumerate(zip(node.operands, node.subscripts, strict=True)):
        inner = new[old]
        changed = changed or inner is not old
        if isinstance(inner, Product) and labels and _opens(inner, counts[old], len(operands)):
            changed = True
            names: dict[Any, Any] = dict(zip(inner.output, labels, strict=True))
            for operand, own in zip(inner.operands, inner.subscripts, strict=True):
                operands.append(operand)
                subscripts.append(
                    tuple(names.setdefault(label, ("inner", position, label)) for label in own)
                )
        else:
            operands.append(inner)
            subscripts.append(labels)
    return product(operands, subscripts, node.output) if changed else node


def _flat_sum(node: Sum, new: Mapping[Node, Node], counts: Mapping[Node, int]) -> Node:
    """``a + (b + c)`` is one sum if the inner one has no other user."""
    terms: list[Node] = []
    for old in node.operands:
        inner = new[old]
        opens = isinstance(inner, Sum) and _opens(inner, counts[old], len(terms))
        terms.extend(inner.operands if opens else [inner])
    same = len(terms) == len(node.operands) and all(map(_is, terms, node.operands))
    return node if same else add(*terms)


def _opens(inner: Node, uses: int, operands: int) -> bool:
    """Whether a nested product or sum becomes part of its user."""
    if isinstance(inner, Product) and is_view(inner):
        return True
    return uses == 1 and operands + len(inner.operands) <= OPERAND_LIMIT


def _is(left: Any, right: Any) -> bool:
    return left is right


def substitute_nodes(root: Node, replacements: Mapping[Node, Node]) -> Node:
    """``root`` with nodes replaced, rebuilt by the constructors."""
    new: dict[Node, Node] = {}
    for node in postorder(root):
        new[node] = replacements[node] if node in replacements else rebuilt(node, new)
    return new[root]


def rebuilt(node: Node, new: Mapping[Node, Node]) -> Node:
    """``node`` with its operands replaced by what ``new`` says."""
    operands = [new[operand] for operand in node.operands]
    if all(map(_is, operands, node.operands)):
        return node
    if isinstance(node, Product):
        return product(operands, node.subscripts, node.output)
    if isinstance(node, Sum):
        return add(*operands)
    assert isinstance(node, Apply)
    return apply(node.operation.name, *operands, **dict(node.params))
