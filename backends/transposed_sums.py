"""``(K + K') x`` as ``K x + K' x``, so that each product needs only rows of ``K``."""

from __future__ import annotations

from .program import Program
from .steps import Contract, Labels, Nest, Step, Term, Value, load


def split(program: Program, pairs: set[Value]) -> Program:
    """The program with contractions of sums of differently ordered pairwise values taken apart."""
    steps: list[Step] = []
    makers: dict[Value, Step] = {step.value: step for step in program.steps}
    sums = {value for value in pairs if _is_sum_of_orders(makers[value], pairs)}
    sums = {
        value
        for value in sums
        if all(
            isinstance(step, Contract) and step.left is not step.right
            for step in program.steps
            if value in step.operands()
        )
        and value not in program.outputs
    }
    for step in program.steps:
        if step.value in sums:
            continue
        own = [value for value in step.operands() if value in sums]
        if own and isinstance(step, Contract):
            steps += _apart(step, makers[own[0]], own[0])
        else:
            steps.append(step)
    if any(value in step.operands() for step in steps for value in sums):
        return program
    return program.with_steps(steps)


def _is_sum_of_orders(step: Step, pairs: set[Value]) -> bool:
    """Whether a step only adds up pairwise values, one of them in two orders of its axes."""
    if not isinstance(step, Nest) or step.reduced or step.term.operator != "add":
        return False
    parts = [_part(term) for term in step.term.arguments]
    found = [part for part in parts if part is not None and part[1] in pairs]
    if len(found) != len(parts):
        return False
    orders = {own for _, _, own in found}
    return len(orders) > 1 and all(set(own) == set(step.output) for own in orders)


def _part(term: Term) -> tuple[list[Term], Value, Labels] | None:
    """Constant factors and the one load of a product; None of anything else."""
    factors = list(term.arguments) if term.operator == "multiply" else [term]
    loads = [factor for factor in factors if factor.operator == "load"]
    constants = [factor for factor in factors if factor.operator == "constant"]
    if len(loads) != 1 or len(loads) + len(constants) != len(factors):
        return None
    return constants, *loads[0].payload


def _apart(step: Contract, maker: Step, value: Value) -> list[Step]:
    """One contraction for every term of the sum, and a nest that adds them up."""
    assert isinstance(maker, Nest)
    side = 0 if step.left is value else 1
    names = dict(zip(maker.output, step.subscripts[side], strict=True))
    made: list[Step] = []
    terms: list[Term] = []
    for number, term in enumerate(maker.term.arguments):
        part = _part(term)
        assert part is not None
        constants, source, own = part
        labels = tuple(names[label] for label in own)
        result = Value(f"{step.value.name}_{number}", step.value.extents)
        factors = [(step.left, step.subscripts[0]), (step.right, step.subscripts[1])]
        factors[side] = source, labels
        (left, left_labels), (right, right_labels) = factors
        made.append(Contract(result, left, right, (left_labels, right_labels), step.output))
        axes = tuple(range(step.value.ndim))
        terms.append(
            Term("multiply", (*constants, load(result, axes))) if constants else load(result, axes)
        )
    sizes = dict(enumerate(step.value.extents))
    output = tuple(sizes)
    return [*made, Nest(step.value, Term("add", tuple(terms)), output, (), sizes)]
