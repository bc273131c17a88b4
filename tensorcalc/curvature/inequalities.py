"""Differences of forms that are positive semidefinite by an inequality.

A negative term with a pair of equal halves ``u[s] u[t]`` is covered by a positive term that has
``delta[s,t]`` times something large enough in its place:

- ``diag(p) - p p'`` for a softmax ``p``: the covariance of a distribution;
- ``diag(y) sum(y) - y y'`` for nonnegative ``y``: a graph Laplacian (Cauchy-Schwarz);
- ``(u'u) I - u u'``: Cauchy-Schwarz.

Where the positive term is a power ``b**a`` and the negative one has ``b**(a-1)``, the sum ``b`` is
multiplied out first: ``sqrt(1 + x'x)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..applications import power
from ..nodes import Apply, Delta, Node, Sum, Variable
from ..products import split_coefficient
from .certificate import Reason
from .forms import Factor, Form, Label, distributed, opened, sum_positions
from .mirrors import Mirror, mirrors
from .polynomials import base_and_exponent

_fresh = itertools.count()


@dataclass(frozen=True)
class Cover:
    """``needed - missing = covered``: the missing form with a psd kernel in place of a pair."""

    needed: Form
    covered: Form
    name: str


@dataclass
class _Pool:
    """Positive forms that are still unused, by their node without coefficient."""

    members: list[Form]

    def take(self, needed: Form) -> bool:
        """Subtract ``needed``; whether enough of it was there."""
        coefficient, unit = split_coefficient(needed.node())
        for k, member in enumerate(self.members):
            own, node = split_coefficient(member.node())
            if node is unit and own >= coefficient > 0:
                left = (own - coefficient) / own
                self.members[k] = replace(member, coefficient=member.coefficient * left)
                if left == 0:
                    del self.members[k]
                return True
        return False


def covered(prover: Any, present: Sequence[Form], missing: Sequence[Form]) -> Any:
    """A proof for the sum of proved and unproved forms, or None."""
    pool = _Pool(list(present))
    reasons = []
    for form in missing:
        proof = _covered_one(prover, pool, form)
        if proof is None:
            return None
        reasons.append(proof)
    rest = [prover.form(form) for form in pool.members]
    if any(proof is None for proof in rest):
        return None
    definite = any(proof.definite for proof in rest)
    everything = (*reasons, *(proof.reason for proof in rest))
    text = "a sum of positive semidefinite terms" + (", one of them definite" if definite else "")
    return type(prover).proof(Reason(text, everything), definite)


def _covered_one(prover: Any, pool: _Pool, form: Form) -> Reason | None:
    for cover in _covers(prover, form):
        proof = prover.form(cover.covered)
        if proof is not None and (
            pool.take(cover.needed) or _take_expanded(prover, pool, cover.needed)
        ):
            return Reason(cover.name, (proof.reason,))
    return None


def _take_expanded(prover: Any, pool: _Pool, needed: Form) -> bool:
    """Multiply out one power of a positive form if that brings the needed form to light."""
    for k, member in enumerate(pool.members):
        for pieces in _expansions(member):
            trial = _Pool([*pool.members[:k], *pool.members[k + 1 :], *pieces])
            if all(prover.form(piece) is not None for piece in pieces) and trial.take(needed):
                pool.members = trial.members
                return True
    return False


def _expansions(form: Form) -> Iterator[list[Form]]:
    """``b**a = b * b**(a-1)`` with the sum ``b`` multiplied out, for every power in the form."""
    for k, (node, labels) in enumerate(form.factors):
        base, exponent = base_and_exponent(node)
        if exponent < 0:
            at_zero = dict(node.params)["at_zero"]
            lowered = power(base, exponent - 1, at_zero)
            factors = (*form.without(k), (lowered, labels), (base, labels))
            grown = opened(replace(form, factors=factors))
            positions = [
                j for j, (f, _) in enumerate(grown.factors) if f is base and isinstance(f, Sum)
            ]
            scalar = [j for j in positions if grown.factors[j][1] == labels][:1]
            yield distributed(grown, scalar or sum_positions(grown)[:1]) if scalar else [grown]


def _covers(prover: Any, form: Form) -> Iterator[Cover]:
    for mirror in mirrors(form.negated()):
        groups: dict[Label, list[tuple[Factor, Factor]]] = {}
        for pair in mirror.halves:
            moved = [x for x in dict.fromkeys(pair[0][1]) if mirror.image[x] != x]
            if len(moved) == 1:
                groups.setdefault(min(moved[0], mirror.image[moved[0]], key=str), []).append(pair)
        for label, pairs in groups.items():
            yield from _covers_of_group(prover, mirror, label, pairs)


def _covers_of_group(
    prover: Any, mirror: Mirror, label: Label, pairs: list[tuple[Factor, Factor]]
) -> Iterator[Cover]:
    for pair in pairs:
        node, own = pair[0]
        if _is_softmax_over(node, own, mirror):
            yield _cover(
                mirror,
                label,
                [pair],
                "diag(p) - p p' is positive semidefinite for a softmax p",
                "softmax",
            )
    nonnegative = [pair for pair in pairs if prover.ranges(pair[0][0]).is_nonnegative]
    if nonnegative:
        yield _cover(
            mirror,
            label,
            nonnegative,
            "diag(y) sum(y) - y y' is positive semidefinite for y >= 0",
            "sum",
        )
    for pair in pairs:
        yield _cover(mirror, label, [pair], "(u'u) I - u u' is positive semidefinite", "square")


def _is_softmax_over(node: Node, own: tuple[Label, ...], mirror: Mirror) -> bool:
    is_softmax = isinstance(node, Apply) and node.operation.name == "softmax"
    return is_softmax and mirror.image[own[-1]] != own[-1]


def _cover(
    mirror: Mirror, label: Label, pairs: Sequence[tuple[Factor, Factor]], name: str, kind: str
) -> Cover:
    """Replace the pairs by what dominates them, and by the kernel of the difference."""
    form, other = mirror.form, mirror.image[label]
    rest = list(form.factors)
    for factor in (factor for pair in pairs for factor in pair):
        del rest[next(k for k, f in enumerate(rest) if f[0] is factor[0] and f[1] == factor[1])]
    here = [pair[0] for pair in pairs]
    moved = [next(x for x in own if mirror.image[x] != x) for _, own in here]
    extent = form.extents()[label]
    delta = Delta((((1, -1), 0),), (extent, extent))
    summed = ("cover", next(_fresh))
    elsewhere = [(n, _replaced(own, x, summed)) for (n, own), x in zip(here, moved, strict=True)]
    at_label = [(n, _replaced(own, x, label)) for (n, own), x in zip(here, moved, strict=True)]
    weights = {"softmax": at_label, "sum": at_label + elsewhere, "square": elsewhere * 2}[kind]
    needed = replace(form, factors=(*rest, (delta, (label, other)), *weights))
    shared = list(dict.fromkeys(x for _, own in here for x in own if mirror.image[x] == x))
    sizes = form.extents()
    kernel = Variable(
        f"kernel_{next(_fresh)}",
        [*(sizes[x] for x in shared), extent, extent],
        {"psd"},
    )
    covered_form = replace(form, factors=(*rest, (kernel, (*shared, label, other))))
    return Cover(needed, covered_form, name)


def _replaced(labels: tuple[Label, ...], old: Label, new: Label) -> tuple[Label, ...]:
    return tuple(new if x == old else x for x in labels)
