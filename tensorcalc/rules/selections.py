"""Logarithms of entries that indices, slices and arrays of labels pick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import extents as ex
from ..applications import apply, rule
from ..deltas import Size, solved_for, value_range
from ..nodes import Apply, Delta, Node, Product
from ..products import product, split_coefficient
from .patterns import Labels, applied, constant_value

Factor = tuple[Node, Labels]

#: Rows that are one at exactly one place of their last axis and zero elsewhere.
ONE_HOT = frozenset({"one_hot", "argmax_mask", "argmin_mask"})


@rule("log")
def log_of_selected_is_selected_log(x: Node) -> Node | None:
    """``log(p[k]) = log(p)[k]`` where that lets another rule act on the logarithm.

    The entry is picked by deltas (a position, a slice) or by one-hot rows (an array of labels), so
    ``log(softmax(z)[rows, labels])`` is ``z[rows, labels] - logsumexp(z)[rows]``.
    """
    if not isinstance(x, Product) or split_coefficient(x)[0] != 1:
        return None
    factors: list[Factor] = list(zip(x.operands, x.subscripts, strict=True))
    picked = set(x.label_extents()) - set(x.output)
    selectors = [f for f in factors if _selects(f, picked)]
    others = [f for f in factors if not _selects(f, picked)]
    inner = tuple(dict.fromkeys(label for _, labels in others for label in labels))
    if not selectors or not others or not picked:
        return None
    logged = apply("log", product([node for node, _ in others], [s for _, s in others], inner))
    if applied(logged, "log") is not None or not _pick_one_each(selectors, picked, x):
        return None
    operands, subscripts = zip((logged, inner), *selectors, strict=True)
    return product(operands, subscripts, x.output, x.label_extents())


def _selects(factor: Factor, picked: set[Any]) -> bool:
    """Whether a factor is a delta, or one at exactly one place of a picked label, its last."""
    node, labels = factor
    return isinstance(node, Delta) or (
        isinstance(node, Apply)
        and node.operation.name in ONE_HOT
        and labels[-1] in picked
        and not picked.intersection(labels[:-1])
    )


def _pick_one_each(selectors: list[Factor], picked: set[Any], x: Product) -> bool:
    """Whether for every output index the selectors are one at exactly one place of ``picked``."""
    deltas = [f for f in selectors if isinstance(f[0], Delta)]
    hot = [labels[-1] for node, labels in selectors if not isinstance(node, Delta)]
    by_delta = {label for _, labels in deltas for label in labels}
    if len(set(hot)) < len(hot) or by_delta.intersection(hot) or not picked <= by_delta.union(hot):
        return False
    sizes = x.label_extents()
    still_open = [f for f in deltas if not _picks_one(f, picked, sizes)]
    if not still_open:
        return True
    kept = {k: e for k, e in sizes.items() if any(k in labels for _, labels in still_open)}
    places = [label for label in x.output if label in kept]
    operands, subscripts = zip(*still_open, strict=True)
    return constant_value(product(operands, subscripts, places, kept)) == 1


def _picks_one(factor: Factor, picked: set[Any], sizes: Mapping[Any, Size]) -> bool:
    """Whether a delta is ``δ[k - (affine in the others)]`` with ``k`` inside its axis.

    While tracing, the real sizes are asked, as they were for the index itself.
    """
    delta, labels = factor
    own = picked.intersection(labels)
    if not isinstance(delta, Delta) or len(delta.rows) != 1 or len(own) != 1:
        return False
    ((coefficients, offset),) = delta.rows
    (label,) = own
    terms = dict(zip(labels, coefficients, strict=True))
    position = solved_for((terms, offset), label) if len(terms) == len(labels) else None
    bounds = value_range(*position, sizes) if position is not None else None
    if bounds is None:
        return False
    room = bounds[0], sizes[label] - 1 - bounds[1]
    return all(bool(r >= 0) if ex.tracing() else ex.is_nonnegative(r) for r in room)
