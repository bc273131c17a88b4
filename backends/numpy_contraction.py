"""NumPy text of a pairwise contraction: dot and matmul where BLAS can take it, else einsum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import numpy_blocks  # noqa: F401 - registers the helpers
from .numpy_arrays import axis_index, subscript_text, transposed
from .numpy_terms import sum_text
from .steps import Contract, Labels

if TYPE_CHECKING:
    from .numpy_writer import NumpyWriter

#: Entries of a result from which it is put into memory that others have given up: from fewer bytes
#: on the pool has none (``python -m benchmarks.thresholds given_memory``).
LARGE = 2**18


def contraction(writer: NumpyWriter, step: Contract) -> tuple[str, bool]:
    """The text of ``left, right -> output``, and whether the result is surely row-major.

    NumPy's dot takes transposed views without a copy, and syrk when both operands are views of
    one array.
    """
    work = _Work(writer, step)
    summed = [x for x in work.left if x in work.right and x not in step.output]
    if not summed:
        return work.elementwise(), False
    batch = [x for x in work.left if x in work.right and x in step.output]
    rows = [x for x in work.left if x not in work.right]
    columns = [x for x in work.right if x not in work.left]
    if not rows and not columns:
        return (work.einsum() if batch else work.inner(summed)), False
    if batch:
        text = work.batched(batch, rows, summed, columns)
    elif work.has_windows and rows and columns:
        text = work.by_blocks(rows, summed, columns)
    else:
        text = work.matrix(rows, summed, columns)
    natural = [*batch, *rows, *columns]
    if len(rows) > 1 or len(columns) > 1:
        text = f"{text}.reshape({', '.join(writer.size(work.sizes[x]) for x in natural)})"
    order = [natural.index(x) for x in step.output]
    return transposed(text, order), not batch and order == sorted(order)


class _Work:
    """Operands of one contraction, with labels that only one of them has already summed."""

    def __init__(self, writer: NumpyWriter, step: Contract) -> None:
        self.writer = writer
        self.sizes = step.sizes()
        self.output = step.output
        left, right = step.subscripts
        self.a, self.left = self._reduced(writer.names[step.left], left, right)
        self.b, self.right = self._reduced(writer.names[step.right], right, left)
        self.is_real = step.left.kind == step.right.kind == "real"
        windows = [value in writer.windows for value in (step.left, step.right)]
        self.has_windows = any(windows)
        #: The operand that is larger than the array behind it, and the other one.
        self.is_left = windows[0]

    def _reduced(self, text: str, own: Labels, other: Labels) -> tuple[str, list[int]]:
        lonely = [k for k, x in enumerate(own) if x not in other and x not in self.output]
        if lonely:
            whole = len(lonely) == len(own)
            text = f"{text}.sum()" if whole else sum_text(text, lonely, len(own))
        return text, [x for k, x in enumerate(own) if k not in lonely]

    def elementwise(self) -> str:
        """Nothing is summed: factors side by side, with axes where they lack a label."""
        parts = []
        for text, own in ((self.a, self.left), (self.b, self.right)):
            ordered = [x for x in self.output if x in own]
            text = transposed(text, [own.index(x) for x in ordered])
            parts.append(f"{text}{axis_index(tuple(ordered), self.output)}")
        return " * ".join(parts)

    def einsum(self) -> str:
        numbers = {x: k for k, x in enumerate(dict.fromkeys((*self.left, *self.right)))}
        a, b, out = (
            subscript_text([numbers[x] for x in own])
            for own in (self.left, self.right, self.output)
        )
        return f'np.einsum("{a},{b}->{out}", {self.a}, {self.b})'

    def inner(self, summed: list[int]) -> str:
        """All labels of both are summed."""
        if len(summed) == 1:
            return f"{self.a}.dot({self.b})"
        b = transposed(self.b, [self.right.index(x) for x in self.left])
        return f"np.vdot({self.a}, {b})"

    def matrix(self, rows: list[int], summed: list[int], columns: list[int]) -> str:
        """``[rows, summed] times [summed, columns]``."""
        a = self._laid_out(self.a, self.left, rows, summed)
        b = self._laid_out(self.b, self.right, summed, columns)
        return f"{a}.dot({b}{self._memory(rows, columns)})"

    def _memory(self, rows: list[int], columns: list[int]) -> str:
        """Where a large matrix is put: fresh memory costs a page fault every 4 kB."""
        extents = [self.sizes[x] for x in (*rows, *columns)]
        if not (self.writer.pooled and self.is_real and rows and columns):
            return ""
        if not all(isinstance(n, int) for n in extents) or math.prod(extents) < LARGE:
            return ""
        shape = f"({self._volume(rows)}, {self._volume(columns)})"
        return f", empty({shape}, {self.writer.dtype()})"

    def by_blocks(self, rows: list[int], summed: list[int], columns: list[int]) -> str:
        """The same, windows copied in blocks of the outermost label of their memory."""
        wide, other = (self.a, self.left), (self.b, self.right)
        own, others = rows, columns
        if not self.is_left:
            wide, other, own, others = other, wide, columns, rows
        if wide[1][0] in own:
            view = transposed(wide[0], [wide[1].index(x) for x in (*own, *summed)])
            matrix = self._laid_out(*other, summed, others)
            text = f"rows_by_blocks({view}, {len(own)}, {matrix})"
        else:
            first = wide[1][0]
            summed = [first, *(x for x in summed if x != first)]
            views = [
                transposed(text, [labels.index(x) for x in (*summed, *kept)])
                for (text, labels), kept in ((wide, own), (other, others))
            ]
            text = f"sums_by_blocks({', '.join(views)}, {len(summed)})"
        return text if self.is_left else f"{text}.T"

    def _laid_out(self, text: str, own: list[int], first: list[int], second: list[int]) -> str:
        """A matrix, or a vector if one of the groups is empty; transposed rather than copied."""
        if own == [*second, *first] and first and second:
            return f"{self._merged(text, second, first)}.T"
        text = transposed(text, [own.index(x) for x in (*first, *second)])
        return self._merged(text, first, second)

    def _merged(self, text: str, *groups: Sequence[int]) -> str:
        """Each group of axes as one axis."""
        if all(len(group) <= 1 for group in groups):
            return text
        return f"{text}.reshape({', '.join(self._volume(g) for g in groups if g)})"

    def _volume(self, group: Sequence[int]) -> str:
        total: Any = 1
        for x in group:
            total = total * self.sizes[x]
        return self.writer.size(total)

    def batched(
        self, batch: list[int], rows: list[int], summed: list[int], columns: list[int]
    ) -> str:
        """``[batch, rows, summed] times [batch, summed, columns]``."""
        a = transposed(self.a, [self.left.index(x) for x in (*batch, *rows, *summed)])
        b = transposed(self.b, [self.right.index(x) for x in (*batch, *summed, *columns)])
        alone = [[x] for x in batch]  # matmul copies no view whose batch axes stay as they are
        a, b = self._merged(a, *alone, rows, summed), self._merged(b, *alone, summed, columns)
        if not rows:
            return f"np.matmul({a}[..., None, :], {b})[..., 0, :]"
        if not columns:
            return f"np.matmul({a}, {b}[..., None])[..., 0]"
        return f"np.matmul({a}, {b})"
