"""One triangular factorization of a matrix for all that is asked of its inverse.

Inverse, determinant, its logarithm and solves begin alike, with ``A = P L U``, a third of the work
of an inverse. Steps that do so with one matrix, or with its transpose, share that beginning:
``factors`` packs the triangles, row by row, above a row with the order of the pivots. NumPy offers
no triangular factorization; the NumPy target, whose programs need nothing else, has no such step.
"""

from __future__ import annotations

from typing import TypeGuard

from .program import Program
from .steps import ASKED, ASKED_OF_TRANSPOSE, FACTORS, Affine, Call, Step, Value, View

#: A logarithm and a sign come of one call already.
TOGETHER = {"logdet", "sign_det"}
#: Axes of a transpose.
SWAPPED = (Affine(((1, 1),)), Affine(((0, 1),)))


def shared_factorizations(program: Program) -> Program:
    """The program with one factorization for each matrix that several steps factor."""
    work = _Sharing(program)
    if not work.shared:
        return program
    for step in program.steps:
        work.add(step)
    return program.with_steps(work.steps)


class _Sharing:
    def __init__(self, program: Program) -> None:
        self.steps: list[Step] = []
        self.made: dict[Value, Value] = {}
        self.views = {step.value: step for step in program.steps if isinstance(step, View)}
        asked: dict[Value, list[str]] = {}
        for step in program.steps:
            if _is_asked(step):
                asked.setdefault(self._matrix(step)[0], []).append(step.name)
        #: Matrices that several steps factor.
        self.shared = {
            matrix for matrix, names in asked.items() if len(names) > 1 and set(names) - TOGETHER
        }

    def add(self, step: Step) -> None:
        """The step, or what it asks of shared factors."""
        if not _is_asked(step):
            self.steps.append(step)
            return
        matrix, swapped = self._matrix(step)
        if matrix not in self.shared:
            self.steps.append(step)
            return
        if matrix not in self.made:
            size = matrix.extents[0]
            packed = Value(f"lu{len(self.made) + 1}", (size + 1, size))
            self.steps.append(Call(packed, FACTORS, (matrix,)))
            self.made[matrix] = packed
        name = (ASKED_OF_TRANSPOSE if swapped else ASKED)[step.name]
        self.steps.append(Call(step.value, name, (self.made[matrix], *step.arguments[1:])))

    def _matrix(self, step: Call) -> tuple[Value, bool]:
        """The matrix that a step factors, and whether the step has its transpose."""
        view = self.views.get(step.arguments[0])
        if view is not None and view.axes == SWAPPED and view.source.ndim == 2:
            return view.source, True
        return step.arguments[0], False


def _is_asked(step: Step) -> TypeGuard[Call]:
    """Whether the step is one of :data:`ASKED` of a single matrix of real numbers."""
    return (
        isinstance(step, Call)
        and step.name in ASKED
        and step.arguments[0].ndim == 2
        and all(value.kind == "real" for value in step.arguments)
    )
