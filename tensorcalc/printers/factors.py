"""Factors of products as matrix notation sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import NotationError
from ..extents import same_extents
from ..nodes import Apply, Delta, Node, Product, Sum
from ..products import is_kronecker, is_ones, split_coefficient
from .network import (
    ATOM,
    ELEMENT,
    POSTFIX,
    POWER,
    PRODUCT,
    Chain,
    Item,
    Network,
    as_item,
    chain_text,
    elementwise,
)


def vector_chains(parts: Sequence[tuple[str, int, bool]]) -> list[Chain]:
    """Vectors on one label; what is divided by joins the others below a fraction bar."""
    above: list[Chain] = [
        (Item(text, level),) for text, level, reciprocal in parts if not reciprocal
    ]
    below = [Item(text, level).shown for text, level, reciprocal in parts if reciprocal]
    if not below:
        return above
    first = as_item(elementwise(above)) if above else Item("1")
    shown = first.text if first.level >= ELEMENT and first.level != PRODUCT else first.shown
    return [(Item(" ./ ".join([shown, *below]), ELEMENT),)]


def powers_of(scalars: Sequence[Item]) -> list[Item]:
    """Scalars with equal ones as a power."""
    counts = Counter((item.text, item.level) for item in scalars)
    return [
        Item(text, level)
        if count == 1
        else Item(f"{text if level >= POSTFIX else f'({text})'}^{count}", POWER)
        for (text, level), count in counts.items()
    ]


def plain_names_first(item: Item) -> tuple[bool, str]:
    """The order of scalar factors: ``c*(x'*x)^2``."""
    return item.text.startswith("("), item.text


def diagonal_item(network: Network) -> Item:
    """``diag`` of the vectors on the one output label."""
    return Item(f"diag({chain_text(network.vector())[0]})", ATOM, symmetric=True)


def kronecker_item(chains: Sequence[Chain]) -> Item:
    """``P ⊗ Q`` as a factor."""
    texts = [t if level > PRODUCT else f"({t})" for t, level in map(chain_text, chains)]
    return Item(" ⊗ ".join(texts), ELEMENT)


def merged_labels(node: Delta, own: tuple[int, ...]) -> tuple[int, int, int]:
    """Whole, major and minor label of a row ``whole = size*major + minor``."""
    ((coefficients, offset),) = node.rows
    if len(own) == 3 and offset == 0:
        by_label = dict(zip(own, coefficients, strict=True))
        extents = dict(zip(own, node.extents, strict=True))
        for whole in own:
            minor_and_major = [label for label in own if label != whole]
            for major, minor in (minor_and_major, minor_and_major[::-1]):
                signs = by_label[whole], by_label[major], by_label[minor]
                for sign in (1, -1):
                    want = (sign, -sign * extents[minor], -sign)
                    fits = same_extents((extents[whole],), (extents[major] * extents[minor],))
                    if fits and same_extents(signs, want):
                        return whole, major, minor
    raise NotationError("a shift or a reshape of axes")


def between(labels: set[Any], items: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """The factors connected with ``labels``, and the others."""
    inside = set(labels)
    rest = list(items)
    found: list[Any] = []
    progress = True
    while progress:
        progress = False
        for item in list(rest):
            if inside & set(item[1]):
                inside |= set(item[1])
                found.append(item)
                rest = [other for other in rest if other is not item]
                progress = True
    return found, rest


def is_reciprocal(node: Node) -> bool:
    """Whether ``node`` is a power that stands below a fraction bar."""
    return (
        isinstance(node, Apply)
        and node.operation.name == "power"
        and dict(node.params).get("at_zero") is None
        and exponent(node) < 0
    )


def exponent(node: Node) -> float:
    """The exponent of a power."""
    return dict(node.params)["exponent"]


def has_minus(node: Sum) -> bool:
    """Whether a term is subtracted."""
    return any(split_coefficient(term)[0] < 0 for term in node.operands)


def is_shift(node: Node) -> bool:
    """Whether ``node`` is a delta other than Kronecker's."""
    return isinstance(node, Delta) and bool(node.rows) and not is_kronecker(node)


def is_extent(node: Node) -> bool:
    """Whether ``node`` counts an axis."""
    return (
        isinstance(node, Product)
        and not node.ndim
        and len(node.operands) == 1
        and is_ones(node.operands[0])
    )
