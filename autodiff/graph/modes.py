"""Switches of the graph: whether operations are recorded, and which layer is running."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from tensorcalc.errors import TensorcalcError

#: Whether operations on tensors that require gradients are recorded.
recording: ContextVar[bool] = ContextVar("recording", default=True)


#: Called, where it is set, with a layer function and its arguments if they are expressions.
on_expressions: ContextVar[Callable[..., Any] | None] = ContextVar("on_expressions", default=None)


class GraphError(TensorcalcError, RuntimeError):
    """The recorded graph cannot do what was asked of it.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.ones(2), requires_grad=True)
    >>> try:
    ...     w.backward()
    ... except ad.GraphError as error:
    ...     print(str(error).splitlines()[0])
    backward of a tensor that is no scalar
    """


class Switch:
    """Sets :data:`recording` inside a ``with`` block or a decorated function.

    >>> with no_grad():
    ...     is_recording()
    False
    """

    __slots__ = ("_tokens", "_value")

    def __init__(self, value: bool) -> None:
        self._value = value
        self._tokens: list[Any] = []

    def __enter__(self) -> Switch:
        self._tokens.append(recording.set(self._value))
        return self

    def __exit__(self, *error: object) -> None:
        recording.reset(self._tokens.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function`` that always runs with this switch."""
        value = self._value

        @functools.wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            with Switch(value):
                return function(*args, **kwargs)

        return switched


def no_grad(function: Callable[..., Any] | None = None) -> Any:
    """A context, or a decorator with or without parentheses, in which nothing is recorded.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.ones(2), requires_grad=True)
    >>> with ad.no_grad():
    ...     y = np.sum(w)
    >>> y.requires_grad
    False
    """
    return Switch(False) if function is None else Switch(False)(function)


def enable_grad(function: Callable[..., Any] | None = None) -> Any:
    """A context, or a decorator, in which operations are recorded, inside :func:`no_grad` too.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.ones(2), requires_grad=True)
    >>> with ad.no_grad(), ad.enable_grad():
    ...     y = np.sum(w)
    >>> y.requires_grad
    True
    """
    return Switch(True) if function is None else Switch(True)(function)


def is_recording() -> bool:
    """Whether operations are recorded here."""
    return recording.get()


class Scope:
    """A layer that is running, and the one that called it."""

    __slots__ = ("layer", "parent")

    def __init__(self, layer: Any, parent: Scope | None) -> None:
        self.layer = layer
        self.parent = parent


#: The innermost layer that is running.
scope: ContextVar[Scope | None] = ContextVar("scope", default=None)


def path_of(inner: Scope | None) -> str:
    """The dotted path of a layer as its outermost caller knows it, with its type.

    A layer that its caller does not hold as an attribute is named by its type alone.
    """
    names: list[str] = []
    last = inner
    while inner is not None and inner.parent is not None:
        names.append(inner.parent.layer.child_name(inner.layer) or type(inner.layer).__name__)
        inner = inner.parent
    if last is None or inner is None:
        return ""
    path = ".".join([type(inner.layer).__name__, *reversed(names)])
    return f"{path} ({type(last.layer).__name__})" if names else path


def extend(error: Exception, lines: list[str]) -> None:
    """Add lines to the message of an error, once each."""
    text = str(error.args[0]) if error.args else ""
    new = [line for line in lines if line and line not in text]
    if new:
        error.args = ("\n  ".join([text, *new]), *error.args[1:])
