"""Which shape every part of a formula in matrix notation has, and what does not fit.

Every operand is a scalar, a column, a row or a matrix. ``x'*y`` is a scalar, ``x*y'`` a matrix,
``A*x`` a column, ``x'*A`` a row; a scalar goes with anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import ParseError, ShapeError, TensorcalcError
from ..nodes import Node
from ..notation.formula import (
    COMPARISONS,
    Binary,
    Call,
    Document,
    Formula,
    Group,
    Leaf,
    Name,
    Negative,
    Number,
    Transposed,
)
from ..notation.names import caret, unknown_name
from ..numpy_protocol.ufuncs import COMPOSITE
from ..table import TABLE, Operation
from .shapes import SCALAR, Shape, Size, shape_of, sides, transposed, with_sides

_SQUARE = ("tr", "det", "logdet", "inv", "adj")
_WHOLE = ("sum", "norm1", "norm2")
_BUILT = {"vector": 1, "matrix": 2, "eye": 1}
FUNCTIONS = (*_SQUARE, *_WHOLE, *_BUILT, "diag", "size")


class Typing:
    """Shapes of the parts of a formula, by identity of the part."""

    def __init__(
        self,
        names: Mapping[str, Node],
        symbols: Iterable[str],
        text: str,
        extent: Callable[[Formula], Any],
    ) -> None:
        self.extent = extent
        self.names = dict(names)
        self.symbols = set(symbols)
        self.text = text
        self.shapes: dict[int, Shape] = {}
        self.defined: dict[str, Shape] = {}

    def document(self, document: Document) -> None:
        """Find the shapes of all parts."""
        for definition in document.definitions:
            self.defined[definition.name] = self.shape(definition.body)
        self.shape(document.body)

    def shape(self, formula: Formula) -> Shape:
        """The shape of a part, which is remembered."""
        found = self._shape(formula)
        self.shapes[id(formula)] = found
        return found

    def _shape(self, formula: Formula) -> Shape:
        if isinstance(formula, Number):
            return SCALAR
        if isinstance(formula, Name):
            return self._name(formula)
        if isinstance(formula, Leaf):
            return shape_of(formula.node.extents)
        if isinstance(formula, Group):
            return self.shape(formula.body)
        if isinstance(formula, Negative):
            return self.shape(formula.operand)
        if isinstance(formula, Transposed):
            return transposed(self.shape(formula.operand))
        if isinstance(formula, Binary):
            return self._binary(formula)
        assert isinstance(formula, Call)
        return self._call(formula)

    def _name(self, formula: Name) -> Shape:
        name = formula.text
        if name in self.defined:
            return self.defined[name]
        if name in self.names:
            return shape_of(self.names[name].extents)
        if name == "eye":
            size = Size()
            return Shape("matrix", (size, size))
        if name in self.symbols:
            return SCALAR
        known = [*self.names, *self.defined, *self.symbols]
        hint = f'declare it, for example "{name}: m n" (a scalar: "{name}")'
        if name in TABLE or name in FUNCTIONS:
            hint = f"{name} is a function: write {name}(...)"
        raise unknown_name(name, known, "name", caret(self.text, formula.place), hint)

    # -- operators --------------------------------------------------------------------------
    def _binary(self, formula: Binary) -> Shape:
        spine: list[Binary] = []
        part: Formula = formula
        while isinstance(part, Binary):  # left spines are long: iterate
            spine.append(part)
            part = part.left
        left = self.shape(part)
        for step in reversed(spine):
            left = self._joined(step, left, self.shape(step.right))
            self.shapes[id(step)] = left
        return left

    def _joined(self, formula: Binary, left: Shape, right: Shape) -> Shape:
        operator = formula.operator
        if operator == "*":
            return self._times(formula, left, right)
        if operator == "/":
            if right.kind != "scalar":
                raise self.misfit(formula, left, right, "divide elementwise with ./")
            return left
        if operator == "^":
            return self._power(formula, left, right)
        if operator == "⊗":
            return self._kronecker(formula, left, right)
        if operator in ("+", "-", ".*", "./", ".^", *COMPARISONS):
            return self._elementwise(formula, left, right)
        raise self.error(formula, f"{operator!r} has no meaning between expressions")

    def _elementwise(self, formula: Binary, left: Shape, right: Shape) -> Shape:
        if left.kind == "scalar" or right.kind == "scalar":
            return right if left.kind == "scalar" else left
        if left.kind != right.kind or len(left.sizes) != len(right.sizes):
            hint = "transpose one of them" if {left.kind, right.kind} == {"row", "column"} else ""
            raise self.misfit(formula, left, right, hint or "both sides need one shape")
        self._unify(formula, left, right, zip(left.sizes, right.sizes, strict=True))
        return left

    def _times(self, formula: Binary, left: Shape, right: Shape) -> Shape:
        if left.kind == "scalar" or right.kind == "scalar":
            return right if left.kind == "scalar" else left
        if "tensor" in (left.kind, right.kind):
            raise self.misfit(formula, left, right, "write it in index notation")
        (rows, inner), (other, columns) = sides(left), sides(right)
        if (inner is None) != (other is None):
            hints = {
                ("column", "column"): "write x'*y for the inner product, x*y' for the outer one",
                ("row", "row"): "write x*y' for the inner product of rows",
                ("column", "matrix"): "write x'*A, or .* elementwise",
                ("matrix", "row"): "write A*x, or .* elementwise",
            }
            hint = hints.get((left.kind, right.kind), "transpose one of them, or write .*")
            raise self.misfit(formula, left, right, hint)
        if inner is not None and other is not None:
            self._unify(formula, left, right, [(inner, other)])
        return with_sides(rows, columns)

    def _power(self, formula: Binary, left: Shape, right: Shape) -> Shape:
        if right.kind != "scalar":
            raise self.misfit(formula, left, right, "an exponent is a scalar; elementwise is .^")
        if left.kind == "matrix":
            self._unify(formula, left, right, [left.sizes])  # type: ignore[list-item]
        elif left.kind != "scalar":
            raise self.misfit(formula, left, right, "write .^ for elementwise powers")
        return left

    def _kronecker(self, formula: Binary, left: Shape, right: Shape) -> Shape:
        if "tensor" in (left.kind, right.kind) or "scalar" in (left.kind, right.kind):
            raise self.misfit(formula, left, right, "⊗ joins vectors and matrices")
        (a, b), (c, d) = sides(left), sides(right)
        return with_sides(_multiplied(a, c), _multiplied(b, d))

    # -- functions --------------------------------------------------------------------------
    def _call(self, formula: Call) -> Shape:
        name = formula.function
        if name in _BUILT:
            return self._built(formula)
        if name == "size":
            return SCALAR
        shapes = [self.shape(operand) for operand in formula.operands]
        if name in _SQUARE or name == "diag" or name in _WHOLE:
            if len(shapes) != 1:
                raise self.error(formula, f"{name} takes one operand, not {len(shapes)}")
            return self._of_one(formula, shapes[0])
        operation = TABLE.get(name)
        if operation is None and name not in COMPOSITE and name != "sqrt":
            known = [*TABLE, *COMPOSITE, *FUNCTIONS]
            place = caret(self.text, formula.place)
            raise unknown_name(name, known, "function", place, "see the operation table")
        if operation is None or operation.is_elementwise:
            return self._function(formula, shapes, operation)
        return self._core_function(formula, shapes, operation)

    def _built(self, formula: Call) -> Shape:
        name = formula.function
        sizes = formula.operands if name == "eye" else formula.operands[1:]
        count = _BUILT[name]
        wanted = "no or 1 size" if name == "eye" else f"a number and no or {count} sizes"
        if (name != "eye" and not formula.operands) or len(sizes) not in (0, count):
            raise self.error(
                formula,
                f"{name} takes {wanted}",
                "sizes follow from the context where they can",
            )
        found = tuple(Size(self.extent(size)) for size in sizes) or tuple(
            Size() for _ in range(count)
        )
        if name == "eye":
            return Shape("matrix", (found[0], found[0]))
        return Shape("column" if count == 1 else "matrix", found)

    def _of_one(self, formula: Call, shape: Shape) -> Shape:
        name = formula.function
        if name in _WHOLE:
            return SCALAR
        if name == "diag":
            if shape.kind in ("column", "row"):
                return Shape("matrix", (shape.sizes[0], shape.sizes[0]))
            if shape.kind == "matrix":
                self._square(formula, shape)
                return Shape("column", shape.sizes[:1])
            raise self.error(
                formula, f"diag of a {shape}", "diag takes a vector or a square matrix"
            )
        self._square(formula, shape)
        return shape if name in ("inv", "adj") else SCALAR

    def _square(self, formula: Call, shape: Shape) -> None:
        fits = shape.kind == "matrix" and shape.sizes[0].unify(shape.sizes[1])
        if not fits:
            raise ShapeError(
                f"{formula.function} of a {shape}",
                caret(self.text, formula.place).splitlines(),
                f"{formula.function} takes a square matrix",
            )

    def _function(
        self, formula: Call, shapes: Sequence[Shape], operation: Operation | None
    ) -> Shape:
        if not shapes or (operation is not None and len(shapes) != operation.arity):
            wanted = operation.arity if operation else "at least one"
            raise self.error(
                formula, f"{formula.function} takes {wanted} operands, not {len(shapes)}"
            )
        result = SCALAR
        for shape in shapes:
            result = self._elementwise(
                Binary(".*", formula, formula, place=formula.place), result, shape
            )
        return result

    def _core_function(self, formula: Call, shapes: Sequence[Shape], operation: Operation) -> Shape:
        if len(shapes) != operation.arity:
            raise self.error(
                formula, f"{operation.name} takes {operation.arity} operands, not {len(shapes)}"
            )
        core: dict[str, Size] = {}
        batch: tuple[Size, ...] = ()
        for shape, axes in zip(shapes, operation.operand_cores, strict=True):
            split = len(shape.sizes) - len(axes)
            if split < 0:
                raise self.error(
                    formula,
                    f"{operation.name} {operation.signature} of a {shape}",
                    "it has too few axes",
                )
            for axis, size in zip(axes, shape.sizes[split:], strict=True):
                self._unify(formula, shape, shape, [(core.setdefault(axis, size), size)])
            batch = batch or shape.sizes[:split]
        sizes = batch + tuple(core.setdefault(axis, Size()) for axis in operation.result_core)
        is_row = len(sizes) == 1 and any(shape.kind == "row" for shape in shapes)
        if is_row:
            return Shape("row", sizes)
        return Shape(
            ("scalar", "column", "matrix")[len(sizes)] if len(sizes) < 3 else "tensor", sizes
        )

    # -- errors -----------------------------------------------------------------------------
    def _unify(
        self, formula: Formula, left: Shape, right: Shape, pairs: Iterable[tuple[Size, Size]]
    ) -> None:
        for a, b in pairs:
            if not a.unify(b):
                raise self.misfit(formula, left, right, f"the sizes {a} and {b} must be equal")

    def misfit(self, formula: Formula, left: Shape, right: Shape, hint: str) -> TensorcalcError:
        """The error for two operands that do not fit."""
        operator = formula.operator if isinstance(formula, Binary) else ""
        what = formula.function if isinstance(formula, Call) else repr(operator)
        return ShapeError(
            f"{what} between a {left} and a {right}",
            caret(self.text, formula.place).splitlines(),
            hint,
        )

    def error(self, formula: Formula, message: str, hint: str = "") -> ParseError:
        """A ParseError with a caret."""
        return ParseError(message, caret(self.text, formula.place).splitlines(), hint)


def _multiplied(left: Size | None, right: Size | None) -> Size | None:
    """The size of an axis of a Kronecker product."""
    if left is None or right is None:
        return left or right
    a, b = left.root().extent, right.root().extent
    return Size(None if a is None or b is None else a * b)
