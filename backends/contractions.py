"""Products with sums: order, masks, syrk, and the pairwise steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorcalc.contraction_order import EXHAUSTIVE, Choice, best_tree
from tensorcalc.nodes import Node

from .cores import Core, Inverse, multiplied, source_term, source_value
from .grams import gram_pairs, half_of_gram, renamed_labels
from .partial_products import Factor
from .solves import inverse_factor, solved
from .steps import Contract, Labels, Ref, Term, Value, load

if TYPE_CHECKING:
    from .lowering import Lowering


def contracted(lowering: Lowering, core: Core) -> Ref:
    """The value of a product in which labels are summed."""
    late = [mask for mask in core.masks if set(mask[1]) <= set(core.output)]
    early = [mask for mask in core.masks if not set(mask[1]) <= set(core.output)]
    alpha = core.alpha(lowering)
    if not early and (pairs := gram_pairs(lowering, core)):
        return _selected(lowering, core, _gram(lowering, core, pairs), late)
    terms = _masked(lowering, core, early)
    alpha += _counts(core, terms)
    if len(terms) == 1:
        result = _reduced_nest(lowering, core, terms[0], alpha)
    else:
        result = _tree(lowering, core, terms, alpha)
    return _selected(lowering, core, result, late)


def _counts(core: Core, terms: list[Term]) -> list[Term]:
    """Extents of summed labels along which all factors turn out to be constant."""
    present = {label for term in terms for label in term.labels()} | set(core.output)
    return [Term("size", (), core.sizes[k]) for k in sorted(core.used() - present)]


def _selected(lowering: Lowering, core: Core, ref: Ref, masks: list[Any]) -> Ref:
    if not masks:
        return ref
    term = lowering.loaded(ref.value, ref.axes)
    for source, own in masks:
        term = Term("select", (source_term(lowering, source, own), term))
    return lowering.nest(term, core.output_sizes())


def _masked(lowering: Lowering, core: Core, masks: list[Any]) -> list[Term]:
    """Factors as terms, each mask put on those that share its labels."""
    if not masks and len(core.factors) > 1:
        return [_lazy_term(lowering, source, own) for source, own in core.factors]
    pool = [source_term(lowering, source, own) for source, own in core.factors]
    for source, own in masks:
        mask = source_term(lowering, source, own)
        group = [t for t in pool if t.labels() <= set(own)]
        if not group:
            group = [t for t in pool if t.labels() >= set(own)][:1]
        pool = [t for t in pool if not any(t is g for g in group)]
        pool.append(Term("select", (mask, multiplied(group))))
    return pool


def _lazy_term(lowering: Lowering, source: Any, own: Labels) -> Term:
    """A factor as a term; an inverse that may become a solve is not computed yet."""
    if isinstance(source, Node) and source in lowering.solvable and source not in lowering.refs:
        return load(lowering.once(("inverse", source), lambda: inverse_factor(source)), own)
    if isinstance(source, Inverse):
        return load(source, own)
    return source_term(lowering, source, own)


def _made(lowering: Lowering, factor: Factor) -> Factor:
    """A factor that is an array, the inverse computed if it was not."""
    return Factor(*source_value(lowering, *factor))


def _reduced_nest(lowering: Lowering, core: Core, term: Term, alpha: list[Term]) -> Ref:
    reduced = tuple(sorted(term.labels() - set(core.output)))
    ref = lowering.nest(term, core.sizes_in_order(), reduced)
    return _scaled(lowering, core, ref, alpha)


def _tree(lowering: Lowering, core: Core, terms: list[Term], alpha: list[Term]) -> Ref:
    """Contract pair by pair in the best order."""
    factors = [_as_factor(lowering, core, term) for term in terms]
    labels = tuple(frozenset(f.labels) for f in factors)
    sizes = {label: lowering.size(extent) for label, extent in core.sizes.items()}
    output = frozenset(core.output)
    is_small = len(factors) <= EXHAUSTIVE
    alike = lowering.partial.alike(factors, output) if is_small else {}
    tree = best_tree(labels, output, sizes, alike)
    if len(factors) > 2:
        lowering.choices.append(Choice(labels, output, dict(core.sizes), tree, alike))
    result = _evaluated(lowering, core, factors, tree, output)
    return _scaled(lowering, core, Ref(result.value, result.labels), alpha)


def _as_factor(lowering: Lowering, core: Core, term: Term) -> Factor:
    """A term as an array of its own."""
    if term.operator == "load":
        return Factor(*term.payload)
    _, labels = max(term.loads(), key=lambda pair: pair[0].ndim, default=(None, ()))
    rest = core.sizes_in_order()
    ref = lowering.nest(term, {**{label: rest[label] for label in labels}, **rest})
    return Factor(ref.value, ref.axes)


def _evaluated(
    lowering: Lowering, core: Core, factors: list[Factor], tree: Any, needed: frozenset[int]
) -> Factor:
    if isinstance(tree, int):
        return factors[tree]
    own = [factors[k] for k in _leaves(tree)]
    known = lowering.partial.find(own, needed)
    if known is not None:
        return known
    outside = [needed.union(*(factors[k].labels for k in _leaves(side))) for side in tree]
    left = _evaluated(lowering, core, factors, tree[0], outside[1])
    right = _evaluated(lowering, core, factors, tree[1], outside[0])
    result = pair(lowering, core, left, right, needed)
    lowering.partial.note(own, needed, result)
    return result


def _leaves(tree: Any) -> list[int]:
    return [tree] if isinstance(tree, int) else [*_leaves(tree[0]), *_leaves(tree[1])]


# -- pairwise steps --------------------------------------------------------------------------------
def _gram(lowering: Lowering, core: Core, pairs: list[tuple[int, int]]) -> Ref:
    """``B'B``, with ``B`` the product of one factor of each pair and the root of the rest."""
    term, alpha = half_of_gram(lowering, core, pairs)
    alpha += _counts(core, [term])
    factor = _as_factor(lowering, core, term)
    names = renamed_labels(core, pairs)
    mirrored = Factor(factor.value, tuple(names.get(label, label) for label in factor.labels))
    result = pair(lowering, core, factor, mirrored, frozenset(core.output))
    return _scaled(lowering, core, Ref(result.value, result.labels), alpha)


def _scaled(lowering: Lowering, core: Core, ref: Ref, alpha: list[Term]) -> Ref:
    if not alpha:
        return ref
    term = multiplied([*alpha, lowering.loaded(ref.value, ref.axes)])
    return lowering.nest(term, core.output_sizes())


def pair(
    lowering: Lowering, core: Core, left: Factor, right: Factor, needed: frozenset[int]
) -> Factor:
    """Two factors as one: a matrix product, or an elementwise nest where nothing is summed."""
    for inverse, other in ((left, right), (right, left)):
        if isinstance(inverse.value, Inverse):
            found = solved(lowering, core, (inverse.value, inverse.labels), other, needed)
            if found is not None:
                return _reduced(lowering, core, Factor(*found), needed)
    left, right = _oriented(core, _made(lowering, left), _made(lowering, right))
    labels = dict.fromkeys((*left.labels, *right.labels))
    batch = [label for label in left.labels if label in right.labels]
    kept = tuple(label for label in dict.fromkeys((*batch, *labels)) if label in needed)
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


def _reduced(lowering: Lowering, core: Core, factor: Factor, needed: frozenset[int]) -> Factor:
    """The factor summed over the labels that nobody needs."""
    reduced = tuple(label for label in factor.labels if label not in needed)
    if not reduced:
        return factor
    sizes = {label: core.sizes[label] for label in factor.labels}
    ref = lowering.nest(lowering.loaded(*factor), sizes, reduced)
    return Factor(ref.value, ref.axes)


def _oriented(core: Core, left: Factor, right: Factor) -> tuple[Factor, Factor]:
    """The order in which rows of the result are rows, and few operands are transposed."""
    pairs = [(left, right), (right, left)]
    return min(pairs, key=lambda pair: (_misplaced(core, *pair), _transposed(*pair)))


def _misplaced(core: Core, left: Factor, right: Factor) -> bool:
    """Whether the first label of the result that only one factor has is the right one's."""
    both = set(left.labels) & set(right.labels)
    own = [k for k in core.output if k not in both and k in (*left.labels, *right.labels)]
    only_one = len({k in left.labels for k in own}) < 2
    return not only_one and own[0] in right.labels


def _transposed(left: Factor, right: Factor) -> int:
    """How many of the factors do not have the summed labels where a matrix product wants them."""
    both = set(left.labels) & set(right.labels)
    return (left.labels[-1:] != () and left.labels[-1] not in both) + (
        right.labels[:1] != () and right.labels[0] not in both
    )


def _renumbered(labels: Labels, numbers: dict[int, int]) -> Labels:
    return tuple(numbers[label] for label in labels)
