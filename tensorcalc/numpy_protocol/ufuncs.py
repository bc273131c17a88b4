"""NumPy's ufuncs on expressions; operators arrive here through NDArrayOperatorsMixin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..applications import apply, power
from ..errors import TraceError
from ..nodes import UFUNCS, Constant, Node
from ..products import product, scale
from ..sums import add
from .convert import aligned_labels, as_node, broadcast_extents, broadcast_operands

#: ufuncs that are a table row of the same meaning.
ROWS: dict[str, str] = {
    "exp": "exp",
    "log": "log",
    "tanh": "tanh",
    "sin": "sin",
    "cos": "cos",
    "absolute": "abs",
    "sign": "sign",
    "greater": "greater",
    "greater_equal": "greater_equal",
    "less": "less",
    "less_equal": "less_equal",
    "equal": "equal",
    "not_equal": "not_equal",
    "logical_not": "logical_not",
    "expit": "expit",
}

#: ufuncs that are combinations of nodes.
COMPOSITE: dict[str, Callable[..., Node]] = {}


def composite(*names: str) -> Callable[[Callable[..., Node]], Callable[..., Node]]:
    """Register the meaning of ufuncs that are no table row."""

    def register(function: Callable[..., Node]) -> Callable[..., Node]:
        COMPOSITE.update(dict.fromkeys(names, function))
        return function

    return register


def dispatch(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The node for ``ufunc(*inputs)``."""
    options = {key: value for key, value in options.items() if value is not None}
    if method != "__call__" or options:
        raise TraceError(
            f"np.{ufunc.__name__} with method {method!r} and options {sorted(options)} is not traced",
            hint="call the ufunc itself, without out=, where= or dtype=",
        )
    operands = [as_node(x) for x in inputs]
    name = ufunc.__name__
    if name in COMPOSITE:
        return COMPOSITE[name](*operands)
    if name in ROWS:
        return elementwise(ROWS[name], *operands)
    raise TraceError(f"np.{name} is not supported", hint="see the operation table")


UFUNCS["dispatch"] = dispatch


def elementwise(name: str, *operands: Node, **params: Any) -> Node:
    """A table row with NumPy's broadcasting."""
    return apply(name, *broadcast_operands(*operands), **params)


@composite("add")
def plus(x: Node, y: Node) -> Node:
    return add(*broadcast_operands(x, y, scalars=False))


@composite("subtract")
def minus(x: Node, y: Node) -> Node:
    return plus(x, scale(-1, y))


@composite("multiply")
def times(x: Node, y: Node) -> Node:
    extents = broadcast_extents(x.extents, y.extents)
    subscripts = [aligned_labels(x, extents), aligned_labels(y, extents)]
    return product((x, y), subscripts, range(len(extents)), dict(enumerate(extents)))


@composite("negative")
def negative(x: Node) -> Node:
    return scale(-1, x)


@composite("positive")
def positive(x: Node) -> Node:
    return x


@composite("true_divide", "divide")
def divide(x: Node, y: Node) -> Node:
    return times(x, power(y, -1))


@composite("power", "float_power")
def raised(x: Node, y: Node) -> Node:
    if isinstance(y, Constant):
        return power(x, y.value)
    return elementwise("pow", x, y)


@composite("square")
def square(x: Node) -> Node:
    return power(x, 2)


@composite("sqrt")
def sqrt(x: Node) -> Node:
    return power(x, 0.5)


@composite("reciprocal")
def reciprocal(x: Node) -> Node:
    return power(x, -1)


@composite("log1p")
def log1p(x: Node) -> Node:
    return apply("log", plus(Constant(1), x))


@composite("matmul")
def matmul(x: Node, y: Node) -> Node:
    """NumPy's matmul: vectors as rows or columns, batch axes broadcast."""
    left = ["j"] if x.ndim == 1 else ["i", "j"]
    right = ["j"] if y.ndim == 1 else ["j", "k"]
    batch = broadcast_extents(x.extents[: -len(left)], y.extents[: -len(right)], ())
    labels_x = _batch_labels(x, len(left), batch) + tuple(left)
    labels_y = _batch_labels(y, len(right), batch) + tuple(right)
    output = (*range(len(batch)), *[label for label in left + right if label != "j"])
    return product((x, y), (labels_x, labels_y), output, dict(enumerate(batch)))


def _batch_labels(node: Node, core: int, batch: tuple[Any, ...]) -> tuple[Any, ...]:
    offset = len(batch) - (node.ndim - core)
    own = node.extents[: node.ndim - core]
    return tuple(
        ("one", id(node), axis) if isinstance(e, int) and e == 1 else axis + offset
        for axis, e in enumerate(own)
    )


__all__ = ["np"]
