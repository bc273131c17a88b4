"""A Program to a launch plan: every step becomes kernels or calls of a library, in order.

Views, indicators and small scalar expressions are no steps of the plan: whoever reads them loads
through them. A contraction is a kernel where it is small, a matrix with a vector, or a batch of
short sums; pairwise sums share what they read, and pairwise values that are too large exist for a
block of rows; sizes decide, and the plan notes each decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from tensorcalc.extents import same_extents

from ..host_calls import with_host_calls
from ..nest_fusion import fused
from ..prefix_sums import prefix_sums
from ..program import Program, step_text
from ..steps import (
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
    load,
)
from .actions import Action, Buffer, Copy, Fill, HostCall, Launch
from .blocks import Blocked, in_blocks, with_regions
from .contractions import as_nest, groups_of, matrix_product
from .decompositions import decomposed, is_decomposition
from .elementwise import copied, elementwise, gather, insertion, scatter
from .memory_roles import Roles
from .pairs import ROWS, Pairs, goes_with, pair_sums, pairs_of, sum_of_pairs
from .panels import Panels, panels
from .plan import Plan, Smallness
from .product_choice import tiled, way
from .reductions import FEW, everything, reduction
from .row_operations import one_hot, row_operation
from .scalars import with_scalars_inlined
from .scalings import Scaled, with_scalings_inlined
from .terms import Known, Place, can_say


def prepared(program: Program) -> Program:
    """The program as kernels want it: fused, with what they cannot say between them."""
    return with_scalars_inlined(fused(with_host_calls(prefix_sums(program), can_say)))


def plan_of(program: Program, sizes: Mapping[str, int] | None = None) -> Plan:
    """The launch plan of a program; ``sizes`` are those it shall be good for, any if not given."""
    is_small = Smallness(sizes or {})
    found = with_regions(prepared(program), is_small)
    maker = PlanMaker(with_scalings_inlined(found), is_small)
    maker.run()
    maker.plan.verify()
    return maker.plan


class PlanMaker:
    """One pass over the steps."""

    def __init__(self, program: Program, is_small: Smallness) -> None:
        self.program = program
        self.is_small = is_small
        self.plan = Plan(decisions=is_small.decisions)
        self.makers: dict[Value, Step] = {step.value: step for step in program.steps}
        #: Where values lie.
        self.places: dict[Value, Place] = {}
        self.known = Known(self.makers, self.places)
        self.roles = Roles(program)
        #: Products in tiles by what they write, and values that they take along.
        self.panels: dict[Value, Panels] = {}
        self.absorbed: set[Value] = set()
        self.copies: dict[Any, Buffer] = {}
        self.decomposed: set[Value] = set()
        self.position = 0

    def run(self) -> None:
        """Every step in order, then results that are still views."""
        write: dict[type, Any] = {
            Input: self._input,
            Blocked: lambda step: in_blocks(self, step),
            Nest: self._nest,
            Contract: self._contract,
            Scaled: self._contract,
            Insert: self._insert,
            Gather: self._gather,
            Scatter: self._scatter,
            Reshape: self._reshape,
            Call: self._call,
        }
        for found in tiled(self.program, self.roles, self.is_small):
            self.panels[found.value] = found
            self.absorbed |= {found.step.value, *found.before} - {found.value}
        for position, step in enumerate(self.program.steps):
            self.position = position
            before = len(self.plan.actions)
            if step.value in self.panels:
                found = self.panels[step.value]
                self._launch(panels(found, self.buffer(step.value), self.known))
            elif type(step) in write and step.value not in self.roles.inlined | self.absorbed:
                write[type(step)](step)
            self._commented(before, step)
        self.plan.results = [self._result(k) for k in range(len(self.program.outputs))]

    def _commented(self, before: int, step: Step) -> None:
        for action in self.plan.actions[before:]:
            if isinstance(action, Launch):
                object.__setattr__(action, "comment", action.comment or step_text(step))

    # -- memory -----------------------------------------------------------------------------
    def buffer(self, value: Value) -> Buffer:
        """The buffer that a value is made in, its axes in order."""
        buffer = self.roles.buffer(value)
        self.places[value] = buffer, tuple(range(value.ndim))
        return buffer

    def workspace(self, name: str, extents: Sequence[Any], kind: Any = "real") -> Buffer:
        """Memory that belongs to no value."""
        return Buffer(name, tuple(extents), kind)

    def memory(self, value: Value) -> Place | None:
        """Where an array of real numbers lies as such, also if a view orders its axes anew."""
        if value.kind != "real":
            return None
        if value in self.places:
            return self.places[value]
        step = self.makers[value]
        if isinstance(step, View) and (labels := _permutation(step)) is not None:
            found = self.memory(step.source)
            if found is not None:
                return found[0], tuple(labels[axis] for axis in found[1])
        return None

    def laid_out(self, value: Value) -> Buffer:
        """The value in memory, its axes in order; a copy if it does not lie so."""
        if value in self.places and self.places[value][1] == tuple(range(value.ndim)):
            return self.places[value][0]
        if value not in self.copies:
            copy = self.workspace(f"{value.name}_copy", value.extents, value.kind)
            self._launch(elementwise(copied(value), copy, self.known))
            self.copies[value] = copy
        return self.copies[value]

    def permuted(self, value: Value, own: Labels, order: Sequence[int]) -> Buffer:
        """A copy of an array as real numbers with its axes in an order."""
        axes = tuple(own.index(label) for label in order)
        key = value, axes
        if key not in self.copies:
            extents = tuple(value.extents[axis] for axis in axes)
            target = Value(f"{value.name}_copy", extents)
            copy = self.workspace(f"{value.name}_copy{len(self.copies)}", extents)
            term = load(value, tuple(axes.index(axis) for axis in range(value.ndim)))
            if value.kind != "real":
                term = Term("select", (term, Term("constant", (), 1)))
            labels = tuple(range(len(axes)))
            nest = Nest(target, term, labels, (), dict(enumerate(extents)))
            self._launch(elementwise(nest, copy, self.known))
            self.copies[key] = copy
        return self.copies[key]

    def target(self, value: Value, in_order: bool, extents: Sequence[Any]) -> Buffer:
        """Where a matrix product is written: the value's own buffer, or one in another order."""
        if in_order:
            return self.buffer(value)
        return self.workspace(f"{value.name}_natural", extents)

    def settle(self, value: Value, buffer: Buffer, natural: Labels, wanted: Labels) -> None:
        """Note where a product lies; a result of the program is put in order."""
        if natural == wanted:
            return
        self.places[value] = buffer, tuple(wanted.index(label) for label in natural)

    def status(self) -> Buffer:
        """Where kernels report an index out of range."""
        if self.plan.status is None:
            self.plan.status = Buffer("status", (1,), "counter", "zeroed")
        return self.plan.status

    def _launch(self, *actions: Action) -> None:
        self.plan.actions.extend(actions)

    # -- steps ------------------------------------------------------------------------------
    def _input(self, step: Input) -> None:
        buffer = Buffer(step.value.name, step.value.extents, step.value.kind, "argument")
        self.plan.arguments.append(buffer)
        self.places[step.value] = buffer, tuple(range(step.value.ndim))

    def _nest(self, step: Nest) -> None:
        out = self.buffer(step.value)
        if not step.reduced or self.is_small([step.sizes[k] for k in step.reduced], FEW):
            self._launch(elementwise(step, out, self.known))
        elif found := self._pairs(step):
            self._sum_pairs(found, out)
        elif not step.output:
            self._launch(*everything(step, out, self.known))
        else:
            self._launch(*reduction(step, out, self.known, step.value.name))

    def _pairs(self, step: Nest) -> Pairs | None:
        """A pairwise sum for more rows than share what they read anyway."""
        found = pairs_of(step, self.known)
        return None if found is None or self.is_small(found.extents[:1], ROWS) else found

    def _sum_pairs(self, first: Pairs, out: Buffer) -> None:
        """A pairwise sum, and those over the same pairs whose arrays are there already."""
        if not first.nest.output:
            self._launch(sum_of_pairs(first, out))
            return
        found, outs, texts = [first], [out], [step_text(self.program.steps[self.position])]
        for step in self.program.steps[self.position + 1 :]:
            if self._can_be_made(step) and (other := pairs_of(step, self.known)):
                if goes_with(found, other):
                    found.append(other)
                    outs.append(self.buffer(step.value))
                    texts.append(step_text(step))
                    self.absorbed.add(step.value)
        self._launch(*pair_sums(found, outs, f"parts of {' and of '.join(texts)}"))

    def _can_be_made(self, step: Step) -> TypeGuard[Nest]:
        """Whether a sum that comes later could be made now."""
        free = step.value not in self.roles.inlined | self.absorbed | self.panels.keys()
        if not (free and isinstance(step, Nest) and step.reduced):
            return False
        made = all(self._is_made(value) for value in step.operands())
        return made and not self.is_small([step.sizes[k] for k in step.reduced], FEW)

    def _is_made(self, value: Value) -> bool:
        """Whether a value is in memory, or computed from what is."""
        step = self.makers[value]
        known = isinstance(step, Indicator) or (
            isinstance(step, View) and self._is_made(step.source)
        )
        return known or (
            value in self.places and value is not self.program.steps[self.position].value
        )

    def _contract(self, step: Contract) -> None:
        groups = groups_of(step)
        if groups is None or way(step, self.is_small) == "nest":
            self._nest(as_nest(step))
        else:
            matrix_product(self, step, groups)

    def _insert(self, step: Insert) -> None:
        core: Term = load(step.core, step.labels)
        maker = self.makers.get(step.core)
        if step.core in self.roles.inlined and isinstance(maker, Nest):
            core = maker.term.renamed(dict(zip(maker.output, step.labels, strict=True)))
        elif step.core.kind != "real":
            core = Term("select", (core, Term("constant", (), 1)))
        out = self.roles.buffer(step.value)
        if step.base is None:
            self._launch(Fill(out))
        elif self.places.get(step.base) != (out, tuple(range(step.value.ndim))):
            self._copied_into(step.base, out)
        self._launch(insertion(step, core, out, self.known))
        self.buffer(step.value)

    def _copied_into(self, value: Value, out: Buffer) -> None:
        """An array's entries, axes in order, into a buffer."""
        if value in self.places and self.places[value][1] == tuple(range(value.ndim)):
            self._launch(Copy(out, self.places[value][0]))
        else:
            self._launch(elementwise(copied(value), out, self.known))

    def _gather(self, step: Gather) -> None:
        out = self.buffer(step.value)
        self._launch(gather(step, out, self.status(), self.known))

    def _scatter(self, step: Scatter) -> None:
        out = self.buffer(step.value)
        launch = scatter(step, out, self.status(), self.known)
        self._launch(Fill(out), launch)

    def _reshape(self, step: Reshape) -> None:
        source = self.laid_out(step.source)
        value = step.value
        buffer = Buffer(value.name, value.extents, value.kind, source.role, source)
        self.places[value] = buffer, tuple(range(value.ndim))

    def _call(self, step: Call) -> None:
        if is_decomposition(step):
            decomposed(self, step)
            return
        if step.name == "one_hot":
            source = self.laid_out(step.arguments[0])
            out = self.buffer(step.value)
            self._launch(one_hot(step, source, out, self.status()))
            return
        arguments = [self.laid_out(value) for value in step.arguments]
        out = self.buffer(step.value)
        launch = row_operation(step, arguments[0], out)
        if launch is None:
            params = tuple(step.params)
            self._launch(HostCall(step.operation, tuple(arguments), out, params))
        else:
            self._launch(launch)

    def _result(self, number: int) -> Buffer:
        """The buffer that a result is returned in."""
        value = self.program.outputs[number]
        if value in self.places:
            buffer, axes = self.places[value]
            if buffer.role == "result" and axes == tuple(range(value.ndim)):
                taken = [result.memory for result in self.plan.results]
                if buffer.memory not in taken:
                    self.plan.results.append(buffer)
                    return buffer
        out = Buffer(f"{value.name}_result", value.extents, value.kind, "result")
        self._copied_into(value, out)
        self.plan.results.append(out)
        return out


def _permutation(step: View) -> list[int] | None:
    """The axis of the view that each axis of the source is, if it only orders whole axes anew."""
    labels = [form.label for form in step.axes]
    if None in labels or len(set(labels)) != len(labels) or len(labels) != step.value.ndim:
        return None
    known = [label for label in labels if label is not None]
    sizes = tuple(step.value.extents[label] for label in known)
    return known if step.inside and same_extents(sizes, step.source.extents) else None


__all__ = ["PlanMaker", "plan_of", "prepared"]
