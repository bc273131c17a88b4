"""The meaning of index notation.

``X[i,j]*w[j]``: an index that appears twice or more within a product and is not *kept* is summed.

- Kept are the indices that an enclosing ``[i,j] -> ...``, ``(...)[i,j]``, ``sum[j](...)`` or
  ``softmax[j](...)`` names. ``(expr)[i,j]`` is the tensor with exactly these axes in this order;
  other indices of ``expr`` are summed. So ``(x[i]*y[i])[i]`` is the elementwise product and
  ``(A[i,j])[i]`` the row sums, as the explicit mode of einsum.
- Without an explicit order the axes of the result are its free indices in alphabetical order, as
  in the implicit mode of einsum: ``A[j,i]`` is the transpose, and a product does not depend on
  the order of its factors.
- Functions close a product: ``exp(x[i]*y[i])`` is the exponential of the inner product.
  Parentheses around a product make it a product of its own, which matters only for an index that
  appears more than twice.
- Terms of a sum have the same free indices; a term without any is added everywhere.
- ``1[i]`` is all ones, ``δ[i,j]`` the Kronecker delta, ``δ[h - 2*y + 1]`` is 1 where its
  argument is zero. Sizes of indices are those of the tensors that carry them.
- Functions of vectors and matrices take whole tensors, ``inv(A)[i,j]``, ``det([a,b] -> B[k,a,b])``,
  or name the index they run over, ``softmax[j](X[i,j])``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..applications import power
from ..errors import NotationError, ParseError, TensorcalcError
from ..extents import symbols_of
from ..nodes import Constant, Delta, Node
from ..products import broadcast, product, scale
from ..sums import add
from .calls import CallReader
from .formula import (
    COMPARISONS,
    Arrow,
    Binary,
    Call,
    Document,
    Formula,
    Group,
    Leaf,
    Name,
    Number,
    Subscript,
)
from .labelled import Factor, Labelled, Scope, of_one_shape, single, sizes_of
from .names import caret
from .reader import Labels
from .spines import factors, index_names, is_sum, is_unit, terms

Order = Labels | Callable[[Labels], Labels] | None


class UnknownSizeError(ParseError, NotationError):
    """The size of an index is not known yet; another part may tell it, as this one tells others."""

    sizes: dict[str, Any]


def natural_order(labels: Iterable[str]) -> Labels:
    """Alphabetical order, numbers in names as numbers.

    >>> natural_order(["i10", "j", "i2"])
    ('i2', 'i10', 'j')
    """

    def key(label: str) -> tuple[str, int, str]:
        stem = label.rstrip("0123456789")
        return stem, int(label[len(stem) :] or -1), label

    return tuple(sorted(labels, key=key))


class Summation(CallReader):
    """A reader of index notation: names and sizes in, nodes out."""

    # -- whole formulas ---------------------------------------------------------------------
    def document(self, document: Document) -> Node:
        """The node of a text with its definitions."""
        self.indices = set(document.sizes) | index_names(document)
        self.symbols |= {s for f in document.sizes.values() for s in symbols_of(self.extent(f))}
        self.sizes |= {label: self.extent(f) for label, f in document.sizes.items()}
        for definition in document.definitions:
            labels = self.label_names(definition.items)
            self.names[definition.name] = self.value(
                definition.body, Scope().keeping(labels), labels
            ).node
        return self.tensor(document.body)

    def tensor(self, formula: Formula) -> Node:
        """A closed formula as a node: axes as named, as positioned, or alphabetical."""
        bare = self._bare(formula)
        if bare is not None:
            return bare
        if isinstance(formula, Arrow):
            labels = self.label_names(formula.items)
            return self.value(formula.body, Scope().keeping(labels), labels).node
        if isinstance(formula, Subscript) and isinstance(formula.base, Group):
            if not isinstance(formula.base.body, Arrow):
                return self.value(formula, Scope()).node
        return self.value(formula, Scope(), natural_order).node

    def _bare(self, formula: Formula) -> Node | None:
        """A tensor without indices, such as ``A`` or ``inv(A)``."""
        if isinstance(formula, Group):
            return self._bare(formula.body)
        if isinstance(formula, (Name, Leaf)):
            return self.look_up(formula)
        if isinstance(formula, Call) and not formula.binder and self._core_rank(formula):
            node, batch = self._core_call(formula, Scope())
            if not batch:
                return node
        return None

    # -- values -----------------------------------------------------------------------------
    def value(
        self, formula: Formula, scope: Scope, order: Order = None, drop: Labels | None = ()
    ) -> Labelled:
        """The tensor that ``formula`` is.

        The axes are in ``order`` if given, else in order of first appearance; ``drop`` are indices
        to sum explicitly, None says all that ``order`` does not name.
        """
        while drop == () and isinstance(formula, Group) and not isinstance(formula.body, Arrow):
            formula = formula.body
        if isinstance(formula, Subscript) and isinstance(formula.base, Group):
            if not isinstance(formula.base.body, Arrow):
                labels = self.label_names(formula.items)
                found = self.value(formula.base.body, scope.keeping(labels), labels, None)
                return self._contracted(found, order, drop, formula)
        if isinstance(formula, Call) and formula.function == "sum" and formula.binder:
            labels = self.label_names(formula.binder)
            more = None if drop is None else drop + labels
            return self.value(self.only(formula), scope.keeping(labels), order, more)
        if is_sum(formula):
            wanted = order if drop in ((), None) else None
            return self._contracted(self._sum(formula, scope, wanted), order, drop, formula)
        return self._product(formula, scope, order, drop)

    def _contracted(
        self, found: Labelled, order: Order, drop: Labels | None, formula: Formula
    ) -> Labelled:
        order = self._output(order, found.labels, drop, formula)
        return Labelled(found.arranged(order), order)

    def _output(self, order: Order, free: Labels, drop: Labels | None, formula: Formula) -> Labels:
        """The axes that remain, checked against the order that was asked for."""
        if drop is None:
            assert isinstance(order, tuple)
            free = tuple(label for label in free if label in order)
        else:
            free = tuple(label for label in free if label not in drop)
        if order is None or callable(order):
            return order(free) if order else free
        odd = sorted(set(order) ^ set(free))
        if odd or len(set(order)) != len(order):
            what = "is free" if odd and odd[0] in free else "is not one of its free indices"
            raise self.error(
                formula,
                f"[{','.join(order)}] was asked for, but {odd[0] if odd else order[0]!r} {what}",
                "name every free index once",
            )
        return order

    # -- sums -------------------------------------------------------------------------------
    def _sum(self, formula: Formula, scope: Scope, order: Order) -> Labelled:
        parts = terms(formula)
        lead: list[Labels] = [order] if isinstance(order, tuple) else []

        def in_one_order(free: Labels) -> Labels:
            """Terms take the order that is asked for, else that of the first."""
            if free and not lead:
                lead.append(order(free) if callable(order) else free)
            return lead[0] if lead and set(lead[0]) == set(free) else free

        def read(term: Formula, scope: Scope) -> Labelled:
            value = self.value(term, scope, in_one_order)
            if value.labels:
                solved.append(term)
            return value

        solved: list[Formula] = []
        found = self._solved([term for _, term in parts], read, scope)
        open_terms = [t for (_, t), value in zip(parts, found, strict=True) if value.labels]
        if open_terms and open_terms[0] is not solved[0] and not isinstance(order, tuple):
            # The first term waited for a size from another one, which has led until now.
            lead.clear()
            sizes = {label: n for value in found for label, n in sizes_of(value).items()}
            known = replace(scope, sizes={**scope.sizes, **sizes})
            found = [read(term, known) for _, term in parts]
        labels = next((term.labels for term in found if term.labels), ())
        nodes = []
        for (sign, term), value in zip(parts, found, strict=True):
            if value.labels and set(value.labels) != set(labels):
                raise self.error(
                    term,
                    f"a term with indices [{','.join(value.labels)}] "
                    f"is added to one with [{','.join(labels)}]",
                    "give every term the same free indices; 1[i] broadcasts",
                )
            nodes.append(scale(sign, value.arranged(labels) if value.labels else value.node))
        return Labelled(add(*of_one_shape(nodes)), labels)

    def _solved(self, formulas: Sequence[Formula], read: Any, scope: Scope) -> list[Any]:
        """Values of formulas, read in an order in which the sizes that they need become known."""
        found: dict[int, Any] = {}
        sizes = dict(scope.sizes)
        known = -1
        waiting = sorted(range(len(formulas)), key=lambda k: is_unit(formulas[k]))
        while waiting:
            stuck = []
            for k in waiting:
                try:
                    found[k] = read(formulas[k], replace(scope, sizes=dict(sizes)))
                except UnknownSizeError as error:
                    stuck.append((k, error))
                    sizes |= error.sizes
                else:
                    sizes |= sizes_of(found[k])
            if len(stuck) == len(waiting) and len(sizes) == known:
                stuck[0][1].sizes = sizes
                raise stuck[0][1]
            known = len(sizes)
            waiting = [k for k, _ in stuck]
        return [found[k] for k in range(len(formulas))]

    # -- products ---------------------------------------------------------------------------
    def _product(
        self, formula: Formula, scope: Scope, order: Order, drop: Labels | None
    ) -> Labelled:
        numerator, denominator, parts = factors(formula)
        solved = self._solved(parts, self._factor, scope)
        counts: Counter[str] = Counter()
        for factor in solved:
            counts.update(factor.counts)
        free = tuple(label for label, n in counts.items() if n == 1 or label in scope.kept)
        order = self._output(order, free, drop, formula)
        tensors = [tensor for factor in solved for tensor in factor.tensors]
        coefficient = numerator / denominator
        if len(tensors) == 1 and set(tensors[0][1]) == set(order):
            node, labels = tensors[0]
            arranged = node if labels == order else product((node,), (labels,), order)
            return Labelled(scale(coefficient, arranged), order)
        if coefficient != 1 or not tensors:
            tensors.append((Constant(coefficient), ()))
        operands, subscripts = zip(*tensors, strict=True)
        return Labelled(product(operands, subscripts, order), order)

    def _factor(self, formula: Formula, scope: Scope) -> Factor:
        if isinstance(formula, Binary) and formula.operator == "^":
            return self._power(formula, scope)
        if isinstance(formula, Binary) and formula.operator == "/":  # left is 1 here
            return single(self._reciprocal(formula.right, scope))
        if isinstance(formula, Binary) and formula.operator in COMPARISONS:
            name = COMPARISONS[formula.operator]
            return single(self._elementwise(name, (formula.left, formula.right), {}, scope))
        if isinstance(formula, Subscript):
            return self._subscript(formula, scope)
        if isinstance(formula, Call):
            closes = formula.function == "sum" and formula.binder
            return single((self.value if closes else self._call)(formula, scope))
        if isinstance(formula, (Name, Leaf)):
            return single(Labelled(self._scalar(formula), ()))
        if isinstance(formula, Group):
            return single(self.value(formula, scope))
        raise self.error(formula, "this has no meaning in index notation")

    def _reciprocal(self, formula: Formula, scope: Scope) -> Labelled:
        exponent = -1.0
        if isinstance(formula, Binary) and formula.operator == "^":
            own = self.number(formula.right)
            if own is not None:
                exponent, formula = -own, formula.left
        elif isinstance(formula, Call) and formula.function == "sqrt":
            exponent, formula = -0.5, self.only(formula)
        base = self.value(formula, scope)
        return Labelled(power(base.node, exponent), base.labels)

    def _power(self, formula: Binary, scope: Scope) -> Factor:
        base = self.value(formula.left, scope)
        exponent = self.number(formula.right)
        if exponent is None:
            return single(self._elementwise("pow", (formula.left, formula.right), {}, scope))
        if exponent in (1, 2, 3):  # repeated factors, so that the product stays one
            return Factor([(base.node, base.labels)] * int(exponent), Counter(base.labels))
        return single(Labelled(power(base.node, exponent), base.labels))

    def _scalar(self, formula: Name | Leaf) -> Node:
        node = self.look_up(formula)
        if node.ndim:
            name = formula.text if isinstance(formula, Name) else str(node)
            raise self.error(
                formula,
                f"{name} has {node.ndim} axes and needs as many indices here",
                f"write {name}[{','.join('ijklabcdefgh'[: node.ndim])}]",
            )
        return node

    # -- subscripts -------------------------------------------------------------------------
    def _subscript(self, formula: Subscript, scope: Scope) -> Factor:
        base = formula.base
        if isinstance(base, Name) and base.text in ("δ", "delta") and base.text not in self.names:
            return self._delta(formula, scope)
        if isinstance(base, Number):
            labels = self.label_names(formula.items)
            sizes = [self._size(label, scope, formula) for label in labels]
            ones = broadcast(Constant(base.value), (), sizes)
            return Factor([(ones, labels)], Counter(labels))
        batch: Labels = ()
        if isinstance(base, Group) and isinstance(base.body, Arrow):
            core = self.label_names(base.body.items)
            found = self.value(base.body.body, scope.keeping(core))
            batch = tuple(label for label in found.labels if label not in core)
            node = found.arranged(self._output(batch + core, found.labels, (), formula))
        elif isinstance(base, (Name, Leaf)):
            node = self.look_up(base)
        elif isinstance(base, Call) and not base.binder:
            node, batch = self._core_call(base, scope)
        elif isinstance(base, Group):
            return single(self.value(formula, scope))
        else:
            raise self.error(formula, "this cannot be indexed")
        return self._indexed(node, batch, formula)

    def _indexed(self, node: Node, batch: Labels, formula: Subscript) -> Factor:
        if len(batch) + len(formula.items) != node.ndim:
            raise self.error(
                formula, f"{len(formula.items)} indices for {node.ndim - len(batch)} axes"
            )
        pins: list[tuple[Node, Labels]] = []
        labels = list(batch)
        for item in formula.items:
            if isinstance(item, Number):
                label = f"={len(pins)}@{id(formula)}"
                extent = node.extents[len(labels)]
                pins.append((Delta((((1,), -int(item.value)),), (extent,)), (label,)))
                labels.append(label)
            else:
                labels.append(self.label_names((item,))[0])
        if pins:
            own = [label for label in labels if not label.startswith("=")]
            free = tuple(dict.fromkeys(own))
            pinned = product(
                [node, *(pin for pin, _ in pins)], [labels, *(own for _, own in pins)], free
            )
            return Factor([(pinned, free)], Counter(own))
        return Factor([(node, tuple(labels))], Counter(labels))

    def _delta(self, formula: Subscript, scope: Scope) -> Factor:
        if len(formula.items) == 2:
            a, b = self.label_names(formula.items)
            if a in scope.sizes or b not in scope.sizes:
                extent = self._size(a, scope, formula) if a in scope.sizes else None
                extent = extent if extent is not None else self.sizes.get(a, self.sizes.get(b))
            else:
                extent = scope.sizes[b]
            if extent is None:
                raise self._unknown_size(a, formula)
            return Factor([(Delta((((1, -1), 0),), (extent, extent)), (a, b))], Counter((a, b)))
        terms, offset = self.affine(self.only_item(formula))
        labels = tuple(terms)
        sizes = tuple(self._size(label, scope, formula) for label in labels)
        node = Delta(((tuple(terms.values()), offset),), sizes)
        return Factor([(node, labels)], Counter(labels))

    def _size(self, label: str, scope: Scope, formula: Formula) -> Any:
        size = scope.sizes.get(label, self.sizes.get(label))
        if size is None:
            raise self._unknown_size(label, formula)
        return size

    def _unknown_size(self, label: str, formula: Formula) -> TensorcalcError:
        details = caret(self.text, formula.place).splitlines() if formula.place >= 0 else []
        error = UnknownSizeError(
            f"the size of index {label!r} is not known",
            details,
            f"say it at the end of the formula: ... where {label}: n",
        )
        error.sizes = {}
        return error
