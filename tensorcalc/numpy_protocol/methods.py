"""Array methods of expressions: ``x.T``, ``x.sum()``, ``x.reshape(...)``, ..."""

from __future__ import annotations

from typing import Any

from ..nodes import METHODS, Node
from ..products import transpose
from . import functions


def method(name: str, is_property: bool = False) -> Any:
    """Register an array method or property."""

    def register(function: Any) -> Any:
        function.is_property = is_property
        METHODS[name] = function
        return function

    return register


@method("missing")
def missing(self: Node, name: str) -> Any:
    raise AttributeError(f"expressions have no attribute {name!r}")


@method("T", is_property=True)
def transposed(self: Node) -> Node:
    """All axes in reverse order."""
    return transpose(self, tuple(reversed(range(self.ndim))))


@method("sum")
def summed(self: Node, axis: Any = None, keepdims: bool = False) -> Node:
    return functions.sum(self, axis, keepdims)
