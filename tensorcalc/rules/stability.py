"""User spellings that become stable rows: softplus, expit, logsumexp, softmax, norm."""

from __future__ import annotations

from ..applications import apply, rule
from ..nodes import Apply, Constant, Node, Product, Sum
from ..products import product, scale, split_coefficient
from ..sums import add
from ..products import is_ones


def _is_apply(node: Node, name: str) -> bool:
    return isinstance(node, Apply) and node.operation.name == name


def _is_constant(node: Node, value: float) -> bool:
    """Whether ``node`` is ``value`` everywhere."""
    coefficient, rest = split_coefficient(node)
    if coefficient != value:
        return False
    factors = rest.operands if isinstance(rest, Product) else (rest,)
    return all(is_ones(f) or (isinstance(f, Constant) and f.value == 1) for f in factors)


def one_plus(node: Node) -> Node | None:
    """``z`` if ``node`` is ``1 + z``."""
    if isinstance(node, Sum):
        rest = [term for term in node.operands if not _is_constant(term, 1)]
        if len(rest) == len(node.operands) - 1:
            return add(*rest)
    return None


@rule("log")
def log_of_one_plus_exp_is_softplus(x: Node) -> Node | None:
    z = one_plus(x)
    return apply("softplus", z.operands[0]) if z is not None and _is_apply(z, "exp") else None
