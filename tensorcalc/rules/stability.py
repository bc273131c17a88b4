"""User spellings of elementwise functions that become stable rows.

``log(1 + exp(z))`` overflows and ``log(1 - expit(z))`` cancels; the rows they turn into do neither,
nor do any of their derivatives. A rule holds wherever the user's spelling has a real value; where a
rounded spelling has none (``0/0``, ``log(0)``) the row has the limit.
"""

from __future__ import annotations

import math
from typing import Any

from ..applications import PRODUCT_RULES, SUM_RULES, apply, power, rule
from ..nodes import Node, Product, Sum
from ..products import multiply, product, scale, split_coefficient
from ..sums import add
from .patterns import (
    applied,
    argument,
    constant_and_rest,
    constant_like,
    constant_value,
    flat_sum,
    is_nonnegative,
    leaf_terms_of,
    plus_constant,
    terms_of,
)


def negated(node: Node) -> Node:
    """``-node``."""
    return scale(-1, node)


def exponent_of(node: Node) -> Node | None:
    """``z`` if ``node = exp(z)``, a positive coefficient included."""
    coefficient, rest = split_coefficient(node)
    z = argument(rest, "exp")
    if z is None or coefficient <= 0:
        return None
    return z if coefficient == 1 else plus_constant(math.log(coefficient), z)


# -- logarithms -----------------------------------------------------------------------------------
@rule("log")
def log_of_exp(x: Node) -> Node | None:
    """``log(exp(z)) = z``."""
    return exponent_of(x)


@rule("log")
def log_of_expit_is_softplus(x: Node) -> Node | None:
    """``log(expit(z)) = -softplus(-z)``."""
    z = argument(x, "expit")
    return None if z is None else negated(apply("softplus", negated(z)))


@rule("log")
def log_of_power(x: Node) -> Node | None:
    """``log(y**p) = p log(y)`` unless ``p`` is an even integer, which would lose a sign."""
    y = applied(x, "power")
    if y is None:
        return None
    exponent, at_zero = (dict(y.params)[key] for key in ("exponent", "at_zero"))
    if at_zero is not None or (exponent % 2 == 0 and not is_nonnegative(y.operands[0])):
        return None
    return scale(exponent, apply("log", y.operands[0]))


@rule("log")
def log_of_cosh(x: Node) -> Node | None:
    """``log(cosh(z))`` without overflow."""
    z = argument(x, "cosh")
    return None if z is None else apply("log_cosh", z)


@rule("log")
def log_of_negative_expm1(x: Node) -> Node | None:
    """``log(-expm1(z)) = log(1 - exp(z))``."""
    coefficient, rest = split_coefficient(x)
    z = argument(rest, "expm1")
    return apply("log1mexp", z) if z is not None and coefficient == -1 else None


@rule("log")
def log_of_sum_of_exps_is_logaddexp(x: Node) -> Node | None:
    """``log(exp(a) + exp(b)) = logaddexp(a, b)``; a positive constant is an exponential too."""
    if not isinstance(x, Sum):
        return None
    exponents = [_exponent_or_log(term) for term in leaf_terms_of(x)]
    if any(exponent is None for exponent in exponents):
        return None
    constants = [e for e in exponents if constant_value(e) is not None]
    total, *rest = [e for e in exponents if constant_value(e) is None] + constants
    for each in rest:
        total = apply("logaddexp", total, each)
    return total


def _exponent_or_log(term: Node) -> Any:
    constant = constant_value(term)
    if constant is not None:
        return constant_like(term, math.log(constant)) if constant > 0 else None
    return exponent_of(term)


@rule("log")
def log_of_one_plus_is_log1p(x: Node) -> Node | None:
    """``log(1 + z) = log1p(z)``, which is exact for small ``z``."""
    split = constant_and_rest(x)
    return apply("log1p", split[1]) if split is not None and split[0] == 1 else None


@rule("log1p")
def log1p_of_exp_is_softplus(x: Node) -> Node | None:
    """``log1p(exp(z)) = softplus(z)``."""
    z = exponent_of(x)
    return None if z is None else apply("softplus", z)


@rule("log1p")
def log1p_of_sum_of_exps_is_logaddexp(x: Node) -> Node | None:
    """``log1p(exp(a) + exp(b)) = logaddexp(logaddexp(a, b), 0)``."""
    if not isinstance(x, Sum):
        return None
    return log_of_sum_of_exps_is_logaddexp(add(constant_like(x, 1), x))


@rule("log1p")
def log1p_of_negative_exp(x: Node) -> Node | None:
    """``log1p(-exp(z)) = log(1 - exp(z))``."""
    z = exponent_of(negated(x))
    return None if z is None else apply("log1mexp", z)


@rule("log1p")
def log1p_of_negative_expit_is_softplus(x: Node) -> Node | None:
    """``log(1 - expit(z)) = -softplus(z)``."""
    z = argument(negated(x), "expit")
    return None if z is None else negated(apply("softplus", z))


@rule("log1p")
def log1p_of_sum_with_constant(x: Node) -> Node | None:
    """``log1p(c + z) = log((1 + c) + z)``; ``log1p(z - 1) = log(z)``."""
    split = constant_and_rest(x)
    if split is None or split[0] == 0:
        return None
    return apply("log", plus_constant(1, x))


@rule("log1p")
def log1p_of_expm1(x: Node) -> Node | None:
    """``log1p(expm1(z)) = z``."""
    return argument(x, "expm1")


@rule("expm1")
def expm1_of_log1p(x: Node) -> Node | None:
    """``expm1(log1p(z)) = z``."""
    return argument(x, "log1p")


@rule("xlogy")
def xlogy_of_expit(x: Node, y: Node) -> Node | None:
    """``x log(expit(z)) = -x softplus(-z)``."""
    return _times_softplus(x, apply("log", y))


@rule("xlog1py")
def xlog1py_of_negative_expit(x: Node, y: Node) -> Node | None:
    """``x log(1 - expit(z)) = -x softplus(z)``."""
    return _times_softplus(x, apply("log1p", y))


def _times_softplus(x: Node, log: Node) -> Node | None:
    _, rest = split_coefficient(log)
    return multiply(x, log) if argument(rest, "softplus") is not None else None


# -- exponentials ---------------------------------------------------------------------------------
@rule("exp")
def exp_of_softplus_is_expit(x: Node) -> Node | None:
    """``exp(-p softplus(z)) = expit(-z)**p`` for positive ``p``."""
    coefficient, rest = split_coefficient(x)
    z = argument(rest, "softplus")
    if z is None or coefficient >= 0:
        return None
    return power(apply("expit", negated(z)), -coefficient)


@rule("exp")
def exp_of_log_is_power(x: Node) -> Node | None:
    """``exp(p log(z)) = z**p`` and ``exp(p log1p(z)) = (1 + z)**p``."""
    coefficient, rest = split_coefficient(x)
    z = argument(rest, "log")
    if z is None:
        inner = argument(rest, "log1p")
        z = None if inner is None else plus_constant(1, inner)
    return None if z is None else power(z, coefficient)


@rule("logaddexp")
def logaddexp_with_zero_is_softplus(x: Node, y: Node) -> Node | None:
    """``log(exp(c) + exp(z)) = c + softplus(z - c)`` for a constant ``c``."""
    for constant, z in ((x, y), (y, x)):
        c = constant_value(constant)
        if c is not None and math.isfinite(c) and z.ndim >= constant.ndim:
            return plus_constant(c, apply("softplus", plus_constant(-c, z)))
    return None


@rule("power")
def power_of_exp(x: Node, exponent: float, at_zero: float | None) -> Node | None:
    """``exp(z)**p = exp(p z)``."""
    z = argument(x, "exp")
    return None if z is None or at_zero is not None else apply("exp", scale(exponent, z))


@rule("power")
def reciprocal_of_one_plus_exp_is_expit(
    x: Node, exponent: float, at_zero: float | None
) -> Node | None:
    """``(1 + exp(z))**-p = expit(-z)**p``."""
    split = constant_and_rest(x)
    if split is None or exponent >= 0 or split[0] <= 0:
        return None
    constant, rest = split
    z = exponent_of(rest)
    if z is None:
        return None
    shifted = plus_constant(-math.log(constant), z)
    return scale(constant**exponent, power(apply("expit", negated(shifted)), -exponent))


def exp_times_expit(node: Product) -> Node | None:
    """``exp(z) expit(-z) = expit(z)``: a numerator over ``1 + exp(z)``."""
    factors = list(zip(node.operands, node.subscripts, strict=True))
    for a, (left, own) in enumerate(factors):
        z = argument(left, "exp")
        for b, (right, other) in enumerate(factors):
            opposite = argument(right, "expit")
            if z is None or opposite is None or own != other or negated(z) is not opposite:
                continue
            rest = [f for k, f in enumerate(factors) if k not in (a, b)]
            rest.append((apply("expit", z), own))
            return product([f for f, _ in rest], [s for _, s in rest], node.output)
    return None


@rule("expit")
def expit_of_logit(x: Node) -> Node | None:
    """``expit(logit(p)) = p``."""
    return argument(x, "logit")


@rule("logit")
def logit_of_expit(x: Node) -> Node | None:
    """``logit(expit(z)) = z``."""
    return argument(x, "expit")


# -- sums -----------------------------------------------------------------------------------------
def one_minus_expit(node: Sum) -> Node | None:
    """``1 - expit(z) = expit(-z)`` and ``1 + tanh(z) = 2 expit(2 z)``, which do not cancel."""
    split = constant_and_rest(node)
    if split is None or split[0] == 0:
        return None
    constant, rest = split
    coefficient, rest = split_coefficient(rest)
    z = argument(rest, "expit")
    if z is not None and coefficient == -constant:
        return scale(constant, apply("expit", negated(z)))
    z = argument(rest, "tanh")
    if z is not None and abs(coefficient) == abs(constant):
        return scale(2 * constant, apply("expit", scale(2 * coefficient / constant, z)))
    return None


def softplus_minus_argument(node: Sum) -> Node | None:
    """``softplus(z) - z = softplus(-z)``."""
    for k, term in enumerate(node.operands):
        coefficient, rest = split_coefficient(term)
        z = argument(rest, "softplus")
        if z is None:
            continue
        opposite = scale(-coefficient, z)
        for j, other in enumerate(node.operands):
            if other is opposite:
                rest_terms = [t for n, t in enumerate(node.operands) if n not in (j, k)]
                reflected = scale(coefficient, apply("softplus", negated(z)))
                return add(*rest_terms, reflected)
    return None


def softplus_reflection(node: Sum) -> Node | None:
    """``u softplus(z) + v softplus(-z) = c softplus(z) - v z`` where ``u + v`` is a constant ``c``.

    With 0/1 labels, ``-y log(p) - (1 - y) log(1 - p) = softplus(z) - y z``.
    """
    found = [(k, *split) for k, t in enumerate(node.operands) for split in _softplus_factors(t)]
    for a, z, u, places in found:
        for b, opposite, v, other in found:
            if a == b or places != other or negated(z) is not opposite or _prefer(opposite, z):
                continue
            constant = constant_value(flat_sum(u, v))
            if constant is None:
                continue
            both = add(scale(constant, apply("softplus", z)), negated(multiply(v, z)))
            merged = product((both,), (places,), range(node.ndim))
            rest = [term for k, term in enumerate(node.operands) if k not in (a, b)]
            return flat_sum(*rest, *terms_of(merged))
    return None


def _prefer(z: Node, other: Node) -> bool:
    """Of ``z`` and ``-z``, the one with the positive coefficient."""
    return split_coefficient(z)[0] > split_coefficient(other)[0]


def _softplus_factors(term: Node) -> Any:
    """``(z, u, labels)`` with ``term = sum of u[labels] softplus(z)[labels]``."""
    if argument(term, "softplus") is not None:
        yield argument(term, "softplus"), constant_like(term, 1), tuple(range(term.ndim))
        return
    if not isinstance(term, Product):
        return
    factors = list(zip(term.operands, term.subscripts, strict=True))
    for k, (factor, own) in enumerate(factors):
        z = argument(factor, "softplus")
        rest = [pair for j, pair in enumerate(factors) if j != k]
        inside = all(set(labels) <= set(own) for _, labels in rest) and set(term.output) <= set(own)
        if z is not None and inside and len(set(own)) == len(own):
            extents = dict(zip(own, factor.extents, strict=True))
            u = product([f for f, _ in rest], [labels for _, labels in rest], own, extents)
            yield z, u, tuple(own)


PRODUCT_RULES.append(exp_times_expit)
SUM_RULES += [one_minus_expit, softplus_minus_argument, softplus_reflection]
