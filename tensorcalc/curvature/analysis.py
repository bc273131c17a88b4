"""Curvature of a loss, with a certificate.

First the Hessian: on a convex domain where the loss is smooth, it is zero, positive semidefinite or
negative semidefinite as an expression. Then the rules of composition, which need no derivative.
Last the terms of the loss one by one. Source: Klaus, Merk, Wiedom, Laue, Giesen, *Convexity
Certificates from Hessians* (NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..applications import apply
from ..derivatives import check_scalar, hessian
from ..errors import DerivativeError, TensorcalcError, UnknownNameError
from ..nodes import Apply, Node, Sum, Variable, free_variables, postorder
from ..products import is_zero, multiply, scale, split_coefficient
from ..simplify import simplify, substitute_nodes
from .certificate import Curvature, Reason
from .composition import Bend, Composition
from .domains import SmoothDomain, dependent_nodes
from .ranges import Ranges
from .semidefinite import Semidefinite

_KINDS = {0: "affine", 1: "convex", -1: "concave"}


def curvature(loss: Node, w: Node, /, **assumptions: Any) -> Curvature:
    """How a scalar bends as a function of ``w``: "affine", "convex", "concave" or "unknown".

    Certified for all values that the flags of the variables allow, and only where the loss is
    defined; what cannot be shown is "unknown". ``assumptions`` says more about variables by name:
    flags such as ``"positive"`` or ``"psd"``, or an interval ``(low, high)``. The answer is a text
    that also has ``.strict`` and ``.certificate``, the chain of reasons.

    >>> import numpy as np, tensorcalc as tc
    >>> X, w, y = tc.variables("X: m n, w: n, y: m")
    >>> tc.curvature(np.sum(np.log(1 + np.exp(-y * (X @ w)))), w)
    'convex'

    Raises DerivativeError if ``loss`` is not a scalar, UnknownNameError for an assumption about a
    variable that ``loss`` does not have.
    """
    check_scalar(loss, "curvature")
    if not isinstance(w, Variable):
        raise DerivativeError(
            f"curvature in a {type(w).__name__}, which is no variable",
            [f"loss: {loss!s:.60}"],
            "pass one variable; jointly in several, write them as parts of one: z[0], z[1:]",
        )
    loss, w = _assuming(loss, w, assumptions)
    assert isinstance(w, Variable)
    if not any(variable is w for variable in free_variables(loss)):
        return Curvature("affine", Reason(f"the loss does not depend on {w.name}"))
    return _Analysis(w).decided(simplify(_with_exponentials(loss, w)))


def _with_exponentials(loss: Node, w: Variable) -> Node:
    """``a**b`` as ``exp(b log(a))`` where both depend on ``w`` and ``a`` is positive."""
    moving = {w, *dependent_nodes(loss, w)}
    ranges = Ranges()
    powers = [
        node
        for node in postorder(loss)
        if isinstance(node, Apply)
        and node.operation.name == "pow"
        and all(operand in moving for operand in node.operands)
        and ranges(node.operands[0]).is_positive
    ]
    replaced: dict[Node, Node] = {
        node: apply("exp", multiply(node.operands[1], apply("log", node.operands[0])))
        for node in powers
    }
    return substitute_nodes(loss, replaced) if replaced else loss


def _assuming(loss: Node, w: Node, assumptions: dict[str, Any]) -> tuple[Node, Node]:
    """Variables with more flags in place of those that assumptions are about."""
    by_name = {variable.name: variable for variable in (*free_variables(loss), *free_variables(w))}
    replacements: dict[Node, Node] = {}
    for name, assumption in assumptions.items():
        if name not in by_name:
            raise UnknownNameError(
                f"an assumption about {name!r}, which the loss does not have",
                [f"variables: {', '.join(by_name)}"],
            )
        old = by_name[name]
        flags = old.flags | set(_flags(assumption))
        replacements[old] = Variable(old.name, old.extents, flags, old.value)
    return substitute_nodes(loss, replacements), replacements.get(w, w)


def _flags(assumption: Any) -> Iterable[str]:
    if isinstance(assumption, str):
        return assumption.split()
    low, high = map(float, assumption)
    return (f"in [{low}, {high}]",)


class _Analysis:
    """Losses in one variable; remembers what was found about scalars."""

    def __init__(self, w: Variable) -> None:
        self.w = w
        self._known: dict[Node, Curvature] = {}

    def decided(self, loss: Node) -> Curvature:
        """The curvature of ``loss`` by whichever way shows it."""
        if loss not in self._known:
            self._known[loss] = self._decided(loss)
        return self._known[loss]

    def bend(self, loss: Node) -> Bend:
        kind = str(self.decided(loss))
        return {text: bend for bend, text in _KINDS.items()}.get(kind)

    def _decided(self, loss: Node) -> Curvature:
        found = self._by_hessian(loss)
        if found != "unknown":
            return found
        return self._by_terms(loss) or self._by_composition(loss) or found

    def _by_hessian(self, loss: Node) -> Curvature:
        ranges = Ranges()
        composition = Composition(loss, self.w, ranges, self.bend)
        prover = Semidefinite(ranges)
        domain = SmoothDomain(self.w, ranges, composition, lambda m: _definiteness(prover, m))
        smooth, reason = domain.check(loss)
        if not smooth:
            return Curvature("unknown", Reason("the Hessian does not decide", (reason,)))
        try:
            second = hessian(loss, self.w)
        except TensorcalcError as error:
            return Curvature(
                "unknown", Reason(f"there is no Hessian: {str(error).splitlines()[0]}")
            )
        if is_zero(second):
            return Curvature("affine", Reason("the Hessian is zero", (reason,)))
        return self._by_sign(second, Ranges(domain.assumed), reason)

    def _by_sign(self, second: Node, ranges: Ranges, smooth: Reason) -> Curvature:
        symmetric = bool(self.w.flags & {"symmetric", "psd"}) and self.w.ndim == 2
        prover = Semidefinite(ranges, symmetric)
        rank = self.w.ndim
        rows, columns = tuple(range(rank)), tuple(range(rank, 2 * rank))
        for kind, sign, word in (("convex", 1, "positive"), ("concave", -1, "negative")):
            proof = prover.tensor(scale(sign, second), rows, columns)
            if proof is not None:
                what = "definite" if proof.definite else "semidefinite"
                text = ("the Hessian ", second, f" is {word} {what}")
                return Curvature(kind, Reason(text, (smooth, proof.reason)), proof.definite)
        return Curvature("unknown", Reason(("no sign was found of the Hessian ", second)))

    def _by_composition(self, loss: Node) -> Curvature | None:
        composition = Composition(loss, self.w, Ranges(), self.bend)
        bend = composition(loss)
        if bend is None:
            return None
        return Curvature(
            _KINDS[bend], Reason("by the rules of composition", (composition.reason(loss),))
        )

    def _by_terms(self, loss: Node) -> Curvature | None:
        """A sum of terms that all bend one way."""
        coefficient, rest = split_coefficient(loss)
        if not isinstance(rest, Sum):
            return None
        parts = [self.decided(scale(coefficient, term)) for term in rest.operands]
        kinds = {str(part) for part in parts} - {"affine"}
        if len(kinds) > 1 or "unknown" in kinds:
            return None
        kind = kinds.pop() if kinds else "affine"
        reasons = tuple(part.certificate for part in parts)
        return Curvature(
            kind, Reason(f"a sum of {kind} terms", reasons), any(p.strict for p in parts)
        )


def _definiteness(prover: Semidefinite, matrix: Node) -> str:
    proof = prover.matrix(matrix)
    if proof is None:
        return ""
    return "definite" if proof.definite else "semidefinite"
