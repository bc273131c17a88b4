r"""Expressions as LaTeX: the formula of :mod:`index_text` or :mod:`matrix`, typeset.

Matrix notation uses :math:`\odot` and :math:`\oslash` for elementwise products and quotients,
:math:`x^{\odot p}` for elementwise powers and :math:`\top` for transposition. Index notation keeps
the summation convention of :mod:`tensorcalc.notation.summation`. Functions are spelled as their
rows of the operation table say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from ..errors import NotationError
from ..nodes import METHODS, Node, as_expression
from ..notation.calls import with_defaults
from ..notation.formula import (
    Arrow,
    Binary,
    Call,
    Formula,
    Group,
    Name,
    Negative,
    Number,
    Subscript,
    Transposed,
)
from ..parser.grammar import read
from ..table import TABLE
from .index_text import index_text
from .matrix import to_matrix

Notation = Literal["auto", "index", "matrix"]
_GREEK = set(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)
_INFIX = {"*": " ", ".*": r" \odot ", "⊗": r" \otimes ", "./": r" \oslash ", "+": " + ", "-": " - "}
_RELATIONS = {">": " > ", ">=": r" \ge ", "<": " < ", "<=": r" \le ", "==": " = ", "!=": r" \ne "}
_NUMBERED = re.compile(r"\\?[A-Za-z]+_\{\d+\}|\\mathrm\{\w+\}_\{\d+\}")
_OPERATOR = re.compile(r"\\(operatorname\{\w+\}|min|max|prod|log\b|bigvee|bigwedge)(?=[ (\\])")
#: Spellings that more renderers know.
_SYNONYMS = {r"\lnot": r"\neg", r"\land": r"\wedge", r"\lor": r"\vee"}
#: How strongly the pieces bind: sums, products, powers, single symbols.
SUM, PRODUCT, POWER, ATOM = range(4)
_STRENGTH = {**dict.fromkeys("+-", SUM), **dict.fromkeys(("*", ".*", "./", "⊗", "//"), PRODUCT)}


def to_latex(expression: Node, notation: Notation = "auto") -> str:
    r"""``expression`` as LaTeX without dollar signs.

    ``notation`` is "index", "matrix", or "auto": matrix notation where it exists.

    >>> import tensorcalc as tc
    >>> A, x = tc.variables("A: n n, x: n")
    >>> print(to_latex(tc.gradient(x @ A @ x, x)))
    \left(A + A^{\top}\right) x

    Raises NotationError for notation "matrix" where there is none.
    """
    expression = as_expression(expression)
    if notation not in ("auto", "index", "matrix"):
        raise NotationError(
            f"unknown notation {notation!r}", hint='the notations are "auto", "index" and "matrix"'
        )
    if notation == "index":
        return typeset(index_text(expression))
    try:
        return typeset(to_matrix(expression))
    except NotationError:
        if notation == "matrix":
            raise
        return typeset(index_text(expression))


def rich_display(expression: Node) -> str:
    """The LaTeX that Jupyter shows."""
    return f"$\\displaystyle {to_latex(expression)}$"


def typeset(text: str) -> str:
    r"""A formula text as LaTeX.

    >>> print(typeset("exp(x[i])/c^2"))
    \frac{\exp(x_{i})}{c^{2}}
    """
    document = read(text)
    main = _latex(document.body)
    where = [f"{_name(label)} : {_size(size)}" for label, size in document.sizes.items()]
    for d in document.definitions:
        left = _subscripted(_name(d.name), d.items)
        where.append(f"{left} = {_latex(d.body)}")
    return main + (rf" \quad \mathrm{{where}} \quad {', '.join(where)}" if where else "")


def _latex(formula: Formula) -> str:
    return _piece(formula)[0]


def _at(formula: Formula, level: int) -> str:
    """A formula, in parentheses if it binds less than ``level``."""
    while isinstance(formula, Group) and not isinstance(formula.body, Arrow):
        formula = formula.body
    text, own = _piece(formula)
    return text if own >= level else rf"\left({text}\right)"


def _piece(formula: Formula) -> tuple[str, int]:
    if isinstance(formula, Number):
        return _number(formula.value)
    if isinstance(formula, Name):
        return _name(formula.text), ATOM
    if isinstance(formula, Group):
        return _piece(formula.body)
    if isinstance(formula, Negative):
        return "-" + _at(formula.operand, PRODUCT), PRODUCT
    if isinstance(formula, Transposed):
        return _transposed(formula.operand)
    if isinstance(formula, Subscript):
        return _subscript(formula)
    if isinstance(formula, Arrow):
        return _subscripted(rf"\left[{_latex(formula.body)}\right]", formula.items), ATOM
    if isinstance(formula, Binary):
        return _binary(formula)
    assert isinstance(formula, Call)
    return _call(formula)


def _number(value: float) -> tuple[str, int]:
    text = repr(value)
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}", PRODUCT
    return {"inf": r"\infty", "nan": r"\mathrm{nan}"}.get(text, text), ATOM


def _name(name: str) -> str:
    r"""``w``, ``\alpha``, ``\mathrm{loss}``, ``t_{1}``."""
    if name in ("δ", "delta"):
        return r"\delta"
    if name == "eye":
        return "I"
    found = re.fullmatch(r"([^\W\d_]+)_?(\d+)", name)
    if found:
        return f"{_name(found.group(1))}_{{{found.group(2)}}}"
    if name in _GREEK:
        return "\\" + name
    return name if len(name) == 1 else rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"


def _binary(formula: Binary) -> tuple[str, int]:
    operator = formula.operator
    if operator == "/":
        return rf"\frac{{{_latex(_bare(formula.left))}}}{{{_latex(_bare(formula.right))}}}", PRODUCT
    if operator in ("^", ".^"):
        circle = r"\odot " if operator == ".^" else ""
        return _superscripted(_base(formula.left), circle + _latex(_bare(formula.right))), POWER
    if operator in _RELATIONS:
        return rf"{_at(formula.left, SUM)}{_RELATIONS[operator]}{_at(formula.right, SUM)}", SUM - 1
    level = _STRENGTH[operator]
    left = _at(formula.left, level) if operator in ("+", "-") else _factor(formula.left, operator)
    right = _factor(formula.right, operator) if level == PRODUCT else _at(formula.right, PRODUCT)
    joint = _INFIX.get(operator, " ")
    if operator == "*" and right[0].isdigit():
        joint = r" \cdot "
    return left + joint + right, level


def _factor(formula: Formula, operator: str) -> str:
    """A factor; products joined by different signs keep their parentheses."""
    inner = _bare(formula)
    own = inner.operator if isinstance(inner, Binary) else None
    mixed = own in (".*", "./", "⊗", "*") and own != operator
    if mixed and isinstance(formula, Group):
        return rf"\left({_latex(inner)}\right)"
    return _at(inner, PRODUCT)


def _base(formula: Formula) -> str:
    return _at(formula, ATOM)


def _bare(formula: Formula) -> Formula:
    while isinstance(formula, Group) and not isinstance(formula.body, Arrow):
        formula = formula.body
    return formula


def _transposed(formula: Formula) -> tuple[str, int]:
    inner = _bare(formula)
    if isinstance(inner, Call) and inner.function == "inv":
        return _superscripted(_base(inner.operands[0]), r"-\top"), POWER
    return _superscripted(_base(inner), r"\top"), POWER


def _subscript(formula: Subscript) -> tuple[str, int]:
    base = formula.base
    if isinstance(base, Number):
        return _subscripted(rf"\mathbf{{{_number(base.value)[0]}}}", formula.items), ATOM
    if isinstance(base, Group) and isinstance(base.body, Arrow):
        return _subscripted(_latex(base.body), formula.items), ATOM
    return _subscripted(_at(base, ATOM), formula.items), ATOM


def _subscripted(base: str, items: Sequence[Formula]) -> str:
    """``base_{ij}``; the number of a name like ``t_{1}`` joins, other subscripts get brackets."""
    if not items:
        return base
    separator = " " if all(isinstance(item, Name) for item in items) else ","
    index = separator.join(map(_latex, items))
    if _NUMBERED.fullmatch(base):
        return f"{base[:-1]},{index}}}"
    if _has_own_subscript(base):
        base = rf"\left[{base}\right]"
    return f"{base}_{{{index}}}"


def _has_own_subscript(text: str) -> bool:
    """Whether a subscript outside all brackets already stands in ``text``."""
    depth = 0
    for character in text:
        depth += (character in "{([") - (character in "})]")
        if character == "_" and not depth:
            return True
    return text.startswith((r"\frac", r"\begin", "-"))


def _superscripted(base: str, exponent: str) -> str:
    """``base^{exponent}``."""
    return f"{{{base}}}^{{{exponent}}}" if "^" in base else f"{base}^{{{exponent}}}"


def _size(formula: Formula) -> str:
    return _latex(formula)


def _call(formula: Call) -> tuple[str, int]:
    name = formula.function
    binder = _subscripted("", formula.binder)
    if name == "sum":
        body = _at(formula.operands[0], PRODUCT)
        return (rf"\sum{binder} {body}", PRODUCT) if binder else (rf"\sum {body}", PRODUCT)
    special = {
        "norm2": r"\left\|{0}\right\|_{{2}}",
        "norm1": r"\left\|{0}\right\|_{{1}}",
        "sqrt": r"\sqrt{{{0}}}",
        "vector": r"\mathbf{{{0}}}",
        "matrix": r"\mathbf{{{0}}}",
        "eye": "I_{{{0}}}" if formula.operands else "I",
        "size": "{0}",
    }
    operands = [_latex(_bare(operand)) for operand in formula.operands]
    if name in special:
        return special[name].format(*operands), ATOM
    if name not in TABLE:
        joined = ", ".join(operands)
        return rf"\operatorname{{{name}}}\left({joined}\right)", ATOM
    template, level = _row_template(formula)
    return _bound(template, binder), level


def _row_template(formula: Call) -> tuple[str, int]:
    """The LaTeX column of the row; operands in the parentheses that the column leaves out."""
    operation = TABLE[formula.function]
    params = {key: _parameter(value) for key, value in formula.params.items()}
    if formula.function == "power" and "at_zero" in params:
        base, exponent = _base(formula.operands[0]), params["exponent"]
        return _superscripted(base, exponent), POWER
    column = operation.latex
    if not isinstance(column, str) or not column:
        joined = ", ".join(map(_latex, formula.operands))
        return rf"\operatorname{{{formula.function}}}\left({joined}\right)", ATOM
    params = with_defaults(formula.function, params)
    operands = [
        _latex(_bare(operand)) if _is_enclosed(column, k) else _at(operand, ATOM)
        for k, operand in enumerate(formula.operands)
    ]
    if re.search(r"\{\d\}_", column):  # the template adds a subscript of its own
        operands = [rf"\left[{o}\right]" if _has_own_subscript(o) else o for o in operands]
    for k, operand in enumerate(formula.operands):
        if isinstance(operand, Number) and operand.value == 0:
            column = column.replace(f" - {{{k}}}", "")
    for old, new in _SYNONYMS.items():
        column = column.replace(old, new)
    text = column.format(*operands, **params)
    if "}^{" in text or "^{" in text.rpartition(")")[2]:
        return text, POWER
    closed = column.endswith((")", "|", "]", "}")) and not column.startswith(r"\frac")
    return text, ATOM if closed else PRODUCT


def _is_enclosed(column: str, position: int) -> bool:
    """Whether the operand stands between brackets of the template."""
    if "cases" in column:
        return True
    found = re.search(rf"(\(|\{{\{{|\||, |\[|\\\|)\s*\{{{position}\}}", column)
    after = re.search(rf"\{{{position}\}}\s*(\)|\}}\}}|\\right|,)", column)
    return bool(found and after)


def _bound(text: str, binder: str) -> str:
    """The index that a function runs over, below its name."""
    if not binder:
        return text
    head = _OPERATOR.match(text)
    if head:
        return text[: head.end()] + binder + text[head.end() :]
    return rf"\left[{text}\right]{binder}" if _has_own_subscript(text) else text + binder


def _parameter(value: Any) -> str:
    if isinstance(value, Formula):
        return _latex(value)
    return ", ".join(map(_parameter, value)) if isinstance(value, tuple) else str(value)


METHODS["latex"] = rich_display
