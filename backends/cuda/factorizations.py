"""Factorizations by cuBLAS and cuSOLVER, which read memory column by column.

A row-major matrix ``A`` is ``A'`` to them. An inverse is then the inverse wanted; systems ask for
the transposed solve; the upper Cholesky factor, read by rows, is the lower one; the singular
vectors of a wide matrix come out in the right order, those of a tall one are transposed. cuBLAS
can be recorded in a CUDA graph; NVIDIA does not promise it of cuSOLVER, so those calls stand
between graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .actions import Factorization
from .binder import Binder, Place
from .device import Device
from .grids import flat
from .library_kernels import ADDRESSES, DETERMINANTS, IDENTITY, LOWER, SYMMETRIZED, TRANSPOSED
from .products import PLAIN
from .products import TRANSPOSED as TRANSPOSE
from .products import UPPER as UPPER_TRIANGLE

#: Up to this size LU factors come from cuBLAS's batched routine, a single matrix or a batch.
BATCHED_SINGLE = 64
BATCHED_MANY = 256
#: ``cusolverEigMode_t``, ``cudaDataType_t``, and the job letters of LAPACK.
VALUES, VECTORS = 0, 1
DATA_TYPE = {"s": 0, "d": 1}
SOME = ord("S")

SINGULAR = "Singular matrix"
INDEFINITE = "Matrix is not positive definite"
UNCONVERGED = {
    "eigh": "Eigenvalues did not converge",
    "svd": "SVD did not converge",
}


def bind_factorization(binder: Binder, action: Factorization) -> None:
    """Append the calls for one decomposition of a batch of matrices."""
    rows, columns, batch = (binder.number(n) for n in (action.rows, action.columns, action.batch))
    results = {name: binder.place(buffer) for name, buffer in action.results}
    if batch:
        _BINDERS[action.kind](binder, action, (rows, columns, batch), results)
    binder.free_scratch()


Results = dict[str, Place]
Shape = tuple[int, int, int]


# -- LU -------------------------------------------------------------------------------------------
class Factors(NamedTuple):
    """LU factors of a batch of ``n x n`` matrices, their pivots, and what the library says."""

    n: int
    batch: int
    matrices: Place
    pivots: Place
    info: Place
    #: What later calls say, which is nothing new.
    unused: Place

    def of(self, k: int, item: int) -> Factors:
        """Those of one matrix."""
        matrices = self.matrices.plus(k * self.n * self.n * item)
        pivots, info = self.pivots.plus(4 * k * self.n), self.info.plus(4 * k)
        return Factors(self.n, 1, matrices, pivots, info, self.unused)


def _bind_lu(binder: Binder, action: Factorization, shape: Shape, results: Results) -> None:
    n, _, batch = shape
    item = binder.real.itemsize
    matters = "inverse" in results or "solution" in results
    lu = Factors(
        n,
        batch,
        binder.scratch(batch * n * n),
        binder.scratch(batch * n, np.int32),
        binder.check(batch, SINGULAR if matters else ""),
        binder.check(batch, ""),
    )
    binder.copy(lu.matrices, binder.place(action.source), batch * n * n * item)
    if n:
        columns = binder.number(action.right_columns) if "solution" in results else 0
        side = _right_side(binder, action, (n, columns, batch), results) if columns else None
        inverse = results.get("inverse")
        if n <= (BATCHED_SINGLE if batch == 1 else BATCHED_MANY):
            _bind_batched_lu(binder, lu, inverse, side, columns)
        else:
            _bind_each_lu(binder, lu, inverse, side, columns)
        if side and side != results["solution"]:
            binder.library_kernel(TRANSPOSED, [results["solution"], side], batch, columns, n)
    names = ("det", "logdet", "sign")
    if results.keys() & set(names):
        places = [results[k] if k in results else binder.scratch(batch) for k in names]
        binder.library_kernel(DETERMINANTS, [*places, lu.matrices, lu.pivots], batch, n)


def _right_side(binder: Binder, action: Factorization, shape: Shape, results: Results) -> Place:
    """The right side by columns, where the solution will be: in place for one column."""
    n, columns, batch = shape
    assert action.right is not None
    right = binder.place(action.right)
    if columns == 1:
        binder.copy(results["solution"], right, batch * n * binder.real.itemsize)
        return results["solution"]
    side = binder.scratch(batch * n * columns)
    binder.library_kernel(TRANSPOSED, [side, right], batch, n, columns)
    return side


def _bind_batched_lu(
    binder: Binder, lu: Factors, inverse: Place | None, side: Place | None, columns: int
) -> None:
    letter, n, batch = binder.letter, lu.n, lu.batch
    matrices = _addresses(binder, lu.matrices, batch, n * n)

    def factorize(device: Device, at: Sequence[int]) -> None:
        arrays = matrices.at(at), n, lu.pivots.at(at), lu.info.at(at)
        device.blas(f"{letter}getrf_batched", n, *arrays, batch)

    binder.add(factorize)
    if inverse:
        inverses = _addresses(binder, inverse, batch, n * n)

        def invert(device: Device, at: Sequence[int]) -> None:
            outputs = inverses.at(at), n, lu.unused.at(at)
            device.blas(
                f"{letter}getri_batched", n, matrices.at(at), n, lu.pivots.at(at), *outputs, batch
            )

        binder.add(invert)
    if side:
        sides = _addresses(binder, side, batch, n * columns)
        status = np.zeros(1, np.int32)

        def solve(device: Device, at: Sequence[int]) -> None:
            arrays = matrices.at(at), n, lu.pivots.at(at), sides.at(at), n, status.ctypes.data
            device.blas(f"{letter}getrs_batched", TRANSPOSE, n, columns, *arrays, batch)

        binder.add(solve)


def _addresses(binder: Binder, first: Place, count: int, entries: int) -> Place:
    """An array of where the matrices of a batch begin, made on the device."""
    out = binder.scratch(count, np.int64)
    distance = entries * binder.real.itemsize
    code = binder.device.kernel(ADDRESSES, binder.precision)
    blocks, threads = flat(count)

    def command(device: Device, at: Sequence[int]) -> None:
        device.launch(code, blocks, threads, (out.at(at), count, first.at(at), distance))

    binder.add(command)
    return out


def _bind_each_lu(
    binder: Binder, lu: Factors, inverse: Place | None, side: Place | None, columns: int
) -> None:
    """Large matrices one by one."""
    n, item = lu.n, binder.real.itemsize
    work = _work(binder, f"{binder.letter}getrf_buffer_size", n, n, 0, n)
    if inverse:
        binder.library_kernel(IDENTITY, [inverse], lu.batch, n, n)
    for k in range(lu.batch):
        one = lu.of(k, item)
        _bind_getrf(binder, one, work.place)
        if inverse:
            _bind_getrs(binder, one, PLAIN, n, inverse.plus(k * n * n * item))
        if side:
            _bind_getrs(binder, one, TRANSPOSE, columns, side.plus(k * n * columns * item))


def _bind_getrf(binder: Binder, lu: Factors, work: Place) -> None:
    letter, n = binder.letter, lu.n

    def command(device: Device, at: Sequence[int]) -> None:
        arrays = lu.matrices.at(at), n, work.at(at), lu.pivots.at(at), lu.info.at(at)
        device.solver(f"{letter}getrf", n, n, *arrays)

    binder.add(command, recordable=False)


def _bind_getrs(binder: Binder, lu: Factors, operation: int, columns: int, side: Place) -> None:
    letter, n = binder.letter, lu.n

    def command(device: Device, at: Sequence[int]) -> None:
        arrays = lu.matrices.at(at), n, lu.pivots.at(at), side.at(at), n, lu.unused.at(at)
        device.solver(f"{letter}getrs", operation, n, columns, *arrays)

    binder.add(command, recordable=False)


class Work(NamedTuple):
    """Scratch memory of a library, and its number of entries."""

    place: Place
    entries: int


def _work(binder: Binder, query: str, *arguments: Any) -> Work:
    """Scratch memory of as many entries as the library asks for."""
    entries = binder.device.solver(query, *arguments)
    return Work(binder.scratch(max(entries, 1)), entries)


# -- Cholesky -------------------------------------------------------------------------------------
def _bind_cholesky(binder: Binder, action: Factorization, shape: Shape, results: Results) -> None:
    n, _, batch = shape
    letter = binder.letter
    factor = results["factor"]
    if not n:
        return
    binder.library_kernel(SYMMETRIZED, [factor, binder.place(action.source)], batch, n, n)
    info = binder.check(batch, INDEFINITE)
    if batch == 1:
        work = _work(binder, f"{letter}potrf_buffer_size", UPPER_TRIANGLE, n, 0, n)

        def single(device: Device, at: Sequence[int]) -> None:
            arrays = factor.at(at), n, work.place.at(at), work.entries, info.at(at)
            device.solver(f"{letter}potrf", UPPER_TRIANGLE, n, *arrays)

        binder.add(single, recordable=False)
    else:
        matrices = _addresses(binder, factor, batch, n * n)

        def batched(device: Device, at: Sequence[int]) -> None:
            arrays = matrices.at(at), n, info.at(at)
            device.solver(f"{letter}potrf_batched", UPPER_TRIANGLE, n, *arrays, batch)

        binder.add(batched, recordable=False)
    binder.library_kernel(LOWER, [factor], batch, n, n)


# -- eigenvalues ----------------------------------------------------------------------------------
def _bind_eigh(binder: Binder, action: Factorization, shape: Shape, results: Results) -> None:
    n, _, batch = shape
    if not n:
        return
    vectors = binder.scratch(batch * n * n)
    values = results.get("values") or binder.scratch(batch * n)
    info = binder.check(batch, UNCONVERGED["eigh"])
    job = VECTORS if "vectors" in results else VALUES
    binder.library_kernel(SYMMETRIZED, [vectors, binder.place(action.source)], batch, n, n)
    bind = _bind_single_eigh if batch == 1 else _bind_batched_eigh
    bind(binder, (n, batch, job), vectors, values, info)
    if "vectors" in results:  # a column of the library's is a row here
        binder.library_kernel(TRANSPOSED, [results["vectors"], vectors], batch, n, n)


def _bind_single_eigh(
    binder: Binder, numbers: tuple[int, int, int], a: Place, values: Place, info: Place
) -> None:
    n, _, job = numbers
    letter = binder.letter
    work = _work(binder, f"{letter}syevd_buffer_size", job, UPPER_TRIANGLE, n, 0, n, 0)

    def command(device: Device, at: Sequence[int]) -> None:
        arrays = a.at(at), n, values.at(at), work.place.at(at), work.entries, info.at(at)
        device.solver(f"{letter}syevd", job, UPPER_TRIANGLE, n, *arrays)

    binder.add(command, recordable=False)


def _bind_batched_eigh(
    binder: Binder, numbers: tuple[int, int, int], a: Place, values: Place, info: Place
) -> None:
    n, batch, job = numbers
    kind = DATA_TYPE[binder.letter]
    parameters = binder.device.solver_parameters()
    on_device, on_host = binder.device.solver(
        "xsyev_batched_buffer_size",
        parameters, job, UPPER_TRIANGLE, n, kind, 0, n, kind, 0, kind, batch,
    )  # fmt: skip
    work = binder.scratch(max(on_device, 1), np.uint8)
    host = np.empty(max(on_host, 1), np.uint8)

    def command(device: Device, at: Sequence[int]) -> None:
        device.solver(
            "xsyev_batched",
            parameters, job, UPPER_TRIANGLE, n, kind, a.at(at), n, kind, values.at(at), kind,
            work.at(at), on_device, host.ctypes.data, on_host, info.at(at), batch,
        )  # fmt: skip

    binder.add(command, recordable=False)


# -- singular values ------------------------------------------------------------------------------
def _bind_svd(binder: Binder, action: Factorization, shape: Shape, results: Results) -> None:
    """The library wants at least as many rows as columns, by columns.

    A wide matrix, read by columns, is its tall transpose ``V S U'``: what the library calls U is
    ``vt`` by rows, and its V' is ``u`` by rows.
    """
    rows, columns, batch = shape
    k, item = min(rows, columns), binder.real.itemsize
    if not k:
        return
    tall = rows > columns
    source = binder.place(action.source)
    a = binder.scratch(batch * rows * columns)
    values = results.get("s") or binder.scratch(batch * k)
    info = binder.check(batch, UNCONVERGED["svd"])
    if tall:
        binder.library_kernel(TRANSPOSED, [a, source], batch, rows, columns)
        u, vt = binder.scratch(batch * rows * k), binder.scratch(batch * k * columns)
    else:
        binder.copy(a, source, batch * rows * columns * item)
        u = results.get("vt") or binder.scratch(batch * k * columns)
        vt = results.get("u") or binder.scratch(batch * rows * k)
    height, width = max(rows, columns), k
    work = _work(binder, f"{binder.letter}gesvd_buffer_size", height, width)
    for m in range(batch):
        places = (
            a.plus(m * rows * columns * item),
            values.plus(m * k * item),
            u.plus(m * height * k * item),
            vt.plus(m * k * width * item),
            info.plus(4 * m),
        )
        _bind_gesvd(binder, (height, width), places, work)
    if tall and "u" in results:
        binder.library_kernel(TRANSPOSED, [results["u"], u], batch, k, rows)
    if tall and "vt" in results:
        binder.library_kernel(TRANSPOSED, [results["vt"], vt], batch, columns, k)


def _bind_gesvd(
    binder: Binder, shape: tuple[int, int], places: Sequence[Place], work: Work
) -> None:
    height, width = shape
    letter = binder.letter
    a, values, u, vt, info = places

    def command(device: Device, at: Sequence[int]) -> None:
        device.solver(
            f"{letter}gesvd", SOME, SOME, height, width, a.at(at), height, values.at(at),
            u.at(at), height, vt.at(at), width, work.place.at(at), work.entries, 0, info.at(at),
        )  # fmt: skip

    binder.add(command, recordable=False)


_BINDERS = {"lu": _bind_lu, "cholesky": _bind_cholesky, "eigh": _bind_eigh, "svd": _bind_svd}
