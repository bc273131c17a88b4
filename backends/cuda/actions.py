"""What a :class:`.plan.Plan` consists of: buffers, and what is done to them.

============== =================================================================================
action         meaning
============== =================================================================================
Launch         a generated kernel over flat pointers and integer sizes
Gemm           ``out = left @ right`` (batched, strided), or one triangle of ``left @ left'``
Factorization  LU, Cholesky, symmetric eigenvalues or singular values of a batch of matrices
HostCall       a row of the operation table that only NumPy or SciPy has, on copies of the buffers
Fill, Copy     one number everywhere; the same entries elsewhere
Blocks         a plan of its own for some rows, for all rows (:mod:`.blocks`)
============== =================================================================================

Buffers are row-major and dense. Nothing here imports a CUDA library.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from tensorcalc.extents import evaluate
from tensorcalc.table import Operation

from .grids import Geometry, count_rule, grid_rule

Kind = Literal["real", "boolean", "integer", "counter"]
#: ``argument`` and ``result`` are the caller's memory, ``workspace`` lives in one allocation;
#: ``zeroed`` too, but is zero before the first call and left so by every kernel.
Role = Literal["argument", "result", "workspace", "zeroed"]


def dtype_of(kind: Kind, precision: str) -> Any:
    """The NumPy dtype of a buffer's entries."""
    names = {"real": precision, "boolean": "bool", "integer": "int64", "counter": "int32"}
    return np.dtype(names[kind])


class Count(NamedTuple):
    """A number that is no polynomial of sizes: a rule of :mod:`.grids` at extents."""

    rule: str
    extents: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.rule}({', '.join(map(str, self.extents))})"


def number(extent: Any, sizes: Mapping[str, int]) -> int:
    """The number that an extent or a count is at these sizes."""
    if isinstance(extent, Count):
        return count_rule(extent.rule)(*(evaluate(each, sizes) for each in extent.extents))
    return evaluate(extent, sizes)


@dataclass(frozen=True, eq=False)
class Buffer:
    """Device memory: a name, a shape, a kind of number.

    With ``base`` it is that buffer's memory under another shape.
    """

    name: str
    extents: tuple[Any, ...]
    kind: Kind = "real"
    role: Role = "workspace"
    base: Buffer | None = None

    @property
    def memory(self) -> Buffer:
        """The buffer whose memory this one is."""
        return self if self.base is None else self.base.memory

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape at these sizes."""
        return tuple(number(extent, sizes) for extent in self.extents)

    def nbytes(self, sizes: Mapping[str, int], precision: str) -> int:
        """Bytes at these sizes; at least one entry, so that every pointer is one."""
        return max(math.prod(self.shape(sizes)), 1) * dtype_of(self.kind, precision).itemsize

    def __repr__(self) -> str:
        kind = "" if self.kind == "real" else f" {self.kind}"
        return f"{self.name}[{', '.join(map(str, self.extents))}]{kind}"


class Kernel(NamedTuple):
    """The text of one kernel: a Python function ``name`` of pointers, then integer sizes.

    The text holds for both precisions: it says ``real`` for the type and ``real(0.5)`` for a
    number. Equal texts are one kernel.
    """

    name: str
    text: str
    #: Kind of entry that each pointer points to.
    pointers: tuple[Kind, ...]
    #: Number of integer arguments (int64) after the pointers.
    sizes: int
    #: Threads of a block, at most: what registers are allotted for.
    threads: int = 256


class Grid(NamedTuple):
    """Blocks and threads of a launch as a function of sizes: a rule of :mod:`.grids`."""

    rule: str
    extents: tuple[Any, ...]

    def at(self, sizes: Mapping[str, int]) -> Geometry:
        """Blocks and threads, three numbers each."""
        return grid_rule(self.rule)(*(evaluate(extent, sizes) for extent in self.extents))


@dataclass(frozen=True, eq=False)
class Action:
    """Base of all actions."""

    def reads(self) -> list[Buffer]:
        """Buffers that must hold something before."""
        return []

    def writes(self) -> list[Buffer]:
        """Buffers that hold something after."""
        return []

    def flat(self) -> Iterator[Action]:
        """The action itself; what it consists of, if it is several."""
        yield self


@dataclass(frozen=True, eq=False)
class Launch(Action):
    """``kernel[grid](*pointers, *sizes)``; the first pointers are written, the rest read.

    What is written may also be read: ``updates`` says that its former entries matter.
    """

    kernel: Kernel
    outputs: tuple[Buffer, ...]
    inputs: tuple[Buffer, ...]
    sizes: tuple[Any, ...]
    grid: Grid
    updates: bool = False
    #: What it computes, for printing.
    comment: str = ""
    #: Entries that it asks the caches and the memory for; None if nobody counted.
    entries: Any = None

    @property
    def pointers(self) -> tuple[Buffer, ...]:
        """The pointer arguments in order."""
        return (*self.outputs, *self.inputs)

    def numbers(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The integer arguments in order."""
        return tuple(number(size, sizes) for size in self.sizes)

    def is_empty(self, sizes: Mapping[str, int]) -> bool:
        """Whether nothing is written at these sizes, so that nothing need be launched."""
        return all(0 in output.shape(sizes) for output in self.outputs)

    def reads(self) -> list[Buffer]:
        """Inputs, and outputs that are updated."""
        return [*self.inputs, *(self.outputs if self.updates else ())]

    def writes(self) -> list[Buffer]:
        """Outputs."""
        return list(self.outputs)


class Matrix(NamedTuple):
    """A batch of matrices inside a buffer, read row by row.

    Entry ``[b, i, j]`` lies at ``offset + b*stride + i*leading + j``; with ``transposed`` at
    ``offset + b*stride + j*leading + i``.
    """

    buffer: Buffer
    leading: Any
    stride: Any = 0
    transposed: bool = False
    offset: Any = 0


@dataclass(frozen=True, eq=False)
class Gemm(Action):
    """``out[b] = alpha * left[b] @ right[b]``, ``rows x inner`` times ``inner x columns``.

    With ``symmetric`` left and right' are the same matrices: only the entries on and above the
    diagonal (``i <= j``) need be written (syrk); a kernel mirrors them afterwards.
    """

    out: Matrix
    left: Matrix
    right: Matrix
    rows: Any
    columns: Any
    inner: Any
    batch: Any = 1
    symmetric: bool = False
    alpha: float = 1.0

    def reads(self) -> list[Buffer]:
        """Both factors."""
        return [self.left.buffer, self.right.buffer]

    def writes(self) -> list[Buffer]:
        """The product."""
        return [self.out.buffer]


@dataclass(frozen=True, eq=False)
class Factorization(Action):
    """Results of one decomposition of ``source[batch, rows, columns]``.

    ========== ================================================================================
    kind       results (``batch`` axes come first in each)
    ========== ================================================================================
    lu         ``inverse[n,n]``, ``det[]``, ``logdet[]`` of its absolute value, ``sign[]``,
               ``solution[n,columns of right]`` of ``source @ solution = right``
    cholesky   ``factor[n,n]``, lower, zeros above
    eigh       ``values[n]`` ascending, ``vectors[n,n]`` in columns
    svd        ``u[m,k]``, ``s[k]``, ``vt[k,n]`` with ``k = min(m, n)``
    ========== ================================================================================

    cholesky and eigh read ``(source + source')/2``. A matrix that is singular, or for cholesky not
    positive definite, is an error, except for det, logdet and sign.
    """

    kind: Literal["lu", "cholesky", "eigh", "svd"]
    source: Buffer
    results: tuple[tuple[str, Buffer], ...]
    rows: Any
    columns: Any
    batch: Any = 1
    #: Right side of ``solution``, and its number of columns.
    right: Buffer | None = None
    right_columns: Any = 1

    def reads(self) -> list[Buffer]:
        """The matrix, and the right side."""
        return [self.source] if self.right is None else [self.source, self.right]

    def writes(self) -> list[Buffer]:
        """The results."""
        return [buffer for _, buffer in self.results]


@dataclass(frozen=True, eq=False)
class HostCall(Action):
    """``out = operation(*arguments, **params)`` by its NumPy spelling, on the host."""

    operation: Operation | str
    arguments: tuple[Buffer, ...]
    out: Buffer
    params: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """The row's name."""
        return self.operation if isinstance(self.operation, str) else self.operation.name

    def reads(self) -> list[Buffer]:
        """The arguments."""
        return list(self.arguments)

    def writes(self) -> list[Buffer]:
        """The result."""
        return [self.out]


@dataclass(frozen=True, eq=False)
class Fill(Action):
    """The same number in every entry."""

    out: Buffer
    number: float = 0.0

    def writes(self) -> list[Buffer]:
        """What is filled."""
        return [self.out]


@dataclass(frozen=True, eq=False)
class Copy(Action):
    """The same entries in the same order."""

    out: Buffer
    source: Buffer

    def reads(self) -> list[Buffer]:
        """What is copied."""
        return [self.source]

    def writes(self) -> list[Buffer]:
        """The copy."""
        return [self.out]
