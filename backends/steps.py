"""The steps a Program is made of, the same for every target.

==========  ================================================================================
step        meaning
==========  ================================================================================
Input       an argument of the function
Nest        loop nest: ``out[output] = sum over reduced of`` one scalar expression of loads
Contract    ``out[output] = sum`` of the product of two arrays; BLAS where labels allow
View        ``out[output] = source[affine forms of output]``, 0 outside the source's bounds
Reshape     the same entries in row-major order under another shape
Insert      ``out = base`` plus a core written through affine forms of its labels
Gather      a source indexed by an integer array
Scatter     a core added up at the places an integer array names
Indicator   0/1 tensor of affine equations, one summed label of each being a slack
Call        a row of the operation table with core axes, or ``solve``
==========  ================================================================================

Values are arrays; their axes have no meaning beyond their order. Labels are small integers, local
to a step. Sizes are extents, so a program holds for all sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeGuard

from tensorcalc.nodes import Variable
from tensorcalc.table import Operation

Labels = tuple[int, ...]
Kind = Literal["real", "boolean", "integer"]


@dataclass(frozen=True, eq=False)
class Value:
    """The result of a step: a name, a shape, a kind of number; precision is that of the inputs."""

    name: str
    extents: tuple[Any, ...]
    kind: Kind = "real"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.extents)

    def __repr__(self) -> str:
        kind = "" if self.kind == "real" else f" {self.kind}"
        return f"{self.name}[{', '.join(map(str, self.extents))}]{kind}"


class Ref(NamedTuple):
    """A node's array: axis ``k`` of ``value`` runs over axis ``axes[k]`` of the node."""

    value: Value
    axes: tuple[int, ...]


class Affine(NamedTuple):
    """``sum(coefficient * label) + offset``; coefficients and offsets are integers or extents."""

    terms: tuple[tuple[int, Any], ...]
    offset: Any = 0

    @property
    def label(self) -> int | None:
        """The label if the form is just that."""
        if len(self.terms) == 1 and type(self.offset) is int and self.offset == 0:
            ((label, c),) = self.terms
            return label if type(c) is int and c == 1 else None
        return None


@dataclass(frozen=True)
class Term:
    """A scalar expression: an operator, its arguments and what else it needs.

    ``load`` (value, labels); ``constant`` number; ``size`` extent; ``add``, ``multiply``;
    ``select`` mask, value; ``apply`` (operation, params).
    """

    operator: str
    arguments: tuple[Term, ...] = ()
    payload: Any = None

    def labels(self) -> set[int]:
        """Labels that the expression depends on."""
        return {label for _, own in self.loads() for label in own}

    def loads(self) -> Sequence[tuple[Value, Labels]]:
        """Every load, in order, repetitions included."""
        return self._loads

    @cached_property
    def _loads(self) -> tuple[tuple[Value, Labels], ...]:
        if self.operator == "load":
            return (self.payload,)
        return tuple(chain.from_iterable(argument.loads() for argument in self.arguments))

    def with_loads(self, change: Callable[[Value, Labels], Term]) -> Term:
        """The expression with ``change(value, labels)`` in the place of every load."""
        if self.operator == "load":
            return change(*self.payload)
        arguments = tuple(argument.with_loads(change) for argument in self.arguments)
        return Term(self.operator, arguments, self.payload)

    def renamed(self, names: Mapping[int, int]) -> Term:
        """The expression with its labels renamed."""
        return self.with_loads(lambda value, own: load(value, tuple(names[x] for x in own)))

    def size(self) -> int:
        """Number of operations."""
        return self._size

    @cached_property
    def _size(self) -> int:
        own = self.operator not in ("load", "constant", "size")
        return own + sum(argument.size() for argument in self.arguments)

    def walk(self) -> Iterator[Term]:
        """The expression and everything below it."""
        stack = [self]
        while stack:
            term = stack.pop()
            yield term
            stack.extend(term.arguments)


def load(value: Value, labels: Labels) -> Term:
    """``value[labels]``."""
    return Term("load", (), (value, labels))


def constant(number: float) -> Term:
    """A number."""
    return Term("constant", (), number)


@dataclass(frozen=True, eq=False)
class Step:
    """Base of all steps: what it makes."""

    value: Value

    def operands(self) -> list[Value]:
        """Values that the step reads."""
        return []


@dataclass(frozen=True, eq=False)
class Input(Step):
    """An argument of the function."""

    variable: Variable


@dataclass(frozen=True, eq=False)
class Nest(Step):
    """``out[output] = sum over reduced of term``."""

    term: Term
    output: Labels
    reduced: Labels
    sizes: dict[int, Any]

    def operands(self) -> list[Value]:
        """What the term loads."""
        return [value for value, _ in self.term.loads()]


@dataclass(frozen=True, eq=False)
class Contract(Step):
    """``out[output] = sum of left[subscripts[0]] * right[subscripts[1]]``."""

    left: Value
    right: Value
    subscripts: tuple[Labels, Labels]
    output: Labels

    def operands(self) -> list[Value]:
        """Both factors."""
        return [self.left, self.right]

    def sizes(self) -> dict[int, Any]:
        """Extent of every label."""
        pairs = zip((self.left, self.right), self.subscripts, strict=True)
        return {k: e for value, own in pairs for k, e in zip(own, value.extents, strict=True)}


@dataclass(frozen=True, eq=False)
class View(Step):
    """``out[labels 0..] = source[axes]``; ``inside`` says that no index leaves the source."""

    source: Value
    axes: tuple[Affine, ...]
    inside: bool = True

    def operands(self) -> list[Value]:
        """The array that is viewed."""
        return [self.source]


@dataclass(frozen=True, eq=False)
class Reshape(Step):
    """The same entries in row-major order under another shape."""

    source: Value

    def operands(self) -> list[Value]:
        """The array whose entries they are."""
        return [self.source]


def shares_memory(step: Step) -> TypeGuard[View | Reshape]:
    """Whether the step only looks at an array: what leaves its bounds needs a copy."""
    return isinstance(step, Reshape) or (isinstance(step, View) and step.inside)


@dataclass(frozen=True, eq=False)
class Insert(Step):
    """``out = base or 0``, then ``out[axes] += core[labels]`` for all labels of ``sizes``.

    Different indices go to different places; those outside the bounds are dropped.
    """

    base: Value | None
    core: Value
    labels: Labels
    axes: tuple[Affine, ...]
    sizes: dict[int, Any]
    inside: bool = True

    def operands(self) -> list[Value]:
        """What is written into, if anything, and what is added."""
        return [self.core] if self.base is None else [self.base, self.core]


@dataclass(frozen=True, eq=False)
class Gather(Step):
    """``out[output] = source[labels]`` with ``selected`` given by ``index[index_labels]``."""

    source: Value
    labels: Labels
    selected: int
    index: Value
    index_labels: Labels
    output: Labels

    def operands(self) -> list[Value]:
        """What is read from, then the index."""
        return [self.source, self.index]


@dataclass(frozen=True, eq=False)
class Scatter(Step):
    """``out = 0``, then ``out[output] += core[labels]``, ``selected`` given by the index."""

    core: Value
    labels: Labels
    selected: int
    index: Value
    index_labels: Labels
    output: Labels

    def operands(self) -> list[Value]:
        """What is added, then the index."""
        return [self.core, self.index]


class AffineRow(NamedTuple):
    """``low <= form < high``, an equation if ``low`` is 0 and ``high`` is 1."""

    form: Affine
    low: Any = 0
    high: Any = 1


@dataclass(frozen=True, eq=False)
class Indicator(Step):
    """True where all rows hold."""

    rows: tuple[AffineRow, ...]


@dataclass(frozen=True, eq=False)
class Call(Step):
    """A row with core axes, or a function of :mod:`numpy.linalg` by name."""

    operation: Operation | str
    arguments: tuple[Value, ...]
    params: tuple[tuple[str, Any], ...] = ()

    def operands(self) -> list[Value]:
        """The arguments, in the order of the signature."""
        return list(self.arguments)

    @property
    def name(self) -> str:
        """The row's name."""
        return self.operation if isinstance(self.operation, str) else self.operation.name


# -- calls that share a factorization (backends.factorizations) -----------------------------------
#: What is asked of the factors of a matrix, by the name of the row.
ASKED = {
    "inv": "inverse_from_factors",
    "det": "det_from_factors",
    "logdet": "logdet_from_factors",
    "sign_det": "sign_from_factors",
    "solve": "solve_from_factors",
}
#: The same for the transpose, where it is not the same.
ASKED_OF_TRANSPOSE = ASKED | {
    "inv": "transposed_inverse_from_factors",
    "solve": "solve_transposed_from_factors",
}
FACTORS = "factors"
FROM_FACTORS = {FACTORS, *ASKED.values(), *ASKED_OF_TRANSPOSE.values()}
#: ``A' diag(d) A`` of a matrix and weights of any sign (backends.signed_grams).
SIGNED_GRAM = "signed_gram"
