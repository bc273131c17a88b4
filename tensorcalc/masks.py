"""Masks that all terms of a sum have.

A mask selects: where it is 0 the other factors of its product have no effect, not even as
infinity or NaN. So it has to stand beside all of them: :mod:`tensorcalc.products` takes masks out
of the sums, as of the nested products, that it multiplies.
"""

from __future__ import annotations

from . import products
from .nodes import Constant, Node, Product, Sum
from .normal_form import Mask, masks_of
from .products import broadcast, product, scale, split_coefficient


def common_masks(node: Sum) -> tuple[dict[Mask, None], Node]:
    """The masks that all terms of ``node`` have, and the sum without them."""
    if "masks" not in node.facts:
        terms = [split_coefficient(term) for term in node.operands]
        first, *others = [masks_of(term) for _, term in terms]
        common = set(first).intersection(*others)
        masks = {mask: None for mask in first if mask[1] and mask in common}
        kept = [scale(c, _without(term, masks)) for c, term in terms] if masks else []
        rest = products.sum_of(kept) if masks else node
        node.facts["masks"] = masks, rest
    return node.facts["masks"]


def _without(term: Node, masks: dict[Mask, None]) -> Node:
    if not isinstance(term, Product):
        return broadcast(Constant(1), (), term.extents)
    factors = list(zip(term.operands, term.subscripts, strict=True))
    kept = [factor for factor in factors if factor not in masks] or [(Constant(1), ())]
    operands, subscripts = zip(*kept, strict=True)
    return product(operands, subscripts, range(term.ndim), dict(enumerate(term.extents)))
