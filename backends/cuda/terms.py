"""Scalar code of kernels: flat pointers with static index arithmetic, loads through views.

Names are canonical, so that equal kernels of different programs are one text: pointers are
``a, b, c, ...`` in the order of first use, sizes ``n0, n1, ...``, indices ``i0, i1, ...``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tensorcalc.extents import Extent, symbol
from tensorcalc.table import Operation

from ..numba_terms import SPELLINGS, NumbaTerms
from ..numba_terms import spelling as numba_spelling
from ..program import Program
from ..steps import Step, Term, Value
from .actions import Buffer

#: What spellings take for the greatest finite number; its text depends on the precision.
_GREATEST = float(np.finfo("float32").max)

#: Where a value lies: a buffer, and the axis of the value that each axis of the memory is.
Place = tuple[Buffer, tuple[int, ...]]


class Known(NamedTuple):
    """What values are: the step that makes each, and where those in memory lie."""

    makers: Mapping[Value, Step]
    places: Mapping[Value, Place]


def spelling(operation: Operation, params: Mapping[str, Any]) -> str:
    """The scalar template of a row in kernels, "" if there is none."""
    if operation.name in SPELLINGS or operation.name == "power":
        text = numba_spelling(operation, params)
    else:
        template = operation.cuda
        text = template(**params) if callable(template) else template
        for name, value in params.items():
            text = text.replace(f"{{{name}}}", repr(value))
    return text.replace("vm.", "").replace("np.", "")


def can_say(term: Term) -> bool:
    """Whether kernels have a spelling for the operation of a term."""
    operation, params = term.payload
    return bool(spelling(operation, dict(params)))


class KernelTerms(NumbaTerms):
    """Writes the scalar expressions of one kernel and notes which buffers and sizes they need."""

    def __init__(self, known: Known) -> None:
        super().__init__(Program(), "float32")  # numbers are written real(...) in both precisions
        self.makers = dict(known.makers)
        self.places = known.places
        #: Buffers by the name of their pointer, in the order of the arguments.
        self.pointers: dict[str, Buffer] = {}
        #: Symbols by the name of their argument.
        self.symbols: dict[str, str] = {}
        self.taken = set()

    def spelling(self, operation: Operation, params: Mapping[str, Any]) -> str:
        """CUDA's spelling."""
        return spelling(operation, params)

    def number(self, value: float) -> str:
        """A constant in either precision."""
        return "GREATEST" if value == _GREATEST else super().number(value)

    # -- arguments --------------------------------------------------------------------------
    def pointer(self, buffer: Buffer) -> str:
        """The name of a buffer that is read."""
        for name, known in self.pointers.items():
            if known is buffer:
                return name
        name = _letters(len(self.pointers))
        self.pointers[name] = buffer
        return name

    def size(self, extent: Any) -> str:
        """An extent in the names of integer arguments."""
        if not isinstance(extent, Extent):
            return str(extent)
        text = re.sub(r"(\w+)\*\*(\d+)", lambda m: "*".join([m[1]] * int(m[2])), str(extent))
        return re.sub(r"[A-Za-z_]\w*", lambda m: self._symbol(m.group()), text)

    def _symbol(self, name: str) -> str:
        for argument, known in self.symbols.items():
            if known == name:
                return argument
        argument = f"n{len(self.symbols)}"
        self.symbols[argument] = name
        return argument

    def numbers(self) -> tuple[Any, ...]:
        """The extents that integer arguments are."""
        return tuple(symbol(name) for name in self.symbols.values())

    # -- loads ------------------------------------------------------------------------------
    def load(self, value: Value, indices: Sequence[str]) -> str:
        """``value[indices]`` as text, through views and indicators."""
        if value not in self.places:
            return self.through(value, indices)
        buffer, axes = self.places[value]
        own = [indices[axis] for axis in axes]
        text = f"{self.pointer(buffer)}[{self.flat(own, [value.extents[a] for a in axes])}]"
        return f"({text} != 0)" if value.kind == "boolean" else text

    def flat(self, indices: Sequence[str], extents: Sequence[Any]) -> str:
        """The place of an entry in row-major memory, by Horner's scheme."""
        text = "0"
        for index, extent in zip(indices, extents, strict=True):
            if type(extent) is int and extent == 1:
                continue
            scaled = "" if text == "0" else f"{_atom(text)} * {self.integer(extent)} + "
            text = f"{scaled}{index}"
        return text

    def volume(self, extents: Sequence[Any]) -> str:
        """A product of extents."""
        known = [extent for extent in extents if not (type(extent) is int and extent == 1)]
        return " * ".join(map(self.integer, known)) or "1"


def _atom(text: str) -> str:
    return text if text.isidentifier() else f"({text})"


def _letters(number: int) -> str:
    """a, b, ..., w, a1, ...; x, y and z are places in the grid."""
    name = chr(ord("a") + number % 23)
    return name if number < 23 else f"{name}{number // 23}"


def stored(kind: str, text: str) -> str:
    """A value as its buffer keeps it."""
    if kind == "boolean":
        return f"uint8({text})"
    return f"int64({text})" if kind == "integer" else text
