"""A Program as a readable Python function that needs NumPy alone.

Elementwise nests become NumPy expressions; a function of a temporary is written into that
temporary, an operand that dies is worked on in place, and NumPy itself reuses the memory of
unnamed intermediate results.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import Any

from tensorcalc.nodes import Variable
from tensorcalc.operations.helpers import imports, required
from tensorcalc.table import DECOMPOSITIONS

from .numpy_arrays import gather, indicator, insertion, scatter, view
from .numpy_contraction import contraction
from .numpy_groups import GroupWriter, group_from
from .numpy_loops import Loop, LoopWriter, Recipe, loop_groups
from .numpy_terms import ATOM, Piece, TermWriter, sum_text
from .program import Program
from .steps import (
    SIGNED_GRAM,
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

#: What is not selected may be infinite without a word.
QUIET = '@np.errstate(divide="ignore", invalid="ignore", over="ignore")\n'


class NumpyWriter(TermWriter):
    """Writes one Program."""

    def __init__(
        self,
        program: Program,
        name: str,
        returned: str,
        pooled: bool = False,
        donated: Container[Variable] = (),
        in_loops: bool = False,
    ) -> None:
        super().__init__(program)
        self.pooled = pooled
        #: Groups of steps that become compiled loops, by position; the loops by name.
        self.loop_groups = loop_groups(program, self.last_use) if in_loops else {}
        self.loops: dict[str, Loop] = {}
        #: Arguments that may be overwritten.
        self.donated = donated
        #: Values that lie in memory in the order of their axes, so that ravel is a view.
        self.row_major: set[Value] = set()
        self.is_contracted_row_major = False
        #: Values that are views through affine forms, mostly larger than what they show.
        self.windows: set[Value] = set()
        #: Names of decompositions of which several results are used.
        self.decompositions: dict[Any, str] = {}
        #: Sizes that no argument's shape gives: arguments themselves.
        self.open_symbols: list[str] = []
        self.function_name = name
        self.returned = returned

    def source(self) -> str:
        """The whole text: imports, helpers, the function."""
        steps, position = self.program.steps, 0
        while position < len(steps):
            self.position = position
            position += self._group(position) or self._single(steps[position])
        self.open_symbols = sorted(self.sizes - self.size_names().keys())
        self.parameters += self.open_symbols
        results = [self.names[value] for value in self.program.outputs]
        returned = self.returned.format(*results)
        lines = released(self.lines, returned) if self.pooled else self.lines
        body = "\n".join(f"    {line}" for line in [*self._head(), *lines])
        guard = QUIET if self._is_risky() else ""
        text = guard + (
            f"def {self.function_name}({', '.join(self.parameters)}):\n{body}\n"
            f"    return {returned}\n"
        ).replace("\n\n", "\n")
        helpers = "\n\n".join(required(text).values())
        helpers = f"{helpers}\n\n" if helpers else ""
        allocator = "\nempty = np.empty\n" if "empty(" in text.replace("np.empty(", "") else ""
        return "\n".join(imports(text + helpers)) + f"\n{allocator}\n\n" + helpers + text

    def _group(self, position: int) -> int:
        """Write the steps from a position that go together; gives how many they are."""
        if position in self.loop_groups:
            LoopWriter(self, self.loop_groups[position], position).write()
            return len(self.loop_groups[position].steps)
        group = group_from(self.program.steps, position) if self.pooled else []
        if group:
            GroupWriter(self, group, position).write()
        return len(group)

    def _single(self, step: Step) -> int:
        self._step(step)
        return 1

    def loop(self, recipe: Recipe) -> str:
        """The name of a loop, which whoever runs the text has to provide."""
        known = next((n for n, loop in self.loops.items() if loop.recipe == recipe), None)
        name = known or f"loop{len(self.loops) + 1}"
        if known is None:
            self.loops[name] = Loop(recipe)
        return name

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
        """Sizes and the precision, as far as the body needs them."""
        known = self.size_names()
        lines = [f"{name} = {text}" for name, text in known.items() if name in self.sizes]
        if self.needs_dtype:
            floats = [step.value.name for step in self.program.inputs if step.value.kind == "real"]
            lines.append(f"dtype = {floats[0]}.dtype" if floats else "dtype = np.dtype(float)")
        return lines

    # -- steps ------------------------------------------------------------------------------
    def _step(self, step: Step) -> None:
        """Write a step and note what its value is called and whose memory it is."""
        value = step.value
        if isinstance(step, Input):
            self.names[value] = value.name
            if step.variable in self.donated:
                self.owned.add(value)
            return
        self.names[value] = self._written(step)
        if not isinstance(step, (View, Reshape, Indicator)):
            self.owned.add(value)
        if self._is_row_major(step):
            self.row_major.add(value)

    def _written(self, step: Step) -> str:
        """The text by which a step's value is known after its lines."""
        if isinstance(step, Nest):
            return self._nest(step)
        if isinstance(step, Contract):
            text, self.is_contracted_row_major = contraction(self, step)
            return self.bind(text)
        if isinstance(step, Call):
            return self._call(step)
        if isinstance(step, Reshape):
            shape = self.shape(step.value.extents)
            return self.bind(f"{self.names[step.source]}.reshape{shape}")
        write: Any = {
            View: view,
            Insert: insertion,
            Gather: lambda *own: self.bind(gather(*own)),
            Scatter: scatter,
            Indicator: lambda *own: self.bind(indicator(*own)),
        }[type(step)]
        return write(self, step)

    def _is_row_major(self, step: Step) -> bool:
        if isinstance(step, Nest):
            return all(self._keeps_order(step, *each) for each in step.term.loads())
        if isinstance(step, Contract):
            return self.is_contracted_row_major
        return isinstance(step, Insert) and (step.base is None or step.base in self.row_major)

    def _keeps_order(self, step: Nest, value: Value, labels: Labels) -> bool:
        """Whether a load does not talk NumPy into another memory order for the result."""
        if value.ndim < 2:
            return True
        in_order = [label for label in step.output if label in labels]
        return value in self.row_major and in_order == [k for k in labels if k in step.output]

    def _call(self, step: Call) -> str:
        arguments = [self.names[argument] for argument in step.arguments]
        if isinstance(step.operation, str):
            module = "" if step.operation == SIGNED_GRAM else "np.linalg."
            return self.bind(f"{module}{step.operation}({', '.join(arguments)})")
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

    def _nest(self, step: Nest) -> str:
        self.order = _order(step)
        self.loads = [value for value, _ in step.term.loads()]
        self.whole = step.value.extents if self.pooled and not step.reduced else None
        piece = self.piece(step.term)
        self.whole = None
        if step.reduced:
            return self.bind(self._summed(piece, step.reduced))
        if piece.labels != step.output:
            return self._spread(piece, step)
        if piece.owned:
            return piece.owned
        if step.term.operator in ("constant", "size") and step.value not in self.program.outputs:
            return piece.at(ATOM)
        if step.term.operator in ("load", "constant", "size"):
            return self.bind(self._copied(piece))
        if self.pooled and piece.call and step.value.kind == "real":
            return self.allocated(piece.call, step.value.extents)
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
        return sum_text(piece.at(ATOM), axes, len(piece.labels))

    def _spread(self, piece: Piece, step: Nest) -> str:
        """A result that is the same along some of its axes, written out."""
        shape = self.shape(step.value.extents)
        if piece.text == "0":
            return self.bind(f"np.zeros({shape}, {self.dtype()})")
        if piece.text == "1":
            return self.bind(f"np.ones({shape}, {self.dtype()})")
        empty = "empty" if self.pooled else "np.empty"
        name = self.bind(f"{empty}({shape}, {self.dtype()})")
        self.line(f"{name}[...] = {self.aligned(piece, step.output)}")
        return name


def _order(step: Nest) -> Labels:
    """Labels in the order of an array that has them all, if results come out in their own order."""
    for _, own in step.term.loads() if step.reduced else ():
        in_order = tuple(label for label in own if label in step.output) == step.output
        if len(own) == len(step.output) + len(step.reduced) and in_order:
            return own
    return (*step.output, *step.reduced)


def released(lines: Sequence[str], returned: str) -> list[str]:
    """Lines that give arrays up after the last line that needs them, for others to reuse."""
    last: dict[str, int] = {}
    for k, line in enumerate(lines):
        last.update(dict.fromkeys(re.findall(r"\bt\d+\b", line), k))
    kept = set(re.findall(r"\bt\d+\b", returned))
    dying: dict[int, list[str]] = {}
    for name, k in last.items():
        if name not in kept:
            dying.setdefault(k, []).append(name)
    result = []
    for k, line in enumerate(lines):
        result += [line, f"del {', '.join(dying[k])}"] if k in dying else [line]
    return result


def _is_real_function(term: Term) -> bool:
    return term.operator == "apply" and term.payload[0].result == "real"


def _is_where(term: Term) -> bool:
    return term.operator == "apply" and term.payload[0].name == "where"
