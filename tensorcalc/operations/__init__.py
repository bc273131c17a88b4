"""The operation table, one module per family of rows."""

from . import elementwise, exponential, helpers, linear_algebra, logical, reductions, special, trigonometric
from ..table import TABLE, Operation, row

__all__ = [
    "TABLE",
    "Operation",
    "elementwise",
    "exponential",
    "helpers",
    "linear_algebra",
    "logical",
    "reductions",
    "row",
    "special",
    "trigonometric",
]
