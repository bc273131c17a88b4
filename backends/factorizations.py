"""One triangular factorization of a matrix for all that is asked of its inverse.

Inverse, determinant, its logarithm and solves begin alike, with ``A = P L U``, a third of the work
of an inverse. Steps that do so with one matrix, or with its transpose, share that beginning:
``factors`` packs the triangles, row by row, above a row with the order of the pivots.
"""

from __future__ import annotations

from typing import TypeGuard

from tensorcalc.operations.helpers import helper

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
    result = Program(work.steps, program.outputs)
    result.verify()
    return result


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


# -- for NumPy ------------------------------------------------------------------------------------
helper("""
def lapack(name, a):
    # A routine for the precision of an array.
    return getattr(linalg.lapack, ("s" if a.dtype == np.float32 else "d") + name)
""")
helper("""
def factors(a):
    # The triangles of a' = P L U, column by column, and the pivots.
    size = len(a)
    packed = np.empty((size + 1, size), a.dtype)
    packed[:-1] = a
    if size:
        packed[-1] = lapack("getrf", a)(packed[:-1].T, overwrite_a=True)[1]
    return packed
""")
helper("""
def check_factors(packed):
    if not np.diagonal(packed).all():
        raise np.linalg.LinAlgError("Singular matrix")
""")
helper("""
def transposed_inverse_from_factors(packed):
    check_factors(packed)
    size = packed.shape[1]
    if not size:
        return packed[:-1].copy()
    getri = lapack("getri", packed)
    return getri(packed[:-1].T, packed[-1].astype(np.int32), lwork=64 * size)[0]
""")
helper("""
def inverse_from_factors(packed):
    return transposed_inverse_from_factors(packed).T
""")
helper("""
def sign_from_factors(packed):
    swaps = np.count_nonzero(packed[-1] != np.arange(packed.shape[1]))
    return np.prod(np.sign(np.diagonal(packed))) * packed.dtype.type(-1 if swaps % 2 else 1)
""")
helper("""
def det_from_factors(packed):
    return sign_from_factors(packed) * np.prod(np.abs(np.diagonal(packed)))
""")
helper("""
def logdet_from_factors(packed):
    with np.errstate(divide="ignore"):
        return np.log(np.abs(np.diagonal(packed))).sum()
""")
helper("""
def solve_transposed_from_factors(packed, b, trans=0):
    check_factors(packed)
    if not b.size:
        return b.copy()
    pivots = packed[-1].astype(np.int32)
    return lapack("getrs", packed)(packed[:-1].T, pivots, b, trans=trans)[0]
""")
helper("""
def solve_from_factors(packed, b):
    return solve_transposed_from_factors(packed, b, 1)
""")
