"""Products of matrices by cuBLAS, which reads memory column by column.

A row-major matrix is its transpose to cuBLAS: ``out = left @ right`` is asked for as
``out' = right' left'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .actions import Gemm, Matrix
from .binder import Binder, Place
from .device import Device

#: ``cublasOperation_t`` and ``cublasFillMode_t``.
PLAIN, TRANSPOSED = 0, 1
LOWER, UPPER = 0, 1

_NUMBERS: dict[tuple[str, float], Any] = {}


def factor(letter: str, value: float) -> int:
    """The address of a number in the host's memory, as cuBLAS takes its factors."""
    dtype = np.float64 if letter == "d" else np.float32
    return _NUMBERS.setdefault((letter, value), np.array(value, dtype)).ctypes.data


class Columns(NamedTuple):
    """A matrix as cuBLAS sees it: what to do to the columns in memory to have the matrix."""

    place: Place
    leading: int
    stride: int
    operation: int


def columns_of(binder: Binder, matrix: Matrix, rows: int, columns: int) -> Columns:
    """The matrix (not its transpose) from memory that is read column by column."""
    transposed = bool(matrix.transposed)
    width, lines = (rows, columns) if transposed else (columns, rows)
    leading = binder.number(matrix.leading)
    if lines <= 1:  # of a single line the distance to the next means nothing
        leading = max(leading, width)
    offset = binder.number(matrix.offset) * binder.real.itemsize
    return Columns(
        binder.place(matrix.buffer).plus(offset),
        max(leading, 1),
        binder.number(matrix.stride),
        PLAIN if transposed else TRANSPOSED,
    )


def bind_gemm(binder: Binder, action: Gemm) -> None:
    """Append the call for one product: syrk, gemv or gemm, strided over a batch."""
    rows, columns, inner, batch = (
        binder.number(n) for n in (action.rows, action.columns, action.inner, action.batch)
    )
    if 0 in (rows, columns, batch):
        return
    if inner == 0:
        _bind_zeros(binder, action.out, rows, columns, batch)
    elif batch == 1 and action.symmetric:
        _bind_syrk(binder, action, rows, inner)
    elif batch == 1 and columns == 1:
        vectors = action.right, action.out
        _bind_gemv(binder, action.left, (rows, inner), vectors, PLAIN, action.alpha)
    elif batch == 1 and rows == 1:
        vectors = _flipped(action.left), _flipped(action.out)
        _bind_gemv(binder, action.right, (inner, columns), vectors, TRANSPOSED, action.alpha)
    else:
        _bind_gemm(binder, action, (rows, columns, inner, batch))


def _flipped(matrix: Matrix) -> Matrix:
    return matrix._replace(transposed=not matrix.transposed)


def _bind_zeros(binder: Binder, out: Matrix, rows: int, columns: int, batch: int) -> None:
    """An empty sum: at once, or line by line if there are gaps."""
    item = binder.real.itemsize
    memory = columns_of(binder, out, rows, columns)
    width, lines = (rows, columns) if out.transposed else (columns, rows)
    if memory.leading == width and (batch == 1 or memory.stride == width * lines):
        binder.clear(memory.place, batch * width * lines * item)
        return
    for matrix in range(batch):
        for line in range(lines):
            skipped = (matrix * memory.stride + line * memory.leading) * item
            binder.clear(memory.place.plus(skipped), width * item)


def _bind_syrk(binder: Binder, action: Gemm, rows: int, inner: int) -> None:
    """``out[i, j] = sum_k left[i, k] left[j, k]`` for ``i <= j`` (row-major).

    Memory read by columns swaps the triangles.
    """
    letter, alpha = binder.letter, factor(binder.letter, action.alpha)
    left = columns_of(binder, action.left, rows, inner)
    out = columns_of(binder, action.out, rows, rows)
    triangle = UPPER if action.out.transposed else LOWER

    def command(device: Device, at: Sequence[int]) -> None:
        device.blas(
            f"{letter}syrk_64", triangle, left.operation, rows, inner,
            alpha, left.place.at(at), left.leading,
            factor(letter, 0.0), out.place.at(at), out.leading,
        )  # fmt: skip

    binder.add(command)


def _bind_gemv(
    binder: Binder,
    matrix: Matrix,
    shape: tuple[int, int],
    vectors: tuple[Matrix, Matrix],
    operation: int,
    alpha: float,
) -> None:
    """``out = alpha matrix @ vector``, or of ``matrix'``; vectors are matrices of one column."""
    letter, scale = binder.letter, factor(binder.letter, alpha)
    memory = columns_of(binder, matrix, *shape)
    lines, length = shape if operation == PLAIN else (shape[1], shape[0])
    vector, out = vectors
    source, target = columns_of(binder, vector, length, 1), columns_of(binder, out, lines, 1)
    steps = [1 if each.transposed else max(binder.number(each.leading), 1) for each in vectors]
    swapped = memory.operation != operation
    height, width = (shape[1], shape[0]) if memory.operation == TRANSPOSED else shape

    def command(device: Device, at: Sequence[int]) -> None:
        device.blas(
            f"{letter}gemv_64", TRANSPOSED if swapped else PLAIN, height, width,
            scale, memory.place.at(at), memory.leading,
            source.place.at(at), steps[0],
            factor(letter, 0.0), target.place.at(at), steps[1],
        )  # fmt: skip

    binder.add(command)


def _bind_gemm(binder: Binder, action: Gemm, numbers: tuple[int, int, int, int]) -> None:
    rows, columns, inner, batch = numbers
    letter, alpha = binder.letter, factor(binder.letter, action.alpha)
    left = columns_of(binder, action.left, rows, inner)
    right = columns_of(binder, action.right, inner, columns)
    out = columns_of(binder, action.out, rows, columns)
    if out.operation == TRANSPOSED:  # memory holds out': ask for right' left'
        first, second = (
            right._replace(operation=1 - right.operation),
            left._replace(operation=1 - left.operation),
        )
        height, width = columns, rows
    else:
        first, second, height, width = left, right, rows, columns
    strided = batch > 1
    name = f"{letter}gemm{'_strided_batched' if strided else ''}_64"

    def operand(memory: Columns, at: Sequence[int]) -> tuple[int, ...]:
        stride = (memory.stride,) if strided else ()
        return memory.place.at(at), memory.leading, *stride

    def command(device: Device, at: Sequence[int]) -> None:
        device.blas(
            name, first.operation, second.operation, height, width, inner,
            alpha, *operand(first, at), *operand(second, at),
            factor(letter, 0.0), *operand(out, at), *([batch] if strided else []),
        )  # fmt: skip

    binder.add(command)
