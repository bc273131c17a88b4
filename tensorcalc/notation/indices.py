"""Index notation in Python: ``i, j = tc.indices("i j")`` and then ``X[i, j] * w[j]``.

Such an expression is a :class:`Indexed`. It becomes a node where one is needed: in NumPy functions,
in :func:`tensor`, as ``.node``, and in every function of the library that takes expressions. What
it means is said in :mod:`tensorcalc.notation.summation`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..errors import NotationError, ParseError
from ..nodes import Node
from ..numpy_protocol.convert import as_node
from ..numpy_protocol.indexing import HANDLERS
from .formula import (
    COMPARISONS,
    Binary,
    Call,
    Formula,
    Group,
    Leaf,
    Name,
    Negative,
    Number,
    Subscript,
)
from .summation import Summation

_OPERATORS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "true_divide": "/",
    "divide": "/",
    "power": "^",
    "float_power": "^",
    **{name: symbol for symbol, name in COMPARISONS.items()},
}


class Index:
    """The name of an axis; make some with :func:`indices`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


def indices(names: str) -> Any:
    """Indices for index notation; one is returned itself, several as a tuple.

    >>> i, j = indices("i j")
    >>> i, j
    (i, j)

    Raises ParseError for a text without names.
    """
    words = re.split(r"[\s,]+", names.strip())
    for word in words:
        if not word.isidentifier():
            raise ParseError(
                f"{word!r} is not the name of an index", hint='write for example "i j"'
            )
    found = tuple(map(Index, words))
    return found[0] if len(found) == 1 else found


class Indexed(NDArrayOperatorsMixin):
    """A formula in index notation; ``self[i, j]`` is the tensor with exactly these axes."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula

    @property
    def node(self) -> Node:
        """The expression: free indices in alphabetical order, unless an order was given."""
        return Summation().tensor(self.formula)

    __expression__ = node

    def __getitem__(self, items: Any) -> Indexed:
        return Indexed(Subscript(Group(self.formula), _names(items)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            raise NotationError(f"np.{ufunc.__name__}.{method} in index notation", hint="use .node")
        if ufunc.signature:
            return ufunc(*map(_plain, inputs))
        parts = tuple(map(_formula, inputs))
        name = ufunc.__name__
        if name == "multiply" and _is_product(parts[1]):  # ``e * e`` must not sum over both at once
            parts = parts[0], Group(parts[1])
        if name in _OPERATORS:
            return Indexed(Binary(_OPERATORS[name], *parts))
        if name == "negative":
            return Indexed(Negative(*parts))
        return Indexed(Call({"absolute": "abs"}.get(name, name), parts))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})

    def __bool__(self) -> bool:
        return bool(self.node)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name not in ("_repr_latex_", "_sympy_"):
            raise AttributeError(name)
        return getattr(self.node, name)

    def __repr__(self) -> str:
        return repr(self.node)


def tensor(expression: Any, order: str = "") -> Node:
    """The node of an expression in index notation, its axes in the given order.

    >>> import tensorcalc as tc
    >>> X, w = tc.variables("X: m n, w: n")
    >>> i, j = indices("i j")
    >>> tensor(X[i, j] * w[j], "i") is tensor(X[i, j] * w[j])
    True

    Indices of the expression that ``order`` does not name are summed; without ``order`` those that
    appear once remain, in alphabetical order. Raises NotationError if an index is unknown.
    """
    if order and isinstance(expression, Indexed):
        names = indices(order)
        expression = expression[names if isinstance(names, tuple) else (names,)]
    return as_node(_plain(expression))


def _plain(value: Any) -> Any:
    return value.node if isinstance(value, Indexed) else value


def _formula(value: Any) -> Formula:
    if isinstance(value, Indexed):
        return value.formula
    if isinstance(value, (bool, int, float, np.number)):
        number = float(value)
        return Number(int(number) if number.is_integer() else number)
    return Leaf(as_node(value))


def _is_product(formula: Formula) -> bool:
    return isinstance(formula, Binary) and formula.operator in ("*", "/")


def _names(items: Any) -> tuple[Formula, ...]:
    items = items if isinstance(items, tuple) else (items,)
    for item in items:
        if not isinstance(item, (Index, int, np.integer)):
            raise NotationError(
                f"{item!r} among indices",
                [f"indices: {items}"],
                "an expression is indexed by names and numbers, or by slices, not by both",
            )
    return tuple(Name(i.name) if isinstance(i, Index) else Number(int(i)) for i in items)


def _indexed(node: Node, items: Any) -> Indexed | None:
    """The handler of ``X[i, j]``."""
    parts: Iterable[Any] = items if isinstance(items, tuple) else (items,)
    if not any(isinstance(part, Index) for part in parts):
        return None
    return Indexed(Subscript(Leaf(node), _names(items)))


HANDLERS.append(_indexed)
