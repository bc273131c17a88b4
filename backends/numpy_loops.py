"""Elementwise steps in a row as one loop of machine code, inside a program of NumPy calls.

An update by Adam is fourteen calls of NumPy, each a pass over memory; as one loop it is one pass,
four to eight times as fast. Arrays are taken as they lie in memory, flat, so that all steps that
compute the same of arrays of any shape share one loop, which numba compiles once per machine.
Results are written over arguments that may be overwritten: nothing is allocated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .disk_cache import loaded
from .numba_terms import Loops, NumbaTerms
from .numba_writer import HEAD, OPTIONS, can_say
from .numpy_arrays import transposed
from .program import Program
from .steps import Labels, Nest, Step, Term, Value, load

if TYPE_CHECKING:
    from .numpy_writer import NumpyWriter

#: Operations on entries, of all groups that share a loop, from which it is worth compiling.
WORTH = 2**20
#: Operations of a loop: longer ones compile slowly.
LONGEST = 96


class Operand(NamedTuple):
    """An array and the axis of it that runs along each axis of the group; none for a number."""

    value: Value
    axes: Labels


class LoopGroup(NamedTuple):
    """Elementwise steps over the same entries.

    ``operands`` come from outside. ``results`` are needed outside: expressions whose loads say the
    position of an operand, with the axis of the result that runs along each axis of the group,
    whose ``shape`` is that of most operands as they lie in memory.
    """

    steps: list[Nest]
    operands: list[Operand]
    results: list[tuple[Operand, Term]]
    shape: tuple[int, ...]

    def recipe(self) -> str:
        """The same text for groups that can share a loop."""
        return "; ".join(_numbered_form(term) for _, term in self.results)

    def work(self) -> int:
        """Operations on entries."""
        return sum(step.term.size() for step in self.steps) * math.prod(self.shape)


def loop_groups(program: Program, last_use: Mapping[Value, int]) -> dict[int, LoopGroup]:
    """The groups of a program that are worth a loop, by the position of their first step."""
    found: dict[int, LoopGroup] = {}
    position = 0
    while position < len(program.steps):
        group = _Collected()
        for step in program.steps[position:]:
            if not group.takes(step):
                break
        end = position + max(len(group.steps), 1)
        if group.is_loop():
            found[position] = group.finished(
                [s.value for s in group.steps if last_use.get(s.value, 0) >= end]
            )
        position = end
    work: Counter[str] = Counter()
    for loop in found.values():
        work[loop.recipe()] += loop.work()
    return {k: loop for k, loop in found.items() if work[loop.recipe()] >= WORTH}


class _Collected:
    """A group that grows step by step; its axes are those of the first."""

    def __init__(self) -> None:
        self.steps: list[Nest] = []
        #: For every value that has been met, the axis of the group that each of its axes is.
        self.known: dict[Value, Labels] = {}
        #: What every step makes, of operands.
        self.terms: dict[Value, Term] = {}

    def takes(self, step: Step) -> bool:
        """Add a step, if it does the same work for every entry of the group."""
        if not isinstance(step, Nest) or not _is_elementwise(step):
            return False
        places = self._placed(step)
        if places is None:
            return False
        loads = dict.fromkeys(step.term.loads())
        for value, labels in loads:
            if value in self.terms and self.known[value] != _at(labels, places):
                return False
        term = self._inlined(step.term, places)
        if term.size() > LONGEST:
            return False
        self.steps.append(step)
        self.terms[step.value] = term
        for value, labels in [*loads, (step.value, step.output)]:
            self.known.setdefault(value, _at(labels, places))
        return True

    def _placed(self, step: Nest) -> dict[int, int] | None:
        """The axes of the group along which the labels of a step run, None if it has others."""
        if not self.steps:
            return {label: k for k, label in enumerate(step.output)}
        first = self.steps[0].value.extents
        if len(step.output) != len(first):
            return None
        shared = [(self.known[v], own) for v, own in step.term.loads() if own and v in self.known]
        order, labels = shared[0] if shared else (tuple(range(len(first))), step.output)
        places = dict(zip(labels, order, strict=True))
        sizes = tuple(first[places[label]] for label in step.output)
        return places if sizes == step.value.extents else None

    def _inlined(self, term: Term, places: Mapping[int, int]) -> Term:
        """The term of operands, in an order that does not depend on their names."""
        if term.operator == "load":
            value, labels = term.payload
            if value in self.terms:
                return self.terms[value]
            return load(Operand(value, _inverse(_at(labels, places))), ())  # type: ignore[arg-type]
        arguments = [self._inlined(argument, places) for argument in term.arguments]
        if term.operator in ("add", "multiply"):
            arguments.sort(key=_form)
        return Term(term.operator, tuple(arguments), term.payload)

    def is_loop(self) -> bool:
        """Whether there are arrays to read and two operations to do."""
        operations = sum(step.term.size() for step in self.steps)
        return operations > 1 and any(own for step in self.steps for _, own in step.term.loads())

    def finished(self, needed: list[Value]) -> LoopGroup:
        """The group with its axes in the order in which most operands lie in memory."""
        needed = sorted(needed, key=lambda value: _form(self.terms[value]))
        loads = [x for value in needed for x, _ in self.terms[value].loads()]
        operands: list[Any] = list(dict.fromkeys(loads))
        ((best, _),) = Counter(x.axes for x in operands if x.axes).most_common(1)
        back = _inverse(best)

        def turned(operand: Operand) -> Operand:
            return Operand(operand.value, tuple(operand.axes[k] for k in back if operand.axes))

        slots = {operand: k for k, operand in enumerate(operands)}
        results = [
            (turned(Operand(v, _inverse(self.known[v]))), _numbered(self.terms[v], slots))
            for v in needed
        ]
        shape = tuple(self.steps[0].value.extents[k] for k in back)
        return LoopGroup(self.steps, [turned(x) for x in operands], results, shape)


def _at(labels: Labels, places: Mapping[int, int]) -> Labels:
    return tuple(places[label] for label in labels)


def _inverse(order: Labels) -> Labels:
    return tuple(order.index(k) for k in range(len(order)))


def _form(term: Term) -> str:
    """A term without the names of what it loads."""
    if term.operator == "load":
        return "entry" if term.payload[0].axes else "number"
    return _text(term, _form)


def _text(term: Term, argument: Callable[[Term], str]) -> str:
    is_apply = term.operator == "apply"
    payload = (term.payload[0].name, term.payload[1]) if is_apply else term.payload
    return f"{term.operator} {payload}({', '.join(map(argument, term.arguments))})"


def _numbered_form(term: Term) -> str:
    """A term with the numbers of what it loads."""
    return f"a{term.payload}" if term.operator == "load" else _text(term, _numbered_form)


def _numbered(term: Term, slots: Mapping[Any, int]) -> Term:
    def numbered(operand: Any, _: Labels) -> Term:
        slot: Any = slots[operand]
        return load(slot, (0,) if operand.axes else ())

    return term.with_loads(numbered)


def _is_elementwise(step: Nest) -> bool:
    """Whether every entry is real, of fixed shape, and made of one entry each of other arrays."""
    if step.reduced or not step.output or step.value.kind != "real":
        return False
    return (
        all(isinstance(extent, int) for extent in step.value.extents)
        and not any(_is_unspeakable(term) for term in step.term.walk())
        and all(_is_entry(step, *each) for each in step.term.loads())
    )


def _is_unspeakable(term: Term) -> bool:
    return term.operator == "size" or (term.operator == "apply" and not can_say(term))


def _is_entry(step: Nest, value: Value, labels: Labels) -> bool:
    return value.kind == "real" and (not labels or sorted(labels) == sorted(step.output))


# -- text -----------------------------------------------------------------------------------------
class LoopWriter:
    """Writes the call of a loop into the text of a writer."""

    def __init__(self, writer: NumpyWriter, group: LoopGroup, start: int) -> None:
        self.writer, self.group = writer, group
        self.end = start + len(group.steps)
        #: For every result the position of the operand whose memory it takes, or None.
        self.places: list[int | None] = []

    def write(self) -> None:
        """The call, and names for the results."""
        writer, group = self.writer, self.group
        for result, term in group.results:
            self.places.append(self._overwritten(result, {slot for slot, _ in term.loads()}))
        names = [self._target(place) for place in self.places]
        texts = [transposed(writer.names[x.value], list(x.axes)) for x in group.operands]
        arrays = [text for text, x in zip(texts, group.operands, strict=True) if x.axes]
        numbers = [text for text, x in zip(texts, group.operands, strict=True) if not x.axes]
        loop = writer.loop(Recipe([t for _, t in group.results], len(group.operands), self.places))
        lists = (f"[{', '.join(each)}]" for each in (arrays, numbers, names))
        writer.line(f"{loop}({', '.join(lists)})")
        for (result, _), name in zip(group.results, names, strict=True):
            self._named(result, name)

    def _overwritten(self, result: Operand, read: set[Any]) -> int | None:
        """An operand that dies with the group and lies in memory as the result shall.

        Of the arguments only what the result is made of: a parameter stays a parameter.
        """
        if not _in_order(result):
            return None
        free = [
            k
            for k, operand in enumerate(self.group.operands)
            if k not in self.places and self._is_free(operand)
        ]
        given = [k for k in free if self._is_argument(self.group.operands[k].value)]
        own = [k for k in given if k in read and len(self._readers(k)) == 1]
        rest = [k for k in given if k in read and k not in own]
        return next(iter([*own, *rest, *(k for k in free if k not in given)]), None)

    def _readers(self, slot: int) -> list[Operand]:
        return [r for r, term in self.group.results if any(s == slot for s, _ in term.loads())]

    def _is_argument(self, value: Value) -> bool:
        return value.name in self.writer.parameters

    def _is_free(self, operand: Operand) -> bool:
        writer, value = self.writer, operand.value
        dies = value in writer.owned and writer.last_use.get(value, 0) < self.end
        is_flat = self._is_argument(value) or value in writer.row_major
        return bool(operand.axes) and _in_order(operand) and dies and is_flat

    def _target(self, place: int | None) -> str:
        writer = self.writer
        if place is not None:
            return writer.names[self.group.operands[place].value]
        return writer.bind(f"empty({writer.shape(self.group.shape)}, {writer.dtype()})")

    def _named(self, result: Operand, name: str) -> None:
        """The result, seen from the array that has its entries."""
        writer, value = self.writer, result.value
        writer.owned.add(value)
        writer.names[value] = name
        if _in_order(result):
            writer.row_major.add(value)
        else:
            back = list(_inverse(result.axes))
            writer.names[value] = writer.bind(transposed(name, back))


def _in_order(operand: Operand) -> bool:
    return operand.axes == tuple(range(len(operand.axes)))


class Recipe(NamedTuple):
    """Terms of numbered operands, and which operand each is stored in, if not in a new array."""

    terms: list[Term]
    operands: int
    places: list[int | None]

    def source(self, precision: str) -> str:
        """The module of the loop: ``f(arrays..., numbers..., new arrays...)``."""
        loads: dict[Any, bool] = {s: bool(own) for term in self.terms for s, own in term.loads()}
        writer = _Terms(precision, loads)
        loops = Loops({0: 1}, 1)
        entries = [writer.term(writer.valued(term), loops) for term in self.terms]
        targets = [f"r{k}" if place is None else f"a{place}" for k, place in enumerate(self.places)]
        arrays = [f"a{k}" for k in range(self.operands) if loads[k]]
        numbers = [f"a{k}" for k in range(self.operands) if not loads[k]]
        new = [name for name in targets if name.startswith("r")]
        stores = [f"{name}[i0] = {entry}" for name, entry in zip(targets, entries, strict=True)]
        body = [f"    {line}" for line in loops.lines[0]]
        body += [f"    for i0 in range({arrays[0]}.size):"]
        body += [f"        {line}" for line in [*loops.lines[1], *stores]]
        head = f"@njit({OPTIONS})\ndef f({', '.join([*arrays, *numbers, *new])}):"
        return "\n".join([HEAD.format(precision=precision), "", head, *body, ""])


class _Terms(NumbaTerms):
    """Scalar code of terms of numbered operands."""

    def __init__(self, precision: str, loads: Mapping[int, bool]) -> None:
        super().__init__(Program(), precision)
        self.values: dict[int, Value] = {}
        for slot, is_array in loads.items():
            value = self.values[slot] = Value(f"a{slot}", (1,) if is_array else ())
            self.arrays[value] = value.name, (0,) if is_array else ()

    def valued(self, term: Term) -> Term:
        """A term with values in place of numbers."""
        return term.with_loads(lambda slot, own: load(self.values[slot], own))  # type: ignore[index]


class Loop:
    """``loop(arrays, numbers, results)``: compiled per precision when first called.

    Results that are among the arrays are overwritten where they are.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.new = [k for k, place in enumerate(recipe.places) if place is None]
        self.functions: dict[Any, Any] = {}

    def __call__(self, arrays: list[Any], numbers: list[Any], results: list[Any]) -> None:
        """Run over all entries, in the order of memory."""
        dtype = arrays[0].dtype
        if dtype not in self.functions:
            self.functions[dtype] = loaded(self.recipe.source(dtype.name)).f
        flat = [np.ascontiguousarray(x).reshape(-1) for x in arrays]
        new = [results[k].reshape(-1) for k in self.new]
        self.functions[dtype](*flat, *map(dtype.type, numbers), *new)
