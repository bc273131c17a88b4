"""In which order a careful author writes factors and terms, and how numbers look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ..nodes import Apply, Constant, Delta, Node, Product, Sum, Variable
from ..products import split_coefficient

#: A factor with its labels and its positive integer power.
Factor = tuple[Node, tuple[Any, ...], int]
_LARGEST_DENOMINATOR = 64


def arranged_factors(node: Product) -> list[tuple[Node, tuple[int, ...]]]:
    """Operands with labels: scalars, along the chain from the first output axis, deltas."""
    pairs = list(zip(node.operands, node.subscripts, strict=True))
    scalars = sorted((pair for pair in pairs if not pair[1]), key=lambda pair: _name_key(pair[0]))
    deltas = [pair for pair in pairs if pair[1] and isinstance(pair[0], Delta)]
    rest = [pair for pair in pairs if pair[1] and not isinstance(pair[0], Delta)]
    deltas.sort(key=lambda pair: (not pair[0].rows, min(pair[1])))
    return scalars + _chained(rest, node.output) + deltas


def _chained(
    pairs: list[tuple[Node, tuple[int, ...]]], output: Sequence[int]
) -> list[tuple[Node, tuple[int, ...]]]:
    """Factors such that neighbours share labels where that is possible."""
    placed: list[tuple[Node, tuple[int, ...]]] = []
    remaining = sorted(pairs, key=lambda pair: _start_key(pair, output))
    while remaining:
        last = set(placed[-1][1]) if placed else set()
        seen = {label for _, labels in placed for label in labels}

        def distance(k: int) -> tuple[bool, bool, int]:
            labels = set(remaining[k][1])
            return not labels & last, not labels & seen, k

        placed.append(remaining.pop(min(range(len(remaining)), key=distance)))
    return placed


def _start_key(pair: tuple[Node, tuple[int, ...]], output: Sequence[int]) -> Any:
    node, labels = pair
    kept = [label for label in labels if label in output]
    first = min(kept, default=len(output))
    axis = labels.index(first) if kept else 0
    return first, _is_reciprocal(node), axis, node.ndim, _name_key(node)


def _is_reciprocal(node: Node) -> bool:
    return isinstance(node, Apply) and dict(node.params).get("exponent", 0) < 0


def _name_key(node: Node) -> tuple[bool, str]:
    is_variable = isinstance(node, Variable)
    return not is_variable, node.name if isinstance(node, Variable) else node.digest.hex()


def arranged_terms(terms: Sequence[tuple[float, Node, Any]]) -> list[tuple[float, Node, Any]]:
    """Terms of a sum: positive before negative, constants first, then by their text."""
    return sorted(
        terms, key=lambda term: (term[0] < 0, bool(term[2].order), len(term[2].text), term[2].text)
    )


def reads_better_flipped(node: Node) -> bool:
    """Whether a square of ``b - X*w`` is better written as one of ``X*w - b``."""
    if not isinstance(node, Sum):
        return False
    pairs = [split_coefficient(term) for term in node.operands]
    positive = [rest for c, rest in pairs if c > 0]
    negative = [rest for c, rest in pairs if c < 0]
    return bool(negative) and all(map(_is_simple, positive)) and not all(map(_is_simple, negative))


def _is_simple(node: Node) -> bool:
    return isinstance(node, (Variable, Constant, Delta))


def fraction(value: float) -> tuple[float, float]:
    """``value`` as numerator and denominator where that is exact and shorter to read.

    >>> fraction(0.5), fraction(2 / 3), fraction(0.1)
    ((1, 2), (2, 3), (0.1, 1))
    """
    if not math.isfinite(value) or float(value).is_integer():
        return value, 1
    near = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
    exact = near.numerator and near.numerator / near.denominator == value
    if exact and (near.denominator in (2, 4, 8) or len(repr(value)) > 6):
        return near.numerator, near.denominator
    return value, 1


def number_text(value: float) -> str:
    """A number as it is read back; integers without a point.

    >>> number_text(2.0), number_text(0.25), number_text(float("inf"))
    ('2', '0.25', 'inf')
    """
    if math.isfinite(value) and float(value).is_integer() and abs(value) < 2**53:
        return str(int(value))
    return repr(float(value))
