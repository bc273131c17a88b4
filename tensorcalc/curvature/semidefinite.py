"""Proofs that tensors are positive semidefinite between two groups of axes.

Every rule returns a :class:`Proof` or None; nothing is concluded from failure. Rules: flags,
Kronecker deltas, inverses and exponentials, the mirror template of :mod:`.mirrors`, sums, cores
that are nonnegative together though not one by one, and the inequalities of :mod:`.inequalities`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..nodes import Apply, Constant, Node, Variable, ones
from ..products import is_kronecker, is_ones, is_symmetric, is_zero, product
from ..sums import add
from .certificate import Reason
from .forms import Form, Label, distributed, form_of, sum_positions, transposed_rows
from .inequalities import covered
from .mirrors import Mirror, mirrors
from .ranges import Ranges
from .squares import completed_squares

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Proof:
    """That a form is positive semidefinite, ``definite`` if even positive definite."""

    reason: Reason
    definite: bool = False


class Semidefinite:
    """A prover with a memory; ``symmetric_rows`` says that forms act on symmetric matrices only."""

    proof = Proof

    def __init__(self, ranges: Ranges, symmetric_rows: bool = False) -> None:
        self.ranges = ranges
        self.symmetric_rows = symmetric_rows
        self._known: dict[tuple[Node, Axes, Axes], Proof | None] = {}

    def matrix(self, node: Node) -> Proof | None:
        """A proof over the last two axes, for every index of the others."""
        if node.ndim < 2:
            return None
        return self.tensor(node, (node.ndim - 2,), (node.ndim - 1,))

    def tensor(self, node: Node, rows: Axes, columns: Axes) -> Proof | None:
        """A proof that ``sum(v[rows] node[rows, columns] v[columns]) >= 0`` for all ``v``."""
        key = (node, rows, columns)
        if key not in self._known:
            self._known[key] = None
            self._known[key] = self._leaf(node, rows, columns) or self._sum_of_forms(
                node, rows, columns
            )
        return self._known[key]

    # -- single nodes -------------------------------------------------------------------------
    def _leaf(self, node: Node, rows: Axes, columns: Axes) -> Proof | None:
        if is_zero(node):
            return Proof(Reason("zero is positive semidefinite"))
        if not rows:
            interval = self.ranges(node)
            text = (node, " is in ", interval)
            return Proof(Reason(text), interval.is_positive) if interval.is_nonnegative else None
        if is_kronecker(node):
            return Proof(Reason("the identity is positive definite"), True)
        last_two = node.ndim >= 2 and {*rows, *columns} == {node.ndim - 2, node.ndim - 1}
        if not last_two or len(rows) != 1:
            return None
        if isinstance(node, Variable) and "psd" in node.flags:
            return Proof(Reason(f"{node.name} is declared positive semidefinite"))
        if isinstance(node, Apply):
            return self._row_of_table(node)
        return None

    def _row_of_table(self, node: Apply) -> Proof | None:
        operand = node.operands[0]
        if node.operation.name == "inv":
            inner = self.matrix(operand)
            text = "the inverse of a positive semidefinite matrix is positive definite"
            return Proof(Reason(text, (inner.reason,)), True) if inner else None
        if node.operation.name == "expm" and is_symmetric(operand):
            return Proof(Reason("the exponential of a symmetric matrix is positive definite"), True)
        return None

    # -- sums of products ---------------------------------------------------------------------
    def _sum_of_forms(self, node: Node, rows: Axes, columns: Axes) -> Proof | None:
        form = form_of(node, rows, columns)
        proof = self.form(form)
        if proof is not None:
            return proof
        positions = sum_positions(form)
        moving = [k for k in positions if not self._is_core(form, k)]
        for chosen in (moving, positions):
            if chosen:
                terms = distributed(form, chosen)
                if len(terms) > 1:
                    proof = self._terms(self._distributed_further(terms))
                if proof is not None:
                    return proof
        return None

    def _distributed_further(self, terms: list[Form]) -> list[Form]:
        """Sums inside a term are multiplied out as well, unless the term is proved as it is."""
        result: list[Form] = []
        for term in terms:
            positions = sum_positions(term)
            if positions and self.form(term) is None and self.form(term.negated()) is None:
                inner = distributed(term, positions)
                result.extend(inner if len(inner) == 1 else self._distributed_further(inner))
            else:
                result.append(term)
        return result

    @staticmethod
    def _is_core(form: Form, k: int) -> bool:
        """Whether a factor has batch labels only, so that its sign is its range."""
        return set(form.factors[k][1]) <= set(form.batch)

    def _terms(self, terms: list[Form]) -> Proof | None:
        """Sums are judged by groups that differ in their cores only, then by inequalities."""
        groups = self._grouped(terms)
        return self._groups(groups) or self._squares(groups)

    def _squares(self, groups: list[Form]) -> Proof | None:
        reasons, rest = completed_squares(self, groups)
        if not reasons:
            return None
        others = self._groups(rest) if rest else None
        if rest and others is None:
            return None
        found = [Proof(reason) for reason in reasons] + ([others] if others else [])
        return joined(found)

    def _groups(self, groups: list[Form]) -> Proof | None:
        proofs = [self.form(group) for group in groups]
        missing = [group for group, proof in zip(groups, proofs, strict=True) if proof is None]
        if missing:
            present = [(g, p) for g, p in zip(groups, proofs, strict=True) if p is not None]
            return covered(self, [g for g, _ in present], missing)
        return joined([proof for proof in proofs if proof is not None])

    def _grouped(self, terms: list[Form]) -> list[Form]:
        """Terms that are equal but for their cores as one term with the cores added."""
        groups: dict[object, list[tuple[Form, Mirror | None]]] = {}
        for position, term in enumerate(terms):
            mirror = next(mirrors(term), None)
            key = position if mirror is None else _frame(mirror)
            groups.setdefault(key, []).append((term, mirror))
        result = []
        for members in groups.values():
            found = [mirror for _, mirror in members if mirror is not None]
            result.append(_cores_added(found) if len(found) > 1 else members[0][0])
        return result

    # -- one product --------------------------------------------------------------------------
    def form(self, form: Form) -> Proof | None:
        """The mirror template, in every way in which the form is its own mirror image."""
        variants = transposed_rows(form) if self.symmetric_rows else (form,)
        for variant in variants:
            for mirror in mirrors(variant):
                proof = self._mirrored(mirror)
                if proof is not None:
                    return proof
        return None

    def _mirrored(self, mirror: Mirror) -> Proof | None:
        fixed = [x for x in mirror.image if mirror.image[x] == x]
        core = [(Constant(mirror.form.coefficient), ()), *mirror.core]
        interval = self.ranges.of_factors(core, fixed)
        if not interval.is_nonnegative:
            return None
        kernels = []
        for kernel in mirror.kernels:
            rows, columns = mirror.kernel_axes(kernel)
            proof = self.tensor(kernel[0], rows, columns)
            if proof is None:
                return None
            kernels.append(proof)
        definite = interval.is_positive and _covers_rows(mirror, kernels)
        return Proof(_explained(mirror, interval, kernels), definite)


def joined(proofs: Sequence[Proof]) -> Proof:
    """A sum of positive semidefinite terms, definite if one of them is."""
    if len(proofs) == 1:
        return proofs[0]
    definite = any(proof.definite for proof in proofs)
    text = "a sum of positive semidefinite terms" + (", one of them definite" if definite else "")
    return Proof(Reason(text, tuple(proof.reason for proof in proofs)), definite)


def _frame(mirror: Mirror) -> object:
    """What is left of a form without its core, as something to compare by."""
    factors = [factor for pair in mirror.halves for factor in pair] + list(mirror.kernels)
    inner = _inner_labels(mirror)
    output = mirror.form.output
    if len(inner) > 1:
        return id(mirror)
    node = product(
        [node for node, _ in factors] or [Constant(1)],
        [labels for _, labels in factors] or [()],
        [*dict.fromkeys(output), *inner],
        mirror.form.extents(),
    )
    return node, tuple(map(output.index, output))


def _inner_labels(mirror: Mirror) -> list[Label]:
    """Summed labels that are fixed and join the core to the rest."""
    rest = [own for pair in mirror.halves for _, own in pair] + [own for _, own in mirror.kernels]
    output = mirror.form.output
    labels = dict.fromkeys(x for own in rest for x in own)
    return [x for x in labels if mirror.image[x] == x and x not in output]


def _cores_added(group: Sequence[Mirror]) -> Form:
    """One form whose core is the sum of the cores of forms with one frame."""
    nodes = []
    for mirror in group:
        output = dict.fromkeys(x for x in mirror.form.output if mirror.image[x] == x)
        core = [(Constant(mirror.form.coefficient), ()), *mirror.core]
        labels = [*output, *_inner_labels(mirror)]
        nodes.append(
            product(
                [node for node, _ in core], [own for _, own in core], labels, mirror.form.extents()
            )
        )
    frame = [factor for pair in mirror.halves for factor in pair] + list(mirror.kernels)
    factors = [*frame, (add(*nodes), tuple(labels))]
    known = {label for _, own in factors for label in own}
    bare = [label for label in dict.fromkeys(mirror.form.output) if label not in known]
    sizes = mirror.form.extents()
    factors += [(ones((sizes[label],)), (label,)) for label in bare]
    return replace(mirror.form, coefficient=1.0, factors=tuple(factors))


def _covers_rows(mirror: Mirror, kernels: Sequence[Proof]) -> bool:
    """Whether no direction is lost: rows are tied or in definite kernels that share no row."""
    if mirror.halves:
        return False
    covered_rows: list[Label] = []
    for kernel, proof in zip(mirror.kernels, kernels, strict=True):
        if not proof.definite:
            return False
        covered_rows += [x for x in kernel[1] if mirror.side.get(x) == 0]
    free = [x for x in mirror.form.rows if x not in mirror.tied_rows]
    return sorted(map(str, covered_rows)) == sorted(map(str, free))


def _explained(mirror: Mirror, core: object, kernels: Sequence[Proof]) -> Reason:
    parts = []
    if mirror.halves:
        names = _listed(", ", list(dict.fromkeys(pair[0][0] for pair in mirror.halves)))
        parts.append(Reason(("both sides are multiplied by ", *names, ": A' D A")))
    if mirror.tied_rows:
        parts.append(Reason("rows and columns are tied by a Kronecker delta: block diagonal"))
    dense = [node for node, _ in mirror.core if not is_ones(node)]
    if dense or mirror.form.coefficient != 1:
        coefficient = [] if mirror.form.coefficient == 1 else [f"{mirror.form.coefficient:g}"]
        parts.append(Reason((*_listed(" * ", [*coefficient, *dense]), " is in ", core)))
    parts.extend(proof.reason for proof in kernels)
    return Reason("a product that is its own mirror image, with nonnegative core", tuple(parts))


def _listed(separator: str, things: Sequence[object]) -> list[object]:
    """The things with a separator between any two."""
    return [part for thing in things for part in (separator, thing)][1:]
