"""User spellings of reductions that become rows: logsumexp, softmax, norms, log-determinants."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ..applications import PRODUCT_RULES, apply, power, rule
from ..nodes import Constant, Node, Product, Sum
from ..products import is_boolean, multiply, product, scale, split_coefficient
from ..sums import add, subtract
from .patterns import (
    Contraction,
    applied,
    argument,
    constant_like,
    is_nonnegative,
    repeated,
    split_constant_terms,
    terms_of,
    unpaired_factors,
)


# -- logsumexp and softmax ------------------------------------------------------------------------
def logsumexp_over(z: Node, count: int) -> Node:
    """``logsumexp`` over the last ``count`` axes, one after the other."""
    for _ in range(count):
        z = apply("logsumexp", z)
    return z


@rule("log")
def log_of_sum_of_exp_is_logsumexp(x: Node) -> Node | None:
    """``log(w sum(exp(z))) = logsumexp(z) + log(w)`` over any axes, for positive ``w``."""
    if not isinstance(x, Product):
        return None
    parts = Contraction(x)
    z = parts.single("exp")
    if z is None or not all(is_nonnegative(factor) for factor, _ in parts.outer):
        return None
    value = parts.restored(logsumexp_over(z, len(parts.summed)))
    logs = [
        product((apply("log", factor),), (own,), x.output, x.label_extents())
        for factor, own in parts.outside()
    ]
    return add(value, *logs)


@rule("log")
def log_of_nonnegative_product(x: Node) -> Node | None:
    """``log(a b) = log(a) + log(b)`` and ``log(c c) = 2 log|c|``, where that lets a rule act."""
    if not isinstance(x, Product) or Contraction(x).summed or any(map(is_boolean, x.operands)):
        return None
    if not all(map(is_nonnegative, unpaired_factors(x))):
        return None
    terms = list(_logs(x))
    if all(applied(value, "log") is not None for value, _, _ in terms):
        return None
    return add(
        *[product((scale(n, v),), (own,), x.output, x.label_extents()) for v, own, n in terms]
    )


def _logs(x: Product) -> Iterator[tuple[Node, Any, int]]:
    """Logarithm, labels and multiplicity of each factor."""
    counts: dict[Any, int] = {}
    for factor in zip(x.operands, x.subscripts, strict=True):
        counts[factor] = counts.get(factor, 0) + 1
    for (factor, own), count in counts.items():
        yield apply("log", apply("abs", factor) if count % 2 == 0 else factor), own, count


@rule("logsumexp")
def logsumexp_is_shift_equivariant(x: Node) -> Node | None:
    """``logsumexp(z + m) = logsumexp(z) + m``: a maximum that the user subtracted cancels."""
    split = split_constant_terms(x)
    return None if split is None else add(split[0], apply("logsumexp", split[1]))


@rule("softmax")
def softmax_is_shift_invariant(x: Node) -> Node | None:
    """``softmax(z + m) = softmax(z)``."""
    split = split_constant_terms(x)
    return None if split is None else apply("softmax", split[1])


@rule("exp")
def exp_of_log_softmax_is_softmax(x: Node) -> Node | None:
    """``exp(z - logsumexp(z)) = softmax(z)``."""
    split = split_constant_terms(x) if x.ndim else None
    if split is None:
        return None
    shift, z = split
    for term in terms_of(shift):
        coefficient, rest = split_coefficient(term)
        if coefficient == -1 and argument(rest, "logsumexp") is z:
            remaining = subtract(shift, term)
            weights = apply("softmax", z)
            return multiply(weights, repeated(apply("exp", remaining), z.extents[-1]))
    return None


@rule("log")
def log_of_softmax(x: Node) -> Node | None:
    """``log(softmax(z)) = z - logsumexp(z)``."""
    z = argument(x, "softmax")
    return None if z is None else subtract(z, repeated(apply("logsumexp", z), z.extents[-1]))


def exp_over_sum_of_exp_is_softmax(node: Product) -> Node | None:
    """``exp(z) / (w sum(exp(z))) = softmax(z) / w`` over any axes."""
    factors = list(zip(node.operands, node.subscripts, strict=True))
    for a, (numerator, own) in enumerate(factors):
        z = argument(numerator, "exp")
        for b, (divisor, other) in enumerate(factors):
            found = None if z is None else _softmax_factors(z, own, divisor, other)
            if found is not None:
                rest = [f for k, f in enumerate(factors) if k not in (a, b)] + found
                return product([f for f, _ in rest], [s for _, s in rest], node.output)
    return None


def _softmax_factors(z: Node, own: Any, divisor: Node, other: Any) -> Any:
    """Factors that ``exp(z)[own] divisor[other]`` is, if the divisor holds ``1/sum(exp(z))``."""
    total = applied(divisor, "power")
    if total is None or not isinstance(total.operands[0], Product):
        return None
    exponent = dict(total.params)["exponent"]
    parts = Contraction(total.operands[0])
    if (
        len(set(own)) < len(own)
        or exponent not in (-1, -2, -3)
        or len(parts.inner) != 1
        or not parts.summed
    ):
        return None
    ((inner, labels),) = parts.inner
    outer = dict(zip(parts.node.output, other, strict=True))
    agree = all(outer.get(label, mine) == mine for label, mine in zip(labels, own, strict=False))
    if argument(inner, "exp") is not z or len(set(labels)) < len(labels) or not agree:
        return None
    summed = [mine for label, mine in zip(labels, own, strict=True) if label not in outer]
    kept = [mine for mine in own if mine not in summed]
    found = [(_softmax_over(z, own, kept, summed), own), (power(divisor, 0), other)]
    found += [(factor, tuple(outer[k] for k in place)) for factor, place in parts.outside(-1)]
    if exponent < -1:
        found.append((power(total.operands[0], exponent + 1), other))
    return found


def _softmax_over(z: Node, own: Any, kept: list[Any], summed: list[Any]) -> Node:
    """Softmax over the summed labels, axes in the order of ``own``."""
    order = (*kept, *summed)
    moved = product((z,), (own,), order)
    if len(summed) == 1:
        return product((apply("softmax", moved),), (order,), own)
    total = logsumexp_over(moved, len(summed))
    extents = dict(zip(order, moved.extents, strict=True))
    shift = product((total,), (kept,), order, extents)
    return product((apply("exp", subtract(moved, shift)),), (order,), own)


# -- Euclidean norms ------------------------------------------------------------------------------
@rule("power")
def root_of_sum_of_squares_is_norm(x: Node, exponent: float, at_zero: float | None) -> Node | None:
    """``(w sum(x**2))**(k / 2) = w**(k / 2) norm(x)**k`` for odd ``k``, positive ``w``."""
    if exponent % 1 != 0.5 or at_zero is not None or not isinstance(x, Product):
        return None
    parts = Contraction(x)
    if not all(is_nonnegative(factor) for factor, _ in parts.outer):
        return None
    base = _squared(parts)
    if base is None:
        return None
    length = power(norm_over(base, len(parts.summed)), 2 * exponent)
    return parts.restored(length, *parts.outside(exponent))


@rule("power")
def root_of_weighted_sum_of_squares(x: Node, exponent: float, at_zero: float | None) -> Node | None:
    """``(w s)**p = w**p s**p`` for nonnegative ``w`` and a sum of squares ``s``."""
    if exponent % 1 != 0.5 or at_zero is not None or not isinstance(x, Product):
        return None
    nested = any(
        isinstance(f, Product) and _squared(Contraction(f)) is not None for f in x.operands
    )
    if not nested or Contraction(x).summed or not all(map(is_nonnegative, x.operands)):
        return None
    roots = [power(factor, exponent) for factor in x.operands]
    return product(roots, x.subscripts, x.output)


def _squared(parts: Contraction) -> Node | None:
    """``y`` with kept axes, then summed ones, if what is summed is ``y**2``."""
    if not parts.summed or len(parts.inner) % 2:
        return None
    roots: list[tuple[Node, Any]] = []
    rest = list(parts.inner)
    while rest:
        factor, own = rest.pop()
        twin = next((k for k, (f, s) in enumerate(rest) if f is factor and s == own), None)
        if twin is None or len(set(own)) < len(own):
            return None
        del rest[twin]
        roots.append((factor, own))
    order = (*parts.kept, *parts.summed)
    return product([f for f, _ in roots], [s for _, s in roots], order)


def norm_over(y: Node, count: int) -> Node:
    """The Euclidean norm over the last ``count`` axes; beyond two, a norm of norms."""
    while count > 2:
        y, count = apply("frobenius_norm", y, at_zero=0.0), count - 2
    name = "norm" if count == 1 else "frobenius_norm"
    return apply(name, y, at_zero=0.0)


@rule("power")
def root_of_two_squares_is_hypot(x: Node, exponent: float, at_zero: float | None) -> Node | None:
    """``sqrt(x**2 + y**2) = hypot(x, y)``."""
    if exponent != 0.5 or at_zero is not None or not isinstance(x, Sum) or len(x.operands) != 2:
        return None
    bases = [_square_root(term) for term in x.operands]
    if bases[0] is None or bases[1] is None:
        return None
    return apply("hypot", bases[0], bases[1])


def _square_root(term: Node) -> Node | None:
    """``c y`` if ``term = c**2 y**2`` elementwise."""
    coefficient, rest = split_coefficient(term)
    square = isinstance(rest, Product) and len(rest.operands) == 2
    if coefficient <= 0 or not square or any(own != rest.output for own in rest.subscripts):
        return None
    left, right = rest.operands
    return scale(coefficient**0.5, left) if left is right else None


_NORMS = {"norm": 1, "frobenius_norm": 2}


def squared_norm(node: Node) -> Node:
    """``sum(x**2)`` over the core axes of a norm of ``x``."""
    assert not isinstance(node, (Constant, Sum))
    (x,) = node.operands
    return product((x, x), (range(x.ndim),) * 2, range(node.ndim))


def _norm(node: Node) -> bool:
    return any(applied(node, name) is not None for name in _NORMS)


@rule("power")
def even_power_of_norm(x: Node, exponent: float, at_zero: float | None) -> Node | None:
    """``norm(x)**(2 k) = sum(x**2)**k``."""
    if not _norm(x) or exponent % 2 or at_zero is not None:
        return None
    return power(squared_norm(x), exponent / 2)


def norm_times_norm(node: Product) -> Node | None:
    """``norm(x) norm(x) = sum(x**2)``."""
    factors = list(zip(node.operands, node.subscripts, strict=True))
    for k, (factor, own) in enumerate(factors[:-1]):
        if _norm(factor) and factors[k + 1][0] is factor and factors[k + 1][1] == own:
            rest = [*factors[:k], (squared_norm(factor), own), *factors[k + 2 :]]
            return product([f for f, _ in rest], [s for _, s in rest], node.output)
    return None


def vector_over_its_norm(node: Product) -> Node | None:
    """``x / norm(x) = normalize(x)``, zero at zero."""
    factors = list(zip(node.operands, node.subscripts, strict=True))
    for a, (divisor, place) in enumerate(factors):
        total = applied(divisor, "power")
        if total is None or not _norm(total.operands[0]):
            continue
        exponent, length = dict(total.params)["exponent"], total.operands[0]
        (x,) = length.operands
        for b, (factor, own) in enumerate(factors):
            if factor is x and own[: len(place)] == place and exponent % 2 == 1 and exponent < 0:
                direction = "normalize" if _is_vector_norm(length) else "frobenius_normalize"
                rest = [f for k, f in enumerate(factors) if k not in (a, b)]
                rest.append((apply(direction, x, at_zero=0.0), own))
                if exponent < -1:
                    rest.append((power(length, exponent + 1, dict(total.params)["at_zero"]), place))
                return product([f for f, _ in rest], [s for _, s in rest], node.output)
    return None


def _is_vector_norm(node: Node) -> bool:
    return applied(node, "norm") is not None


# -- determinants ---------------------------------------------------------------------------------
@rule("log")
def log_of_determinant_is_logdet(x: Node) -> Node | None:
    """``log(det(A)) = log|det(A)| = logdet(A)``, which neither over- nor underflows."""
    inner = argument(x, "abs")
    a = argument(x if inner is None else inner, "det")
    return None if a is None else apply("logdet", a)


@rule("log")
def log_of_scaled(x: Node) -> Node | None:
    """``log(c x) = log(c) + log(x)`` where that lets another rule act, for positive ``c``."""
    coefficient, rest = split_coefficient(x)
    if coefficient in (0, 1) or coefficient < 0 or isinstance(rest, Constant):
        return None
    value = apply("log", rest)
    if applied(value, "log") is not None or applied(value, "log1p") is not None:
        return None
    return add(constant_like(value, math.log(coefficient)), value)


def softmax_inside_a_contraction(node: Product) -> Node | None:
    """``sum(exp(z) a) / sum(exp(z)) = sum(softmax(z) a)``: the divisor joins the inner product."""
    factors = list(zip(node.operands, node.subscripts, strict=True))
    for a, (inner, own) in enumerate(factors):
        if not isinstance(inner, Product):
            continue
        names: dict[Any, Any] = dict(zip(inner.output, own, strict=True))
        for b, (divisor, other) in enumerate(factors):
            total = applied(divisor, "power")
            if a == b or total is None or not set(other) <= set(own):
                continue
            opened = [
                (f, tuple(names.setdefault(k, ("inner", k)) for k in labels))
                for f, labels in zip(inner.operands, inner.subscripts, strict=True)
            ]
            joined = _with_softmax([*opened, (divisor, other)], own)
            if joined is not None:
                rest = [f for k, f in enumerate(factors) if k not in (a, b)] + [(joined, own)]
                return product([f for f, _ in rest], [s for _, s in rest], node.output)
    return None


def _with_softmax(factors: list[tuple[Node, Any]], output: Any) -> Node | None:
    """The product of the factors, the last a divisor, if they hold ``exp(z) / sum(exp(z))``."""
    *others, (divisor, place) = factors
    for k, (numerator, own) in enumerate(others):
        z = argument(numerator, "exp")
        found = None if z is None else _softmax_factors(z, own, divisor, place)
        if found is not None:
            rest = others[:k] + others[k + 1 :] + found
            remaining = applied(found[-1][0], "power")  # of a divisor to the second or third power
            more = None if remaining is None else _with_softmax(rest, output)
            if more is not None:
                return more
            return product([f for f, _ in rest], [s for _, s in rest], output)
    return None


PRODUCT_RULES += [
    exp_over_sum_of_exp_is_softmax,
    softmax_inside_a_contraction,
    norm_times_norm,
    vector_over_its_norm,
]
