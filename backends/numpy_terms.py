"""NumPy text of scalar expressions: fused where NumPy can, in place where memory dies."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tensorcalc.extents import Extent
from tensorcalc.operations.helpers import helper

from .node_kinds import kind_of
from .numpy_arrays import axis_index, transposed
from .numpy_scope import Scope, SizeText
from .program import Program
from .steps import Labels, Term, Value

helper("""
def selected(mask, x):
    # np.where(mask, x, 0) by bits, which is vectorised: entries that are left out may be infinite.
    if x.size < 4096 or x.dtype.kind != "f" or x.itemsize not in (4, 8):
        return np.where(mask, x, 0)
    bits = np.int32 if x.itemsize == 4 else np.int64
    return np.bitwise_and(np.negative(mask.view(np.int8)), x.view(bits)).view(x.dtype)
""")
helper("""
def sum_over_first(x, count):
    # The sum over the first axes; a matrix product where the others are short.
    rows = 1
    for size in x.shape[:count]:
        rows *= size
    if x.size < 4096 or x.size > 512 * rows or not x.flags.c_contiguous or x.dtype.kind != "f":
        return x.sum(axis=tuple(range(count)))
    return np.ones(rows, x.dtype).dot(x.reshape(rows, -1)).reshape(x.shape[count:])
""")

helper("""
def sum_over_last(x, count):
    # The sum over the last axes; a matrix product where they are short.
    columns = 1
    for size in x.shape[-count:]:
        columns *= size
    if x.size < 4096 or columns > 512 or not x.flags.c_contiguous or x.dtype.kind != "f":
        return x.sum(axis=tuple(range(-count, 0)))
    return x.reshape(-1, columns).dot(np.ones(columns, x.dtype)).reshape(x.shape[:-count])
""")

ATOM, PRODUCT, SUM = 3, 2, 1
#: Functions behind the operators.
FUNCTIONS = {"+": "np.add", "-": "np.subtract", "*": "np.multiply", "/": "np.divide"}


def sum_text(text: str, axes: Sequence[int], rank: int) -> str:
    """The text of a sum over some axes of an array."""
    first = next((k for k, axis in enumerate(axes) if axis != k), len(axes))
    last = [*range(rank - len(axes) + first, rank)]
    if not first or [*axes[first:]] != last:
        return f"{text}.sum(axis={axes[0] if len(axes) == 1 else tuple(axes)})"
    inner = f"sum_over_last({text}, {len(last)})" if last else text
    return f"sum_over_first({inner}, {first})"


class Piece(NamedTuple):
    """Text of an array: its labels, how tightly it binds, and the local name that may be reused.

    ``fresh`` says that the text makes an array of its own rather than a view; ``call`` is the text
    as a function of operands, to which an ``out=`` can be added.
    """

    text: str
    labels: Labels = ()
    level: int = ATOM
    owned: str = ""
    fresh: bool = False
    call: str = ""

    def at(self, level: int) -> str:
        """The text, in parentheses where ``level`` binds tighter."""
        return self.text if self.level >= level else f"({self.text})"


class TermWriter(Scope):
    """Writes the scalar expressions of nests."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.order: Labels = ()
        self.loads: list[Value] = []
        #: Extents of the result while its term is written, where temporaries come from the pool.
        self.whole: Any = None

    def spelled(self, operation: Any, arguments: Sequence[str], params: Any) -> str:
        """A row's NumPy spelling; extents among its parameters as local sizes."""
        values = {
            name: SizeText(self.size(value)) if isinstance(value, Extent) else value
            for name, value in params
        }
        return operation.spelled("numpy", *arguments, **values)

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
        once = sum(self.base(other) is value for other in self.loads) == 1
        return Piece(text, ordered, ATOM, text if reusable and once else "")

    def _constant(self, term: Term) -> Piece:
        number = term.payload
        text = repr(number) if math.isfinite(number) else f"np.{number}".replace("np.-", "-np.")
        return Piece(text, (), ATOM if number >= 0 else SUM)

    def _size(self, term: Term) -> Piece:
        text = self.size(term.payload)
        return Piece(text, (), ATOM if text.isalnum() else SUM)

    def _select(self, term: Term) -> Piece:
        mask, value = map(self.piece, term.arguments)
        labels = self.sorted_labels(mask, value)
        if value.text == "1" and mask.labels == labels:
            if not labels:
                return Piece(f"{self.dtype()}.type({mask.text})")
            return Piece(f"{mask.at(ATOM)}.astype({self.dtype()})", labels, ATOM, "", True)
        chosen = self.aligned(value, labels)
        if not value.labels:
            chosen = f"{self.dtype()}.type({value.text})"
        if value.labels and kind_of(term.arguments[1]) == "real":
            text = f"selected({self.aligned(mask, labels)}, {chosen})"
        else:
            text = f"np.where({self.aligned(mask, labels)}, {chosen}, 0)"
        return Piece(text, labels, ATOM, "", True)

    def _multiply(self, term: Term) -> Piece:
        below = [t for t in term.arguments if _is_reciprocal(t)]
        above = [t for t in term.arguments if not _is_reciprocal(t)]
        negative = [t for t in above if t.operator == "constant" and t.payload == -1]
        above = [t for t in above if not any(t is n for n in negative)]
        pieces = [("*", self.piece(t)) for t in above]
        pieces += [("/", self._operand(t.arguments[0])) for t in below]
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
        return Piece(f"-{piece.at(ATOM)}", piece.labels, PRODUCT, "", True)

    def _add(self, term: Term) -> Piece:
        signed = sorted(map(_signed, term.arguments), key=lambda item: item[0] < 0)
        result = self.piece(signed[0][1])
        if signed[0][0] < 0:
            result = self._negated(result)
        for sign, argument in signed[1:]:
            result = self._binary(result, "+" if sign > 0 else "-", self.piece(argument), SUM)
        return result

    def _binary(self, left: Piece, operator: str, right: Piece, level: int) -> Piece:
        """``left operator right``, in place where the left or a commuting right one is ours.

        Of two an argument that may be overwritten is chosen: it stays where it is.
        """
        labels = self.sorted_labels(left, right)
        given = right.owned in self.parameters or not left.owned
        if given and right.owned and right.labels == labels and operator in "+*":
            self.line(f"{right.owned} {operator}= {self.aligned(left, labels)}")
            return right
        left = self._pooled(left, labels)
        if left.owned and left.labels == labels:
            self.line(f"{left.owned} {operator}= {self.aligned(right, labels)}")
            return left
        if right.owned and right.labels == labels and operator in "+*":
            self.line(f"{right.owned} {operator}= {self.aligned(left, labels)}")
            return right
        first, second = self.aligned(left, labels, level), self.aligned(right, labels, level + 1)
        first_, second_ = self.aligned(left, labels), self.aligned(right, labels)
        call = f"{FUNCTIONS[operator]}({first_}, {second_}"
        return Piece(f"{first} {operator} {second}", labels, level, "", True, call)

    def _pooled(self, piece: Piece, labels: Labels) -> Piece:
        """A temporary as large as the result in memory of the pool, to be worked on in place."""
        if self.whole is None or not piece.call or piece.owned or piece.labels != labels:
            return piece
        if labels != self.order:
            return piece
        name = self.allocated(piece.call, self.whole)
        return Piece(name, labels, ATOM, name)

    def _apply(self, term: Term) -> Piece:
        operation, params = term.payload
        pieces = [self._operand(argument) for argument in term.arguments]
        if operation.name == "where" and all(t.operator == "constant" for t in term.arguments[1:]):
            pieces[1] = Piece(f"{self.dtype()}.type({pieces[1].text})")  # not an array of integers
        labels = self.sorted_labels(*pieces)
        template = _template(operation, dict(params))
        if labels and operation.result == "real" and _is_ufunc(template):
            return self._in_place(template[:-5], pieces[0])
        levels = _levels(template, len(pieces))
        texts = [self.aligned(p, labels, level) for p, level in zip(pieces, levels, strict=True)]
        text = self.spelled(operation, texts, params)
        if text.startswith("(") and _closes(text) == len(text) - 1:
            return Piece(text[1:-1], labels, 0, "", True)
        level = ATOM if _is_call(text) else 0
        return Piece(text, labels, level, "", True)

    def _operand(self, term: Term) -> Piece:
        """An operand of a function; a size as a float, whose powers may be negative."""
        if term.operator == "size":
            return Piece(f"{self.dtype()}.type({self.size(term.payload)})")
        return self.piece(term)

    def _in_place(self, function: str, piece: Piece) -> Piece:
        """A function of a temporary overwrites it."""
        name = piece.owned
        if piece.fresh and not name:
            name = self.bind(piece.text)
        if not name:
            text = f"{function}({piece.text}"
            return Piece(f"{text})", piece.labels, ATOM, "", True, text)
        self.line(f"{function}({name}, out={name})")
        return Piece(name, piece.labels, ATOM, name)


def _is_call(text: str) -> bool:
    """Whether the text is one call of a function and nothing beside it."""
    match = re.match(r"[\w.]+\(", text)
    return match is not None and match.end() - 1 + _closes(text[match.end() - 1 :]) == len(text) - 1


def _closes(text: str) -> int:
    """Where the parenthesis that opens ``text`` closes."""
    depth = 0
    for k, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return k
    return -1


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
    bare = {int(m.group(2)) for m in re.finditer(r"([(,])\s*\{(\d)\}(?=\s*[),])", template)}
    return [0 if k in bare and template.count(f"{{{k}}}") == 1 else ATOM for k in range(count)]
