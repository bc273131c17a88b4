"""Scalar code of nests for numba: loads through views, and one local name per subexpression."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tensorcalc.extents import Extent
from tensorcalc.table import Operation

from .node_kinds import kind_of
from .numpy_scope import Scope, SizeText
from .program import Program
from .steps import Affine, Indicator, Labels, Step, Term, Value, View

#: Spellings whose NumPy meaning (NaN wins) the plain Python expression does not have, or whose
#: branches a loop cannot take in parallel.
SPELLINGS = {
    "maximum": "select(({0} >= {1}) | ({0} != {0}), {0}, {1})",
    "minimum": "select(({0} <= {1}) | ({0} != {0}), {0}, {1})",
    "relu": "select({0} <= 0, {zero}, {0})",
    "sign": "(real({0} > 0) - real({0} < 0) + ({0} if {0} != {0} else {zero}))",
    "step": "select({0} > {1}, {one}, select({0} == {1}, {half}, {zero}))",
    "where": "select({0}, {1}, {2})",
}
#: Powers written as products; others call the function of the table.
POWERS = {
    1: "{0}",
    2: "{0} * {0}",
    3: "{0} * {0} * {0}",
    4: "({0} * {0}) * ({0} * {0})",
    -1: "{one} / {0}",
    -2: "{one} / ({0} * {0})",
    0.5: "math.sqrt({0})",
    -0.5: "{one} / math.sqrt({0})",
    1.5: "{0} * math.sqrt({0})",
    -1.5: "{one} / {0} / math.sqrt({0})",
}
#: Operations whose sums cost less than their terms (:mod:`.vector_math.sums`): the function that
#: gives a term as a number to add and one to keep, and that which sums a block of the kept.
SUMMED = {"softplus": ("vm.softplus_parts", "vm.sum_of_log1p")}
#: Functions of :mod:`.vector_math` in a spelling.
FUNCTION = re.compile(
    r"(?<![\w.])((?:cosh?|erfc?|expm1|exp|log1p|log|power|sigmoid|sinh?|softplus|tanh?)\()"
)
#: Numbers in a spelling; those in single precision must say so, or numba computes in double.
NUMBER = re.compile(r"(?<![\w.{])(\d+\.?\d*(?:[eE][+-]?\d+)?)(?![\w}.])")


def spelling(operation: Operation, params: Mapping[str, Any]) -> str:
    """The scalar template of a row, "" if numba cannot say it."""
    if operation.name == "power":
        return _power(**params)
    template = SPELLINGS.get(operation.name, operation.numba)
    text = template(**params) if callable(template) else template
    for name, value in params.items():
        text = text.replace(f"{{{name}}}", repr(value))
    return FUNCTION.sub(r"vm.\1", text)


def _power(exponent: float, at_zero: float | None = None) -> str:
    value = POWERS.get(exponent, "") or f"vm.power({{0}}, {float(exponent)!r})"
    if at_zero is None:
        return value
    within = f"select({value} > {{greatest}}, {{greatest}}, {value})"
    within = f"select({value} < -{{greatest}}, -{{greatest}}, {within})"
    return f"select({{0}} == 0, {{zero}} + {float(at_zero)!r}, {within})"


class Loops:
    """The lines of nested loops by depth: each goes to the outermost loop that has its labels."""

    def __init__(self, depths: Mapping[int, int], count: int) -> None:
        self.depths = depths
        self.lines: list[list[str]] = [[] for _ in range(count + 1)]
        self.known: dict[str, str] = {}

    def depth(self, labels: Any) -> int:
        """How many loops must be open for these labels."""
        return max((self.depths[label] for label in labels), default=0)


class NumbaTerms(Scope):
    """Writes scalar expressions; knows which values are arrays and which only ways to load."""

    def __init__(self, program: Program, precision: str) -> None:
        super().__init__(program)
        self.precision = precision
        self.makers: dict[Value, Step] = {step.value: step for step in program.steps}
        #: Local or passed name of each array, and the axis of it that each axis of the value is.
        self.arrays: dict[Value, tuple[str, tuple[int, ...]]] = {}
        #: Loop variables that numba takes for unsigned; with signed numbers they would make floats.
        self.unsigned: set[str] = set()
        #: Names that the kernel being written reads.
        self.reads: set[str] = set()

    def spelling(self, operation: Operation, params: Mapping[str, Any]) -> str:
        """The scalar template of a row."""
        return spelling(operation, params)

    def number(self, value: float) -> str:
        """A constant in the precision of the program."""
        text = repr(float(value)).replace("inf", "math.inf").replace("nan", "math.nan")
        return text if self.precision == "float64" else f"real({text})"

    def integer(self, extent: Any) -> str:
        """An extent as an operand."""
        text = self.size(extent)
        return text if text.isalnum() else f"({text})"

    # -- loads ------------------------------------------------------------------------------
    def load(self, value: Value, indices: Sequence[str]) -> str:
        """``value[indices]`` as text, through views and indicators."""
        if value in self.arrays:
            name, axes = self.arrays[value]
            self.reads.add(name)
            return f"{name}[{', '.join(indices[axis] for axis in axes)}]" if axes else name
        return self.through(value, indices)

    def through(self, value: Value, indices: Sequence[str]) -> str:
        """An entry of a view or an indicator as text."""
        step = self.makers[value]
        if isinstance(step, Indicator):
            return f"({' and '.join(self._rows(step, indices))})"
        assert isinstance(step, View), f"{value.name} is not made"
        forms = [self.affine(form, indices) for form in step.axes]
        text = self.load(step.source, forms)
        if step.inside:
            return text
        zero = "False" if value.kind == "boolean" else self.number(0)
        return f"({text} if {self.bounds(forms, step.source.extents)} else {zero})"

    def bounds(self, forms: Sequence[str], extents: Sequence[Any]) -> str:
        """Whether indices are inside an array."""
        pairs = zip(forms, extents, strict=True)
        return " and ".join(f"0 <= {form} < {self.integer(e)}" for form, e in pairs) or "True"

    def _rows(self, step: Indicator, indices: Sequence[str]) -> list[str]:
        tests = []
        for row in step.rows:
            form = self.affine(row.form, indices)
            tests.append(f"{self.integer(row.low)} <= {form} < {self.integer(row.high)}")
        return tests

    def affine(self, form: Affine, indices: Sequence[str]) -> str:
        """An affine form of index texts."""
        parts = []
        for label, c in form.terms:
            one = type(c) is int and c == 1
            plain = one and len(form.terms) == 1 and type(form.offset) is int and not form.offset
            index = indices[label]
            index = f"np.int64({index})" if index in self.unsigned and not plain else index
            parts.append(index if one else f"{self.integer(c)} * {index}")
        if not parts or type(form.offset) is not int or form.offset:
            parts.append(self.integer(form.offset))
        return parts[0] if len(parts) == 1 and parts[0].isalnum() else f"({' + '.join(parts)})"

    # -- expressions ------------------------------------------------------------------------
    def term(self, term: Term, loops: Loops, wanted: str = "real") -> str:
        """Write what a term needs into the loops; its name or text, as a number unless boolean."""
        text = self._term(term, loops)
        kind = kind_of(term)
        if wanted == "real" and kind != "real":
            return self._bound(f"real({text})", term.labels(), loops)
        if wanted == "boolean" and kind != "boolean":
            return f"({text} != 0)"
        return text

    def _bound(self, text: str, labels: Any, loops: Loops) -> str:
        if text not in loops.known:
            name = loops.known[text] = f"v{len(loops.known)}"
            loops.lines[loops.depth(labels)].append(f"{name} = {text}")
        return loops.known[text]

    def _term(self, term: Term, loops: Loops) -> str:
        if term.operator == "constant":
            return self.number(term.payload)
        if term.operator == "size":
            return f"real({self.size(term.payload)})"
        if term.operator == "load":
            value, labels = term.payload
            text = self.load(value, [f"i{label}" for label in labels])
            return text if text.isidentifier() else self._bound(text, labels, loops)
        return self._bound(self._operation(term, loops), term.labels(), loops)

    def _operation(self, term: Term, loops: Loops) -> str:
        if term.operator == "select":
            mask = self.term(term.arguments[0], loops, "boolean")
            chosen = self.term(term.arguments[1], loops)
            return f"select({mask}, {chosen}, {self.number(0)})"
        if term.operator == "apply":
            return self._apply(term, loops)
        ordered = sorted(term.arguments, key=lambda each: loops.depth(each.labels()))
        names = [self.term(argument, loops) for argument in ordered]
        return (" + " if term.operator == "add" else " * ").join(names)

    def _apply(self, term: Term, loops: Loops) -> str:
        operation, params = term.payload
        is_where = operation.name == "where"
        as_it_is = operation.result == "boolean"
        names = []
        for k, argument in enumerate(term.arguments):
            wanted = "boolean" if is_where and k == 0 else "as it is" if as_it_is else "real"
            names.append(self.term(argument, loops, wanted))
        values = {k: SizeText(self.size(v)) if isinstance(v, Extent) else v for k, v in params}
        template = self.spelling(operation, values)
        if self.precision == "float32":
            template = NUMBER.sub(r"real(\1)", template)
        constants = {"zero": self.number(0), "one": self.number(1), "half": self.number(0.5)}
        constants["greatest"] = self.number(float(np.finfo(self.precision).max))
        return template.format(*names, **constants)


def indices(labels: Labels) -> list[str]:
    """Names of loop variables."""
    return [f"i{label}" for label in labels]


__all__ = ["Loops", "NumbaTerms", "indices", "spelling"]
