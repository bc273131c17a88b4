"""Products with sums: order, masks, syrk, and the pairwise steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .affine_rows import Core, multiplied, source_term
from .contraction_order import best_tree
from .steps import Contract, Labels, Ref, Term, Value

if TYPE_CHECKING:
    from .lowering import Lowering


class Factor(NamedTuple):
    """A value and its labels."""

    value: Value
    labels: Labels


def contracted(lowering: Lowering, core: Core) -> Ref:
    """The value of a product in which labels are summed."""
    late = [mask for mask in core.masks if set(mask[1]) <= set(core.output)]
    early = [mask for mask in core.masks if not set(mask[1]) <= set(core.output)]
    terms = _masked(lowering, core, early)
    alpha = core.alpha(lowering)
    if len(terms) == 1:
        result = _reduced_nest(lowering, core, terms[0], alpha)
    else:
        result = _tree(lowering, core, terms, alpha)
    return _selected(lowering, core, result, late)


def _selected(lowering: Lowering, core: Core, ref: Ref, masks: list[Any]) -> Ref:
    if not masks:
        return ref
    term = lowering.loaded(ref.value, ref.axes)
    for source, own in masks:
        term = Term("select", (source_term(lowering, source, own), term))
    return lowering.nest(term, core.output_sizes())


def _masked(lowering: Lowering, core: Core, masks: list[Any]) -> list[Term]:
    """Factors as terms, each mask put on those that share its labels."""
    pool = [source_term(lowering, source, own) for source, own in core.factors]
    for source, own in masks:
        mask = source_term(lowering, source, own)
        group = [t for t in pool if t.labels() <= set(own)]
        if not group:
            group = [t for t in pool if t.labels() >= set(own)][:1]
        pool = [t for t in pool if not any(t is g for g in group)]
        pool.append(Term("select", (mask, multiplied(group))))
    return pool


def _reduced_nest(lowering: Lowering, core: Core, term: Term, alpha: list[Term]) -> Ref:
    reduced = tuple(sorted(term.labels() - set(core.output)))
    ref = lowering.nest(term, core.sizes_in_order(), reduced)
    if not alpha:
        return ref
    return lowering.nest(
        multiplied([*alpha, lowering.loaded(ref.value, ref.axes)]), core.output_sizes()
    )


def _tree(lowering: Lowering, core: Core, terms: list[Term], alpha: list[Term]) -> Ref:
    """Contract pair by pair in the best order."""
    factors = [_as_factor(lowering, core, term) for term in terms]
    labels = [frozenset(f.labels) for f in factors]
    sizes = {label: lowering.size(extent) for label, extent in core.sizes.items()}
    output = frozenset(core.output)
    tree = best_tree(labels, output, sizes)
    result, _ = _evaluated(lowering, core, factors, tree, output)
    ref = Ref(result.value, result.labels)
    if alpha:
        term = multiplied([*alpha, lowering.loaded(ref.value, ref.axes)])
        return lowering.nest(term, core.output_sizes())
    return ref


def _as_factor(lowering: Lowering, core: Core, term: Term) -> Factor:
    """A term as an array of its own."""
    if term.operator == "load":
        return Factor(*term.payload)
    ref = lowering.nest(term, core.sizes_in_order())
    return Factor(ref.value, ref.axes)


def _evaluated(
    lowering: Lowering, core: Core, factors: list[Factor], tree: Any, needed: frozenset[int]
) -> tuple[Factor, frozenset[int]]:
    if isinstance(tree, int):
        return factors[tree], frozenset(factors[tree].labels)
    left_needed = needed | _leaf_labels(factors, tree[1])
    right_needed = needed | _leaf_labels(factors, tree[0])
    left, _ = _evaluated(lowering, core, factors, tree[0], left_needed)
    right, _ = _evaluated(lowering, core, factors, tree[1], right_needed)
    result = pair(lowering, core, left, right, needed)
    return result, frozenset(result.labels)


def _leaf_labels(factors: list[Factor], tree: Any) -> frozenset[int]:
    if isinstance(tree, int):
        return frozenset(factors[tree].labels)
    return _leaf_labels(factors, tree[0]) | _leaf_labels(factors, tree[1])


def pair(
    lowering: Lowering, core: Core, left: Factor, right: Factor, needed: frozenset[int]
) -> Factor:
    """Two factors as one: a matrix product, or an elementwise nest where nothing is summed."""
    labels = dict.fromkeys((*left.labels, *right.labels))
    kept = tuple(label for label in labels if label in needed)
    if len(kept) == len(labels):
        term = multiplied([lowering.loaded(*left), lowering.loaded(*right)])
        ref = lowering.nest(term, {label: core.sizes[label] for label in kept})
        return Factor(ref.value, ref.axes)
    numbers = {label: k for k, label in enumerate(labels)}
    own = _renumbered(left.labels, numbers), _renumbered(right.labels, numbers)
    out = _renumbered(kept, numbers)

    def make() -> Value:
        value = lowering.value([core.sizes[label] for label in kept])
        return lowering.emit(Contract(value, left.value, right.value, own, out))

    return Factor(lowering.once((left.value, right.value, own, out), make), kept)


def _renumbered(labels: Labels, numbers: dict[int, int]) -> Labels:
    return tuple(numbers[label] for label in labels)
