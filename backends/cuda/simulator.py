"""A plan run without a GPU: kernels in numba's simulator, libraries by NumPy.

For tests, in a process whose environment has ``NUMBA_ENABLE_CUDASIM=1`` before numba is imported:
about 0.1 ms for every thread of every launch, so shapes must be tiny. The workspace is laid out as
on a device and begins as NaN, so that what is read before it is written, or after its memory was
given to another buffer, is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tensorcalc.extents import evaluate

from .actions import (
    Buffer,
    Copy,
    Factorization,
    Fill,
    Gemm,
    HostCall,
    Launch,
    Matrix,
    dtype_of,
    number,
)  # fmt: skip
from .blocks import Blocks, row_of
from .plan import Plan
from .simulated_device import simulated as run_kernel


class Simulation:
    """Memory of one run."""

    def __init__(
        self, plan: Plan, arrays: Sequence[Any], sizes: Mapping[str, int], precision: str
    ) -> None:
        self.plan = plan
        self.sizes = sizes
        self.precision = precision
        layout = plan.layout(sizes, precision)
        self.offsets = layout.offsets
        self.workspace = np.full(layout.nbytes, 0xFF, np.uint8)  # NaN in every precision
        self.workspace[: layout.zeroed] = 0
        self.own: dict[Buffer, Any] = {}
        for buffer, array in zip(plan.arguments, arrays, strict=True):
            dtype = dtype_of(buffer.kind, precision)
            self.own[buffer] = np.array(array, dtype).ravel()
        for buffer in plan.results:
            size = buffer.memory.nbytes(sizes, precision)
            poison = np.full(size, 0xFF, np.uint8)
            self.own[buffer.memory] = poison.view(dtype_of(buffer.kind, precision))

    def flat(self, buffer: Buffer) -> Any:
        """The buffer's entries as a one-dimensional array that shares its memory."""
        memory = buffer.memory
        if memory in self.own:
            return self.own[memory]
        start = self.offsets[memory]
        size = memory.nbytes(self.sizes, self.precision)
        dtype = dtype_of(buffer.kind, self.precision)
        return self.workspace[start : start + size].view(dtype)

    def array(self, buffer: Buffer) -> Any:
        """The buffer's entries in its shape."""
        shape = buffer.shape(self.sizes)
        return self.flat(buffer)[: int(np.prod(shape))].reshape(shape)

    def run(self) -> list[Any]:
        """Every action in turn; then the results.

        Raises IndexError if a kernel met an index out of range.
        """
        for action in self.plan.actions:
            getattr(self, f"_{type(action).__name__.lower()}")(action)
        if self.plan.status is not None and self.flat(self.plan.status)[0]:
            raise IndexError("an index is out of range")
        return [self.array(buffer).copy() for buffer in self.plan.results]

    def _launch(self, action: Launch) -> None:
        if action.is_empty(self.sizes):
            return
        pointers = [self.flat(buffer) for buffer in action.pointers]
        pointers = [p.view(np.uint8) if p.dtype == bool else p for p in pointers]
        blocks, threads = action.grid.at(self.sizes)
        arguments = *pointers, *action.numbers(self.sizes)
        run_kernel(action.kernel, self.precision, blocks, threads, arguments)

    def _gemm(self, action: Gemm) -> None:
        rows, columns, inner, batch = (
            evaluate(e, self.sizes)
            for e in (action.rows, action.columns, action.inner, action.batch)
        )
        left = self._matrices(action.left, batch, rows, inner)
        right = self._matrices(action.right, batch, inner, columns)
        product = action.alpha * (left @ right)
        out = self._matrices(action.out, batch, rows, columns)
        if action.symmetric:
            product[:, ~np.triu(np.ones((rows, rows), bool))] = np.nan  # not written
        out[...] = product

    def _matrices(self, matrix: Matrix, batch: int, rows: int, columns: int) -> Any:
        leading, stride, offset = (
            evaluate(e, self.sizes) for e in (matrix.leading, matrix.stride, matrix.offset)
        )
        entries = self.flat(matrix.buffer)
        item = entries.itemsize
        steps = (leading, 1) if not matrix.transposed else (1, leading)
        strides = item * stride, item * steps[0], item * steps[1]
        shape = batch, rows, columns
        return np.lib.stride_tricks.as_strided(entries[offset:], shape, strides)

    def _factorization(self, action: Factorization) -> None:
        a = self.array(action.source)
        with np.errstate(all="ignore"):
            found = self._decomposed(action, a)
        for name, buffer in action.results:
            self.array(buffer)[...] = found[name]()

    def _decomposed(self, action: Factorization, a: Any) -> dict[str, Any]:
        symmetric = (a + np.swapaxes(a, -1, -2)) / 2 if action.kind in ("cholesky", "eigh") else a
        return {
            "inverse": lambda: np.linalg.inv(a),
            "det": lambda: np.linalg.det(a),
            "logdet": lambda: np.linalg.slogdet(a)[1],
            "sign": lambda: np.linalg.slogdet(a)[0],
            "solution": lambda: self._solved(action, a),
            "factor": lambda: np.linalg.cholesky(symmetric),
            "values": lambda: np.linalg.eigh(symmetric)[0],
            "vectors": lambda: np.linalg.eigh(symmetric)[1],
            "u": lambda: np.linalg.svd(a, full_matrices=False)[0],
            "s": lambda: np.linalg.svd(a, full_matrices=False)[1],
            "vt": lambda: np.linalg.svd(a, full_matrices=False)[2],
        }

    def _solved(self, action: Factorization, a: Any) -> Any:
        assert action.right is not None
        right = self.array(action.right)
        if right.ndim == a.ndim:
            return np.linalg.solve(a, right)
        return np.linalg.solve(a, right[..., None])[..., 0]

    def _hostcall(self, action: HostCall) -> None:
        arguments = [self.array(buffer) for buffer in action.arguments]
        assert not isinstance(action.operation, str), action.name
        self.array(action.out)[...] = action.operation.reference(*arguments, **dict(action.params))

    def _blocks(self, action: Blocks) -> None:
        outside = self.sizes, self.own
        for start, sizes in action.spans(self.sizes):
            self.sizes, self.own = sizes, dict(self.own)
            for part, whole in action.parts.items():
                first = start * number(row_of(whole), sizes)
                self.own[part] = self.flat(whole)[first:]
            for buffer in action.plan.layout(sizes, self.precision).offsets:
                if buffer.role != "zeroed":
                    poison = np.full(buffer.nbytes(sizes, self.precision), 0xFF, np.uint8)
                    self.own[buffer] = poison.view(dtype_of(buffer.kind, self.precision))
            for each in action.plan.actions:
                getattr(self, f"_{type(each).__name__.lower()}")(each)
            self.sizes, self.own = outside

    def _fill(self, action: Fill) -> None:
        self.flat(action.out)[:] = action.number

    def _copy(self, action: Copy) -> None:
        self.array(action.out)[...] = self.array(action.source).reshape(
            action.out.shape(self.sizes)
        )


def simulated(
    plan: Plan, arrays: Sequence[Any], sizes: Mapping[str, int], precision: str = "float64"
) -> list[Any]:
    """The results of a plan for these arguments, in order."""
    return Simulation(plan, arrays, sizes, precision).run()
