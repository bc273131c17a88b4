"""What a matrix of second derivatives can be: structures with the nodes of their cores.

A structure describes ``H[rows..., columns...]`` by smaller tensors, the *cores*, which are all that
has to be computed and stored. Numbers and solvers are in ``autodiff.structured``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..nodes import Node, Variable, free_variables


@dataclass(frozen=True, eq=False)
class Structure:
    """The description of one tensor ``formula`` whose first ``rank`` axes are the rows."""

    formula: Node
    rank: int
    word: ClassVar[str] = "structured"

    @property
    def rows(self) -> tuple[Any, ...]:
        """Extents of the row axes."""
        return self.formula.extents[: self.rank]

    @property
    def columns(self) -> tuple[Any, ...]:
        """Extents of the column axes."""
        return self.formula.extents[self.rank :]

    @property
    def cores(self) -> tuple[Node, ...]:
        """The tensors that determine the whole."""
        return ()

    @property
    def name(self) -> str:
        """The word for the structure."""
        return self.word

    @property
    def bytes(self) -> Any:
        """Bytes of the cores in float64, a polynomial of the extents."""
        return 8 * sum(math.prod(core.extents) for core in self.cores)

    def __str__(self) -> str:
        return f"{self.name}: {self.formula}"

    __repr__ = __str__


@dataclass(frozen=True, eq=False, repr=False)
class Zero(Structure):
    """All entries are zero."""

    word = "zero"


@dataclass(frozen=True, eq=False, repr=False)
class Identity(Structure):
    """``factor * I``; ``factor`` is a scalar."""

    factor: Node
    word = "multiple of the identity"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The factor."""
        return (self.factor,)


@dataclass(frozen=True, eq=False, repr=False)
class Diagonal(Structure):
    """``core[i...]`` where rows and columns agree."""

    core: Node
    word = "diagonal"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The diagonal, of the shape of the rows."""
        return (self.core,)


@dataclass(frozen=True, eq=False, repr=False)
class Blocks(Structure):
    """Rows and columns agree on the axes ``tied``; ``core`` has those in ``batch``, then the rest.

    One dense block for every index of the batch axes; the same block for every index of the tied
    axes that are not among them, which makes it a Kronecker product with an identity.
    """

    tied: tuple[int, ...]
    batch: tuple[int, ...]
    core: Node

    @property
    def name(self) -> str:
        """The word, by whether blocks differ along all, none or some of the tied axes."""
        if self.batch == self.tied:
            return "block diagonal"
        kind = "Kronecker product of an identity and a matrix"
        return kind if not self.batch else "block diagonal with repeated blocks"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The stacked blocks."""
        return (self.core,)


@dataclass(frozen=True, eq=False, repr=False)
class Kronecker(Structure):
    """A Kronecker product: ``factors[k]`` is a matrix over the row axes ``axes[k]`` and columns.

    ``shift`` times the identity is added where it is not None.
    """

    axes: tuple[tuple[int, ...], ...]
    factors: tuple[Node, ...]
    shift: Node | None = None

    @property
    def name(self) -> str:
        """The word, by whether there is a shift."""
        word = "Kronecker product"
        return word if self.shift is None else f"{word} plus a multiple of the identity"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The factors, in the order of ``axes``, then the shift."""
        return self.factors if self.shift is None else (*self.factors, self.shift)


@dataclass(frozen=True, eq=False, repr=False)
class KroneckerSum(Structure):
    """``A x I + I x B``: ``factors[k]`` acts on the axes ``axes[k]``, every axis in one of them."""

    axes: tuple[tuple[int, ...], tuple[int, ...]]
    factors: tuple[Node, Node]
    word = "Kronecker sum"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The two summands ``A`` and ``B``."""
        return self.factors


@dataclass(frozen=True, eq=False, repr=False)
class LowRank(Structure):
    """``sum over m of left[m..., rows] weights[m...] right[m..., columns]``.

    A Gram matrix ``A' D A`` if ``left is right``; ``middle`` axes come first, their number of
    entries bounds the rank.
    """

    middle: int
    left: Node
    right: Node
    weights: Node

    @property
    def is_gram(self) -> bool:
        """Whether both sides are one tensor, so that the whole is ``A' D A``."""
        return self.left is self.right

    @property
    def name(self) -> str:
        """The word, by whether anything is summed and whether the sides are equal."""
        if not self.middle:
            return "rank one"
        return "Gram matrix A' D A" if self.is_gram else "low rank product"

    @property
    def inner(self) -> Any:
        """The bound of the rank."""
        return math.prod(self.left.extents[: self.middle])

    @property
    def cores(self) -> tuple[Node, ...]:
        """The sides, one of them for a Gram matrix, and the weights."""
        parts = (self.left,) if self.is_gram else (self.left, self.right)
        return (*parts, self.weights)


@dataclass(frozen=True, eq=False, repr=False)
class PlusLowRank(Structure):
    """``base`` plus terms of low rank."""

    base: Structure
    terms: tuple[LowRank, ...]

    @property
    def name(self) -> str:
        """The word for the base with what is added."""
        return "low rank" if isinstance(self.base, Zero) else f"{self.base.name} plus low rank"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The cores of the base and of all terms, each once."""
        return _distinct([*self.base.cores, *(core for term in self.terms for core in term.cores)])

    @property
    def bytes(self) -> Any:
        """Bytes of the base and of the other cores."""
        known = set(map(id, self.base.cores))
        own = [core for core in self.cores if id(core) not in known]
        return self.base.bytes + 8 * sum(math.prod(core.extents) for core in own)


@dataclass(frozen=True, eq=False, repr=False)
class BlockGram(Structure):
    """``base`` plus ``sum over m of side[m..., r] blocks[m..., others] side[m..., c]``.

    ``A' D A`` with ``A = X x I``: ``side`` acts on the row axes ``own``, ``blocks`` has the middle
    axes, then the other row axes and the other column axes. ``base`` is zero or diagonal.
    """

    base: Structure
    own: tuple[int, ...]
    middle: int
    side: Node
    blocks: Node

    @property
    def name(self) -> str:
        """The word, with that for the base."""
        word = "Gram matrix A' D A with blocks in D"
        return word if isinstance(self.base, Zero) else f"{self.base.name} plus {word}"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The cores of the base, the side and the blocks."""
        return _distinct([*self.base.cores, self.side, self.blocks])


class Affine(NamedTuple):
    """A position ``sum(coefficients * index) + offset``; an entry out of range is left out."""

    coefficients: tuple[Any, ...]
    offset: Any


class Pattern(NamedTuple):
    """Entries of a sparse matrix: ``values[m...]`` at a place for every row and column axis.

    A place is affine in the indices ``m`` or an array of indices over them. ``determined`` says
    that rows and columns do not merely agree.
    """

    places: tuple[Node | Affine, ...]
    values: Node
    determined: bool


@dataclass(frozen=True, eq=False, repr=False)
class Banded(Structure):
    """``band[i, b] = H[i, i + low + b]`` and nothing outside of the band.

    Its entries are computed by ``patterns`` where there are any.
    """

    low: Any
    width: Any
    band: Node
    toeplitz: bool = False
    patterns: tuple[Pattern, ...] = ()

    @property
    def name(self) -> str:
        """The word, by whether the diagonals are constant."""
        return "banded Toeplitz" if self.toeplitz else "banded"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The values of the patterns, or the band, one column per diagonal."""
        return _distinct([p.values for p in self.patterns]) if self.patterns else (self.band,)

    @property
    def bytes(self) -> Any:
        """Bytes of the band, which is what is stored."""
        return 8 * math.prod(self.band.extents)


@dataclass(frozen=True, eq=False, repr=False)
class Diagonals(Structure):
    """Sparse by affine patterns: ``bands[k][i..., b...] = H[i..., i + lows[k] + b...]``."""

    lows: tuple[tuple[Any, ...], ...]
    bands: tuple[Node, ...]
    word = "sparse by affine patterns"

    @property
    def cores(self) -> tuple[Node, ...]:
        """One band per pattern."""
        return self.bands


@dataclass(frozen=True, eq=False, repr=False)
class Scatter(Structure):
    """Sparse: the sum of patterns of entries."""

    patterns: tuple[Pattern, ...]

    @property
    def name(self) -> str:
        """The word, by whether arrays say where the entries are."""
        by_arrays = any(isinstance(place, Node) for p in self.patterns for place in p.places)
        return "sparse by index arrays" if by_arrays else "sparse by affine patterns"

    @property
    def cores(self) -> tuple[Node, ...]:
        """Index arrays and values, each once."""
        places = [place for p in self.patterns for place in p.places if isinstance(place, Node)]
        return _distinct([*places, *(p.values for p in self.patterns)])


@dataclass(frozen=True, eq=False, repr=False)
class Inverse(Structure):
    """The inverse of a structured matrix, plus ``shift`` times the identity if it is not None."""

    of: Structure
    shift: Node | None = None

    @property
    def name(self) -> str:
        """The word for what is inverted."""
        word = f"inverse of {self.of.name}"
        return word if self.shift is None else f"{word}, plus a multiple of the identity"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The cores of what is inverted, which is never formed, and the shift."""
        return self.of.cores if self.shift is None else (*self.of.cores, self.shift)


@dataclass(frozen=True, eq=False, repr=False)
class Dense(Structure):
    """The only core is the whole: nothing is known, or what is ``known`` would be larger."""

    known: Structure | None = None

    @property
    def name(self) -> str:
        """The word, with what is known."""
        return "dense" if self.known is None else f"{self.known.name}, stored as a dense matrix"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The formula itself."""
        return (self.formula,)


@dataclass(frozen=True, eq=False, repr=False)
class Products(Structure):
    """Known by its products: ``forward`` has ``right`` at the columns, ``backward`` ``left`` at the
    rows.

    What is stored are the arrays that the two formulas read.
    """

    right: Variable
    forward: Node
    left: Variable
    backward: Node
    known: Structure

    @property
    def name(self) -> str:
        """The word, with what is known."""
        return f"{self.known.name}, by products"

    @property
    def cores(self) -> tuple[Node, ...]:
        """The variables of the formulas but the vectors."""
        read = free_variables(self.forward, self.backward)
        return tuple(v for v in read if v is not self.left and v is not self.right)


@dataclass(frozen=True, eq=False, repr=False)
class BlockSystem:
    """Second derivatives in several parameters: ``blocks[p][q]`` is a structure."""

    blocks: tuple[tuple[Structure, ...], ...]

    @property
    def cores(self) -> tuple[Node, ...]:
        """The cores of the blocks on and above the diagonal, each once: the others mirror them."""
        upper = [block for p, row in enumerate(self.blocks) for block in row[p:]]
        return _distinct([core for block in upper for core in block.cores])

    @property
    def name(self) -> str:
        """The words for the blocks, row by row."""
        words = "; ".join(", ".join(block.name for block in row) for row in self.blocks)
        return f"block system [{words}]"

    @property
    def bytes(self) -> Any:
        """Bytes of the cores in float64."""
        return 8 * sum(math.prod(core.extents) for core in self.cores)

    def __str__(self) -> str:
        lines = [self.name]
        for p, row in enumerate(self.blocks):
            lines += [f"  [{p}, {q}] {block}" for q, block in enumerate(row)]
        return "\n".join(lines)

    __repr__ = __str__


def _distinct(nodes: Sequence[Node]) -> tuple[Node, ...]:
    return tuple(dict.fromkeys(nodes))
