"""The operation table, one module per family of rows."""

from . import elementwise, linear_algebra, logical, reductions
from ..table import TABLE, Operation, row

__all__ = ["TABLE", "Operation", "elementwise", "linear_algebra", "logical", "reductions", "row"]
