"""Extents: sizes of axes as integer polynomials of named symbols.

An extent is an ``int`` or an interned :class:`Extent`. SymPy would do the same arithmetic at
twenty to fifty microseconds an operation and 0.3 s of import; tracing does thousands of them, so
the polynomials are our own and turn into SymPy on request (:meth:`Extent._sympy_`).

Outside a trace, equality is identity and what cannot be decided for all sizes is refused.
Inside a trace (:func:`assuming`) every symbol has a real size at hand: a question is answered from
the sizes and the answer is recorded as a *guard* that later calls check.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import TraceError
from .monomials import (
    Quotient,
    Terms,
    added,
    divided,
    monomial_name,
    multiplied,
    term_text,
)

Size = "int | Extent"


@dataclass
class Guards:
    """Questions answered from real sizes while tracing, with their answers."""

    sizes: dict[str, int]
    answers: dict[tuple[str, Any, Any], bool] = field(default_factory=dict)

    def ask(self, relation: str, left: Any, right: Any) -> bool:
        """The answer for the sizes at hand, recorded with its question."""
        key = (relation, left, right)
        if key not in self.answers:
            self.answers[key] = _holds(relation, left, right, self.sizes)
        return self.answers[key]


_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}

#: What extents ask of expressions; filled by :mod:`tensorcalc.nodes`, which comes later.
EXPRESSIONS: dict[str, Callable[[int | Extent], Any]] = {}

_guards: ContextVar[Guards | None] = ContextVar("guards", default=None)


def _holds(relation: str, left: Any, right: Any, sizes: Mapping[str, int]) -> bool:
    return _RELATIONS[relation](evaluate(left, sizes), evaluate(right, sizes))


@contextmanager
def assuming(sizes: dict[str, int]) -> Iterator[Guards]:
    """Answer questions about extents from ``sizes`` and record them as guards."""
    guards = Guards(sizes)
    token = _guards.set(guards)
    try:
        yield guards
    finally:
        _guards.reset(token)


def tracing() -> bool:
    """Whether real sizes are at hand."""
    return _guards.get() is not None


def hold(guards: Guards, sizes: Mapping[str, int]) -> bool:
    """Whether every recorded answer is also right for ``sizes``."""
    return all(_holds(*question, sizes) is answer for question, answer in guards.answers.items())


class Extent:
    """An integer polynomial that is not a constant; use :func:`symbol` and arithmetic to make one.

    >>> m, n = symbol("m"), symbol("n")
    >>> (m + n) * 2 - n
    2*m + n
    >>> m + n is n + m
    True
    """

    __slots__ = ("terms",)
    _table: dict[frozenset[Any], Extent] = {}
    terms: Terms

    def __new__(cls, terms: Terms) -> Extent:
        """The extent with these terms, at least one of which has a symbol."""
        key = frozenset(terms.items())
        found = cls._table.get(key)
        if found is None:
            found = object.__new__(cls)
            found.terms = terms
            cls._table[key] = found
        return found

    # By identity: in Python hash(-1) == hash(-2), and dictionaries would then ask ``-n == -2*n``.
    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return Extent, (self.terms,)

    # -- arithmetic -------------------------------------------------------------------------
    def __add__(self, other: Any) -> Any:
        if not isinstance(other, (int, Extent)):
            return _lifted(operator.add, self, other)
        return _from_terms(added(self.terms, _terms(other)))

    __radd__ = __add__

    def __neg__(self) -> Extent:
        return Extent({monomial: -c for monomial, c in self.terms.items()})

    def __sub__(self, other: Any) -> Any:
        if not isinstance(other, (int, Extent)):
            return _lifted(operator.sub, self, other)
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, (int, Extent)):
            return _lifted(operator.mul, self, other)
        return _from_terms(multiplied(self.terms, _terms(other)))

    __rmul__ = __mul__

    def __pow__(self, power: Any) -> Any:
        if not isinstance(power, int) or power < 0:
            return _lifted(operator.pow, self, power)
        return math.prod([self] * power)

    def __truediv__(self, other: Any) -> Any:
        return _as_scalar(self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / _as_scalar(self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        lifted = [_as_scalar(x) if isinstance(x, Extent) else x for x in inputs]
        return getattr(ufunc, method)(*lifted, **options)

    def __floordiv__(self, other: Any) -> Any:
        if not isinstance(other, (int, Extent)):
            return NotImplemented
        return floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        return floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        if not isinstance(other, (int, Extent)):
            return NotImplemented
        return self - other * floor_divide(self, other)

    def __rmod__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        return other - self * floor_divide(other, self)

    # -- questions --------------------------------------------------------------------------
    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, (int, Extent)) or isinstance(other, bool):
            return NotImplemented
        guards = _guards.get()
        return guards is not None and guards.ask("==", self, other)

    def __lt__(self, other: Any) -> bool:
        return _ordered("<", self, other)

    def __le__(self, other: Any) -> bool:
        return _ordered("<=", self, other)

    def __gt__(self, other: Any) -> bool:
        return _ordered("<", other, self)

    def __ge__(self, other: Any) -> bool:
        return _ordered("<=", other, self)

    def __index__(self) -> int:
        guards = _guards.get()
        if guards is None:
            raise TraceError(
                f"the extent {self} is a symbol, but Python needs a number here",
                hint="give the axis a number, or write the step as a tensor operation",
            )
        value = evaluate(self, guards.sizes)
        guards.ask("==", self, value)
        return value

    __int__ = __index__

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.__index__(), dtype)

    def __bool__(self) -> bool:
        return not self == 0

    # -- text -------------------------------------------------------------------------------
    def __repr__(self) -> str:
        ordered = sorted(self.terms, key=lambda m: (-len(m), monomial_name(m)))
        text = " + ".join(term_text(monomial, self.terms[monomial]) for monomial in ordered)
        return text.replace("+ -", "- ")

    def __format__(self, specification: str) -> str:
        try:
            return format(str(self), specification)
        except ValueError:  # a format of numbers, such as f"{x.shape[0]:d}"
            return str(self)

    def _sympy_(self) -> Any:
        import sympy

        return sum(
            c * math.prod([_atom_sympy(sympy, atom) ** p for atom, p in monomial])
            for monomial, c in self.terms.items()
        )


def _as_scalar(extent: Extent) -> Any:
    """An extent as a scalar expression."""
    return EXPRESSIONS["scalar"](extent)


def _lifted(operation: Callable[[Any, Any], Any], extent: Extent, other: Any) -> Any:
    """Arithmetic with a float leaves the integers: the extent becomes a scalar expression."""
    if isinstance(other, float):
        return operation(_as_scalar(extent), other)
    return NotImplemented


def symbol(name: str) -> Extent:
    """The extent called ``name``."""
    return Extent({((name, 1),): 1})


def symbol_name(extent: int | Extent) -> str | None:
    """The name if ``extent`` is a bare symbol, else None."""
    if isinstance(extent, Extent) and len(extent.terms) == 1:
        ((monomial, coefficient),) = extent.terms.items()
        if coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1:
            atom = monomial[0][0]
            return atom if isinstance(atom, str) else None
    return None


def evaluate(extent: int | Extent, sizes: Mapping[str, int]) -> int:
    """The number that ``extent`` is when each symbol has its size."""
    if not isinstance(extent, Extent):
        return extent
    return sum(
        c * math.prod([_atom_value(atom, sizes) ** p for atom, p in monomial])
        for monomial, c in extent.terms.items()
    )


def substitute(extent: int | Extent, replacements: Mapping[str, int | Extent]) -> int | Extent:
    """``extent`` with symbols replaced by extents."""
    if not isinstance(extent, Extent) or not replacements:
        return extent
    total: int | Extent = 0
    for monomial, c in extent.terms.items():
        term: int | Extent = c
        for atom, p in monomial:
            term = term * _atom_replaced(atom, replacements) ** p
        total = total + term
    return total


def symbols_of(extent: int | Extent) -> set[str]:
    """Names of the symbols in ``extent``."""
    names: set[str] = set()
    if isinstance(extent, Extent):
        for monomial in extent.terms:
            for atom, _ in monomial:
                if isinstance(atom, str):
                    names.add(atom)
                else:
                    names |= symbols_of(atom.numerator) | symbols_of(atom.denominator)
    return names


def is_nonnegative(extent: int | Extent) -> bool:
    """Whether ``extent`` is provably at least zero for all sizes of at least one.

    Writes every symbol as one plus something nonnegative and looks at the signs.
    """
    if not isinstance(extent, Extent):
        return extent >= 0
    total: Terms = {}
    for monomial, c in extent.terms.items():
        product: Terms = {(): c}
        for atom, p in monomial:
            one: Terms = {(): 1} if isinstance(atom, str) else {}
            for _ in range(p):
                product = multiplied(product, {((atom, 1),): 1, **one})
        total = added(total, product)
    return all(c >= 0 for c in total.values()) or _is_nonnegative_without_floor(extent)


def _is_nonnegative_without_floor(extent: Extent) -> bool:
    """``d*(N//d) <= N`` bounds a floor that is subtracted: ``n - n//2 >= 0``."""
    for monomial, c in extent.terms.items():
        atom, power = monomial[0] if len(monomial) == 1 else ("", 0)
        if c >= 0 or power != 1 or not isinstance(atom, Quotient):
            continue
        if isinstance(atom.denominator, int):
            rest = extent - _from_terms({monomial: c})
            return is_nonnegative(atom.denominator * rest + c * atom.numerator)
    return False


def floor_divide(numerator: int | Extent, denominator: int | Extent) -> int | Extent:
    """Floor division, exact where every term divides."""
    if isinstance(numerator, int) and isinstance(denominator, int):
        return numerator // denominator
    if isinstance(denominator, int) and denominator == 1:
        return numerator
    whole, rest = divided(_terms(numerator), _terms(denominator))
    quotient = _from_terms(whole)
    remainder = _from_terms(rest)
    if isinstance(remainder, int) and isinstance(denominator, int):
        return quotient + remainder // denominator
    if isinstance(remainder, int) and remainder == 0:
        return quotient
    return quotient + Extent({((Quotient(remainder, denominator), 1),): 1})


def whole_quotient(numerator: int | Extent, denominator: int | Extent) -> int | Extent:
    """How often the denominator goes into what it divides: numbers towards 0, else term by term."""
    if isinstance(numerator, int) and isinstance(denominator, int):
        whole = abs(numerator) // denominator
        return whole if numerator >= 0 else -whole
    return _from_terms(divided(_terms(numerator), _terms(denominator))[0])


def is_equal(left: int | Extent, right: int | Extent) -> bool:
    """Equality as Python's ``==`` gives it, recording a guard while tracing."""
    return left is right or bool(left == right)


def same_extents(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    """Structural equality of two tuples of extents; asks no question, so records no guard."""
    return len(left) == len(right) and all(
        a is b or (type(a) is int and type(b) is int and a == b)
        for a, b in zip(left, right, strict=True)
    )


def _ordered(relation: str, left: Any, right: Any) -> bool:
    if not isinstance(left, (int, Extent)) or not isinstance(right, (int, Extent)):
        return NotImplemented
    guards = _guards.get()
    if guards is not None:
        return guards.ask(relation, left, right)
    margin = 1 if relation == "<" else 0
    if is_nonnegative(right - left - margin):
        return True
    if is_nonnegative(left - right - (1 - margin)):
        return False
    raise TraceError(
        f"whether {left} {relation} {right} depends on the sizes",
        hint="give one of the axes a number",
    )


def _terms(extent: int | Extent) -> Terms:
    if isinstance(extent, Extent):
        return extent.terms
    return {(): int(extent)} if extent else {}


def _from_terms(terms: Terms) -> int | Extent:
    if not terms:
        return 0
    if len(terms) == 1 and () in terms:
        return terms[()]
    return Extent(terms)


def _atom_value(atom: str | Quotient, sizes: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return sizes[atom]
    return evaluate(atom.numerator, sizes) // evaluate(atom.denominator, sizes)


def _atom_replaced(atom: str | Quotient, replacements: Mapping[str, Any]) -> Any:
    if isinstance(atom, str):
        return replacements[atom] if atom in replacements else symbol(atom)
    return floor_divide(
        substitute(atom.numerator, replacements), substitute(atom.denominator, replacements)
    )


def _atom_sympy(sympy: Any, atom: str | Quotient) -> Any:
    if isinstance(atom, str):
        return sympy.Symbol(atom)
    return sympy.floor(sympy.sympify(atom.numerator) / sympy.sympify(atom.denominator))
