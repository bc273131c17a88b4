"""The operation table, one module per family of rows."""

from ..table import TABLE, Operation, row
from . import (
    decompositions,
    elementwise,
    exponential,
    helpers,
    linear_algebra,
    logical,
    piecewise,
    reductions,
    special,
    tensors,
    trigonometric,
)

__all__ = [
    "TABLE",
    "Operation",
    "decompositions",
    "elementwise",
    "exponential",
    "helpers",
    "linear_algebra",
    "logical",
    "piecewise",
    "reductions",
    "row",
    "special",
    "tensors",
    "trigonometric",
]
