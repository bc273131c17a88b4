"""The operation table, one module per family of rows."""

from . import (
    decompositions,
    elementwise,
    exponential,
    helpers,
    linear_algebra,
    logical,
    reductions,
    special,
    tensors,
    trigonometric,
)
from ..table import TABLE, Operation, row

__all__ = [
    "TABLE",
    "Operation",
    "decompositions",
    "elementwise",
    "exponential",
    "helpers",
    "linear_algebra",
    "logical",
    "reductions",
    "row",
    "special",
    "tensors",
    "trigonometric",
]
