"""cuBLAS and cuSOLVER on the host's memory, for tests: LAPACK's arguments, columns first.

The functions have the names and arguments of nvmath's bindings, without the handle, and check what
the libraries check. A matrix is an address and a leading dimension, so whoever calls them must have
rows, columns, triangles and pivots right.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import lapack

#: ``memory(address, nbytes)``: the bytes there, or an error if they are nobody's.
Memory = Callable[[int, int], Any]


class InvalidValue(ValueError):
    """What cuBLAS and cuSOLVER answer to arguments that contradict each other."""


def _flat(memory: Memory, address: int, count: int, dtype: Any) -> Any:
    return memory(address, count * np.dtype(dtype).itemsize).view(dtype)


def _columns(memory: Memory, address: int, shape: tuple[int, int], leading: int, dtype: Any) -> Any:
    """A matrix whose columns lie ``leading`` entries apart."""
    rows, columns = shape
    if leading < max(1, rows):
        raise InvalidValue(f"leading dimension {leading} of a matrix with {rows} rows")
    if not rows or not columns:
        return np.empty(shape, dtype)
    flat = _flat(memory, address, (columns - 1) * leading + rows, dtype)
    item = flat.itemsize
    return np.lib.stride_tricks.as_strided(flat, shape, (item, leading * item))


def _host_number(address: int, dtype: Any) -> Any:
    kind = ctypes.c_double if dtype == np.float64 else ctypes.c_float
    return dtype(kind.from_address(address).value)


def _operated(matrix: Any, operation: int) -> Any:
    return matrix.T if operation else matrix


class _Library:
    """Memory, and one precision."""

    def __init__(self, memory: Memory, dtype: Any) -> None:
        self.memory = memory
        self.dtype = dtype

    def _matrix(self, address: int, shape: tuple[int, int], leading: int) -> Any:
        return _columns(self.memory, address, shape, leading, self.dtype)


class Blas(_Library):
    """The functions of cuBLAS that are used, in one precision: ``gemm_64`` and so on."""

    def _pointers(self, address: int, count: int) -> Any:
        return _flat(self.memory, address, count, np.int64)

    def _update(self, out: Any, value: Any, alpha: int, beta: int) -> None:
        """``out = alpha value + beta out``; with ``beta`` 0 ``out`` is not read."""
        a, b = _host_number(alpha, self.dtype), _host_number(beta, self.dtype)
        out[...] = a * value + (b * out if b else 0)

    def gemm_64(
        self, ta: int, tb: int, m: int, n: int, k: int, alpha: int,
        a: int, lda: int, b: int, ldb: int, beta: int, c: int, ldc: int,
    ) -> None:  # fmt: skip
        """``C = alpha op(A) op(B) + beta C``."""
        left = self._matrix(a, (k, m) if ta else (m, k), lda)
        right = self._matrix(b, (n, k) if tb else (k, n), ldb)
        product = _operated(left, ta) @ _operated(right, tb)
        self._update(self._matrix(c, (m, n), ldc), product, alpha, beta)

    def gemm_strided_batched_64(
        self, ta: int, tb: int, m: int, n: int, k: int, alpha: int,
        a: int, lda: int, step_a: int, b: int, ldb: int, step_b: int,
        beta: int, c: int, ldc: int, step_c: int, batch: int,
    ) -> None:  # fmt: skip
        """The same for matrices that lie so many entries apart."""
        item = np.dtype(self.dtype).itemsize
        for i in range(batch):
            places = a + i * step_a * item, b + i * step_b * item, c + i * step_c * item
            self.gemm_64(
                ta, tb, m, n, k, alpha, places[0], lda, places[1], ldb, beta, places[2], ldc
            )

    def gemv_64(
        self, operation: int, m: int, n: int, alpha: int,
        a: int, lda: int, x: int, incx: int, beta: int, y: int, incy: int,
    ) -> None:  # fmt: skip
        """``y = alpha op(A) x + beta y``."""
        matrix = _operated(self._matrix(a, (m, n), lda), operation)
        source = _flat(self.memory, x, (matrix.shape[1] - 1) * incx + 1, self.dtype)[::incx]
        out = _flat(self.memory, y, (matrix.shape[0] - 1) * incy + 1, self.dtype)[::incy]
        self._update(out, matrix @ source, alpha, beta)

    def syrk_64(
        self, triangle: int, operation: int, n: int, k: int, alpha: int,
        a: int, lda: int, beta: int, c: int, ldc: int,
    ) -> None:  # fmt: skip
        """One triangle of ``C = alpha op(A) op(A)' + beta C``; the other is left alone."""
        matrix = _operated(self._matrix(a, (k, n) if operation else (n, k), lda), operation)
        out = self._matrix(c, (n, n), ldc)
        chosen = np.triu(np.ones((n, n), bool)) if triangle else np.tril(np.ones((n, n), bool))
        value = out.copy()
        self._update(value, matrix @ matrix.T, alpha, beta)
        out[chosen] = value[chosen]

    def getrf_batched(self, n: int, a: int, lda: int, p: int, info: int, batch: int) -> None:
        """LU factors in place, pivots counted from 1."""
        pivots = _flat(self.memory, p, batch * n, np.int32).reshape(batch, n)
        infos = _flat(self.memory, info, batch, np.int32)
        for i, address in enumerate(self._pointers(a, batch)):
            matrix = self._matrix(int(address), (n, n), lda)
            infos[i] = _factorized(matrix, pivots[i], self.dtype)

    def getri_batched(
        self, n: int, a: int, lda: int, p: int, c: int, ldc: int, info: int, batch: int
    ) -> None:
        """The inverses, elsewhere."""
        pivots = _flat(self.memory, p, batch * n, np.int32).reshape(batch, n)
        infos = _flat(self.memory, info, batch, np.int32)
        pairs = zip(self._pointers(a, batch), self._pointers(c, batch), strict=True)
        for i, (source, target) in enumerate(pairs):
            matrix = self._matrix(int(source), (n, n), lda)
            inverse, infos[i] = _lapack("getri", self.dtype)(matrix, pivots[i] - 1)
            self._matrix(int(target), (n, n), ldc)[...] = inverse

    def getrs_batched(
        self, operation: int, n: int, columns: int, a: int, lda: int, p: int,
        b: int, ldb: int, info: int, batch: int,
    ) -> None:  # fmt: skip
        """Solutions in place of right sides; ``info`` lies in the host's memory."""
        ctypes.c_int32.from_address(info).value = 0
        pivots = _flat(self.memory, p, batch * n, np.int32).reshape(batch, n)
        pairs = zip(self._pointers(a, batch), self._pointers(b, batch), strict=True)
        for i, (matrix, side) in enumerate(pairs):
            factors = self._matrix(int(matrix), (n, n), lda)
            target = self._matrix(int(side), (n, columns), ldb)
            target[...] = _solved(factors, pivots[i], target, operation, self.dtype)


def _lapack(name: str, dtype: Any) -> Any:
    return getattr(lapack, ("d" if dtype == np.float64 else "s") + name)


def _factorized(matrix: Any, pivots: Any, dtype: Any) -> int:
    factors, swaps, info = _lapack("getrf", dtype)(matrix)
    matrix[...] = factors
    pivots[...] = swaps + 1
    return info


def _solved(factors: Any, pivots: Any, side: Any, operation: int, dtype: Any) -> Any:
    return _lapack("getrs", dtype)(factors, pivots - 1, side, trans=operation)[0]


#: What the queries answer; the functions check that they are given as much.
WORK = 64


class Solver(_Library):
    """The functions of cuSOLVER that are used, in one precision: ``potrf`` and so on."""

    def _scribble(self, work: int, count: int) -> None:
        """Use the scratch memory, as the library does."""
        if count < WORK:
            raise InvalidValue(f"scratch memory for {count} entries, needed are {WORK}")
        _flat(self.memory, work, count, self.dtype)[...] = np.nan

    def _set(self, info: int, value: int) -> None:
        _flat(self.memory, info, 1, np.int32)[0] = value

    def getrf_buffer_size(self, m: int, n: int, a: int, lda: int) -> int:
        """Entries of scratch memory."""
        return WORK

    def getrf(self, m: int, n: int, a: int, lda: int, work: int, p: int, info: int) -> None:
        """LU factors in place."""
        self._scribble(work, WORK)
        pivots = _flat(self.memory, p, min(m, n), np.int32)
        self._set(info, _factorized(self._matrix(a, (m, n), lda), pivots, self.dtype))

    def getrs(
        self, operation: int, n: int, columns: int, a: int, lda: int, p: int,
        b: int, ldb: int, info: int,
    ) -> None:  # fmt: skip
        """Solutions in place of right sides."""
        pivots = _flat(self.memory, p, n, np.int32)
        side = self._matrix(b, (n, columns), ldb)
        factors = self._matrix(a, (n, n), lda)
        side[...] = _solved(factors, pivots, side, operation, self.dtype)
        self._set(info, 0)

    def potrf_buffer_size(self, triangle: int, n: int, a: int, lda: int) -> int:
        """Entries of scratch memory."""
        return WORK

    def potrf(
        self, triangle: int, n: int, a: int, lda: int, work: int, count: int, info: int
    ) -> None:
        """A Cholesky factor in one triangle; the other is left alone."""
        self._scribble(work, count)
        self._set(info, self._cholesky(self._matrix(a, (n, n), lda), triangle))

    def _cholesky(self, matrix: Any, triangle: int) -> int:
        factor, info = _lapack("potrf", self.dtype)(matrix, lower=not triangle, clean=False)
        matrix[...] = factor
        return info

    def potrf_batched(self, triangle: int, n: int, a: int, lda: int, info: int, batch: int) -> None:
        """The same for matrices wherever an array of addresses says."""
        infos = _flat(self.memory, info, batch, np.int32)
        for i, address in enumerate(_flat(self.memory, a, batch, np.int64)):
            infos[i] = self._cholesky(self._matrix(int(address), (n, n), lda), triangle)

    def syevd_buffer_size(self, job: int, triangle: int, n: int, a: int, lda: int, w: int) -> int:
        """Entries of scratch memory."""
        return WORK

    def syevd(
        self, job: int, triangle: int, n: int, a: int, lda: int, w: int,
        work: int, count: int, info: int,
    ) -> None:  # fmt: skip
        """Eigenvalues ascending; eigenvectors in the columns of A."""
        self._scribble(work, count)
        self._set(info, self._eigh(job, triangle, self._matrix(a, (n, n), lda), w))

    def _eigh(self, job: int, triangle: int, matrix: Any, w: int) -> int:
        n = len(matrix)
        values, vectors, info = _lapack("syevd", self.dtype)(
            matrix, compute_v=job, lower=not triangle
        )
        matrix[...] = vectors if job else np.nan
        _flat(self.memory, w, n, self.dtype)[...] = values
        return info

    def xsyev_batched_buffer_size(
        self, parameters: int, job: int, triangle: int, n: int, kind_a: int, a: int, lda: int,
        kind_w: int, w: int, kind: int, batch: int,
    ) -> tuple[int, int]:  # fmt: skip
        """Bytes on the device and on the host."""
        return WORK * 8, 8

    def xsyev_batched(
        self, parameters: int, job: int, triangle: int, n: int, kind_a: int, a: int, lda: int,
        kind_w: int, w: int, kind: int, work: int, on_device: int, host: int, on_host: int,
        info: int, batch: int,
    ) -> None:  # fmt: skip
        """The same for a dense batch."""
        if {kind_a, kind_w, kind} != {1 if self.dtype == np.float64 else 0}:
            raise InvalidValue("data types do not fit")
        self.memory(work, on_device)[...] = 0xFF
        infos, item = _flat(self.memory, info, batch, np.int32), np.dtype(self.dtype).itemsize
        for i in range(batch):
            matrix = self._matrix(a + i * lda * n * item, (n, n), lda)
            infos[i] = self._eigh(job, triangle, matrix, w + i * n * item)

    def gesvd_buffer_size(self, m: int, n: int) -> int:
        """Entries of scratch memory; refuses wide matrices, as the library does."""
        if m < n:
            raise InvalidValue(f"gesvd of a wide matrix, {m} x {n}")
        return WORK

    def gesvd(
        self, job_u: int, job_vt: int, m: int, n: int, a: int, lda: int, s: int,
        u: int, ldu: int, vt: int, ldvt: int, work: int, count: int, residuals: int, info: int,
    ) -> None:  # fmt: skip
        """``A = U diag(s) V'`` with as many columns of U as A has; A is destroyed."""
        if (job_u, job_vt) != (ord("S"), ord("S")):
            raise InvalidValue("only the job 'S' is simulated")
        self._scribble(work, count)
        matrix = self._matrix(a, (m, n), lda)
        left, values, right, status = _lapack("gesvd", self.dtype)(matrix, full_matrices=0)
        matrix[...] = np.nan
        _flat(self.memory, s, n, self.dtype)[...] = values
        self._matrix(u, (m, n), ldu)[...] = left
        self._matrix(vt, (n, n), ldvt)[...] = right
        self._set(info, status)
