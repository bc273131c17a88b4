"""``A' diag(d) A`` by syrk whatever the signs of ``d``: rows with negative weights apart.

With ``B = sqrt(|d|) A`` it is ``P'P - N'N``, where ``P`` are the rows of ``B`` whose weight is not
negative and ``N`` the others: half the operations of a product of two matrices. Weights that are
known to be nonnegative need no such step (:mod:`backends.grams`).
"""

from __future__ import annotations

from collections import Counter

from tensorcalc.operations.helpers import helper

from .cores import multiplied
from .program import Program
from .steps import SIGNED_GRAM, Call, Contract, Labels, Nest, Step, Term, Value


def signed_grams(program: Program) -> Program:
    """The program with products of a matrix and its weighted self as steps of their own."""
    nests = {step.value: step for step in program.steps if isinstance(step, Nest)}
    readers = Counter(v for step in program.steps for v in set(step.operands()))
    readers.update(program.outputs)
    steps: list[Step] = []
    gone: set[Value] = set()
    for step in program.steps:
        found = _parts(step, nests) if isinstance(step, Contract) else None
        if found is None:
            steps.append(step)
            continue
        matrix, weighted, weights = found
        steps += [weights, Call(step.value, SIGNED_GRAM, (matrix, weights.value))]
        if readers[weighted] == 1:
            gone.add(weighted)
    return program.with_steps(step for step in steps if step.value not in gone)


def _parts(step: Contract, nests: dict[Value, Nest]) -> tuple[Value, Value, Nest] | None:
    """The matrix, its weighted self and the weights, if that is what a contraction multiplies."""
    pairs = list(zip(step.operands(), step.subscripts, strict=True))
    for (matrix, own), (weighted, other) in (pairs, pairs[::-1]):
        if weighted not in nests or not _is_gram(own, other, step.output):
            continue
        nest = nests[weighted]
        weights = _weights(nest, matrix)
        if weights is not None:
            value = Value(f"{weighted.name}_weights", (matrix.extents[0],))
            row = nest.output[0]
            return matrix, weighted, Nest(value, weights, (row,), (), {row: nest.sizes[row]})
    return None


def _is_gram(own: Labels, other: Labels, output: Labels) -> bool:
    """Whether two matrices are contracted over their rows."""
    if len(own) != 2 or len(other) != 2 or own[0] != other[0] or own[1] == other[1]:
        return False
    return output in ((own[1], other[1]), (other[1], own[1]))


def _weights(nest: Nest, matrix: Value) -> Term | None:
    """``d[s]`` of a nest ``d[s] A[s,i]``."""
    if nest.reduced or nest.term.operator != "multiply" or nest.value.ndim != 2:
        return None
    own = [t for t in nest.term.arguments if t.operator == "load" and t.payload[0] is matrix]
    rest = [t for t in nest.term.arguments if not any(t is each for each in own)]
    if len(own) != 1 or own[0].payload[1] != nest.output or not rest:
        return None
    weights = multiplied(rest)
    return weights if weights.labels() == {nest.output[0]} else None


helper("""
def signed_gram(a, d):
    # a' diag(d) a; syrk takes half the operations, and four passes over a, which pays from about
    # this size (python -m benchmarks.thresholds).
    if a.shape[1] < 512:
        return a.T.dot(d[:, None] * a)
    b = np.sqrt(np.abs(d))[:, None] * a
    negative = d < 0
    if not negative.any():
        return b.T.dot(b)
    p, n = b[~negative], b[negative]
    out = p.T.dot(p)
    out -= n.T.dot(n)
    return out
""")
