"""Rules of absolute values, roots of squares, and branches."""

from __future__ import annotations

from ..applications import apply, power, rule
from ..nodes import Constant, Node, Product
from ..products import is_boolean, multiply, scale, split_coefficient
from .patterns import applied, argument, constant_like, constant_value, is_nonnegative


# -- roots and absolute values --------------------------------------------------------------------
@rule("abs")
def abs_of_nonnegative(x: Node) -> Node | None:
    """``|x| = x`` where ``x`` cannot be negative."""
    return x if is_nonnegative(x) else None


@rule("abs")
def abs_of_scaled(x: Node) -> Node | None:
    """``|c x| = |c| |x|``."""
    coefficient, rest = split_coefficient(x)
    if coefficient == 1 or isinstance(rest, Constant):
        return None
    return scale(abs(coefficient), apply("abs", rest))


@rule("power")
def root_of_square_is_abs(x: Node, exponent: float, at_zero: float | None) -> Node | None:
    """``(x**2)**p = |x|**(2 p)`` unless ``p`` is an integer."""
    if exponent % 1 == 0 or at_zero is not None or not isinstance(x, Product):
        return None
    if any(labels != x.output for labels in x.subscripts):
        return None
    counts = dict.fromkeys(x.operands, 0)
    for factor in x.operands:
        counts[factor] += 1
    if isinstance(x.operands[0], Constant) or any(n % 2 for n in counts.values()):
        return None
    return multiply(*[power(apply("abs", f), n * exponent) for f, n in counts.items()])


@rule("power")
def root_of_even_power_is_abs(x: Node, exponent: float, at_zero: float | None) -> Node | None:
    """``(x**(2 k))**p = |x|**(2 k p)`` unless ``p`` is an integer."""
    inner = applied(x, "power")
    if inner is None or exponent % 1 == 0 or at_zero is not None:
        return None
    params = dict(inner.params)
    if params["at_zero"] is not None or params["exponent"] % 2:
        return None
    return power(apply("abs", inner.operands[0]), params["exponent"] * exponent)


# -- branches -------------------------------------------------------------------------------------
@rule("where")
def where_of_constant(condition: Node, x: Node, y: Node) -> Node | None:
    """A condition that is known chooses; equal branches need no choice."""
    known = constant_value(condition)
    if x is y and x.ndim >= condition.ndim:
        return x
    if known is None:
        return None
    chosen = x if known else y
    return (
        multiply(constant_like(condition, 1), chosen) if condition.ndim else _spread(chosen, x, y)
    )


def _spread(chosen: Node, *branches: Node) -> Node:
    """``chosen`` in the common shape of the branches."""
    return multiply(chosen, *[constant_like(branch, 1) for branch in branches if branch.ndim])


@rule("where")
def where_of_zero_is_mask(condition: Node, x: Node, y: Node) -> Node | None:
    """``where(c, x, 0) = [c] x``: a mask selects, so that masked infinities and NaN vanish."""
    mask = condition if is_boolean(condition) else apply("not_equal", condition, Constant(0))
    if constant_value(y) == 0:
        return multiply(mask, _spread(x, y))
    if constant_value(x) == 0:
        return multiply(apply("logical_not", mask), _spread(y, x))
    return None


@rule("logical_not")
def negation_of_comparison(x: Node) -> Node | None:
    """``not not c = c`` for a boolean ``c``."""
    inner = argument(x, "logical_not")
    return inner if inner is not None and is_boolean(inner) else None
