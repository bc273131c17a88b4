"""Expressions as text in index notation: ``str(e)``, which :func:`tensorcalc.parse` reads back.

What the text means is said in :mod:`tensorcalc.notation.summation`. Axes of the result are called
i, j, k, l; ``[i,j] -> ...`` stands in front where one of them repeats within a product and is kept.
``where`` gives sizes of indices that no tensor tells, and subexpressions that are used repeatedly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain, count
from typing import Any

from ..extents import same_extents
from ..nodes import (
    METHODS,
    Apply,
    Constant,
    Delta,
    Node,
    Product,
    Sum,
    Variable,
    free_variables,
    postorder,
)
from ..notation.reader import Labels
from ..products import split_coefficient
from .arrangement import (
    Factor,
    arranged_factors,
    arranged_terms,
    fraction,
    number_text,
    reads_better_flipped,
)
from .index_functions import FunctionPrinter
from .pieces import (
    ATOM,
    POWER,
    PRODUCT,
    SUM,
    Text,
    bracket,
    closure,
    coefficient_symbols,
    combined,
    distinct,
    extent_word,
    leaf,
    merged,
    names_only,
    positions_taken,
    units,
)
from .scalars import broadcast_scalar
from .sharing import definitions_for

_AXES = "ijklpqrstuvwxyz"
_MANY_AXES = "abcdefghijklmnopqrstuvwxyz"
_SUMMED = "ijklabcdefghpqrstuvwxyzmno"
_POSITION = re.compile(r"\w+\[[\d,]+\]")


def index_text(expression: Node) -> str:
    """``expression`` in index notation.

    >>> import tensorcalc as tc
    >>> A, x = tc.variables("A: n n, x: n")
    >>> index_text(tc.gradient(x @ A @ x, x))
    '(A[i,j] + A[j,i])*x[j]'
    """
    if isinstance(expression, Variable):
        return expression.name
    printer = _IndexPrinter(expression)
    main = printer.titled(expression)
    definitions = [
        f"{name}{bracket(axes)} = {printer.defined(node, axes)}"
        for node, name in printer.definitions.items()
        for axes in [printer.axis_names(node.extents)]
    ]
    sizes = [f"{label}: {extent_word(extent)}" for label, extent in sorted(printer.sizes.items())]
    return main + (f" where {', '.join(sizes + definitions)}" if sizes or definitions else "")


class _IndexPrinter(FunctionPrinter):
    """Names for indices, definitions, and the sizes that the text must say."""

    def __init__(self, expression: Node) -> None:
        self.sizes: dict[str, Any] = {}
        self.taken = {name for node in postorder(expression) for name in coefficient_symbols(node)}
        names = {variable.name for variable in free_variables(expression)}
        self.definitions = definitions_for(expression, names)

    def axis_names(self, extents: Sequence[Any]) -> Labels:
        """Names of output axes, in alphabetical order."""
        names: list[str] = []
        letters = _AXES if len(extents) <= 4 else _MANY_AXES
        candidates = chain(letters, (f"z{number}" for number in count(1)))
        for extent in extents:
            names.append(
                next(n for n in candidates if n not in self.taken and self._fits(n, extent))
            )
        return tuple(names)

    def titled(self, node: Node) -> str:
        """The whole formula, its axes named in front where they must be."""
        axes = self.axis_names(node.extents)
        text = self.render(node, axes, frozenset(axes))
        self._declare(text, zip(axes, node.extents, strict=True))
        return f"{bracket(axes)} -> {text.text}" if text.demands else text.text

    def defined(self, node: Node, axes: Labels) -> str:
        """The right side of a definition; its indices are kept."""
        names = self.definitions
        self.definitions = {other: name for other, name in names.items() if other is not node}
        text = self.render(node, axes, frozenset(axes))
        self.definitions = names
        self._declare(text, zip(axes, node.extents, strict=True))
        return text.text

    def _declare(self, text: Text, extents: Iterable[tuple[str, Any]]) -> None:
        for label, extent in extents:
            if label in text.unknown:
                self.sizes[label] = extent

    # -- nodes ------------------------------------------------------------------------------
    def render(self, node: Node, labels: Labels, used: frozenset[str]) -> Text:
        """``node[labels]``; ``used`` are the names that already mean something here."""
        if node in self.definitions:
            return leaf(self.definitions[node], labels)
        return self._render(node, labels, used)

    def _render(self, node: Node, labels: Labels, used: frozenset[str]) -> Text:
        if isinstance(node, Variable):
            return leaf(node.name, labels)
        if isinstance(node, Constant):
            text = number_text(node.value)
            return Text(text, PRODUCT if text.startswith("-") else ATOM)
        if isinstance(node, Delta):
            return self._factors([(node, labels)], 1, labels, used)
        if isinstance(node, Apply) and not node.operation.is_elementwise:
            return self._core_apply(node, labels, used)
        if len(set(labels)) < len(labels):
            return self._relabelled(node, labels, used)
        if isinstance(node, Sum):
            return self._sum(1, node, labels, used)
        if isinstance(node, Apply):
            return self._elementwise(node, labels, used)
        assert isinstance(node, Product)
        return self._product(node, labels, used)

    def fresh(self, extents: Sequence[Any], used: frozenset[str]) -> Labels:
        """Names for more indices of these sizes."""
        chosen: list[str] = []
        candidates = chain(_SUMMED, (f"{stem}{number}" for number in count(1) for stem in "ij"))
        for extent in extents:
            taken = used | self.taken | set(chosen)
            chosen.append(next(n for n in candidates if n not in taken and self._fits(n, extent)))
        return tuple(chosen)

    def _fits(self, name: str, extent: Any) -> bool:
        """Whether the text says no other size for an index of this name."""
        return name not in self.sizes or same_extents((self.sizes[name],), (extent,))

    def _relabelled(self, node: Node, labels: Labels, used: frozenset[str]) -> Text:
        """``([a,b] -> body)[i,i]`` where an index repeats outside."""
        inner = self.fresh(node.extents, used)
        text = self._render(node, inner, used | set(inner))
        self._declare(text, zip(inner, node.extents, strict=True))
        found = leaf(f"({bracket(inner)} -> {text.text})", labels)
        return found.replaced(known=found.known if text.known else frozenset())

    def ordered(self, text: Text, labels: Labels) -> Text:
        """``text`` such that a reader finds its axes in the order ``labels``."""
        labels = names_only(labels)
        if text.order == labels:
            return text
        return text.replaced(
            text=f"({text.text}){bracket(labels)}", level=ATOM, order=labels, demands=frozenset()
        )

    # -- sums -------------------------------------------------------------------------------
    def _sum(self, sign: float, node: Sum, labels: Labels, used: frozenset[str]) -> Text:
        """A sum; ``sign`` -1 flips every term."""
        terms = [(sign * c, rest) for c, rest in map(split_coefficient, node.operands)]
        bare = {id(rest): s for _, rest in terms if (s := broadcast_scalar(rest)) is not None}
        if len(bare) == len(terms):
            bare = {}
        texts = []
        for c, rest in terms:
            if id(rest) in bare:
                number, scalar = split_coefficient(bare[id(rest)])
                texts.append((c, rest, self._scaled(abs(c) * number, scalar, (), used)))
            else:
                texts.append((c, rest, self._scaled(abs(c), rest, labels, used)))
        texts = arranged_terms(texts)
        joined = "".join(f" {'-' if c < 0 else '+'} {t.at(PRODUCT)}" for c, _, t in texts)
        joined = joined[3:] if joined[1] == "+" else "-" + joined[3:]
        lead = next((t.order for _, _, t in texts if t.order), ())
        return combined([t for _, _, t in texts]).replaced(text=joined, level=SUM, order=lead)

    def _scaled(self, c: float, node: Node, labels: Labels, used: frozenset[str]) -> Text:
        """``c*node``."""
        if c == 1:
            return self.render(node, labels, used)
        if isinstance(node, Constant):
            return self.render(Constant(c * node.value), labels, used)
        if isinstance(node, Product) and node not in self.definitions:
            return self._product(node, labels, used, c)
        return self._factors([(node, labels)], c, labels, used)

    # -- products ---------------------------------------------------------------------------
    def _product(
        self, node: Product, labels: Labels, used: frozenset[str], scale: float = 1
    ) -> Text:
        coefficient, rest = split_coefficient(node)
        coefficient *= scale
        if rest in self.definitions:
            return self._factors([(rest, labels)], coefficient, labels, used)
        if not isinstance(rest, Product):
            return self._factors([(rest, labels)], coefficient, labels, used)
        factors, positions = positions_taken(arranged_factors(rest), rest.output, self.definitions)
        names: dict[int, str] = {**dict(zip(rest.output, labels, strict=True)), **positions}
        summed = [x for f in factors for x in f[1] if x not in names]
        summed = list(dict.fromkeys(summed))
        extents = rest.label_extents()
        fresh = self.fresh([extents[x] for x in summed], used | set(labels))
        names.update(zip(summed, fresh, strict=True))
        named = [(o, tuple(names[x] for x in own)) for o, own in factors]
        return self._factors(named, coefficient, labels, used | set(names.values()))

    def _factors(
        self, factors: Sequence[tuple[Node, Labels]], c: float, labels: Labels, used: frozenset[str]
    ) -> Text:
        """A product of factors with named indices, of which ``labels`` remain."""
        above: list[Text] = []
        below: list[Text] = []
        c, unit_texts, rest = units(factors, c, labels)
        powers = merged(rest, labels)
        flip = c < 0 and next((f for f in powers if self._flips(f)), None)
        for factor in powers:
            c = -c if factor is flip else c
            square = (
                factor[2] == 2 and self._flips((*factor[:2], 1)) and reads_better_flipped(factor[0])
            )
            text, is_below = self._factor(factor, used, factor is flip or square)
            if len(factors) > 1 or factor[2] > 1 or is_below:
                text = self.ordered(text, factor[1]) if distinct(factor[1]) else text
            (below if is_below else above).append(text)
        above += unit_texts
        joined = "*".join(t.at(POWER) for t in above) or ("1" if below else "")
        joined += "".join(f"/{t.at(POWER)}" for t in below)
        alone = len(above) == 1 and not below
        body, level = (above[0].text, above[0].level) if alone else (joined, PRODUCT)
        return self._numbered(c, self._closed(above + below, body, level, factors, labels))

    def _numbered(self, c: float, text: Text) -> Text:
        """``c*text``."""
        numerator, denominator = fraction(abs(c))
        parts = [number_text(numerator)] if numerator != 1 or not text.text else []
        if not parts and denominator == 1 and c > 0:
            return text
        body = (
            text.at(PRODUCT)
            if text.level == PRODUCT and not text.text.startswith("-")
            else text.at(POWER)
        )
        if parts and body.startswith("1/"):
            body = f"{parts.pop()}{body[1:]}"
        joined = "*".join(parts + ([body] if body else []))
        joined += f"/{number_text(denominator)}" if denominator != 1 else ""
        level = ATOM if not body and c > 0 and denominator == 1 else PRODUCT
        return text.replaced(text=("-" if c < 0 else "") + joined, level=level)

    def _factor(self, factor: Factor, used: frozenset[str], flip: bool) -> tuple[Text, bool]:
        """A factor with its power, and whether it belongs below the fraction bar."""
        node, own, exponent = factor
        if flip:
            assert isinstance(node, Sum)
            text = self._sum(-1, node, own, used)
            if exponent > 1:
                text = self.ordered(text, own)
                text = text.replaced(text=f"{text.at(ATOM)}^{exponent}", level=POWER)
            return text, False
        inline = node not in self.definitions and exponent == 1 and distinct(own)
        if isinstance(node, Apply) and node.operation.name == "power" and inline:
            params = dict(node.params)
            if params.get("at_zero") is None and params["exponent"] < 0:
                return self._power(node.operands[0], -params["exponent"], own, used), True
        text = self.render(node, own, used)
        if distinct(own) and self._is_open(node, text):
            text = text.replaced(text=f"({text.text})", level=ATOM)
        if exponent > 1:
            text = self.ordered(text, own)
            text = text.replaced(text=f"{text.at(ATOM)}^{exponent}", level=POWER)
        return text, False

    def _is_open(self, node: Node, text: Text) -> bool:
        """Whether a reader would take factors of a nested product for the outer one's."""
        nested = isinstance(node, Product) and node not in self.definitions
        closed = text.text.startswith("sum[") or _POSITION.fullmatch(text.text)
        return nested and "[" in text.text and not closed

    def _flips(self, factor: Factor) -> bool:
        """Whether changing the sign of a sum saves a minus."""
        node, own, exponent = factor
        if not isinstance(node, Sum) or node in self.definitions or exponent != 1:
            return False
        negative = sum(split_coefficient(term)[0] < 0 for term in node.operands)
        return negative > 0 and distinct(own)

    def _closed(
        self, parts: Sequence[Text], text: str, level: int, factors: Any, labels: Labels
    ) -> Text:
        """The product with its sums: implicit where a reader sees them, else ``sum[j](...)``."""
        whole = combined(parts)
        counts = {label: 0 for part in parts for label in part.order}
        for part in parts:
            for label in part.order:
                counts[label] += 1
        summed = [label for label in counts if label not in labels]
        explicit = [label for label in summed if counts[label] < 2 or label in whole.demands]
        repeated = {label for label in counts if label in labels and counts[label] > 1}
        demands = (whole.demands | repeated) - set(summed)
        extents = {
            label: extent
            for node, own in factors
            for label, extent in zip(own, node.extents, strict=True)
        }
        known = closure(whole.known, whole.pairs)
        unknown = whole.unknown - known
        for label in unknown & set(summed):
            self.sizes[label] = extents[label]
        kept = frozenset(label for label in counts if label in labels)
        if explicit:
            text, level = f"sum{bracket(explicit)}({text})", ATOM
        return Text(
            text,
            level,
            tuple(label for label in counts if label in kept),
            demands,
            known & kept,
            unknown & kept,
            frozenset(pair for pair in whole.pairs if set(pair) <= kept),
        )


METHODS["text"] = index_text
