"""Expressions in matrix notation, which :func:`tensorcalc.parse` reads back.

Vectors are columns. A tensor of order four is written as the matrix that it is on row-major vecs,
``H[i,j,k,l]`` in row ``i*n + j`` and column ``k*n + l`` as NumPy's reshape does, where it is a sum
of Kronecker products: ``2*(eye(m) ⊗ (V'*V))``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import NotationError, ParseError
from ..extents import symbols_of
from ..nodes import (
    Apply,
    Constant,
    Delta,
    Node,
    Product,
    Sum,
    Variable,
    as_expression,
    free_variables,
    postorder,
)
from ..notation.formula import COMPARISONS
from ..parser.grammar import read
from ..parser.matrix_text import MatrixReader
from ..products import is_kronecker, is_ones, is_symmetric, is_zero, split_coefficient
from .arrangement import arranged_factors, fraction, number_text, reads_better_flipped
from .factors import (
    diagonal_item,
    exponent,
    has_minus,
    is_extent,
    is_reciprocal,
    is_shift,
    plain_names_first,
    powers_of,
    vector_chains,
)
from .index_text import index_text
from .kronecker import KroneckerPrinter
from .network import (
    ATOM,
    ELEMENT,
    POSTFIX,
    POWER,
    PRODUCT,
    SUM,
    Chain,
    Item,
    Network,
    chain_text,
)
from .pieces import extent_scalar_text, extent_word, parameter_list
from .scalars import broadcast_scalar
from .sharing import definitions_for

_ORDERS = (0, 1, 2, 4)
_INFIX = {name: sign for sign, name in COMPARISONS.items()}


def to_matrix(expression: Node) -> str:
    """``expression`` in matrix notation.

    >>> import tensorcalc as tc
    >>> A, x = tc.variables("A: n n, x: n")
    >>> to_matrix(tc.gradient(x @ A @ x, x))
    "(A + A')*x"

    Raises NotationError, which shows the index form, where there is no matrix notation: for tensors
    of order three, contractions that matrices cannot say, shifts.
    """
    expression = as_expression(expression)
    variables = free_variables(expression)
    try:
        text = _MatrixPrinter(expression, explicit=False).document()
        if "eye" in text or "vector(" in text or "matrix(" in text:
            text = _with_sizes(expression, text, variables)
    except NotationError as error:
        raise NotationError(
            "this expression has no matrix notation",
            [f"index form: {index_text(expression)}", f"reason: {str(error).splitlines()[0]}"],
            "print it with str(), which uses index notation",
        ) from None
    return text


def _with_sizes(expression: Node, text: str, variables: Sequence[Variable]) -> str:
    """The text, with sizes of vector, matrix and eye said where the context does not tell them."""
    nodes = postorder(expression)
    symbols = {name for node in nodes for extent in node.extents for name in symbols_of(extent)}
    try:
        MatrixReader({v.name: v for v in variables}, symbols, text).document(read(text))
    except ParseError:
        return _MatrixPrinter(expression, explicit=True).document()
    return text


@dataclass(frozen=True)
class Term:
    """Something to add: sign and text."""

    text: str
    level: int
    negative: bool = False


class _MatrixPrinter(KroneckerPrinter):
    """Texts of scalars, columns and matrices."""

    def __init__(self, expression: Node, explicit: bool) -> None:
        self.expression = expression
        self.explicit = explicit
        self.labels = 0
        names = {variable.name for variable in free_variables(expression)}
        self.definitions = definitions_for(expression, names)

    def document(self) -> str:
        main = self.text(self.expression)[0]
        parts = []
        for node, name in list(self.definitions.items()):
            names = self.definitions
            self.definitions = {n: t for n, t in names.items() if n is not node}
            parts.append(f"{name} = {self.text(node)[0]}")
            self.definitions = names
        return main + (f" where {', '.join(parts)}" if parts else "")

    # -- nodes ------------------------------------------------------------------------------
    def text(self, node: Node) -> tuple[str, int]:
        """A node as text with its level; a vector is a column."""
        if node in self.definitions:
            return self.definitions[node], ATOM
        if node.ndim == 4:
            return self._fourth_order(node)
        if node.ndim > 2:
            raise NotationError(f"a tensor of order {node.ndim}")
        if isinstance(node, Variable):
            return node.name, ATOM
        if isinstance(node, Constant):
            text = number_text(node.value)
            return text, PRODUCT if text.startswith("-") else ATOM
        if isinstance(node, Sum):
            return self._sum(node, 1)
        if isinstance(node, Apply):
            return self._apply(node)
        return self._shown(self._term(1, node))

    def item(self, node: Node) -> Item:
        """A node as a factor."""
        text, level = self.text(node)
        return Item(text, level, symmetric=node.ndim == 2 and is_symmetric(node))

    def _shown(self, term: Term) -> tuple[str, int]:
        return ("-" + term.text if term.negative else term.text), (
            PRODUCT if term.negative else term.level
        )

    def _sum(self, node: Sum, sign: float) -> tuple[str, int]:
        if node.ndim not in _ORDERS:
            raise NotationError(f"a tensor of order {node.ndim}")
        terms = []
        for operand in node.operands:
            c, rest = split_coefficient(operand)
            scalar = broadcast_scalar(rest)
            others = [o for o in node.operands if broadcast_scalar(split_coefficient(o)[1]) is None]
            number, rest = split_coefficient(scalar) if scalar is not None and others else (1, rest)
            terms.append(self._term(sign * c * number, rest))
        terms.sort(key=lambda term: (term.negative, len(term.text), term.text))
        joined = "".join(
            f" {'-' if t.negative else '+'} {t.text if t.level > SUM else f'({t.text})'}"
            for t in terms
        )
        return joined[3:] if joined[1] == "+" else "-" + joined[3:], SUM

    def _fourth_order(self, node: Node) -> tuple[str, int]:
        if is_zero(node):
            rows, columns = (extent_word(a * b) for a, b in (node.extents[:2], node.extents[2:]))
            return f"matrix(0, {rows}, {columns})", ATOM
        if isinstance(node, Sum):
            return self._sum(node, 1)
        if isinstance(node, (Product, Delta)):
            return self._shown(self._term(1, node))
        raise NotationError("a function of a tensor of order four")

    # -- products ---------------------------------------------------------------------------
    def _term(self, scale: float, node: Node) -> Term:
        """``scale*node`` with its sign apart."""
        c, rest = split_coefficient(node)
        c *= scale
        if isinstance(rest, Constant):
            c, rest = c * rest.value, Constant(1)
            return Term(number_text(abs(c)), ATOM, c < 0)
        if rest not in self.definitions and is_extent(rest):
            chain: Chain = (Item(extent_scalar_text(rest.operands[0].extents[0])),)
            return self._scaled(c, chain, [], [])
        if rest in self.definitions or not isinstance(rest, (Product, Delta)):
            if c < 0 and isinstance(rest, Sum) and rest not in self.definitions and has_minus(rest):
                return self._scaled(-c, (Item(*self._sum(rest, -1)),), [], [])
            return self._scaled(c, (self.item(rest),), [], [])
        output = tuple(range(rest.ndim))
        return self._product(c, self._flat(rest, output), output)

    def _flat(
        self, node: Node, labels: tuple[Any, ...], depth: int = 0
    ) -> list[tuple[Node, tuple[Any, ...]]]:
        """The factors of a product and of the products in it."""
        keeps = not isinstance(node, Product) or node in self.definitions or is_extent(node)
        if keeps or (depth and any(map(is_shift, node.operands))):
            return [(node, labels)]
        assert isinstance(node, Product)
        names: dict[Any, Any] = dict(zip(node.output, labels, strict=True))
        factors: list[tuple[Node, tuple[Any, ...]]] = []
        for operand, own in arranged_factors(node):
            inner = tuple(names.setdefault(label, self._fresh()) for label in own)
            factors += self._flat(operand, inner, depth + 1)
        return factors

    def _fresh(self) -> tuple[str, int]:
        self.labels += 1
        return "summed", self.labels

    def _product(
        self, c: float, pairs: Sequence[tuple[Node, tuple[Any, ...]]], output: tuple[int, ...]
    ) -> Term:
        if len(output) not in _ORDERS:
            raise NotationError(f"a tensor of order {len(output)}")
        above: list[Item] = []
        below: list[Item] = []
        network = Network(output)
        units = [(n, own) for n, own in pairs if isinstance(n, Delta) and not is_ones(n)]
        dense = [(n, own) for n, own in pairs if not isinstance(n, Delta)]
        above += [
            Item(extent_scalar_text(n.extents[0]))
            for n, own in pairs
            if is_ones(n) and own[0] not in output
        ]
        flip = next((k for k, (n, _) in enumerate(dense) if c < 0 and self._flips(n)), None)
        squares = {id(n) for n, _ in dense if self._flips(n) and reads_better_flipped(n)}
        squares &= {id(n) for n, _ in dense if sum(m is n for m, _ in dense) == 2}
        items: list[tuple[Node, tuple[Any, ...], Item | None]] = []
        for k, (operand, own) in enumerate(dense):
            if k == flip or id(operand) in squares:
                c = -c
                items.append((operand, own, self._flipped_sum(operand)))
            elif own or not is_reciprocal(operand):
                items.append((operand, own, None))
            else:
                below.append(Item(*self._power(operand.operands[0], -exponent(operand))))
        if len(output) == 4:
            chain = self._split_in_two(network, items, units, output, pairs)
        else:
            chain = self._reduced(network, items, units, output, pairs)
        return self._scaled(c, chain, above + network.scalars, below)

    def _flipped_sum(self, node: Node) -> Item:
        assert isinstance(node, Sum)
        return Item(*self._sum(node, -1), symmetric=node.ndim == 2 and is_symmetric(node))

    def _flips(self, node: Node) -> bool:
        return isinstance(node, Sum) and node not in self.definitions and has_minus(node)

    def _reduced(
        self, network: Network, items: Any, units: Any, output: tuple[int, ...], pairs: Any
    ) -> Chain:
        """The network of the factors, reduced to what its rank asks for."""
        identity = [own for n, own in units if is_kronecker(n) and set(own) == set(output)]
        merges = [(n, own) for n, own in units if not is_kronecker(n)]
        strange = len(units) - len(identity) - len(merges)
        if strange:
            raise NotationError("a unit matrix over a summed index")
        items = self._kronecker_products(network, items, merges)
        if identity:
            network.output = output[:1]
        self._fill(network, items)
        network.reduce()
        if not output:
            return ()
        if identity:
            extent = next(n.extents[0] for n, own in units if is_kronecker(n))
            weighted = network.weights or network.edges
            return (diagonal_item(network),) if weighted else (self._eye(extent),)
        if len(output) == 1:
            return self._ones_sized(network.vector(), pairs, output)
        return self._ones_sized(network.matrix(), pairs, output)

    def _fill(self, network: Network, items: Any) -> None:
        vectors: dict[Any, list[tuple[str, int, bool]]] = {}
        for operand, own, item in items:
            if not own:
                network.scalars.append(item or self.item(operand))
            elif len(own) == 1:
                reciprocal = (
                    item is None and is_reciprocal(operand) and operand not in self.definitions
                )
                if reciprocal:
                    text, level = self._power(operand.operands[0], -exponent(operand))
                else:
                    item = item or self.item(operand)
                    text, level = item.text, item.level
                vectors.setdefault(own[0], []).append((text, level, reciprocal))
            elif len(own) == 2:
                self._add_matrix(network, operand, own, item)
            else:
                raise NotationError(f"a factor of order {len(own)}")
        for label, parts in vectors.items():
            for chain in vector_chains(parts):
                network.add_vector(label, chain)

    def _add_matrix(self, network: Network, operand: Node, own: tuple[int, ...], item: Any) -> None:
        if item is None:
            item = self.item(operand)
        network.add_matrix(own[0], own[1], (item,))

    def _eye(self, extent: Any) -> Item:
        text = f"eye({extent_word(extent)})" if self.explicit else "eye"
        return Item(text, ATOM, symmetric=True)

    def _ones_sized(self, chain: Chain, pairs: Any, output: Sequence[int]) -> Chain:
        """``vector(1)`` of an output axis, with its size where that is wanted."""
        if not self.explicit:
            return chain
        sizes = {own[0]: extent_word(n.extents[0]) for n, own in pairs if is_ones(n)}
        if len(chain) == 1 and chain[0].text == "matrix(1)":
            return (Item(f"matrix(1, {', '.join(sizes[label] for label in output)})"),)
        sized = [Item(f"vector(1, {sizes[label]})") for label in output if label in sizes]
        return tuple(
            Item(sized.pop(0).text, ATOM, item.flipped)
            if item.text == "vector(1)" and sized
            else item
            for item in chain
        )

    def _scaled(self, c: float, chain: Chain, above: Sequence[Item], below: Sequence[Item]) -> Term:
        """``c * above * chain / below``."""
        if len(chain) == 1 and chain[0].text.startswith(("vector(1", "matrix(1")) and abs(c) != 1:
            chain, c = (Item(chain[0].text.replace("(1", f"({number_text(c)}", 1)),), 1
        numerator, denominator = fraction(abs(c))
        parts = [number_text(numerator)] if numerator != 1 else []
        divisors = [i.shown for i in below] + (
            [number_text(denominator)] if denominator != 1 else []
        )
        above = powers_of(above)
        atoms = sorted((i for i in above if i.level > PRODUCT), key=plain_names_first)
        formulas = [i for i in above if i.level <= PRODUCT]
        parts += [i.text for i in atoms]
        inner = [formulas.pop()] if not chain and formulas and formulas[-1].level == PRODUCT else []
        parts += (
            [i.shown for i in formulas]
            if parts or inner or chain or divisors or len(formulas) > 1
            else [i.text for i in formulas]
        )
        last: Chain = chain or tuple(inner)
        if not last:
            level = (
                above[0].level
                if len(above) == 1 and len(parts) == 1
                else PRODUCT
                if parts
                else ATOM
            )
        else:
            text, level = chain_text(last)
            if parts or divisors:
                text, level = (f"({text})" if level <= ELEMENT else text), PRODUCT
            parts.append(text)
        level = PRODUCT if divisors else level
        joined = "*".join(parts or ["1"]) + "".join(f"/{d}" for d in divisors)
        if c < 0 and level == SUM:
            joined, level = f"({joined})", ATOM
        return Term(joined, level, c < 0)

    # -- functions --------------------------------------------------------------------------
    def _power(self, base: Node, exponent: float) -> tuple[str, int]:
        text, level = self.text(base)
        if exponent == 0.5:
            return f"sqrt({text})", ATOM
        if exponent == 1:
            return text, level
        shown = text if level >= POSTFIX else f"({text})"
        return f"{shown}{'.^' if base.ndim else '^'}{number_text(exponent)}", POWER

    def _apply(self, node: Apply) -> tuple[str, int]:
        name, params = node.operation.name, dict(node.params)
        if name == "power" and params.get("at_zero") is None:
            exponent = params["exponent"]
            if exponent > 0:
                return self._power(node.operands[0], exponent)
            text, level = self._power(node.operands[0], -exponent)
            shown = text if level > PRODUCT else f"({text})"
            return f"1{' ./ ' if node.ndim else '/'}{shown}", ELEMENT if node.ndim else PRODUCT
        texts = [self.text(operand) for operand in node.operands]
        if name in _INFIX:
            joined = f" {_INFIX[name]} ".join(t if level > SUM else f"({t})" for t, level in texts)
            return f"({joined})", ATOM
        return f"{name}({', '.join([t for t, _ in texts] + parameter_list(name, params))})", ATOM
