"""Where a loss is smooth: the Hessian decides about curvature only on a convex smooth domain.

A positive semidefinite Hessian proves nothing for ``1/x**2`` on both sides of its pole, for a step,
or for ``sqrt(abs(x))`` at its cusp. Every row of the table on the way from ``w`` to the loss is
therefore either smooth on all of the reals, or its operand stays in the interior of where it is
defined, or what is defined is a convex set because the operand is affine or bends the right way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..nodes import Apply, Node, Variable, postorder
from .certificate import Reason
from .intervals import INF, NONNEGATIVE, POSITIVE, Interval
from .ranges import Ranges

#: Rows that are twice continuously differentiable for all operands.
SMOOTH = frozenset(
    "exp exp2 expm1 expit softplus tanh sin cos sinh cosh log_cosh arctan arcsinh erf erfc erfcx "
    "ndtr log_ndtr inverse_mills logsumexp softmax logaddexp prod prod_others cumprod expm det "
    "adj".split()
)
#: Rows that are NaN outside this interval and smooth inside it.
NATURAL_DOMAINS: dict[str, Interval] = {
    **dict.fromkeys(("log", "log2", "log10", "entr"), POSITIVE),
    "log1p": Interval(-1, INF, low_open=True),
    "arccosh": Interval(1, INF, low_open=True),
    "arcsin": Interval(-1, 1, True, True),
    "arccos": Interval(-1, 1, True, True),
    "arctanh": Interval(-1, 1, True, True),
    "erfinv": Interval(-1, 1, True, True),
    "logit": Interval(0, 1, True, True),
    "ndtri": Interval(0, 1, True, True),
    "log1mexp": Interval(-INF, 0, high_open=True),
}
#: Rows that go on beyond a pole: smooth on this interval, which the operand must not leave.
SMOOTH_WITHIN: dict[str, Interval] = {
    **dict.fromkeys(("gamma", "gammaln", "digamma", "polygamma"), POSITIVE),
}
#: A statement as :class:`Reason` takes it.
Text = str | tuple[Any, ...]
_SPD_ROWS = frozenset({"inv", "logdet"})

#: ``bends(node)``: +1 convex, -1 concave, 0 affine in w, None unknown.
Bends = Callable[[Node], int | None]
#: ``positive_definite(matrix)``: "definite", "semidefinite" or "" over the last two axes.
Definite = Callable[[Node], str]


def dependent_nodes(root: Node, w: Node) -> list[Node]:
    """Nodes of ``root`` that depend on ``w``, operands first."""
    found = {w}
    order = []
    for node in postorder(root):
        if node is w or any(operand in found for operand in node.operands):
            found.add(node)
            order.append(node)
    return order


class SmoothDomain:
    """Checks a loss; ``assumed`` collects what being in the domain says about nodes."""

    def __init__(self, w: Variable, ranges: Ranges, bends: Bends, definite: Definite) -> None:
        self.w, self.ranges, self.bends, self.definite = w, ranges, bends, definite
        self.assumed: dict[Node, Interval] = {}

    def check(self, loss: Node) -> tuple[bool, Reason]:
        """Whether ``loss`` is twice differentiable on a convex domain, and why."""
        dependent = dependent_nodes(loss, self.w)
        active = set(dependent)
        reasons = []
        for node in dependent:
            if isinstance(node, Apply):
                smooth, text = self._row(node, active)
                if not smooth:
                    return False, Reason(text)
                if text:
                    reasons.append(Reason(text))
        return True, Reason("the loss is twice differentiable on a convex domain", tuple(reasons))

    def _row(self, node: Apply, active: set[Node]) -> tuple[bool, Text]:
        name = node.operation.name
        if name in SMOOTH:
            return True, ""
        if name == "power":
            return self._power(node)
        if name in NATURAL_DOMAINS:
            return self._natural(node, NATURAL_DOMAINS[name])
        operand = node.operands[0]
        if name in SMOOTH_WITHIN:
            inside = self.ranges(operand).within(SMOOTH_WITHIN[name])
            verb = " stays in " if inside else " is not known to stay in "
            return inside, (operand, verb, SMOOTH_WITHIN[name])
        if name == "abs":
            known = self.ranges(operand)
            inside = known.is_nonnegative or known.is_nonpositive
            return inside, (operand, f" {'keeps' if inside else 'may change'} its sign under abs")
        if name == "where":
            fixed = node.operands[0] not in active
            text = ("the condition ", node.operands[0], f" depends on {self.w.name}")
            return fixed, "" if fixed else text
        if name in _SPD_ROWS:
            return self._matrix(node)
        return False, f"{name} is not known to be smooth in {self.w.name}"

    def _power(self, node: Apply) -> tuple[bool, Text]:
        params = dict(node.params)
        exponent, at_zero = params["exponent"], params["at_zero"]
        base = node.operands[0]
        known = self.ranges(base)
        if known.excludes_zero and (known.is_positive or not exponent % 1):
            return True, (base, " is in ", known, ", so its power is smooth")
        if not exponent % 1:
            whole = exponent >= 0 and at_zero in (None, 0.0)
            return whole, "" if whole else (base, f"**{exponent:g} has a pole where the base is 0")
        if exponent < 0:
            return self._natural(node, POSITIVE)
        if at_zero not in (None, 0.0):
            return False, (base, f"**{exponent:g} is set to {at_zero} at zero")
        return self._natural(node, NONNEGATIVE)

    def _natural(self, node: Apply, domain: Interval) -> tuple[bool, Text]:
        """The row is undefined outside ``domain``: its preimage must be convex."""
        base = node.operands[0]
        known = self.ranges(base)
        interior = Interval(domain.low, domain.high, True, True)
        if known.within(interior):
            return True, (base, " is in ", known, ", where ", node.operation.name, " is smooth")
        bend = self.bends(base)
        allowed = (
            bend == 0 or (bend == -1 and domain.high == INF) or (bend == 1 and domain.low == -INF)
        )
        if not allowed:
            return False, ("where ", base, " is in ", interior, " is not known to be convex")
        self.assumed[base] = interior
        kind = {0: "affine", 1: "convex", -1: "concave"}[bend or 0]
        text = (
            f"{node.operation.name} is defined where ",
            base,
            f" (which is {kind}) is in {interior}",
        )
        return True, text

    def _matrix(self, node: Apply) -> tuple[bool, Text]:
        """Invertible matrices are no convex set, positive definite ones are."""
        matrix = node.operands[0]
        found = self.definite(matrix)
        if found == "definite":
            return True, (matrix, " is positive definite")
        if found == "semidefinite" and self.bends(matrix) == 0:
            return True, (matrix, " is affine and positive definite wherever it is invertible")
        return False, (matrix, " is not known to be positive definite")
