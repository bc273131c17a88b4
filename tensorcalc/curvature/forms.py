"""Quadratic forms as flat products: factors with labels, paired rows and columns.

``sum(V[rows] * prod(factors) * V[columns])`` for every index of the batch labels. Two operations
make forms out of nodes: nested products are opened, sums are distributed.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..nodes import Constant, Node, Product, Sum, ones
from ..products import is_kronecker, is_ones, kronecker, product, split_coefficient

Label = Hashable
Factor = tuple[Node, tuple[Label, ...]]

#: Terms beyond which sums are not distributed any further.
TERM_LIMIT = 64

_counter = itertools.count()


@dataclass(frozen=True, eq=False)
class Form:
    """``coefficient * sum(prod(factors))`` over labels that are neither rows, columns nor batch.

    Nested products are opened; with ``weights_closed`` not those that are sums of their own and
    join nothing of the rows with anything of the columns, as ``(sum_b K[b] w[a + b])**2`` in
    ``A[i,a] A[j,a]``: what such weights sum is no evidence of structure, and summed inside of the
    product it costs more.
    """

    coefficient: float
    factors: tuple[Factor, ...]
    rows: tuple[Label, ...]
    columns: tuple[Label, ...]
    batch: tuple[Label, ...] = ()
    weights_closed: bool = False

    @property
    def output(self) -> tuple[Label, ...]:
        """All labels that are not summed: rows, columns, batch."""
        return (*self.rows, *self.columns, *self.batch)

    def extents(self) -> dict[Label, Any]:
        """Extent of every label."""
        return {x: e for node, own in self.factors for x, e in zip(own, node.extents, strict=True)}

    def node(self) -> Node:
        """The form as one product in normal form: axes rows, columns, batch."""
        factors = [(Constant(self.coefficient), ()), *self.factors]
        return collected(factors, self.output, self.extents())

    def negated(self) -> Form:
        """The form with the opposite sign."""
        return replace(self, coefficient=-self.coefficient)

    def without(self, *positions: int) -> tuple[Factor, ...]:
        """The factors but those at ``positions``."""
        return tuple(factor for k, factor in enumerate(self.factors) if k not in positions)


def collected(
    factors: Sequence[Factor], output: Sequence[Label], sizes: Mapping[Label, Any]
) -> Node:
    """The factors as one product; a label that is in the output twice is tied by a delta."""
    kept: list[Label] = []
    ties: list[Factor] = []
    for label in output:
        if label in kept:
            copy = ("again", label, len(kept))
            ties.append((kronecker((sizes[label],)), (label, copy)))
            label = copy
        kept.append(label)
    everything = [*factors, *ties] or [(Constant(1), ())]
    return product([node for node, _ in everything], [own for _, own in everything], kept, sizes)


def form_of(
    node: Node, rows: Sequence[int], columns: Sequence[int], weights_closed: bool = False
) -> Form:
    """The form of ``node`` with the given axes as rows and columns, the others as batch."""
    batch = tuple(axis for axis in range(node.ndim) if axis not in (*rows, *columns))
    factors = ((node, tuple(range(node.ndim))),)
    return opened(Form(1, factors, tuple(rows), tuple(columns), batch, weights_closed))


def opened(form: Form) -> Form:
    """Coefficients taken out and nested products with axes opened, where no weights are kept."""
    coefficient = form.coefficient
    factors: list[Factor] = []
    pending = list(reversed(form.factors))
    while pending:
        node, labels = pending.pop()
        own, rest = split_coefficient(node)
        coefficient *= own
        if isinstance(rest, Product) and rest.ndim and not _may_stay(form, rest, labels):
            pending.extend(reversed(_inside(rest, labels)))
        elif not isinstance(rest, Constant):
            factors.append((rest, labels))
        if not pending:
            factors, pending = _parted(form, factors)
    return replace(form, coefficient=coefficient, factors=tuple(factors))


def _may_stay(form: Form, node: Product, labels: Sequence[Label]) -> bool:
    """Whether a nested product may be weights: a sum over axes that are not of the result."""
    inside = {x for own in node.subscripts for x in own}
    return form.weights_closed and len(inside) > node.ndim and not set(labels) & set(form.output)


def _parted(form: Form, factors: list[Factor]) -> tuple[list[Factor], list[Factor]]:
    """What stays, and what is inside of the products that reach a label of one side alone."""
    if not any(isinstance(node, Product) for node, _ in factors):
        return factors, []
    one_sided = _one_sided(form, factors)
    stay: list[Factor] = []
    inside: list[Factor] = []
    for node, labels in factors:
        if isinstance(node, Product) and one_sided & set(labels):
            inside += _inside(node, labels)
        else:
            stay.append((node, labels))
    return stay, inside


def _one_sided(form: Form, factors: Sequence[Factor]) -> set[Label]:
    """Labels that what is not a product joins with rows alone or with columns alone."""
    joins = [set(own) for node, own in factors if not (isinstance(node, Product) or is_ones(node))]
    connected = _connected([*joins, *({x} for x in form.output)])
    rows, columns = set(form.rows), set(form.columns)
    alone = [joined for joined in connected if bool(joined & rows) != bool(joined & columns)]
    return set().union(*alone)


def _connected(groups: Sequence[set[Label]]) -> list[set[Label]]:
    """Unions of the groups that have labels in common."""
    found: list[set[Label]] = []
    for group in groups:
        touching = [other for other in found if other & group]
        found = [other for other in found if not other & group]
        found.append(group.union(*touching))
    return found


def _inside(node: Product, labels: tuple[Label, ...]) -> list[Factor]:
    names: dict[int, Label] = dict(zip(node.output, labels, strict=True))
    return [
        (operand, tuple(names.setdefault(x, ("inner", next(_counter))) for x in own))
        for operand, own in zip(node.operands, node.subscripts, strict=True)
    ]


def distributed(form: Form, positions: Sequence[int]) -> list[Form]:
    """The form with the sums at ``positions`` multiplied out, unless that is too long."""
    total = 1
    for k in positions:
        total *= len(form.factors[k][0].operands)
    if total > TERM_LIMIT:
        return [form]
    choices = [form.factors[k][0].operands for k in positions]
    return [_chosen(form, positions, chosen) for chosen in itertools.product(*choices)]


def _chosen(form: Form, positions: Sequence[int], chosen: Sequence[Node]) -> Form:
    factors = list(form.factors)
    for k, term in zip(positions, chosen, strict=True):
        factors[k] = (term, factors[k][1])
    return opened(replace(form, factors=tuple(factors)))


def sum_positions(form: Form) -> list[int]:
    """Where the factors are sums that have axes."""
    return [k for k, (node, _) in enumerate(form.factors) if isinstance(node, Sum) and node.ndim]


def tied(form: Form) -> Form:
    """Kronecker deltas carried out: the labels that one equates become one label.

    A row label and its own column label become a single label, which then stands for an index that
    both sides share.
    """
    factors = list(form.factors)
    rows, columns = form.rows, form.columns
    while True:
        found = next((k for k, (node, own) in enumerate(factors) if is_kronecker(node)), None)
        if found is None:
            return replace(form, factors=tuple(factors), rows=rows, columns=columns)
        delta, (keep, old) = factors.pop(found)
        factors.append((ones(delta.extents[:1]), (keep,)))
        factors = [(node, _renamed(own, old, keep)) for node, own in factors]
        rows, columns = _renamed(rows, old, keep), _renamed(columns, old, keep)


def _renamed(labels: tuple[Label, ...], old: Label, new: Label) -> tuple[Label, ...]:
    return tuple(new if label == old else label for label in labels)


def plain_factors(form: Form) -> list[Factor]:
    """Factors without the all-ones ones, which say nothing but an extent."""
    return [factor for factor in form.factors if not is_ones(factor[0])]


def transposed_rows(form: Form) -> Iterator[Form]:
    """The form and, for a symmetric unknown, the form with its two row axes swapped."""
    yield form
    if len(form.rows) == 2:
        yield replace(form, rows=form.rows[::-1])
