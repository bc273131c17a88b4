"""Curvature of every node by the rules of composition (disciplined convex programming).

Decides where the Hessian is zero almost everywhere or missing: absolute values, maxima, norms,
hinge losses. A node is described entry by entry: constant or affine in ``w``, convex, concave, or
unknown. Source: Grant, Boyd, Ye, *Disciplined Convex Programming* (2006); Boyd and Vandenberghe,
*Convex Optimization*, section 3.2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..nodes import Apply, Node, Product, Sum, Variable
from ..rules.patterns import argument
from .certificate import Reason
from .domains import NATURAL_DOMAINS, SMOOTH_WITHIN, dependent_nodes
from .hinges import bend_of_halves, euclidean_degree, is_power_of_norm, is_root_of_product
from .intervals import INF, NONNEGATIVE, POSITIVE, Interval
from .ranges import Ranges
from .special_forms import (
    is_convex_in_two_pieces,
    is_geometric_mean,
    is_log_convex,
)

#: How a node depends on w: 0 affine (or not at all), +1 convex, -1 concave, None unknown.
Bend = int | None

_NAMES = {0: "affine", 1: "convex", -1: "concave", None: "of unknown curvature"}
#: Rows whose convexity and monotonicity columns hold for all real operands.
WHOLE_LINE = frozenset(
    "exp exp2 expm1 softplus cosh abs relu maximum minimum logaddexp logsumexp max min norm "
    "frobenius_norm hypot log_ndtr erfcx inverse_mills rel_entr log_cosh".split()
)


class Composition:
    """Bends of nodes in ``w``; each node is looked at once.

    ``scalar`` is asked about scalars inside ``root`` that the rules leave open.
    """

    def __init__(
        self, root: Node, w: Variable, ranges: Ranges, scalar: Callable[[Node], Bend] | None = None
    ) -> None:
        self.w, self.ranges, self.scalar = w, ranges, scalar
        self.root = root
        self.dependent = {w, *dependent_nodes(root, w)}
        self._known: dict[Node, Bend] = {}

    def __call__(self, node: Node) -> Bend:
        """The bend of ``node``, for every entry."""
        if node not in self._known:
            bend = self._bend(node)
            deeper = bend is None and not node.ndim and node is not self.root
            self._known[node] = self.scalar(node) if deeper and self.scalar else bend
        return self._known[node]

    def reason(self, node: Node) -> Reason:
        """The bends along the way as a chain."""
        because = tuple(
            self.reason(operand)
            for operand in dict.fromkeys(node.operands)
            if operand in self.dependent and operand is not self.w
        )
        return Reason((node, f" is {_NAMES[self(node)]}"), because)

    def _bend(self, node: Node) -> Bend:
        if node is self.w or node not in self.dependent:
            return 0
        if isinstance(node, Sum):
            return combined(map(self, node.operands))
        if isinstance(node, Product):
            return self._of_product(node)
        assert isinstance(node, Apply)
        return self._of_application(node)

    # -- products -----------------------------------------------------------------------------
    def _of_product(self, node: Product) -> Bend:
        factors = list(zip(node.operands, node.subscripts, strict=True))
        moving = [factor for factor in factors if factor[0] in self.dependent]
        sign = self._sign([factor for factor in factors if factor[0] not in self.dependent], node)
        if len(moving) == 1:
            return signed(self._summed(node, *moving[0]), sign)
        base, labels = moving[0]
        if any(other is not base or own != labels for other, own in moving):
            return signed(self._power_of_norm([factor for factor, _ in moving]), sign)
        return signed(self._power(base, len(moving)), sign)

    def _power_of_norm(self, factors: list[Node]) -> Bend:
        """``norm(z)**d`` is convex in an affine ``z``, however the power is written."""
        found = list(map(euclidean_degree, factors))
        arguments = {None if each is None else each[0] for each in found}
        z = arguments.pop() if len(arguments) == 1 else None
        return 1 if z is not None and self(z) == 0 else None

    def _summed(self, node: Product, moving: Node, labels: tuple[int, ...]) -> Bend:
        """The one factor that moves; the sum of all eigenvalues is the trace.

        The sum of all singular values is a norm.
        """
        count = sum(labels[0] in own for own in node.subscripts) if labels else 0
        if count == 1 and len(labels) == 1 and labels[0] not in node.output:
            matrix, singular = argument(moving, "eigvalsh"), argument(moving, "svdvals")
            if matrix is not None:
                return self(matrix)
            if singular is not None:
                return 1 if self(singular) == 0 else None
        return self(moving)

    def _of_extreme(self, values: Node, name: str) -> Bend:
        """The largest and the smallest eigenvalue, the largest singular value."""
        matrix, singular = argument(values, "eigvalsh"), argument(values, "svdvals")
        if matrix is not None and self(matrix) == 0:
            return 1 if name == "max" else -1
        return 1 if singular is not None and name == "max" and self(singular) == 0 else None

    def _sign(self, factors: list[tuple[Node, tuple[int, ...]]], node: Product) -> Bend:
        """+1 or -1 where the constant factors have that sign, 0 where they vanish, else None."""
        interval = self.ranges.of_factors(factors, {x for own in node.subscripts for x in own})
        if interval.is_nonnegative:
            return 1
        return -1 if interval.is_nonpositive else None

    # -- rows of the table --------------------------------------------------------------------
    def _of_application(self, node: Apply) -> Bend:
        name = node.operation.name
        if name == "power":
            return self._of_power(node)
        if name == "where":
            return self._of_where(node)
        if name in ("max", "min"):
            extreme = self._of_extreme(node.operands[0], name)
            if extreme is not None:
                return extreme
        if name == "exp" and is_geometric_mean(node.operands[0], self, self.dependent, self.ranges):
            return -1
        if name == "log" and is_log_convex(node.operands[0], self, self.dependent, self.ranges):
            return 1
        if not self._is_covered(node):
            return None
        return self._composed(node, node.operation.convexity, self._monotonicity(node))

    def _is_covered(self, node: Apply) -> bool:
        """Whether the columns of the row hold on all values that its operands take."""
        name = node.operation.name
        if node.operation.convexity == 0:
            return False
        if name in WHOLE_LINE:
            return dict(node.params).get("at_zero") in (None, 0.0)
        if name in NATURAL_DOMAINS:
            return True
        within = SMOOTH_WITHIN.get(name)
        return within is not None and self.ranges(node.operands[0]).within(within)

    def _monotonicity(self, node: Apply) -> tuple[int, ...]:
        name = node.operation.name
        if name in ("abs", "cosh", "norm", "frobenius_norm", "hypot"):
            return tuple(
                1 if r.is_nonnegative else -1 if r.is_nonpositive else 0
                for r in map(self.ranges, node.operands)
            )
        return node.operation.monotone

    def _composed(self, node: Apply, convexity: int, monotone: tuple[int, ...]) -> Bend:
        """``f(g)`` bends as ``f`` if every ``g`` is affine or bends with it where ``f`` grows."""
        for operand, direction in zip(node.operands, monotone, strict=True):
            bend = self(operand)
            if bend == 0:
                continue
            if bend is None or not direction or bend * direction != convexity:
                return None
        domain = NATURAL_DOMAINS.get(node.operation.name)
        if domain is not None and not self._domain_is_convex(node.operands[0], domain):
            return None
        return convexity

    def _domain_is_convex(self, operand: Node, domain: Interval) -> bool:
        if self.ranges(operand).within(domain):
            return True
        bend = self(operand)
        return (
            bend == 0 or (bend == -1 and domain.high == INF) or (bend == 1 and domain.low == -INF)
        )

    def _of_where(self, node: Apply) -> Bend:
        """Each entry is one of the two, chosen by something that does not depend on w."""
        condition, x, y = node.operands
        if condition in self.dependent:
            if is_convex_in_two_pieces(node, self, self.dependent):
                return 1
            return bend_of_halves(node, self, self.dependent)
        return combined((self(x), self(y)))

    def _of_power(self, node: Apply) -> Bend:
        params = dict(node.params)
        exponent, base = params["exponent"], node.operands[0]
        if params["at_zero"] is not None and not (
            self.ranges(base).excludes_zero or (exponent > 0 and params["at_zero"] == 0)
        ):
            return None
        if is_power_of_norm(base, exponent, self, self.dependent, self.ranges):
            return 1
        if is_root_of_product(base, exponent, self, self.ranges):
            return -1
        return self._power(base, exponent)

    def _power(self, base: Node, exponent: float) -> Bend:
        """``x**p`` is convex for even p, for p outside (0, 1) above zero, concave for p inside."""
        inner, known = self(base), self.ranges(base)
        whole = exponent % 1 == 0
        if whole and exponent > 0 and exponent % 2 == 0:
            grows = 1 if known.is_nonnegative else -1 if known.is_nonpositive else 0
            return _chain(inner, 1, grows)
        if whole and known.is_nonpositive and (exponent > 0 or known.is_negative):
            return self._power_below_zero(inner, int(exponent))
        if whole and not known.within(POSITIVE if exponent < 0 else NONNEGATIVE):
            return None
        if exponent < 0:
            return _chain(inner, 1, -1)
        if exponent < 1:
            return _chain(inner, -1, 1)
        above = known.within(NONNEGATIVE) or inner == 0
        return _chain(inner, 1, 1) if above else None

    @staticmethod
    def _power_below_zero(inner: Bend, exponent: int) -> Bend:
        """``x**p`` for ``x < 0`` and whole p: the mirror image of the branch above zero."""
        if exponent % 2 == 0:
            return _chain(inner, 1, -1 if exponent > 0 else 1)
        return _chain(inner, -1, 1 if exponent > 0 else -1)


def _chain(inner: Bend, convexity: int, monotone: int) -> Bend:
    if inner == 0:
        return convexity
    return convexity if inner is not None and inner * monotone == convexity else None


def combined(bends: Iterable[Bend]) -> Bend:
    """The bend of a sum.

    >>> combined([0, 1, 1]), combined([1, -1])
    (1, None)
    """
    total: Bend = 0
    for bend in bends:
        if bend is None or (total and bend and bend != total):
            return None
        total = total or bend
    return total


def signed(bend: Bend, sign: Bend) -> Bend:
    """The bend of a node times a factor of known sign; affine stays affine whatever the sign."""
    if bend == 0:
        return 0
    return None if bend is None or sign is None else bend * sign
