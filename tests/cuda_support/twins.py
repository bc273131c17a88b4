"""NumPy twins of the kernels around library calls, so that libraries are tested without kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.cuda.actions import Kernel


def _matrices(flat: Any, batch: int, rows: int, columns: int) -> Any:
    return flat[: batch * rows * columns].reshape(batch, rows, columns)


def symmetrized(out: Any, a: Any, batch: int, rows: int, columns: int) -> None:
    matrices = _matrices(a, batch, rows, columns)
    _matrices(out, batch, rows, columns)[...] = (matrices + np.swapaxes(matrices, 1, 2)) / 2


def transposed(out: Any, a: Any, batch: int, rows: int, columns: int) -> None:
    matrices = np.swapaxes(_matrices(a, batch, rows, columns), 1, 2)
    _matrices(out, batch, columns, rows)[...] = matrices


def identity(out: Any, batch: int, rows: int, columns: int) -> None:
    _matrices(out, batch, rows, columns)[...] = np.eye(rows, columns)


def lower(out: Any, batch: int, rows: int, columns: int) -> None:
    matrices = _matrices(out, batch, rows, columns)
    matrices[...] = np.tril(matrices)


def addresses(out: Any, count: int, first: int, distance: int) -> None:
    out[:count] = first + distance * np.arange(count)


def determinants(
    det: Any, logdet: Any, sign: Any, lu: Any, pivots: Any, batch: int, n: int
) -> None:
    for k, matrix in enumerate(_matrices(lu, batch, n, n)):
        moved = pivots[k * n : (k + 1) * n] != np.arange(1, n + 1)
        diagonal = np.diag(matrix) * np.where(moved, -1, 1)
        with np.errstate(divide="ignore"):
            det[k], logdet[k] = np.prod(diagonal), np.sum(np.log(np.abs(diagonal)))
        sign[k] = np.prod(np.sign(diagonal))


TWINS = {
    twin.__name__: twin
    for twin in (symmetrized, transposed, identity, lower, addresses, determinants)
}


def twin(kernel: Kernel, precision: str, blocks: Any, threads: Any, arguments: Any) -> None:
    """What a :class:`SimulatedDevice` runs instead of the kernel."""
    if kernel.name == "fill":
        number = float(kernel.text.split("real(")[-1].split(")")[0])
        arguments[0][: arguments[1]] = number
    else:
        TWINS[kernel.name](*arguments)
