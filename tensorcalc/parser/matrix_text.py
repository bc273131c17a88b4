"""Matrix notation as expressions: products become one einsum whose labels the shapes tell.

A chain such as ``X'*diag(s)*X`` is one product: transposition, ``diag``, ``sum`` and ``tr`` only
rename or drop its labels. Sums and functions close the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np

from ..applications import apply, power
from ..errors import ParseError
from ..nodes import Constant, Delta, Node, ones
from ..notation.calls import elementwise, with_defaults
from ..notation.formula import (
    COMPARISONS,
    Binary,
    Call,
    Document,
    Formula,
    Group,
    Leaf,
    Name,
    Negative,
    Number,
    Transposed,
)
from ..notation.names import caret
from ..notation.summation import Summation
from ..products import broadcast, product, scale, transpose
from ..sums import add
from ..table import TABLE
from .shapes import Shape, Size
from .typing_rules import Typing

Label = int
_fresh = count()


@dataclass(frozen=True)
class Chain:
    """A product under way: a fraction of numbers, factors with labels, output labels in order."""

    factors: tuple[tuple[Node, tuple[Label, ...]], ...] = ()
    output: tuple[Label, ...] = ()
    numerator: float = 1
    denominator: float = 1
    extents: Mapping[Label, Any] = field(default_factory=dict)

    def closed(self) -> Node:
        """The chain as one node."""
        coefficient = self.numerator / self.denominator
        if len(self.factors) == 1 and set(self.factors[0][1]) == set(self.output):
            node, labels = self.factors[0]
            if len(set(labels)) == len(labels):
                return scale(coefficient, transpose(node, [labels.index(x) for x in self.output]))
        factors = (
            [*self.factors] if coefficient == 1 else [*self.factors, (Constant(coefficient), ())]
        )
        factors = factors or [(Constant(1), ())]
        return product([f[0] for f in factors], [f[1] for f in factors], self.output, self.extents)

    def renamed(self, names: Mapping[Label, Label]) -> Chain:
        """The chain with labels replaced."""

        def new(labels: Iterable[Label]) -> tuple[Label, ...]:
            return tuple(names.get(label, label) for label in labels)

        factors = tuple((node, new(labels)) for node, labels in self.factors)
        extents = {names.get(label, label): extent for label, extent in self.extents.items()}
        return replace(self, factors=factors, output=new(self.output), extents=extents)

    def joined(self, other: Chain, output: tuple[Label, ...]) -> Chain:
        """The product of two chains."""
        return Chain(
            self.factors + other.factors,
            output,
            self.numerator * other.numerator,
            self.denominator * other.denominator,
            {**self.extents, **other.extents},
        )


def opened(node: Node) -> Chain:
    """A node as a chain of one factor."""
    if isinstance(node, Constant):
        return Chain(numerator=node.value)
    labels = tuple(next(_fresh) for _ in node.extents)
    return Chain(((node, labels),), labels, extents=dict(zip(labels, node.extents, strict=True)))


class MatrixReader:
    """A reader of matrix notation: shapes first, then nodes."""

    def __init__(self, names: Mapping[str, Node], symbols: Iterable[str], text: str) -> None:
        self.text = text
        self.scalars = Summation(names, symbols=symbols, text=text)
        self.typing = Typing(names, symbols, text, self.scalars.extent)
        self.names = dict(names)

    def document(self, document: Document) -> Node:
        """The node of a text with its definitions."""
        self.typing.document(document)
        for definition in document.definitions:
            self.names[definition.name] = self.node(definition.body)
        return self.node(document.body)

    def node(self, formula: Formula) -> Node:
        """The node of a part of the formula."""
        return self.chain(formula).closed()

    def shape(self, formula: Formula) -> Shape:
        """The shape that the typing found."""
        return self.typing.shapes[id(formula)]

    # -- chains -----------------------------------------------------------------------------
    def chain(self, formula: Formula) -> Chain:
        """A part of the formula as a product under way."""
        if isinstance(formula, Number):
            return Chain(numerator=formula.value)
        if isinstance(formula, (Name, Leaf)):
            return self._name(formula)
        if isinstance(formula, Group):
            return self.chain(formula.body)
        if isinstance(formula, Negative):
            chain = self.chain(formula.operand)
            return replace(chain, numerator=-chain.numerator)
        if isinstance(formula, Transposed):
            chain = self.chain(formula.operand)
            return replace(chain, output=chain.output[::-1])
        if isinstance(formula, Binary):
            return self._binary(formula)
        assert isinstance(formula, Call)
        return self._call(formula)

    def _name(self, formula: Name | Leaf) -> Chain:
        if isinstance(formula, Leaf):
            return opened(formula.node)
        if formula.text in self.names:
            return opened(self.names[formula.text])
        if formula.text == "eye":
            return self._eye(formula)
        return opened(self.scalars.look_up(formula))

    def _eye(self, formula: Formula) -> Chain:
        extent = self._extent(self.shape(formula).sizes[0], formula, "eye(n)")
        return opened(Delta((((1, -1), 0),), (extent, extent)))

    def _extent(self, size: Size, formula: Formula, remedy: str) -> Any:
        extent = size.root().extent
        if extent is None:
            raise ParseError(
                "this size does not follow from the context",
                caret(self.text, formula.place).splitlines(),
                f"say it: {remedy}",
            )
        return extent

    def _binary(self, formula: Binary) -> Chain:
        if formula.operator in ("+", "-"):
            return opened(self._sum(formula))
        spine: list[Binary] = []
        part: Formula = formula
        while isinstance(part, Binary) and part.operator not in ("+", "-"):
            spine.append(part)
            part = part.left
        left, kind = self.chain(part), self.shape(part).kind
        for step in reversed(spine):
            left = self._joined(step, left, kind)
            kind = self.shape(step).kind
        return left

    def _joined(self, formula: Binary, left: Chain, kind: str) -> Chain:
        operator = formula.operator
        if operator in ("^", ".^"):
            return self._power(formula, left, kind)
        if operator in COMPARISONS:
            sides = left.closed(), self.node(formula.right)
            return opened(apply(COMPARISONS[operator], *sides))
        if operator in ("/", "./"):
            return self._over(formula, left)
        right = self.chain(formula.right)
        if operator == "⊗":
            return self._kronecker(left, kind, right, self.shape(formula.right).kind)
        if not left.output or not right.output:
            return left.joined(right, left.output or right.output)
        if operator == ".*":
            right = right.renamed(dict(zip(right.output, left.output, strict=True)))
            return left.joined(right, left.output)
        return self._times(left, kind, right, self.shape(formula.right).kind)

    def _times(self, left: Chain, left_kind: str, right: Chain, right_kind: str) -> Chain:
        """``left*right``: the inner labels become one, if there are any."""
        inner, other = left_kind in ("row", "matrix"), right_kind in ("column", "matrix")
        if not inner or not other:
            return left.joined(right, left.output + right.output)
        right = right.renamed({right.output[0]: left.output[-1]})
        return left.joined(right, left.output[:-1] + right.output[1:])

    def _over(self, formula: Binary, left: Chain) -> Chain:
        if isinstance(formula.right, Number):
            return replace(left, denominator=left.denominator * formula.right.value)
        exponent, base = _denominator(formula.right)
        right = opened(power(self.node(base), exponent))
        if left.output and right.output:
            right = right.renamed(dict(zip(right.output, left.output, strict=True)))
        return left.joined(right, left.output or right.output)

    def _power(self, formula: Binary, left: Chain, kind: str) -> Chain:
        exponent = _literal(formula.right)
        if formula.operator == "^" and kind == "matrix":
            return self._matrix_power(formula, left, exponent)
        if exponent is None:
            return opened(elementwise("pow", [left.closed(), self.node(formula.right)], {}))
        if exponent not in (1, 2, 3):
            return opened(power(left.closed(), exponent))
        node = left.closed()
        base = opened(node)
        for _ in range(int(exponent) - 1):
            again = opened(node)
            base = base.joined(
                again.renamed(dict(zip(again.output, base.output, strict=True))), base.output
            )
        return base

    def _matrix_power(self, formula: Binary, left: Chain, exponent: float | None) -> Chain:
        if exponent is None or exponent != int(exponent) or not 0 < abs(exponent) <= 16:
            raise ParseError(
                "a power of a matrix with an exponent that is no integer from 1 to 16 in magnitude",
                caret(self.text, formula.place).splitlines(),
                "write .^ for elementwise powers",
            )
        node = left.closed() if exponent > 0 else apply("inv", left.closed())
        result = opened(node)
        for _ in range(int(abs(exponent)) - 1):
            result = self._times(result, "matrix", opened(node), "matrix")
        return result

    def _kronecker(self, left: Chain, left_kind: str, right: Chain, right_kind: str) -> Chain:
        """Axes with the same role merge: ``out[i*p + k, j*q + l] = left[i,j] right[k,l]``."""
        chain = left.joined(right, ())
        output: list[Label] = []
        extents = dict(chain.extents)
        rows: list[tuple[Node, tuple[Label, ...]]] = []
        for outer, inner in zip(_sides(left, left_kind), _sides(right, right_kind), strict=True):
            if outer is None or inner is None:
                output += [label for label in (outer, inner) if label is not None]
                continue
            label = next(_fresh)
            m, p = extents[outer], extents[inner]
            rows.append((Delta((((1, -p, -1), 0),), (m * p, m, p)), (label, outer, inner)))
            output.append(label)
            extents[label] = m * p
        return replace(
            chain, factors=chain.factors + tuple(rows), output=tuple(output), extents=extents
        )

    # -- sums -------------------------------------------------------------------------------
    def _sum(self, formula: Binary) -> Node:
        terms: list[tuple[int, Formula]] = []
        part: Formula = formula
        while isinstance(part, Binary) and part.operator in ("+", "-"):
            terms.append((1 if part.operator == "+" else -1, part.right))
            part = part.left
        terms.append((1, part))
        nodes = [scale(sign, self.node(term)) for sign, term in reversed(terms)]
        shape = next((node.extents for node in nodes if node.ndim), ())
        return add(*[n if n.ndim == len(shape) else broadcast(n, (), shape) for n in nodes])

    # -- functions --------------------------------------------------------------------------
    def _call(self, formula: Call) -> Chain:
        special = getattr(self, f"_{formula.function}_function", None)
        if special is not None:
            return special(formula)
        params = {name: self.scalars.param(value) for name, value in formula.params.items()}
        nodes = [self.node(operand) for operand in formula.operands]
        operation = TABLE.get(formula.function)
        if operation is None or operation.is_elementwise:
            return opened(elementwise(formula.function, nodes, params))
        return opened(apply(formula.function, *nodes, **with_defaults(formula.function, params)))

    def _sum_function(self, formula: Call) -> Chain:
        return replace(self.chain(formula.operands[0]), output=())

    def _tr_function(self, formula: Call) -> Chain:
        chain = self.chain(formula.operands[0])
        return replace(chain.renamed({chain.output[1]: chain.output[0]}), output=())

    def _diag_function(self, formula: Call) -> Chain:
        chain = self.chain(formula.operands[0])
        if len(chain.output) == 2:
            chain = chain.renamed({chain.output[1]: chain.output[0]})
            return replace(chain, output=chain.output[:1])
        (label,), other = chain.output, next(_fresh)
        extent = chain.extents[label]
        delta = Delta((((1, -1), 0),), (extent, extent)), (label, other)
        extents = {**chain.extents, other: extent}
        return replace(
            chain, factors=(*chain.factors, delta), output=(label, other), extents=extents
        )

    def _norm1_function(self, formula: Call) -> Chain:
        return replace(opened(apply("abs", self.node(formula.operands[0]))), output=())

    def _norm2_function(self, formula: Call) -> Chain:
        return opened(np.sqrt(np.sum(np.square(self.node(formula.operands[0])))))

    def _vector_function(self, formula: Call) -> Chain:
        return self._filled(formula, "vector(1, n)")

    def _matrix_function(self, formula: Call) -> Chain:
        return self._filled(formula, "matrix(1, m, n)")

    def _eye_function(self, formula: Call) -> Chain:
        return self._eye(formula)

    def _size_function(self, formula: Call) -> Chain:
        extent = self.scalars.extent(formula.operands[0])
        return replace(opened(ones((extent,))), output=())

    def _filled(self, formula: Call, remedy: str) -> Chain:
        sizes = [self._extent(size, formula, remedy) for size in self.shape(formula).sizes]
        value = self.chain(formula.operands[0])
        labels = tuple(next(_fresh) for _ in sizes)
        extents = dict(zip(labels, sizes, strict=True))
        units = tuple((ones((extents[label],)), (label,)) for label in labels)
        return replace(
            value,
            factors=value.factors + units,
            output=labels,
            extents={**value.extents, **extents},
        )


def _sides(chain: Chain, kind: str) -> tuple[Label | None, Label | None]:
    """Labels of rows and of columns."""
    if kind == "matrix":
        return chain.output[0], chain.output[1]
    return (chain.output[0], None) if kind == "column" else (None, chain.output[0])


def _denominator(formula: Formula) -> tuple[float, Formula]:
    """Exponent and base of what is divided by."""
    if isinstance(formula, Binary) and formula.operator in ("^", ".^"):
        exponent = _literal(formula.right)
        if exponent is not None:
            return -exponent, formula.left
    if isinstance(formula, Call) and formula.function == "sqrt" and len(formula.operands) == 1:
        return -0.5, formula.operands[0]
    return -1, formula


def _literal(formula: Formula) -> float | None:
    """The number that a formula spells, if it is one."""
    if isinstance(formula, Group):
        return _literal(formula.body)
    if isinstance(formula, Negative):
        value = _literal(formula.operand)
        return None if value is None else -value
    if isinstance(formula, Binary) and formula.operator == "/":
        left, right = _literal(formula.left), _literal(formula.right)
        return None if left is None or not right else left / right
    return formula.value if isinstance(formula, Number) else None
