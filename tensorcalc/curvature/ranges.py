"""The interval of values of every node, from the leaves up.

What is known of variables are their flags, the intervals they were declared with, and arrays they
are bound to. A table row contributes its ``range`` and ``monotone`` columns; powers, absolute
values and polynomials of one expression have rules of their own. Values are those of the
mathematical function where it is defined: what a root's derivative is set to at zero does not
count.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..deltas import always_inside, solved_for
from ..nodes import Apply, Constant, Delta, Node, Product, Sum, Variable
from ..products import is_boolean
from .intervals import (
    INF,
    NONNEGATIVE,
    POSITIVE,
    REAL,
    UNIT,
    Interval,
    even_power,
    monotone_image,
    odd_power,
    point,
)
from .polynomials import as_polynomial, common_power_out, polynomial_range

Factor = tuple[Node, tuple[Hashable, ...]]

#: Rows that never attain the ends of their ``range`` column: (low, high).
OPEN_ENDS: dict[str, tuple[bool, bool]] = {
    "exp": (True, True),
    "exp2": (True, True),
    "expm1": (True, True),
    "expit": (True, True),
    "softplus": (True, True),
    "tanh": (True, True),
    "erf": (True, True),
    "erfc": (True, True),
    "erfcx": (True, True),
    "ndtr": (True, True),
    "log_ndtr": (True, True),
    "inverse_mills": (True, True),
    "log1mexp": (True, True),
    "softmax": (True, False),
}
_DECLARED = re.compile(r"in ([\[(])(\S+), (\S+)([\])])")


def declared_interval(flags: Iterable[str]) -> Interval:
    """What the flags of a variable say about its entries.

    >>> declared_interval(["in (0, 1]"])
    (0, 1]
    """
    known = REAL
    for flag in flags:
        found = _DECLARED.fullmatch(flag)
        if found:
            left, low, high, right = found.groups()
            known = known.intersection(Interval(float(low), float(high), left == "(", right == ")"))
        elif flag in _FLAG_INTERVALS:
            known = known.intersection(_FLAG_INTERVALS[flag])
    return known


_FLAG_INTERVALS = {"positive": POSITIVE, "nonnegative": NONNEGATIVE, "boolean": UNIT}


class Ranges:
    """Intervals of nodes under assumptions; each node is looked at once."""

    def __init__(self, assumed: Mapping[Node, Interval] | None = None) -> None:
        self.assumed = dict(assumed or {})
        self._known: dict[Node, Interval] = {}

    def __call__(self, node: Node) -> Interval:
        """The interval that contains every entry of ``node``.

        >>> import tensorcalc as tc
        >>> x = tc.variables("x: n")
        >>> Ranges()(np.exp(x) + 1)
        (1, inf)
        """
        known = self._known.get(node)
        if known is None:
            known = self._derived(node)
            if node in self.assumed:
                known = known.intersection(self.assumed[node])
            self._known[node] = known
        return known

    def _derived(self, node: Node) -> Interval:
        if isinstance(node, Constant):
            return point(node.value)
        if isinstance(node, Delta):
            return UNIT if node.rows else point(1)
        if isinstance(node, Variable):
            return self._of_variable(node)
        if isinstance(node, Product):
            factors = list(zip(node.operands, node.subscripts, strict=True))
            return self.of_factors(factors, node.output)
        if isinstance(node, Sum):
            return self._of_sum(node)
        assert isinstance(node, Apply)
        return self._of_application(node)

    @staticmethod
    def _of_variable(node: Variable) -> Interval:
        declared = declared_interval(node.flags)
        if node.value is None:
            return declared
        values = np.asarray(node.value)
        if not values.size or not np.isfinite(values).all():
            return declared
        return Interval(float(values.min()), float(values.max())).intersection(declared)

    # -- products -----------------------------------------------------------------------------
    def of_factors(self, factors: Sequence[Factor], output: Iterable[Hashable] = ()) -> Interval:
        """Range of ``sum(prod(factors))`` over the labels that ``output`` lacks."""
        factors, selected = _selections_dropped(factors, set(output))
        total = point(1)
        for (node, _), count in _multiplicities(factors).items():
            total = total * self._to_the(node, count)
        extents = {x: e for node, own in factors for x, e in zip(own, node.extents, strict=True)}
        summed = [extents[label] for label in extents if label not in set(output) | selected]
        return _of_repeated_sum(total, summed)

    def _to_the(self, node: Node, count: int) -> Interval:
        interval = self(node)
        if count == 1:
            return interval
        return even_power(interval, count) if count % 2 == 0 else odd_power(interval, count)

    # -- sums ---------------------------------------------------------------------------------
    def _of_sum(self, node: Sum) -> Interval:
        total = point(0)
        for term in node.operands:
            total = total + self(term)
        polynomial = as_polynomial(node)
        if polynomial is not None:
            base, coefficients = polynomial
            total = total.intersection(polynomial_range(coefficients, self(base)))
        if total.excludes_zero:
            return total
        common = common_power_out(node)
        if common is not None:
            power_node, rest = common
            total = total.intersection(self(power_node) * self(rest))
        return total

    # -- rows of the table --------------------------------------------------------------------
    def _of_application(self, node: Apply) -> Interval:
        name, params = node.operation.name, dict(node.params)
        if name == "power":
            return self._of_power(node.operands[0], params["exponent"])
        if name == "abs":
            return _absolute(self(node.operands[0]))
        if name == "where":
            return self(node.operands[1]).hull(self(node.operands[2]))
        if name in ("max", "min", "sort"):
            return self(node.operands[0])
        bounds = row_range(node)
        if name in ("maximum", "minimum"):
            return _extremum(name, self(node.operands[0]), self(node.operands[1]))
        if len(node.operands) == 1 and node.operation.is_elementwise and node.operation.monotone[0]:
            reference = node.operation.reference
            return monotone_image(
                lambda x: reference(np.float64(x), **params),
                self(node.operands[0]),
                node.operation.monotone[0],
                bounds,
            )
        return bounds

    def _of_power(self, base_node: Node, exponent: float) -> Interval:
        base = self(base_node)
        if exponent % 1:
            base = base.intersection(POSITIVE if exponent < 0 else NONNEGATIVE)
        elif exponent > 0:
            return (
                even_power(base, int(exponent))
                if exponent % 2 == 0
                else odd_power(base, int(exponent))
            )
        if base.is_negative:
            sign = 1 if exponent % 2 == 0 else -1
            return _monotone_power(-base, exponent) * point(sign)
        if base.is_nonnegative:
            return _monotone_power(base, exponent)
        return POSITIVE if exponent % 2 == 0 else REAL


def row_range(node: Apply) -> Interval:
    """The ``range`` column of the row, its ends open where they are never attained."""
    low, high = node.operation.value_range(**dict(node.params))
    low_open, high_open = OPEN_ENDS.get(node.operation.name, (False, False))
    return Interval(low, high, low_open, high_open)


def _monotone_power(base: Interval, exponent: float) -> Interval:
    """``x**p`` for ``x`` above zero; zero itself is a pole that belongs to no domain."""
    if exponent < 0:
        base = base.intersection(POSITIVE)
        low, high = base.low, base.high
        image = Interval(
            0.0 if high == INF else _outward(high, exponent, -INF),
            INF if low == 0 else _outward(low, exponent, INF),
            low_open=high == INF,
        )
        return image.intersection(POSITIVE)
    return monotone_image(lambda x: float(np.float64(x) ** exponent), base, 1, NONNEGATIVE)


def _outward(x: float, exponent: float, toward: float) -> float:
    value = float(np.float64(x) ** exponent)
    for _ in range(4):
        value = float(np.nextafter(value, toward))
    return value


def _absolute(x: Interval) -> Interval:
    if x.is_nonnegative:
        return x
    return -x if x.is_nonpositive else Interval(0, x.hull(-x).high, False, x.hull(-x).high_open)


def _extremum(name: str, x: Interval, y: Interval) -> Interval:
    if name == "minimum":
        return -_extremum("maximum", -x, -y)
    first, second = (x, y) if (x.low, x.low_open) >= (y.low, y.low_open) else (y, x)
    top = x.hull(y)
    return Interval(max(first.low, second.low), top.high, first.low_open, top.high_open)


def _multiplicities(factors: Iterable[Factor]) -> dict[Factor, int]:
    counts: dict[Factor, int] = {}
    for node, labels in factors:
        counts[node, tuple(labels)] = counts.get((node, tuple(labels)), 0) + 1
    for node, labels in counts:
        if is_boolean(node):
            counts[node, labels] = 1
    return counts


def _selections_dropped(
    factors: Sequence[Factor], output: set[Hashable]
) -> tuple[list[Factor], set[Hashable]]:
    """Deltas that pick one index of a summed label, and what the labels become: no sum, no zero.

    Labels that are the same affine form of others become one label.
    """
    kept = list(factors)
    extents = {x: e for node, own in factors for x, e in zip(own, node.extents, strict=True)}
    selected: dict[Hashable, Hashable] = {}
    for factor in factors:
        node, own = factor
        if not isinstance(node, Delta) or len(node.rows) != 1 or len(set(own)) < len(own):
            continue
        row = dict(zip(own, node.rows[0][0], strict=True)), node.rows[0][1]
        for label in own:
            if label in output or label in selected:
                continue
            solution = solved_for(row, label)
            if (
                solution
                and not selected.keys() & solution[0].keys()
                and always_inside(*solution, extents, extents[label])
            ):
                selected[label] = (frozenset(solution[0].items()), solution[1])
                kept = [other for other in kept if other is not factor]
                break
    renamed = [(node, tuple(selected.get(x, x) for x in own)) for node, own in kept]
    return renamed, set(selected.values())


def _of_repeated_sum(term: Interval, extents: Sequence[Any]) -> Interval:
    """A sum of one or more terms from an interval; exactly so many where extents are numbers."""
    for extent in extents:
        if isinstance(extent, int):
            term = term * point(extent) if extent else point(0)
        else:
            low, low_open = (term.low, term.low_open) if term.low >= 0 else (-INF, False)
            high, high_open = (term.high, term.high_open) if term.high <= 0 else (INF, False)
            term = Interval(low, high, low_open, high_open)
    return term
