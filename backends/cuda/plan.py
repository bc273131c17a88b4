"""The launch plan that a Program becomes for a CUDA device: buffers, and what is done to them.

============== =================================================================================
action         meaning
============== =================================================================================
Launch         a generated kernel over flat pointers and integer sizes
Gemm           ``out = left @ right`` (batched, strided), or one triangle of ``left @ left'``
Factorization  LU, Cholesky, symmetric eigenvalues or singular values of a batch of matrices
HostCall       a row of the operation table that only NumPy or SciPy has, on copies of the buffers
Fill, Copy     one number everywhere; the same entries elsewhere
============== =================================================================================

Buffers are row-major and dense. A plan holds for all sizes and both precisions: sizes are extents,
evaluated when a call's shapes are known (:meth:`Plan.layout`, :meth:`Grid.at`), and ``real`` is
float32 or float64. Nothing here imports a CUDA library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from tensorcalc.extents import evaluate
from tensorcalc.table import Operation

from ..program import ProgramError
from .grids import Geometry, count_rule, grid_rule

Kind = Literal["real", "boolean", "integer", "counter"]
#: ``argument`` and ``result`` are the caller's memory, ``workspace`` lives in one allocation;
#: ``zeroed`` too, but is zero before the first call and left so by every kernel.
Role = Literal["argument", "result", "workspace", "zeroed"]

#: Bytes that every buffer of the workspace begins at a multiple of.
ALIGNMENT = 256


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


class Decision(NamedTuple):
    """A choice of the plan that depends on sizes: whether a product of extents is small."""

    extents: tuple[Any, ...]
    limit: int
    small: bool

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether the choice is also the right one for these sizes."""
        return (math.prod(evaluate(e, sizes) for e in self.extents) <= self.limit) == self.small


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


class Layout(NamedTuple):
    """Where buffers of the workspace begin, in bytes, and how much there is."""

    offsets: dict[Buffer, int]
    nbytes: int
    #: Bytes at the beginning that must be zero before the first call.
    zeroed: int


@dataclass
class Plan:
    """Actions in the order they run on one stream."""

    arguments: list[Buffer] = field(default_factory=list)
    results: list[Buffer] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    #: Where kernels report an index out of range (a number that is not 0), if any can.
    status: Buffer | None = None
    #: What was chosen for the sizes that the plan was made for.
    decisions: list[Decision] = field(default_factory=list)

    def suits(self, sizes: Mapping[str, int]) -> bool:
        """Whether no other plan is better for these sizes; any plan is right for all."""
        return all(decision.holds(sizes) for decision in self.decisions)

    def verify(self) -> None:
        """Check that everything is written before it is read, and written at all.

        Raises ProgramError, which is a bug of the library.
        """
        known = {buffer.memory for buffer in self.arguments}
        known |= {b.memory for a in self.actions for b in a.writes() if b.role == "zeroed"}
        for action in self.actions:
            for buffer in action.reads():
                if buffer.memory not in known:
                    raise ProgramError(f"{buffer.name} is read before it is written")
            for buffer in action.writes():
                if buffer.role == "argument":
                    raise ProgramError(f"the argument {buffer.name} is written")
                known.add(buffer.memory)
            if isinstance(action, Launch):
                kinds = tuple(buffer.kind for buffer in action.pointers)
                if kinds != action.kernel.pointers or len(action.sizes) != action.kernel.sizes:
                    raise ProgramError(f"{action.kernel.name} is launched with other arguments")
        for result in self.results:
            if result.memory not in known:
                raise ProgramError(f"result {result.name} is never written")

    @property
    def kernels(self) -> list[Kernel]:
        """The different kernels, in order of first use."""
        launches = (action for action in self.actions if isinstance(action, Launch))
        return list(dict.fromkeys(launch.kernel for launch in launches))

    @property
    def on_device(self) -> bool:
        """Whether nothing needs the host, so that the plan can be captured as a CUDA graph."""
        return not any(isinstance(action, HostCall) for action in self.actions)

    def layout(self, sizes: Mapping[str, int], precision: str) -> Layout:
        """Offsets of the workspace's buffers: memory is used again once nobody reads it.

        First fit over the intervals from the first write to the last read.
        """
        spans = self._spans()
        offsets: dict[Buffer, int] = {}
        zeroed = 0
        for buffer in spans:
            if buffer.role == "zeroed":
                offsets[buffer] = zeroed
                zeroed += _aligned(buffer.nbytes(sizes, precision))
        placed: list[tuple[Buffer, int, int]] = []
        total = zeroed
        for buffer, (first, last) in spans.items():
            if buffer.role == "zeroed":
                continue
            size = _aligned(buffer.nbytes(sizes, precision))
            busy = sorted(
                (begin, end)
                for other, begin, end in placed
                if spans[other][0] <= last and first <= spans[other][1]
            )
            start = zeroed
            for begin, end in busy:
                if start + size <= begin:
                    break
                start = max(start, end)
            offsets[buffer] = start
            placed.append((buffer, start, start + size))
            total = max(total, start + size)
        return Layout(offsets, total, zeroed)

    def _spans(self) -> dict[Buffer, tuple[int, int]]:
        """Positions of the first and the last action that touch each buffer of the workspace."""
        spans: dict[Buffer, tuple[int, int]] = {}
        for position, action in enumerate(self.actions):
            for buffer in (*action.reads(), *action.writes()):
                memory = buffer.memory
                if memory.role in ("workspace", "zeroed"):
                    spans[memory] = spans.get(memory, (position, position))[0], position
        return spans


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
