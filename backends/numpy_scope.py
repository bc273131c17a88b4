"""Local names, sizes and lines of one generated function."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tensorcalc.extents import Extent

from .program import Program
from .steps import Reshape, Value, View


class SizeText(str):
    """The text of an extent where a parameter's value is expected."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Scope:
    """What the text of a function has so far: lines, names of values, sizes it must read off."""

    #: The module of array functions.
    module = "np"

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self.names: dict[Value, str] = {}
        #: Values whose memory belongs to the function and may be overwritten once they die.
        self.owned: set[Value] = set()
        self.sizes: set[str] = set()
        self.bases = _bases(program)
        self.last_use = _last_uses(program, self.bases)
        self.position = 0
        self.counter = 0
        #: How local names begin.
        self.prefix = "t"
        self.needs_dtype = False
        #: Whether elementwise results are written into arrays from ``empty``.
        self.pooled = False
        self.parameters = [step.value.name for step in program.inputs]
        self.taken = {*self.parameters, "np", "special", "linalg", "dtype", "jax", "jnp"}

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
        name = f"{self.prefix}{self.counter}"
        return self.fresh() if name in self.taken else name

    def line(self, text: str) -> None:
        """Add a line to the body."""
        self.lines.append(text)

    def bind(self, text: str) -> str:
        """Assign a text to a new name."""
        name = self.fresh()
        self.line(f"{name} = {text}")
        return name

    def allocated(self, call: str, extents: Sequence[Any]) -> str:
        """A new name for the result of a function written into memory of the pool."""
        name = self.bind(f"empty({self.shape(extents)}, {self.dtype()})")
        self.line(f"{call}, out={name})")
        return name

    def dtype(self) -> str:
        """The text of the precision of the inputs."""
        self.needs_dtype = True
        return "dtype"

    def base(self, value: Value) -> Value:
        """The value whose memory ``value`` is."""
        return self.bases.get(value, value)

    def dies(self, value: Value) -> bool:
        """Whether this step may overwrite ``value``: nobody reads it or a view of it later."""
        return value in self.owned and self.last_use.get(value, 0) <= self.position


def _bases(program: Program) -> dict[Value, Value]:
    """The value whose memory a view shares, for every view."""
    bases: dict[Value, Value] = {}
    for step in program.steps:
        if isinstance(step, (View, Reshape)):
            bases[step.value] = bases.get(step.source, step.source)
    return bases


def _last_uses(program: Program, bases: Mapping[Value, Value]) -> dict[Value, int]:
    """The last step that reads a value, itself or through views; outputs are read at the end."""
    last: dict[Value, int] = {}
    for position, step in enumerate(program.steps):
        for operand in step.operands():
            last[operand] = last[bases.get(operand, operand)] = position
    for value in program.outputs:
        last[value] = last[bases.get(value, value)] = len(program.steps)
    return last
