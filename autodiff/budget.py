"""Hessians within a memory budget: structured, dense, by chunks of columns, or products only.

What each would need is known from its program and the sizes before anything runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from backends.liveness import peak
from backends.lowering import lower
from backends.memory import SizeError, bytes_of
from backends.memory import text as size_text
from backends.prefix_sums import prefix_sums
from tensorcalc.extents import evaluate, symbol_name
from tensorcalc.structure import (
    Blocks,
    BlockSystem,
    Dense,
    Products,
    Zero,
)

from . import curvature_rules, pytrees, rules, structured
from .plans import Plan
from .transforms import StructuredTransform, Transform, grad, jacobian

#: Bytes per unit, decimal and binary.
UNITS = {
    **{unit: 1000**k for k, unit in enumerate(("", "kb", "mb", "gb", "tb"))},
    **{unit: 1024**k for k, unit in enumerate(("b", "kib", "mib", "gib", "tib"))},
}

#: Bytes of the place of an entry of a sparse array, at most.
INDEX_BYTES = 16


class Choice(NamedTuple):
    """How a Hessian is represented, and what each way would have needed.

    ``kind`` is ``"structured"``, ``"dense"``, ``"chunked"`` or ``"hvp"``; ``needs`` has bytes by
    kind, without those that the function does not have; ``columns`` are computed at once.

    >>> import numpy as np, autodiff as ad
    >>> hessian = ad.hessian(lambda x: np.sum(x**3), memory="1 MB")
    >>> print(hessian(np.ones(100)).choice)
    structured (structured 800 bytes, dense 80.8 kB, chunked 183.2 kB, hvp 800 bytes; memory 1.0 MB)
    """

    kind: str
    needs: dict[str, int]
    memory: int
    columns: int = 0

    def __str__(self) -> str:
        needs = ", ".join(f"{kind} {size_text(size)}" for kind, size in self.needs.items())
        by = f" by {self.columns} columns" if self.kind == "chunked" else ""
        return f"{self.kind}{by} ({needs}; memory {size_text(self.memory)})"


def memory_bytes(memory: str | int | float) -> int:
    """A number of bytes, or a text such as ``"2 GB"`` or ``"512 MiB"``.

    >>> memory_bytes("2 GB"), memory_bytes("1.5 KiB")
    (2000000000, 1536)

    Raises ValueError if it is neither.
    """
    if isinstance(memory, (int, float)) and memory > 0:
        return int(memory)
    found = re.fullmatch(r"\s*([\d.]+(?:e\d+)?)\s*([a-z]*)\s*", str(memory).lower())
    if found is None or found[2] not in UNITS:
        raise ValueError(f"memory={memory!r}: write a number of bytes, '500 MB' or '2 GiB'")
    return int(float(found[1]) * UNITS[found[2]])


class BudgetedHessian:
    """The Hessian of a function as an operator that fits into a memory budget.

    A call gives a :class:`StructuredOperator` whose ``choice`` says how it is represented: its
    structure where there is one; else the dense matrix; else that matrix computed by chunks of
    columns, if only the way to it is too large; else products with vectors.

    Raises SizeError with the size of every way if none fits.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        memory: str | int | float,
        argnums: int | Sequence[int] = 0,
        target: str = "auto",
    ) -> None:
        self.memory = memory_bytes(memory)
        self._several = None if isinstance(argnums, int) else tuple(argnums)
        if not isinstance(argnums, int):
            function, argnums = _of_first(function, tuple(argnums)), 0
        self._function, self._argnum = function, argnums
        rule = curvature_rules.structured_hessian
        self._structured = StructuredTransform(
            function,
            rule,
            "structured hessian",
            argnums,
            False,
            target,
            limit=min(self.memory // 2, curvature_rules.STORED_LIMIT),
        )
        self._dense = Transform(function, rules.hessian, "hessian", argnums, False, target)
        self._hvp = Transform(function, rules.hvp, "hvp", argnums, False, target)
        self._columns = jacobian(_along(function, argnums), argnums=0, target=target)

    def choice(self, *args: Any, **kwargs: Any) -> Choice:
        """What a call with these arguments would do; computes nothing."""
        return self._choice(*self._nested(args), **kwargs)

    def _nested(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """With several argnums those as one tuple, then the other arguments."""
        return args if self._several is None else _selected_first(args, self._several)

    def needs(self, *args: Any, **kwargs: Any) -> dict[str, int]:
        """Bytes of the ways that keep no dense matrix: ``"structured"``, if there is a structure,
        and ``"hvp"``.
        """
        args = self._nested(args)
        item = _item(args[self._argnum])
        return {**self._kept(args, kwargs, item), "hvp": self._product_bytes(args, kwargs, item)}

    def _kept(self, args: Sequence[Any], kwargs: dict[str, Any], item: int) -> dict[str, int]:
        size = structured_bytes(self._structured.plan(args, kwargs), item)
        return {} if size is None else {"structured": size}

    def _choice(self, *args: Any, **kwargs: Any) -> Choice:
        leaves, _ = pytrees.flatten(args[self._argnum])
        n = sum(np.size(leaf) for leaf in leaves)
        item = _item(args[self._argnum])
        needs = self._kept(args, kwargs, item)
        needs["dense"] = max(peak_bytes(self._dense.plan(args, kwargs), item), item * n * n)
        columns, needs["chunked"] = self._chunk(args, kwargs, n, item)
        needs["hvp"] = self._product_bytes(args, kwargs, item)
        for kind in ("structured", "dense", "chunked", "hvp"):
            if needs.get(kind, self.memory + 1) <= self.memory:
                return Choice(kind, needs, self.memory, columns)
        raise _refusal(n, needs, self.memory)

    def __call__(self, *args: Any, **kwargs: Any) -> structured.StructuredOperator:
        """The operator at these arguments."""
        args = self._nested(args)
        choice = self._choice(*args, **kwargs)
        makers: dict[str, Callable[..., structured.StructuredOperator]] = {
            "structured": self._structured,
            "dense": self._whole,
            "chunked": lambda *a, **k: self._chunked(choice.columns, *a, **k),
            "hvp": self._products,
        }
        operator = makers[choice.kind](*args, **kwargs)
        operator.choice = choice
        return operator

    def products(self, *args: Any, **kwargs: Any) -> structured.StructuredOperator:
        """The operator that knows the Hessian by its products with vectors, whatever fits."""
        return self._products(*self._nested(args), **kwargs)

    # -- the ways ---------------------------------------------------------------------------------
    def _whole(self, *args: Any, **kwargs: Any) -> structured.StructuredOperator:
        blocks = self._dense.run(args, kwargs)
        leaves, _ = pytrees.flatten(args[self._argnum])
        parts, _ = pytrees.flatten(blocks)
        sizes = [int(np.size(leaf)) for leaf in leaves]
        if len(sizes) == 1:
            return structured.DenseOperator(
                np.reshape(parts[0], (sizes[0], sizes[0])), np.shape(leaves[0])
            )
        rows = [
            np.concatenate(
                [np.reshape(parts[p * len(sizes) + q], (m, k)) for q, k in enumerate(sizes)], axis=1
            )
            for p, m in enumerate(sizes)
        ]
        return structured.DenseOperator(np.concatenate(rows), (sum(sizes),))

    def _chunked(self, columns: int, *args: Any, **kwargs: Any) -> structured.StructuredOperator:
        """Columns of the matrix, some at a time: the gradient along as many unit vectors.

        One at a time they are products with the Hessian.
        """
        layout = _Layout(args[self._argnum])
        operator = self._products(*args, **kwargs)
        matrix = np.empty((layout.size, layout.size), layout.dtype)
        for start in range(0, layout.size, columns):
            stop = min(start + columns, layout.size)
            directions = np.zeros((layout.size, stop - start), layout.dtype)
            directions[start:stop] = np.eye(stop - start)
            if columns == 1:
                matrix[:, start] = operator @ directions[:, 0]
                continue
            t = np.zeros(stop - start, layout.dtype)
            found = self._columns.run((t, layout.nested(directions), *args), kwargs)
            parts, _ = pytrees.flatten(found)
            matrix[:, start:stop] = np.concatenate(
                [np.reshape(part, (-1, stop - start)) for part in parts]
            )
        return structured.DenseOperator(matrix, layout.shape)

    def _products(self, *args: Any, **kwargs: Any) -> structured.StructuredOperator:
        layout = _Layout(args[self._argnum])

        def product(v: Any) -> Any:
            tangents: list[Any] = [None] * len(args)
            tangents[self._argnum] = layout.nested(np.reshape(v, (-1, 1)), keep=False)
            leaves, _ = pytrees.flatten(self._hvp.run(args, kwargs, tuple(tangents)))
            return np.concatenate([np.ravel(leaf) for leaf in leaves])

        return structured.ProductOperator(product, layout.shape)

    # -- what they need ---------------------------------------------------------------------------
    def _chunk(
        self, args: Sequence[Any], kwargs: dict[str, Any], n: int, item: int
    ) -> tuple[int, int]:
        """The most columns that fit, at least one, and what the matrix and they need."""
        layout = _Layout(args[self._argnum])
        width = min(2, layout.size)
        t = np.zeros(width, layout.dtype)
        directions = layout.nested(np.zeros((layout.size, width), layout.dtype))
        plan = self._columns.plan((t, directions, *args), kwargs)
        symbol = symbol_name(plan.derived.compiled.variables[0].extents[0])

        def needed(columns: int) -> int:
            sizes = {**plan.sizes, symbol: columns} if symbol else plan.sizes
            return item * n * n + item * n * columns + peak_bytes(plan, item, sizes)

        columns = 1 << max(n.bit_length() - 1, 0)
        while columns > 1 and needed(columns) > self.memory:
            columns //= 2
        if columns > 1:
            return columns, needed(columns)
        return 1, item * n * n + self._product_bytes(args, kwargs, item)

    def _product_bytes(self, args: Sequence[Any], kwargs: dict[str, Any], item: int) -> int:
        tangents: list[Any] = [None] * len(args)
        tangents[self._argnum] = args[self._argnum]
        return peak_bytes(self._hvp.plan(args, kwargs, tuple(tangents)), item)


def _item(params: Any) -> int:
    """Bytes of a number of the Hessian."""
    leaves, _ = pytrees.flatten(params)
    return int(np.result_type(*leaves, np.float32).itemsize)


def _selected_first(args: Sequence[Any], selected: tuple[int, ...]) -> tuple[Any, ...]:
    """``((args[k] for k selected), others...)``."""
    positions = {k % len(args) for k in selected}
    others = (each for k, each in enumerate(args) if k not in positions)
    return (tuple(args[k] for k in selected), *others)


def _of_first(function: Callable[..., Any], selected: tuple[int, ...]) -> Callable[..., Any]:
    """The function of a tuple of selected arguments and the others."""

    def of_first(chosen: Sequence[Any], *others: Any, **kwargs: Any) -> Any:
        count = len(chosen) + len(others)
        at = {k % count: each for k, each in zip(selected, chosen, strict=True)}
        rest = iter(others)
        return function(*(at[k] if k in at else next(rest) for k in range(count)), **kwargs)

    return of_first


def peak_bytes(plan: Plan, item: int, sizes: Mapping[str, int] | None = None) -> int:
    """The most memory that the arrays of a plan's program take at one time, arguments excluded."""
    sizes = plan.sizes if sizes is None else sizes
    compiled = plan.derived.compiled
    program = prefix_sums(lower(compiled.roots, compiled.variables, sizes).program)
    return peak(program, lambda value: bytes_of(value, sizes, item))


def structured_bytes(plan: Plan, item: int) -> int | None:
    """What the operator of a structured plan needs; None if the Hessian has no structure."""
    found = plan.derived.derivation.found
    if not _has_structure(found):
        return None
    return peak_bytes(plan, item) + _coupling_bytes(found, plan, item)


def _has_structure(found: Any) -> bool:
    """Whether anything is stored in another way than as a dense matrix."""
    blocks = (
        [row[p] for p, row in enumerate(found.blocks)]
        if isinstance(found, BlockSystem)
        else [found]
    )
    return not all(isinstance(block, Dense) for block in blocks)


def _coupling_bytes(found: Any, plan: Plan, item: int) -> int:
    """Blocks off the diagonal of a system, stored as matrices or as entries with their places."""
    if not isinstance(found, BlockSystem):
        return 0
    counts = [int(np.prod(shape)) for shape in plan.shapes]
    return sum(
        _stored_bytes(found.blocks[p][q], counts[p], counts[q], plan.sizes, item)
        for p in range(len(counts))
        for q in range(p + 1, len(counts))
    )


def _stored_bytes(found: Any, m: int, n: int, sizes: Mapping[str, int], item: int) -> int:
    if isinstance(found, Zero):
        return 0
    if isinstance(found, Products):
        arrays = (math.prod(evaluate(e, sizes) for e in core.extents) for core in found.cores)
        return item * sum(arrays)
    if not isinstance(found, curvature_rules.SPARSE):
        return item * m * n
    per_row = 1
    if isinstance(found, Blocks):
        free = [e for axis, e in enumerate(found.rows) if axis not in found.tied]
        per_row = math.prod(evaluate(e, sizes) for e in free)
    stored = sum(math.prod(evaluate(e, sizes) for e in core.extents) for core in found.cores)
    return (item + INDEX_BYTES) * max(m * per_row, stored)


def _refusal(n: int, needs: dict[str, int], memory: int) -> SizeError:
    least = min(needs, key=lambda kind: needs[kind])
    return SizeError(
        f"the Hessian needs {size_text(needs['dense'])} (n = {n:,}), which does not fit into "
        f"{size_text(memory)}",
        [f"{kind}: {size_text(size)}" for kind, size in needs.items()],
        f"pass memory= of at least {size_text(needs[least])} for {least}, or smaller batches",
    )


def _along(function: Callable[..., Any], argnum: int) -> Callable[..., Any]:
    """``gradient(x + V t)`` as a function of ``t``: its Jacobian at 0 is ``H V``."""

    def shifted(t: Any, directions: Any, *args: Any, **kwargs: Any) -> Any:
        moved = pytrees.map_leaves(
            lambda x, v: x + np.tensordot(v, t, axes=1), args[argnum], directions
        )
        arguments = (*args[:argnum], moved, *args[argnum + 1 :])
        return grad(function, argnums=argnum)(*arguments, **kwargs)

    return shifted


class _Layout:
    """Where the leaves of nested parameters lie in a vector."""

    def __init__(self, params: Any) -> None:
        leaves, self._definition = pytrees.flatten(params)
        self._shapes = [np.shape(leaf) for leaf in leaves]
        self._ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes]).tolist()
        self.size = int(self._ends[-1])
        self.dtype = np.result_type(*leaves, np.float32)
        self.shape = self._shapes[0] if len(leaves) == 1 else (self.size,)

    def nested(self, matrix: Any, keep: bool = True) -> Any:
        """Columns in the nesting, as a last axis; a single one without it where not ``keep``."""
        parts = np.split(matrix, self._ends[:-1])
        tail = (matrix.shape[1],) if keep else ()
        shaped = [
            part.reshape((*shape, *tail)) for part, shape in zip(parts, self._shapes, strict=True)
        ]
        return pytrees.unflatten(self._definition, shaped)


__all__ = ["BudgetedHessian", "Choice", "memory_bytes", "peak_bytes", "structured_bytes"]
