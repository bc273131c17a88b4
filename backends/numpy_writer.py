"""A Program as a readable Python function that needs NumPy alone.

Elementwise nests become NumPy expressions; a function of a temporary is written into that
temporary, an operand that dies is worked on in place, and NumPy itself reuses the memory of
unnamed intermediate results.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tensorcalc.extents import Extent
from tensorcalc.operations.helpers import imports, required
from tensorcalc.table import DECOMPOSITIONS

from .numpy_arrays import axis_index, gather, indicator, insertion, scatter, transposed, view
from .numpy_contraction import contraction
from .program import Program
from .steps import (
    Call,
    Contract,
    Gather,
    Indicator,
    Input,
    Insert,
    Labels,
    Nest,
    Reshape,
    Scatter,
    Step,
    Term,
    Value,
    View,
)

ATOM, PRODUCT, SUM = 3, 2, 1


#: What is not selected may be infinite without a word.
QUIET = '@np.errstate(divide="ignore", invalid="ignore", over="ignore")\n'


class Piece(NamedTuple):
    """Text of an array: its labels, how tightly it binds, and the local name that may be reused."""

    text: str
    labels: Labels = ()
    level: int = ATOM
    owned: str = ""

    def at(self, level: int) -> str:
        """The text, in parentheses where ``level`` binds tighter."""
        return self.text if self.level >= level else f"({self.text})"


class NumpyWriter:
    """Writes one Program."""

    def __init__(self, program: Program, name: str, returned: str, docstring: str = "") -> None:
        self.program = program
        self.lines: list[str] = []
        self.names: dict[Value, str] = {}
        self.owned: set[Value] = set()
        #: Values that lie in memory in the order of their axes, so that ravel is a view.
        self.row_major: set[Value] = set()
        self.sizes: set[str] = set()
        self.last_use = _last_uses(program)
        self.position = 0
        self.order: Labels = ()
        self.counter = 0
        self.needs_dtype = False
        #: Names of decompositions of which several results are used.
        self.decompositions: dict[Any, str] = {}
        #: Sizes that no argument's shape gives: arguments themselves.
        self.open_symbols: list[str] = []
        self.parameters = [step.value.name for step in program.inputs]
        self.taken = set(self.parameters) | {"np", "special", "dtype"}
        self.function_name = name
        self.returned = returned
        self.docstring = docstring

    def source(self) -> str:
        """The whole text: imports, helpers, the function."""
        for self.position, step in enumerate(self.program.steps):
            self._step(step)
        self.open_symbols = sorted(self.sizes - self.size_names().keys())
        self.parameters += self.open_symbols
        results = [self.names[value] for value in self.program.outputs]
        body = "\n".join(f"    {line}" for line in [*self._head(), *self.lines])
        returned = self.returned.format(*results)
        guard = QUIET if self._is_risky() else ""
        text = guard + (
            f"def {self.function_name}({', '.join(self.parameters)}):\n{body}\n"
            f"    return {returned}\n"
        ).replace("\n\n", "\n")
        helpers = "\n\n".join(required(text).values())
        helpers = f"{helpers}\n\n" if helpers else ""
        return "\n".join(imports(text + helpers)) + "\n\n\n" + helpers + text

    def _is_risky(self) -> bool:
        """Whether a mask selects from values that may be infinite where they are not selected."""
        selected = [
            argument
            for step in self.program.steps
            if isinstance(step, Nest)
            for term in step.term.walk()
            if term.operator == "select" or _is_where(term)
            for argument in term.arguments
        ]
        return any(_is_real_function(term) for each in selected for term in each.walk())

    def _head(self) -> list[str]:
        lines = [f'"""{self.docstring}"""'] if self.docstring else []
        missing = {name: text for name, text in self.size_names().items() if name in self.sizes}
        for name, text in missing.items():
            lines.append(f"{name} = {text}")
        if self.needs_dtype:
            floats = [step.value.name for step in self.program.inputs if step.value.kind == "real"]
            lines.append(f"dtype = {floats[0]}.dtype" if floats else "dtype = np.dtype(float)")
        return lines

    def size_names(self) -> dict[str, str]:
        """Where each symbol can be read off an argument."""
        found: dict[str, str] = {}
        for step in self.program.inputs:
            for axis, extent in enumerate(step.value.extents):
                symbol = str(extent) if isinstance(extent, Extent) else ""
                if symbol.isidentifier():
                    found.setdefault(self.symbol(symbol), f"{step.value.name}.shape[{axis}]")
        return found

    def symbol(self, name: str) -> str:
        """The local name of an extent symbol."""
        return f"{name}_" if name in self.taken else name

    def size(self, extent: Any) -> str:
        """An extent as Python text."""
        if not isinstance(extent, Extent):
            return str(extent)
        text = re.sub(r"[A-Za-z_]\w*", lambda m: self.symbol(m.group()), str(extent))
        self.sizes |= set(re.findall(r"[A-Za-z_]\w*", text))
        return text

    def shape(self, extents: Sequence[Any]) -> str:
        """A shape as Python text."""
        sizes = [self.size(extent) for extent in extents]
        return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"

    def fresh(self) -> str:
        """A new local name."""
        self.counter += 1
        name = f"t{self.counter}"
        return self.fresh() if name in self.taken else name

    def line(self, text: str) -> None:
        self.lines.append(text)

    def bind(self, text: str) -> str:
        """Assign a text to a new name."""
        name = self.fresh()
        self.line(f"{name} = {text}")
        return name

    def dtype(self) -> str:
        """The text of the precision of the inputs."""
        self.needs_dtype = True
        return "dtype"

    def dies(self, value: Value) -> bool:
        """Whether this step may overwrite ``value``: nobody reads it or a view of it later."""
        return value in self.owned and self.last_use.get(value, 0) <= self.position

    # -- steps ------------------------------------------------------------------------------
    def _step(self, step: Step) -> None:
        value = step.value
        if isinstance(step, Input):
            self.names[value] = value.name
        elif isinstance(step, View):
            self.names[value] = view(self, step)
        elif isinstance(step, Reshape):
            text = self.names[step.source]
            self.names[value] = self.bind(f"{text}.reshape{self.shape(value.extents)}")
        elif isinstance(step, Nest):
            self.names[value] = self._nest(step)
            self.owned.add(value)
            if all(self._keeps_order(step, *each) for each in step.term.loads()):
                self.row_major.add(value)
        elif isinstance(step, Insert):
            self.names[value] = insertion(self, step)
            self.owned.add(value)
            if step.base is None or step.base in self.row_major:
                self.row_major.add(value)
        elif isinstance(step, Contract):
            text, in_order = contraction(self, step)
            self.names[value] = self.bind(text)
            self.owned.add(value)
            if in_order:
                self.row_major.add(value)
        elif isinstance(step, Indicator):
            self.names[value] = self.bind(indicator(self, step))
        elif isinstance(step, Gather):
            self.names[value] = self.bind(gather(self, step))
            self.owned.add(value)
        elif isinstance(step, Scatter):
            self.names[value] = scatter(self, step)
            self.owned.add(value)
        elif isinstance(step, Call):
            self.names[value] = self._call(step)
            self.owned.add(value)

    def _keeps_order(self, step: Nest, value: Value, labels: Labels) -> bool:
        """Whether a load does not talk NumPy into another memory order for the result."""
        if value.ndim < 2:
            return True
        in_order = [label for label in step.output if label in labels]
        return value in self.row_major and in_order == [k for k in labels if k in step.output]

    def _call(self, step: Call) -> str:
        arguments = [self.names[argument] for argument in step.arguments]
        if isinstance(step.operation, str):
            return self.bind(f"np.linalg.{step.operation}({', '.join(arguments)})")
        shared = self._decomposed(step, arguments)
        return self.bind(shared or self.spelled(step.operation, arguments, step.params))

    def _decomposed(self, step: Call, arguments: list[str]) -> str:
        """One result of a decomposition that several steps need; "" if this is the only one."""
        operation: Any = step.operation
        key = operation.decomposition, step.arguments
        users = [
            other.value
            for other in self.program.steps
            if isinstance(other, Call)
            and not isinstance(other.operation, str)
            and (other.operation.decomposition, other.arguments) == key
        ]
        if not operation.decomposition or len(users) == 1:
            return ""
        if users[0] is step.value:
            text = DECOMPOSITIONS[operation.decomposition]["numpy"].format(*arguments)
            self.decompositions[key] = self.bind(text)
        return f"{self.decompositions[key]}[{operation.result_index}]"

    def spelled(self, operation: Any, arguments: Sequence[str], params: Any) -> str:
        """A row's NumPy spelling; extents among its parameters as local sizes."""
        values = {
            name: SizeText(self.size(value)) if isinstance(value, Extent) else value
            for name, value in params
        }
        return operation.spelled("numpy", *arguments, **values)

    def _nest(self, step: Nest) -> str:
        self.order = (*step.output, *step.reduced)
        self.loads = [value for value, _ in step.term.loads()]
        piece = self.piece(step.term)
        if step.reduced:
            return self.bind(self._summed(piece, step.reduced))
        if piece.labels != step.output:
            return self._spread(piece, step)
        if piece.owned:
            return piece.owned
        if step.term.operator in ("constant", "size") and step.value not in self.program.outputs:
            return piece.text
        if step.term.operator in ("load", "constant", "size"):
            return self.bind(self._copied(piece))
        return self.bind(piece.text)

    def _copied(self, piece: Piece) -> str:
        if piece.labels:
            return f"{piece.at(ATOM)}.copy()"
        if re.fullmatch(r"[A-Za-z_]\w*", piece.text) and piece.text not in self.sizes:
            return f"{piece.text}[()]"
        return f"{self.dtype()}.type({piece.text})"

    def _summed(self, piece: Piece, reduced: Labels) -> str:
        if set(reduced) == set(piece.labels):
            return f"{piece.at(ATOM)}.sum()"
        axes = [axis for axis, label in enumerate(piece.labels) if label in reduced]
        axis = str(axes[0]) if len(axes) == 1 else str(tuple(axes))
        return f"{piece.at(ATOM)}.sum(axis={axis})"

    def _spread(self, piece: Piece, step: Nest) -> str:
        """A result that is the same along some of its axes, written out."""
        shape = self.shape(step.value.extents)
        if piece.text == "0":
            return self.bind(f"np.zeros({shape}, {self.dtype()})")
        if piece.text == "1":
            return self.bind(f"np.ones({shape}, {self.dtype()})")
        name = self.bind(f"np.empty({shape}, {self.dtype()})")
        self.line(f"{name}[...] = {self.aligned(piece, step.output)}")
        return name

    # -- terms ------------------------------------------------------------------------------
    def piece(self, term: Term) -> Piece:
        """A scalar expression as array text over the labels it depends on."""
        return getattr(self, f"_{term.operator}")(term)

    def sorted_labels(self, *pieces: Piece) -> Labels:
        """The labels of pieces in the order of the nest."""
        present = {label for piece in pieces for label in piece.labels}
        return tuple(label for label in self.order if label in present)

    def aligned(self, piece: Piece, labels: Labels, level: int = 0) -> str:
        """The piece with size-1 axes where ``labels`` has more."""
        index = axis_index(piece.labels, labels)
        return f"{piece.at(ATOM)}{index}" if index else piece.at(level)

    def _load(self, term: Term) -> Piece:
        value, labels = term.payload
        ordered = tuple(label for label in self.order if label in labels)
        text = transposed(self.names[value], [labels.index(label) for label in ordered])
        reusable = ordered == labels and self.dies(value) and value.kind == "real" and labels
        once = sum(other is value for other in self.loads) == 1
        return Piece(text, ordered, ATOM, text if reusable and once else "")

    def _constant(self, term: Term) -> Piece:
        number = term.payload
        return Piece(repr(number), (), ATOM if number >= 0 else SUM)

    def _size(self, term: Term) -> Piece:
        text = self.size(term.payload)
        return Piece(text, (), ATOM if text.isalnum() else SUM)

    def _select(self, term: Term) -> Piece:
        mask, value = map(self.piece, term.arguments)
        labels = self.sorted_labels(mask, value)
        if value.text == "1" and mask.labels == labels:
            if not labels:
                return Piece(f"{self.dtype()}.type({mask.text})")
            return Piece(f"{mask.at(ATOM)}.astype({self.dtype()})", labels)
        chosen = self.aligned(value, labels)
        if not value.labels:
            chosen = f"{self.dtype()}.type({value.text})"
        return Piece(f"np.where({self.aligned(mask, labels)}, {chosen}, 0)", labels)

    def _multiply(self, term: Term) -> Piece:
        below = [t for t in term.arguments if _is_reciprocal(t)]
        above = [t for t in term.arguments if not _is_reciprocal(t)]
        negative = [t for t in above if t.operator == "constant" and t.payload == -1]
        above = [t for t in above if not any(t is n for n in negative)]
        pieces = [("*", self.piece(t)) for t in above]
        pieces += [("/", self.piece(t.arguments[0])) for t in below]
        pieces.sort(key=lambda item: len(item[1].labels))
        if pieces[0][0] == "/":
            pieces.insert(0, ("*", Piece("-1" if negative else "1")))
            negative = []
        result = pieces[0][1]
        if negative:
            result = self._negated(result)
        for operator, piece in pieces[1:]:
            result = self._binary(result, operator, piece, PRODUCT)
        return result

    def _negated(self, piece: Piece) -> Piece:
        if piece.owned:
            self.line(f"np.negative({piece.owned}, out={piece.owned})")
            return piece
        return Piece(f"-{piece.at(ATOM)}", piece.labels, PRODUCT)

    def _add(self, term: Term) -> Piece:
        signed = sorted(map(_signed, term.arguments), key=lambda item: item[0] < 0)
        result = self.piece(signed[0][1])
        if signed[0][0] < 0:
            result = self._negated(result)
        for sign, argument in signed[1:]:
            result = self._binary(result, "+" if sign > 0 else "-", self.piece(argument), SUM)
        return result

    def _binary(self, left: Piece, operator: str, right: Piece, level: int) -> Piece:
        """``left operator right``, in place where the left or a commuting right one is ours."""
        labels = self.sorted_labels(left, right)
        if left.owned and left.labels == labels:
            self.line(f"{left.owned} {operator}= {self.aligned(right, labels)}")
            return left
        if right.owned and right.labels == labels and operator in "+*":
            self.line(f"{right.owned} {operator}= {self.aligned(left, labels)}")
            return right
        text = f"{self.aligned(left, labels, level)} {operator} {self.aligned(right, labels, level + 1)}"
        return Piece(text, labels, level)

    def _apply(self, term: Term) -> Piece:
        operation, params = term.payload
        pieces = [self.piece(argument) for argument in term.arguments]
        labels = self.sorted_labels(*pieces)
        template = _template(operation, dict(params))
        if labels and operation.result == "real" and _is_ufunc(template):
            return self._in_place(template[:-5], pieces[0])
        levels = _levels(template, len(pieces))
        texts = [self.aligned(p, labels, level) for p, level in zip(pieces, levels, strict=True)]
        text = self.spelled(operation, texts, params)
        if text.startswith("(") and _closes(text) == len(text) - 1:
            return Piece(text[1:-1], labels, 0)
        return Piece(text, labels, ATOM if re.fullmatch(r"[\w.]+\(.*\)", text) else 0)

    def _in_place(self, function: str, piece: Piece) -> Piece:
        """A function of a temporary overwrites it."""
        name = piece.owned
        if not name and not re.fullmatch(r"[\w.]+", piece.text):
            name = self.bind(piece.text)
        if not name:
            return Piece(f"{function}({piece.text})", piece.labels)
        self.line(f"{function}({name}, out={name})")
        return Piece(name, piece.labels, ATOM, name)


class SizeText(str):
    """The text of an extent where a parameter's value is expected."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _closes(text: str) -> int:
    """Where the parenthesis that opens ``text`` closes."""
    depth = 0
    for k, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return k
    return -1


def _last_uses(program: Program) -> dict[Value, int]:
    """The last step that reads a value, itself or through views; outputs are read at the end."""
    last: dict[Value, int] = {}
    bases: dict[Value, Value] = {}
    for position, step in enumerate(program.steps):
        for operand in step.operands():
            last[operand] = last[bases.get(operand, operand)] = position
        if isinstance(step, (View, Reshape)):
            bases[step.value] = bases.get(step.source, step.source)
    for value in program.outputs:
        last[value] = last[bases.get(value, value)] = len(program.steps)
    return last


def _is_real_function(term: Term) -> bool:
    return term.operator == "apply" and term.payload[0].result == "real"


def _is_where(term: Term) -> bool:
    return term.operator == "apply" and term.payload[0].name == "where"


def _is_reciprocal(term: Term) -> bool:
    if term.operator != "apply" or term.payload[0].name != "power":
        return False
    params = dict(term.payload[1])
    return params["exponent"] == -1 and params.get("at_zero") is None


def _signed(term: Term) -> tuple[int, Term]:
    """A term without its leading minus."""
    if term.operator == "constant" and term.payload < 0:
        return -1, Term("constant", (), -term.payload)
    if term.operator != "multiply":
        return 1, term
    numbers = [t for t in term.arguments if t.operator == "constant"]
    if not numbers or numbers[0].payload >= 0:
        return 1, term
    rest = tuple(t for t in term.arguments if t is not numbers[0])
    if numbers[0].payload != -1:
        rest = (Term("constant", (), -numbers[0].payload), *rest)
    return -1, rest[0] if len(rest) == 1 else Term("multiply", rest)


def _template(operation: Any, params: dict[str, Any]) -> str:
    template = operation.numpy
    return template(**params) if callable(template) else template


def _is_ufunc(template: str) -> bool:
    """Whether the template is a NumPy function of one operand that can write into it."""
    match = re.fullmatch(r"np\.(\w+)\(\{0\}\)", template)
    return match is not None and isinstance(getattr(np, match.group(1), None), np.ufunc)


def _levels(template: str, count: int) -> list[int]:
    """Operands that stand alone between commas and parentheses need none of their own."""
    bare = {
        int(m.group(2))
        for m in re.finditer(r"([(,])\s*\{(\d)\}(?=\s*[),])", template)
    }
    return [0 if k in bare and template.count(f"{{{k}}}") == 1 else ATOM for k in range(count)]
