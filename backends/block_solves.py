"""Solves with block diagonal matrices, block by block.

Hessians in which the rows of a parameter do not meet are written as ``p`` blocks of ``w`` by ``w``
into zeros: entry ``(w*p + i, w*p + j)`` is ``core[p, i, j]``. Solving with each block takes
``p w^3`` operations instead of ``p^3 w^3``, and the matrix is not stored. Where all blocks are
equal, the matrix is ``δ ⊗ B``, and one factorization of ``B`` serves all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tensorcalc.cost import volume
from tensorcalc.deltas import always_inside
from tensorcalc.extents import same_extents

from .factorizations import SWAPPED
from .liveness import read_steps
from .program import Program
from .steps import Affine, Call, Insert, Reshape, Step, Value, View


class Blocks(NamedTuple):
    """What writes a block diagonal matrix; ``labels`` number the blocks in each of the steps."""

    steps: list[Insert]
    labels: list[int]
    count: Any
    size: Any

    @property
    def equal(self) -> bool:
        """Whether no block differs from the others."""
        pairs = zip(self.steps, self.labels, strict=True)
        return all(label not in step.labels for step, label in pairs)


def block_solves(program: Program) -> Program:
    """The program with solves by blocks where the matrix is of blocks and nothing else needs it.

    >>> import numpy as np, tensorcalc as tc, backends
    >>> from tensorcalc.numpy_protocol.creation import identity
    >>> B, x = tc.variables("B: k k, x: n k")
    >>> whole = np.kron(identity(x.shape[0]), B)
    >>> f = backends.compile(np.linalg.solve(whole, x.reshape(-1)))
    >>> next(step for step in f.program.steps if isinstance(step, Call)).arguments[0]
    B[k, k]
    """
    calls = [step for step in program.steps if isinstance(step, Call) and step.name == "solve"]
    if not calls:
        return program
    work = _Rewriting(program)
    found = {step: each for step in calls if (each := work.blocks_of(step)) is not None}
    if not found:
        return program
    for step in program.steps:
        if isinstance(step, Call) and step in found:
            work.solve(step, *found[step])
        elif isinstance(step, Reshape):
            work.reshape(step.value, step.source)
        else:
            work.steps.append(step)
    return program.with_steps(read_steps(work.steps, program.outputs))


class _Rewriting:
    def __init__(self, program: Program) -> None:
        self.steps: list[Step] = []
        self.makers = {step.value: step for step in program.steps}
        self.readers = Counter(v for step in program.steps for v in set(step.operands()))
        self.readers.update(program.outputs)
        #: Arrays before they were reshaped.
        self.sources: dict[Value, Value] = {}
        self.count = 0

    def blocks_of(self, step: Call) -> tuple[Blocks, bool] | None:
        """The blocks of the matrix that a step solves with, and whether they are transposed."""
        matrix = step.arguments[0]
        maker = self.makers[matrix]
        swapped = isinstance(maker, View) and maker.axes == SWAPPED
        chain = self._chain(maker.source if isinstance(maker, View) and swapped else matrix)
        alone = not swapped or self.readers[matrix] == 1
        blocks = _blocks(chain) if chain and alone and matrix.ndim == 2 else None
        return None if blocks is None else (blocks, swapped)

    def _chain(self, value: Value | None) -> list[Insert]:
        """The steps that write an array into zeros, if nobody else reads what is between."""
        chain: list[Insert] = []
        while value is not None:
            step = self.makers[value]
            if not isinstance(step, Insert) or self.readers[value] != 1:
                return []
            chain.insert(0, step)
            value = step.base
        return chain

    def solve(self, step: Call, blocks: Blocks, swapped: bool) -> None:
        """The solution, block by block."""
        matrix = self._matrix(blocks, swapped)
        side = step.arguments[1]
        columns = side.extents[1:]
        order = (1, 0, 2)[: 2 + len(columns)]
        if not blocks.equal:
            wide = self._reshaped(side, (blocks.count, blocks.size, *(columns or (1,))))
            result = self._solved(matrix, wide)
        else:
            parts = self._reshaped(side, (blocks.count, blocks.size, *columns))
            turned = self._turned(parts, order)
            wide = self._reshaped(turned, (blocks.size, volume((blocks.count, *columns))))
            found = self._reshaped(self._solved(matrix, wide), turned.extents)
            result = self._turned(found, order)
        self.reshape(step.value, result)

    def reshape(self, value: Value, source: Value) -> None:
        """A value as the entries of another; a reshape of a reshape is one."""
        source = self.sources.get(source, source)
        self.sources[value] = source
        self.steps.append(Reshape(value, source))

    def _matrix(self, blocks: Blocks, swapped: bool) -> Value:
        """The block, or all of them."""
        base: Value | None = None
        for step, label in zip(blocks.steps, blocks.labels, strict=True):
            axes = [_without(form, label) for form in (step.axes[::-1] if swapped else step.axes)]
            sizes = dict(step.sizes)
            extents = [blocks.size, blocks.size]
            if blocks.equal:
                del sizes[label]
            else:
                axes.insert(0, Affine(((label, 1),)))
                extents.insert(0, blocks.count)
            placed = self._placed(step, axes, extents) if len(blocks.steps) == 1 else None
            if placed is not None:
                return placed
            value = self._value(extents)
            self.steps.append(Insert(value, base, step.core, step.labels, tuple(axes), sizes))
            base = value
        assert base is not None
        return base

    def _placed(self, step: Insert, axes: Sequence[Affine], extents: Sequence[Any]) -> Value | None:
        """The core itself where it fills the array, its axes in their order."""
        labels = [form.label for form in axes]
        full = sorted(map(str, labels)) == sorted(map(str, step.labels))
        own = tuple(step.sizes[k] for k in labels if k is not None)
        if not full or not same_extents(own, tuple(extents)):
            return None
        return self._turned(step.core, tuple(labels.index(label) for label in step.labels))

    def _turned(self, source: Value, order: Sequence[int]) -> Value:
        """The array with its axis ``k`` in the place ``order[k]``."""
        if list(order) == sorted(order):
            return source
        extents = [source.extents[order.index(k)] for k in range(source.ndim)]
        value = self._value(extents)
        self.steps.append(View(value, source, tuple(Affine(((k, 1),)) for k in order)))
        return value

    def _reshaped(self, source: Value, extents: tuple[Any, ...]) -> Value:
        source = self.sources.get(source, source)
        if same_extents(source.extents, extents):
            return source
        value = self._value(extents)
        self.reshape(value, source)
        return value

    def _solved(self, matrix: Value, side: Value) -> Value:
        value = self._value(side.extents)
        self.steps.append(Call(value, "solve", (matrix, side)))
        return value

    def _value(self, extents: Sequence[Any]) -> Value:
        self.count += 1
        return Value(f"b{self.count}", tuple(extents))


def _blocks(chain: Sequence[Insert]) -> Blocks | None:
    """The blocks that steps write, if all write blocks of one size."""
    found = [_block_label(step) for step in chain]
    sizes = [None if each is None else each[1] for each in found]
    if any(size is None or not same_extents((size,), (sizes[0],)) for size in sizes):
        return None
    labels = [each[0] for each in found if each is not None]
    return Blocks(list(chain), labels, chain[0].sizes[labels[0]], sizes[0])


def _block_label(step: Insert) -> tuple[int, Any] | None:
    """The label that moves along the diagonal from block to block, and the size of a block."""
    first, second = (dict(form.terms) for form in step.axes)
    for label, size in first.items():
        diagonal = isinstance(size, int) and size == 1
        if diagonal or label not in second or not same_extents((size,), (second[label],)):
            continue
        forms = [_without(form, label) for form in step.axes]
        fits = same_extents((size * step.sizes[label],), step.value.extents[:1])
        if fits and all(_inside(form, step.sizes, size) for form in forms):
            return label, size
    return None


def _inside(form: Affine, sizes: Mapping[Any, Any], size: Any) -> bool:
    return always_inside(dict(form.terms), form.offset, sizes, size)


def _without(form: Affine, label: int) -> Affine:
    return Affine(tuple(term for term in form.terms if term[0] != label), form.offset)
