"""``tc.parse``: formulas as text, in matrix notation or in index notation."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ParseError
from ..extents import symbols_of
from ..nodes import Node, Variable
from ..notation.formula import Arrow, Call, Document, Formula, Subscript
from ..notation.summation import Summation
from ..notation.variables import declared_variables
from .grammar import read
from .matrix_text import MatrixReader


def parse(text: str, declarations: str | Iterable[Variable] = ()) -> Node:
    """The expression that a text says, over the variables that ``declarations`` declare.

    Matrix notation: ``+ - * / ^ .* ./ .^ '`` and ``⊗``, the names of the operation table, sum,
    norm1, norm2, tr, det, logdet, inv, adj, diag, ``vector(c)``, ``matrix(c)`` and ``eye``, whose
    sizes follow from the context. Vectors are columns; ``x'`` is a row.

    Index notation, told apart by its brackets: ``X[i,j]*w[j]``, as ``str(e)`` prints it; its
    meaning is said in :mod:`tensorcalc.notation.summation`.

    >>> from tensorcalc import variables
    >>> X, w = variables("X: m n, w: n")
    >>> parse("X*w", "X: m n, w: n") is parse("X[i,j]*w[j]", (X, w)) is X @ w
    True

    Raises ParseError where the text leaves the grammar, UnknownNameError for a name that is not
    declared and ShapeError where operands do not fit. Nothing in the text is evaluated as code.
    """
    if isinstance(declarations, str):
        variables = declared_variables(declarations) if declarations.strip() else ()
    else:
        variables = tuple(declarations)
    if not text.strip():
        raise ParseError("the formula is empty", hint='write for example "X*w"')
    names: dict[str, Node] = {variable.name: variable for variable in variables}
    symbols = {s for v in variables for extent in v.extents for s in symbols_of(extent)}
    document = read(text)
    try:
        if _has_indices(document):
            return Summation(names, symbols=symbols, text=text).document(document)
        return MatrixReader(names, symbols, text).document(document)
    except RecursionError:
        raise ParseError(
            "the formula is nested too deeply", hint="name inner parts after 'where'"
        ) from None


def _has_indices(document: Document) -> bool:
    """Whether the text is in index notation."""
    stack: list[object] = [document.body, *(d.body for d in document.definitions)]
    if document.sizes or any(definition.items for definition in document.definitions):
        return True
    while stack:
        part = stack.pop()
        if isinstance(part, (Subscript, Arrow)) or (isinstance(part, Call) and part.binder):
            return True
        for value in vars(part).values() if isinstance(part, Formula) else ():
            stack.extend(value if isinstance(value, tuple) else [value])
    return False
