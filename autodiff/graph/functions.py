"""User functions as single operations; functions of tensors, arrays and expressions alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorcalc.nodes import Node
from tensorcalc.numpy_protocol.convert import as_node

from .. import pytrees
from ..watching import Watch
from .calls import record_traced
from .modes import on_expressions
from .tensor import TENSORS, Tensor


def function(traced: Callable[..., Any]) -> Callable[..., Any]:
    """``traced``, a function in plain NumPy, as one operation of the graph.

    It is traced and compiled as a whole, so what it computes on the way is fused and stored only
    where its derived pullback reads it. Called with arrays or tensors it gives tensors; called
    with expressions, an expression.

    >>> @function
    ... def swish(x):
    ...     return x / (1 + np.exp(-x))
    >>> x = Tensor([0.0], requires_grad=True)
    >>> swish(x).backward(); x.grad
    array([0.5])
    """
    known = [_Traced(traced)]

    @functools.wraps(traced)
    def operation(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Node) for x in args) or _holds(Node, args, kwargs):
            args, kwargs = _as_nodes((args, kwargs))
            return traced(*args, **kwargs)
        if known[0].watch.changed():
            known[0] = _Traced(traced)
        return record_traced(known[0], args, kwargs)

    return operation


class _Traced:
    """A user's function as it is now; another object once something that it reads is rebound."""

    def __init__(self, traced: Callable[..., Any]) -> None:
        self.watch = Watch(traced)
        self.named = self.watch.named
        functools.update_wrapper(self, traced)
        self._function = traced

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


def layer_function(body: Callable[..., Any]) -> Callable[..., Any]:
    """A function of expressions that also works on tensors (one operation) and on arrays.

    With arrays alone it returns arrays.
    """

    @functools.wraps(body)
    def either(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if type(x) in TENSORS:
                if _holds(Node, args, kwargs):
                    break
                return record_traced(body, args, kwargs)
        if _holds(Node, args, kwargs):
            args, kwargs = _as_nodes((args, kwargs))
            taken = on_expressions.get()
            return body(*args, **kwargs) if taken is None else taken(body, args, kwargs)
        result = record_traced(body, args, kwargs)
        if _holds(Tensor, args, kwargs):
            return result
        return pytrees.map_leaves(lambda x: x.data if isinstance(x, Tensor) else x, result)

    return either


def _holds(kind: type, args: Any, kwargs: Any) -> bool:
    for x in args if not kwargs else (*args, *kwargs.values()):
        if isinstance(x, kind):
            return True
        if isinstance(x, (list, tuple, dict)) and any(
            isinstance(leaf, kind) for leaf in pytrees.flatten(x)[0]
        ):
            return True
    return False


def _as_nodes(tree: Any) -> Any:
    """Arrays as expressions beside expressions; tensors as constants if they want no gradient."""
    return pytrees.map_leaves(
        lambda x: as_node(np.asarray(x)) if isinstance(x, (Tensor, np.ndarray)) else x, tree
    )
