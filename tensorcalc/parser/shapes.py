"""Shapes of matrix notation before all sizes are known: kinds, and sizes that context fills in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..extents import Extent, is_equal

Kind = Literal["scalar", "column", "row", "matrix", "tensor"]


class Size:
    """The size of an axis that the context may tell later (a node of a union-find forest)."""

    def __init__(self, extent: int | Extent | None = None) -> None:
        self.parent: Size | None = None
        self.extent = extent

    def root(self) -> Size:
        """The representative of all sizes unified with this one."""
        size = self
        while size.parent is not None:
            size = size.parent
        return size

    def unify(self, other: Size) -> bool:
        """Make both one size; whether they do not contradict each other."""
        left, right = self.root(), other.root()
        if left is right:
            return True
        if left.extent is not None and right.extent is not None:
            return is_equal(left.extent, right.extent)
        if left.extent is None:
            left, right = right, left
        right.parent = left
        return True

    def __str__(self) -> str:
        extent = self.root().extent
        return "?" if extent is None else str(extent)


@dataclass(frozen=True)
class Shape:
    """Kind and sizes of what a formula stands for; a column and a row have one size."""

    kind: Kind
    sizes: tuple[Size, ...] = ()

    def __str__(self) -> str:
        sizes = ", ".join(map(str, self.sizes))
        return self.kind if self.kind == "scalar" else f"{self.kind} ({sizes})"


SCALAR = Shape("scalar")
_KINDS: tuple[Kind, ...] = ("scalar", "column", "matrix")


def shape_of(extents: tuple[Any, ...]) -> Shape:
    """The shape of a tensor; a vector is a column."""
    kind: Kind = _KINDS[len(extents)] if len(extents) < 3 else "tensor"
    return Shape(kind, tuple(map(Size, extents)))


def transposed(shape: Shape) -> Shape:
    """The shape of ``x'``."""
    kinds: dict[Kind, Kind] = {"column": "row", "row": "column"}
    return Shape(kinds.get(shape.kind, shape.kind), shape.sizes[::-1])


def sides(shape: Shape) -> tuple[Size | None, Size | None]:
    """Rows and columns; None where there is only one."""
    if shape.kind == "column":
        return shape.sizes[0], None
    if shape.kind == "row":
        return None, shape.sizes[0]
    return shape.sizes[0], shape.sizes[1]


def with_sides(rows: Size | None, columns: Size | None) -> Shape:
    """The inverse of :func:`sides`."""
    if rows is None:
        return SCALAR if columns is None else Shape("row", (columns,))
    return Shape("column", (rows,)) if columns is None else Shape("matrix", (rows, columns))
