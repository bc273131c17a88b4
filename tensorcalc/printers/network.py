"""Products as networks: labels are junctions, matrices join two of them, vectors hang on one.

A careful author reads a product along its chains. Here a network is reduced to one chain between
its output labels: a summed label with one matrix becomes a matrix-vector product, one with two
becomes a matrix product (with ``diag`` for the vectors that hang on it), matrices between the same
labels multiply elementwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from ..errors import NotationError

Label = Hashable
#: How strongly texts bind; ELEMENT joins by ``.*``, ``./`` or ``⊗``, PRODUCT by ``*``.
SUM, ELEMENT, PRODUCT, POWER, POSTFIX, ATOM = range(6)


@dataclass(frozen=True)
class Item:
    """A factor of a chain: its text, how strongly that binds, and whether it is transposed."""

    text: str
    level: int = ATOM
    flipped: bool = False
    symmetric: bool = False
    trace: str = ""  # for ``diag(A)`` what its sum is

    def flip(self) -> Item:
        """The transpose."""
        return self if self.symmetric else replace(self, flipped=not self.flipped)

    @property
    def shown(self) -> str:
        """The text inside a matrix product."""
        if self.flipped:
            return (self.text if self.level >= POSTFIX else f"({self.text})") + "'"
        return self.text if self.level > PRODUCT else f"({self.text})"


#: A matrix product; for a vector the last item is a column.
Chain = tuple[Item, ...]


@dataclass(frozen=True)
class Edge:
    """A matrix between two labels: rows, columns."""

    rows: Label
    columns: Label
    chain: Chain

    def seen_from(self, label: Label) -> Edge:
        """The matrix with ``label`` as its rows."""
        return self if self.rows == label else Edge(self.columns, self.rows, flipped(self.chain))

    def other(self, label: Label) -> Label:
        """The label at the other end."""
        return self.columns if self.rows == label else self.rows


def flipped(chain: Chain) -> Chain:
    """The transpose of a chain."""
    return tuple(item.flip() for item in reversed(chain))


def chain_text(chain: Chain) -> tuple[str, int]:
    """A chain as text with its level."""
    if len(chain) == 1:
        (item,) = chain
        return (item.shown, POSTFIX) if item.flipped else (item.text, item.level)
    return "*".join(item.shown for item in chain), PRODUCT


def as_item(chain: Chain) -> Item:
    """A chain as one factor."""
    if len(chain) == 1 and not chain[0].flipped:
        return chain[0]
    return Item(*chain_text(chain))


def elementwise(chains: Sequence[Chain]) -> Chain:
    """The elementwise product of chains of one shape; equal ones become powers."""
    if len(chains) == 1:
        return chains[0]
    counts = Counter(chains)
    if len(counts) == 1:
        return (powered(chains[0], len(chains)),)
    texts = sorted(counts, key=reading_key)
    symmetric = all(as_item(chain).symmetric for chain in chains)
    parts = [
        powered(chain, counts[chain]) if counts[chain] > 1 else as_item(chain) for chain in texts
    ]
    return (Item(" .* ".join(part.shown for part in parts), ELEMENT, symmetric=symmetric),)


def powered(chain: Chain, exponent: int) -> Item:
    """``chain .^ exponent``."""
    text, level = chain_text(chain)
    shown = text if level >= POSTFIX else f"({text})"
    return Item(f"{shown}.^{exponent}", POWER, symmetric=as_item(chain).symmetric)


def reading_key(chain: Chain) -> tuple[int, bool, int, str]:
    """Short chains first, names before formulas."""
    text = chain_text(chain)[0]
    return len(chain), not text.isidentifier(), len(text), text


def diagonal(chain: Chain) -> Item:
    """``diag(chain)`` as a factor."""
    return Item(f"diag({chain_text(chain)[0]})", ATOM, symmetric=True)


class Network:
    """Vectors and matrices on labels, reduced label by label."""

    def __init__(self, output: Sequence[Label]) -> None:
        self.output = tuple(output)
        self.weights: dict[Label, list[Chain]] = {}
        self.edges: list[Edge] = []
        self.scalars: list[Item] = []

    def add_vector(self, label: Label, chain: Chain) -> None:
        """Hang a column on ``label``."""
        self.weights.setdefault(label, []).append(chain)

    def add_matrix(self, rows: Label, columns: Label, chain: Chain) -> None:
        """Join two labels; a matrix between a label and itself is its diagonal."""
        if rows == columns:
            text = chain_text(chain)[0]
            self.add_vector(rows, (Item(f"diag({text})", trace=f"tr({text})"),))
        else:
            self.edges.append(Edge(rows, columns, chain))

    def reduce(self) -> None:
        """Eliminate every summed label.

        Raises NotationError where three matrices meet in one summed label.
        """
        while True:
            summed = [label for label in self._labels() if label not in self.output]
            if not summed:
                return
            if not any(
                step(summed) for step in (self._pair, self._leaf, self._through, self._merge)
            ):
                raise NotationError("three matrices meet in one summed index")

    # -- steps ------------------------------------------------------------------------------
    def _labels(self) -> list[Label]:
        found = [label for edge in self.edges for label in (edge.rows, edge.columns)]
        return list(dict.fromkeys([*found, *self.weights]))

    def _at(self, label: Label) -> list[Edge]:
        return [edge for edge in self.edges if label in (edge.rows, edge.columns)]

    def _remove(self, edges: Iterable[Edge]) -> None:
        gone = list(map(id, edges))
        self.edges = [edge for edge in self.edges if id(edge) not in gone]

    def _pair(self, summed: list[Label]) -> bool:
        """A scalar of two matrices: ``sum(A .* B)`` or ``tr(A*B)``; of one: ``sum(A)``."""
        for label in summed:
            edges = self._at(label)
            others = {edge.other(label) for edge in edges}
            if not edges or len(others) > 1 or others & set(self.output):
                continue
            (other,) = others
            closed = len(self._at(other)) == len(edges) and not (
                self.weights.get(label) or self.weights.get(other)
            )
            if closed and len(edges) <= 2:
                self._remove(edges)
                self.scalars.append(_closed_pair(edges))
                return True
        return False

    def _leaf(self, summed: list[Label]) -> bool:
        """``M*v`` where only one matrix has the label, or nothing but vectors do."""
        for label in summed:
            if not self._at(label):
                self.scalars.append(_inner(self.weights.pop(label)))
                return True
        leaves = [label for label in summed if len(self._at(label)) == 1]
        if not leaves:
            return False

        def key(label: Label) -> tuple[bool, bool]:
            (edge,) = self._at(label)
            return not self.weights.get(label), edge.columns != label

        label = min(leaves, key=key)
        (edge,) = self._at(label)
        self._remove([edge])
        vector = self._taken(label) or (Item("vector(1)"),)
        other = edge.other(label)
        self.add_vector(other, edge.seen_from(other).chain + vector)
        return True

    def _through(self, summed: list[Label]) -> bool:
        """``M*diag(v)*N`` where two matrices have the label."""
        for label in summed:
            edges = self._at(label)
            if len(edges) != 2:
                continue
            left, right = edges
            rows, columns = left.other(label), right.other(label)
            if rows == columns and left.rows == right.rows:
                return self._merge([])
            self._remove(edges)
            swap = self._rank(columns) < self._rank(rows)
            if swap:
                left, right, rows, columns = right, left, columns, rows
            vector = self._taken(label)
            middle = (diagonal(vector),) if vector else ()
            chain = left.seen_from(rows).chain + middle + right.seen_from(label).chain
            self.add_matrix(rows, columns, chain)
            return True
        return False

    def _rank(self, label: Label) -> int:
        return self.output.index(label) if label in self.output else len(self.output)

    def _merge(self, summed: list[Label]) -> bool:
        """Matrices between the same two labels multiply elementwise."""
        for edge in self.edges:
            twins = [e for e in self._at(edge.rows) if e.other(edge.rows) == edge.columns]
            if len(twins) > 1:
                self._remove(twins)
                chains = [twin.seen_from(edge.rows).chain for twin in twins]
                self.edges.append(Edge(edge.rows, edge.columns, elementwise(chains)))
                return True
        return False

    def _taken(self, label: Label) -> Chain:
        chains = self.weights.pop(label, [])
        return elementwise(chains) if chains else ()

    # -- results ----------------------------------------------------------------------------
    def vector(self) -> Chain:
        """The column that remains."""
        (label,) = self.output
        return self._taken(label) or (Item("vector(1)"),)

    def matrix(self) -> Chain:
        """The matrix that remains."""
        rows, columns = self.output
        while len(self.edges) > 1:
            self._merge([])
        left, right = self._taken(rows), self._taken(columns)
        if self.edges:
            core = self.edges[0].seen_from(rows).chain
            before = (diagonal(left),) if left else ()
            after = (diagonal(right),) if right else ()
            return before + core + after
        if not left and not right:
            return (Item("matrix(1)"),)
        ones = (Item("vector(1)"),)
        return (left or ones) + flipped(right or ones)


def _closed_pair(edges: Sequence[Edge]) -> Item:
    """The sum over both labels of one or two matrices."""
    if len(edges) == 1:
        return Item(f"sum({chain_text(edges[0].chain)[0]})")
    first, second = edges
    if first.chain == second.chain and first.rows == second.rows:
        text, level = chain_text(first.chain)
        return Item(f"sum({text if level == ATOM else f'({text})'}.^2)")
    if first.rows == second.rows:
        return Item(f"sum({chain_text(elementwise([first.chain, second.chain]))[0]})")
    texts = [chain_text(first.chain + second.chain)[0], chain_text(second.chain + first.chain)[0]]
    return Item(f"tr({min(texts)})")


def _inner(chains: Sequence[Chain]) -> Item:
    """The sum over the last label of a scalar: ``x'*y``, ``sum(x)`` or ``sum(x .* y .* z)``."""
    if len(chains) == 1:
        return Item(chains[0][0].trace or f"sum({chain_text(chains[0])[0]})")
    if len(chains) == 2:
        first, second = sorted(chains, key=reading_key)
        return Item(*chain_text(flipped(first) + second))
    if all(len(chain) == 1 for chain in chains):
        return Item(f"sum({chain_text(elementwise(chains))[0]})")
    ordered = sorted(chains, key=len)
    return Item(*chain_text(flipped(elementwise(ordered[:-1])) + ordered[-1]))
