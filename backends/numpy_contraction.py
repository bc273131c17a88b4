"""NumPy text of a pairwise contraction: dot and matmul where BLAS can take it, else einsum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .numpy_arrays import subscript_text, transposed
from .steps import Contract, Labels

if TYPE_CHECKING:
    from .numpy_writer import NumpyWriter


def contraction(writer: NumpyWriter, step: Contract) -> tuple[str, bool]:
    """The text of ``left, right -> output``, and whether the result is surely row-major.

    NumPy's dot takes transposed views without a copy, and syrk when both operands are views of
    one array.
    """
    work = _Work(writer, step)
    summed = [x for x in work.left if x in work.right and x not in step.output]
    if not summed:
        return work.einsum(), False
    batch = [x for x in work.left if x in work.right and x in step.output]
    rows = [x for x in work.left if x not in work.right]
    columns = [x for x in work.right if x not in work.left]
    if not rows and not columns:
        return (work.einsum() if batch else work.inner(summed)), False
    if batch:
        text = work.batched(batch, rows, summed, columns)
    else:
        text = work.matrix(rows, summed, columns)
    natural = [*batch, *rows, *columns]
    if len(rows) > 1 or len(columns) > 1 or len(batch) > 1:
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

    def _reduced(self, text: str, own: Labels, other: Labels) -> tuple[str, list[int]]:
        lonely = [k for k, x in enumerate(own) if x not in other and x not in self.output]
        if lonely:
            axis = str(lonely[0]) if len(lonely) == 1 else str(tuple(lonely))
            text = f"{text}.sum(axis={axis})"
        return text, [x for k, x in enumerate(own) if k not in lonely]

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
        return f"{a}.dot({b})"

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
        a, b = self._merged(a, batch, rows, summed), self._merged(b, batch, summed, columns)
        if not rows:
            return f"np.matmul({a}[..., None, :], {b})[..., 0, :]"
        if not columns:
            return f"np.matmul({a}, {b}[..., None])[..., 0]"
        return f"np.matmul({a}, {b})"
