"""The Program: steps in single assignment, checked and printed with their costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .step_costs import cost
from .steps import (
    Affine,
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


class ProgramError(AssertionError):
    """A program that breaks its own rules: a bug of the library."""


@dataclass
class Program:
    """Steps in the order they run, and the values that are returned."""

    steps: list[Step] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)

    @property
    def inputs(self) -> list[Input]:
        """The arguments."""
        return [step for step in self.steps if isinstance(step, Input)]

    def with_steps(self, steps: Iterable[Step]) -> Program:
        """The same results by other steps, verified."""
        result = Program(list(steps), self.outputs)
        result.verify()
        return result

    def verify(self) -> None:
        """Check single assignment, definition before use, and the shapes of every step.

        Raises ProgramError, which is a bug of the library.
        """
        known: set[str] = set()
        for step in self.steps:
            for operand in step.operands():
                if operand.name not in known:
                    raise ProgramError(f"{step.value.name} reads {operand.name} before it is made")
            if step.value.name in known:
                raise ProgramError(f"{step.value.name} is assigned twice")
            known.add(step.value.name)
            _check_ranks(step)
        for output in self.outputs:
            if output.name not in known:
                raise ProgramError(f"output {output.name} is never made")

    def __str__(self) -> str:
        lines = [f"{step_text(step):<72} # {cost(step)}" for step in self.steps]
        return "\n".join([*lines, f"return {', '.join(v.name for v in self.outputs)}"])


def _check_ranks(step: Step) -> None:
    ranks_fit = True
    if isinstance(step, Nest):
        ranks_fit = len(step.output) == step.value.ndim and all(
            len(own) == value.ndim and len(set(own)) == len(own) for value, own in step.term.loads()
        )
        ranks_fit = ranks_fit and step.term.labels() <= {*step.output, *step.reduced}
    elif isinstance(step, Contract):
        pairs = zip(step.operands(), step.subscripts, strict=True)
        ranks_fit = all(value.ndim == len(own) for value, own in pairs)
        ranks_fit = ranks_fit and set(step.output) <= {*step.subscripts[0], *step.subscripts[1]}
    elif isinstance(step, View):
        ranks_fit = len(step.axes) == step.source.ndim
    elif isinstance(step, Insert):
        ranks_fit = len(step.axes) == step.value.ndim
    if not ranks_fit:
        raise ProgramError(f"ranks do not fit: {step_text(step)}")


# -- text -----------------------------------------------------------------------------------------
def label_text(labels: Labels) -> str:
    """Labels as letters i, j, k, ..."""
    return "".join(chr(ord("a") + (label + 8) % 26) for label in labels)


def affine_text(form: Affine) -> str:
    """An affine form as text."""
    parts = [
        label_text((label,)) if type(c) is int and c == 1 else f"{c}*{label_text((label,))}"
        for label, c in form.terms
    ]
    if not parts or type(form.offset) is not int or form.offset:
        parts.append(str(form.offset))
    return " + ".join(parts)


def term_text(term: Term) -> str:
    """A scalar expression as text."""
    arguments = [term_text(argument) for argument in term.arguments]
    if term.operator == "load":
        value, labels = term.payload
        return f"{value.name}[{','.join(label_text(labels))}]" if labels else value.name
    if term.operator in ("constant", "size"):
        return str(term.payload)
    if term.operator in ("add", "multiply"):
        return f"({(' + ' if term.operator == 'add' else ' * ').join(arguments)})"
    if term.operator == "apply":
        operation, params = term.payload
        arguments += [f"{name}={value}" for name, value in params]
        return f"{operation.name}({', '.join(arguments)})"
    return f"{term.operator}({', '.join(arguments)})"


def step_text(step: Step) -> str:
    """A step as text, without its cost."""
    return f"{step.value!r} = {_right_side(step)}"


def _right_side(step: Step) -> str:
    if isinstance(step, Nest):
        summed = f"sum[{label_text(step.reduced)}] " if step.reduced else ""
        return f"[{label_text(step.output)}] {summed}{term_text(step.term)}"
    if isinstance(step, Contract):
        left, right = map(label_text, step.subscripts)
        output = label_text(step.output)
        return f"contract {left},{right}->{output} of {step.left.name}, {step.right.name}"
    if isinstance(step, View):
        return f"view {step.source.name}[{', '.join(map(affine_text, step.axes))}]"
    if isinstance(step, (Gather, Scatter)):
        return _indexed_text(step)
    if isinstance(step, Reshape):
        return f"reshape {step.source.name}"
    if isinstance(step, Insert):
        base = step.base.name if step.base else "0"
        return f"insert {base}[{', '.join(map(affine_text, step.axes))}] += {step.core.name}"
    if isinstance(step, Call):
        extra = [f"{name}={value}" for name, value in step.params]
        return f"{step.name}({', '.join([v.name for v in step.arguments] + extra)})"
    if isinstance(step, Indicator):
        rows = [f"{row.low} <= {affine_text(row.form)} < {row.high}" for row in step.rows]
        return f"indicator {' and '.join(rows)}"
    return "argument"


def _indexed_text(step: Gather | Scatter) -> str:
    """Text of a gather or scatter; the selected label is replaced by the index."""

    def letters(labels: Labels) -> str:
        parts = [index if k == step.selected else label_text((k,)) for k in labels]
        return ",".join(parts)

    index = f"{step.index.name}[{','.join(label_text(step.index_labels))}]"
    output = label_text(step.output)
    if isinstance(step, Gather):
        return f"[{output}] gather {step.source.name}[{letters(step.labels)}]"
    core = f"{step.core.name}[{','.join(label_text(step.labels))}]"
    return f"[{output}] scatter [{letters(step.output)}] += {core}"
