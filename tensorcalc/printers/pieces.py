"""Pieces of index text: what a piece says, and what its surroundings must know about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..extents import Extent, symbol_name, symbols_of
from ..nodes import Delta, Node, Variable
from ..notation.calls import with_defaults
from ..notation.reader import Labels
from ..products import is_kronecker, is_ones
from .arrangement import Factor, number_text

#: How strongly texts bind.
COMPARISON, SUM, PRODUCT, POWER, ATOM = range(5)


@dataclass(frozen=True)
class Text:
    """A piece of text and what its surroundings must know.

    ``order`` are its free indices as a reader meets them; ``demands`` those that an enclosing
    bracket must keep; ``known`` those whose size it tells, ``unknown`` those whose size it needs
    and ``pairs`` those that a Kronecker delta makes equal.
    """

    text: str
    level: int = ATOM
    order: Labels = ()
    demands: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    pairs: frozenset[Labels] = frozenset()

    def at(self, level: int) -> str:
        """The text, in parentheses if it binds less than ``level``."""
        return self.text if self.level >= level else f"({self.text})"

    def replaced(self, **changes: Any) -> Text:
        """The piece with some fields changed."""
        return Text(**{**self.__dict__, **changes})


def leaf(name: str, labels: Labels) -> Text:
    """A tensor with a name and its indices."""
    order = names_only(labels)
    return Text(f"{name}{bracket(labels)}", ATOM, order, known=frozenset(order))


def names_only(labels: Labels) -> Labels:
    """Indices without fixed positions such as the 0 of ``x[0]``."""
    return tuple(label for label in labels if not label.isdigit())


def positions_taken(
    factors: Sequence[tuple[Node, tuple[int, ...]]],
    output: Sequence[Any],
    definitions: Mapping[Node, str],
) -> tuple[list[tuple[Node, tuple[int, ...]]], dict[int, str]]:
    """Factors without the deltas that fix an index of a leaf, and the positions: ``x[0]``."""
    positions: dict[int, str] = {}
    kept = []
    for node, own in factors:
        position = fixed_position(node)
        users = [
            other for other, labels in factors if own[:1] and own[0] in labels and other is not node
        ]
        uses = sum(labels.count(own[0]) for _, labels in factors) if own else 0
        is_leaf = (
            uses == 2
            and len(users) == 1
            and (isinstance(users[0], Variable) or users[0] in definitions)
        )
        if position is not None and is_leaf and own[0] not in output:
            positions[own[0]] = str(position)
        else:
            kept.append((node, own))
    return kept, positions


def fixed_position(node: Node) -> int | None:
    """The number that a delta of one index says its index is."""
    if isinstance(node, Delta) and len(node.rows) == 1 and node.ndim == 1:
        (c,), offset = node.rows[0]
        if isinstance(offset, int) and isinstance(c, int) and abs(c) == 1 and -offset * c >= 0:
            return -offset * c
    return None


def bracket(labels: Sequence[str]) -> str:
    """Indices between brackets; nothing for a scalar."""
    return f"[{','.join(labels)}]" if labels else ""


def distinct(labels: Sequence[str]) -> bool:
    """Whether no index repeats."""
    return len(set(labels)) == len(labels)


def combined(parts: Sequence[Text]) -> Text:
    """What the surroundings of all parts together must know."""
    known = frozenset().union(*(part.known for part in parts))
    return Text(
        "",
        demands=frozenset().union(*(part.demands for part in parts)),
        known=known,
        unknown=frozenset().union(*(part.unknown for part in parts)) - known,
        pairs=frozenset().union(*(part.pairs for part in parts)),
    )


def outside(texts: Sequence[Text], batch: Labels) -> Text:
    """What is seen outside a function of which ``batch`` are the free indices."""
    whole = combined(texts)
    kept = frozenset(batch)
    return Text("", ATOM, batch, whole.demands & kept, whole.known & kept, whole.unknown & kept)


def closure(known: frozenset[str], pairs: Iterable[Labels]) -> frozenset[str]:
    """Known sizes, and those that Kronecker deltas derive from them."""
    found = set(known)
    for _ in range(len(list(pairs))):
        for pair in pairs:
            if found & set(pair):
                found |= set(pair)
    return frozenset(found)


def units(
    factors: Sequence[tuple[Node, Labels]], c: float, labels: Labels
) -> tuple[float, list[Text], list[tuple[Node, Labels]]]:
    """Deltas and ones as texts, and the factors that are neither."""
    rest: list[tuple[Node, Labels]] = []
    units: list[Text] = []
    ones: list[str] = []
    for node, own in factors:
        if not isinstance(node, Delta):
            rest.append((node, own))
        elif is_ones(node):
            if len(own) == 1 and own[0] not in labels:
                units.append(Text(extent_scalar_text(node.extents[0])))
            else:
                ones.extend(own)
        else:
            units.append(delta_text(node, own))
    if ones:
        alone = not rest and not units
        number = number_text(c) if alone and c >= 0 else "1"
        c = 1 if alone and c >= 0 else c
        text = f"{number}{bracket(ones)}"
        units.append(Text(text, order=tuple(ones), unknown=frozenset(ones)))
    return c, units, rest


def delta_text(node: Delta, labels: Labels) -> Text:
    """``δ[i,j]`` or ``δ[h - 2*y + 1]``."""
    if is_kronecker(node):
        return Text(
            f"δ{bracket(labels)}",
            order=labels,
            unknown=frozenset(labels[:1]),
            pairs=frozenset([labels]),
        )
    texts = [f"δ[{affine_text(*row, labels)}]" for row in node.rows]
    unknown = frozenset(labels)
    return Text("*".join(texts), ATOM if len(texts) == 1 else PRODUCT, labels, unknown=unknown)


def affine_text(coefficients: Sequence[Any], offset: Any, labels: Labels) -> str:
    """``h - 2*y - u + 1``."""
    parts = [(c, label) for c, label in zip(coefficients, labels, strict=True)]
    if not (isinstance(offset, int) and offset == 0):
        parts.append((offset, ""))
    text = ""
    for c, label in parts:
        negative = c < 0 if isinstance(c, int) else next(iter(c.terms.values())) < 0
        size = extent_word(-c if negative else c)
        if label:
            compound = f"({size})" if " " in size else size
            size = label if size == "1" else f"{compound}*{label}"
        elif " " in size:
            size = f"({size})"
        text += f" {'-' if negative else '+'} {size}" if text else ("-" if negative else "") + size
    return text


def extent_word(extent: int | Extent) -> str:
    """An extent as a formula."""
    return str(extent).replace("**", "^")


def extent_scalar_text(extent: int | Extent) -> str:
    """An extent where a scalar stands."""
    return symbol_name(extent) or f"size({extent_word(extent)})"


def merged(factors: Sequence[tuple[Node, Labels]], labels: Labels) -> list[Factor]:
    """Equal factors as powers, unless a variable's repetition is what shows that it is summed."""
    groups: dict[tuple[int, Labels], list[tuple[Node, Labels]]] = {}
    for node, own in factors:
        groups.setdefault((id(node), own), []).append((node, own))
    users = Counter(label for _, own in groups for label in own)
    merged: list[Factor] = []
    for members in groups.values():
        node, own = members[0]
        shown = all(label in labels or users[label] > 1 for label in own)
        if distinct(own) and (shown or not isinstance(node, Variable)):
            merged.append((node, own, len(members)))
        else:
            merged += [(node, own, 1)] * len(members)
    return merged


def parameter_list(name: str, params: dict[str, Any]) -> list[str]:
    """Parameters of an operation as arguments, without those that a reader adds."""
    if with_defaults(name, {}) == {"at_zero": params.get("at_zero")}:
        params = {key: value for key, value in params.items() if key != "at_zero"}
    return [f"{name}={parameter_text(value)}" for name, value in params.items()]


def parameter_text(value: Any) -> str:
    """A parameter as it is read back."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(parameter_text, value))}]"
    if isinstance(value, Extent):
        return extent_word(value)
    if isinstance(value, float):
        return number_text(value)
    return f'"{value}"' if isinstance(value, str) else str(value)


def coefficient_symbols(node: Node) -> set[str]:
    """Symbols of extents that appear beside indices in deltas."""
    if not isinstance(node, Delta):
        return set()
    return {s for row in node.rows for e in (*row[0], row[1]) for s in symbols_of(e)}
