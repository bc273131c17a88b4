"""Functions that no protocol reaches, inside a traced function.

``scipy.special.softmax`` and a few others are no ufuncs: they turn their argument into an array of
numbers. ``np.eye(x.shape[0])`` has no expression among its arguments at all. Users' modules hold
these functions by names of their own. So while a function is traced they run other code:
expressions and extents go to what tensorcalc means by that name, numbers go to the code that was
there, also in other threads. ``np.array`` is written in C and has no code that could be exchanged:
it is NumPy's namespace that holds another function meanwhile.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

import tensorcalc as tc
from tensorcalc.nodes import Node
from tensorcalc.numpy_protocol.convert import Constants, holds_node
from tensorcalc.numpy_protocol.creation import array, asarray, eye, full, identity, ones, tri
from tensorcalc.numpy_protocol.functions import Meaning

#: The functions with their meanings, by the module that users import them from.
MODULES: dict[str, dict[str, Callable[..., Any]]] = {
    "numpy": {f.__name__: f for f in (eye, identity, ones, full, tri)},
    "scipy.special": {
        f.__name__: f for f in (tc.logsumexp, tc.softmax, tc.log_softmax, tc.polygamma)
    },
    "scipy.linalg": {"expm": tc.expm},
}
#: Those written in C, and what they are in NumPy's namespace while something is traced.
COMPILED: dict[str, Callable[..., Any]] = {f.__name__: f for f in (array, asarray)}


class _Replaced(NamedTuple):
    """A function that runs other code, and one with the code and the defaults that were its own."""

    function: Any
    own: Any
    meaning: Meaning


_replaced: dict[Any, _Replaced] = {}
_lock = threading.Lock()
_traces = 0
#: Whether it is this thread that traces.
_inside: ContextVar[bool] = ContextVar("inside", default=False)


@contextmanager
def taking_expressions() -> Iterator[None]:
    """Inside, the functions of :data:`MODULES` that are loaded take expressions."""
    global _traces
    with _lock:
        _traces += 1
        for module, meanings in MODULES.items():
            for name in meanings if module in sys.modules else ():
                _replace(getattr(sys.modules[module], name), meanings[name])
        vars(np).update(_standing_in)
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)
        with _lock:
            _traces -= 1
            if not _traces:
                for function, own, _ in _replaced.values():
                    function.__code__ = own.__code__
                    function.__kwdefaults__ = own.__kwdefaults__
                vars(np).update(_compiled)


def _replace(function: Any, meaning: Callable[..., Any]) -> None:
    if function not in _replaced:
        code, namespace = function.__code__, function.__globals__
        own = FunctionType(code, namespace, None, function.__defaults__, function.__closure__)
        own.__kwdefaults__ = function.__kwdefaults__
        _replaced[function] = _Replaced(function, own, Meaning(own, meaning))
    replaced = _replaced[function]
    # The defaults of both, at every moment: another thread may be about to call.
    defaults = replaced.own.__kwdefaults__ or {}
    function.__kwdefaults__ = {**defaults, "_called": partial(_called_while_tracing, replaced)}
    function.__code__ = _call.__code__


def _call(*args: Any, _called: Any, **kwargs: Any) -> Any:
    return _called(args, kwargs)


def _called_while_tracing(
    replaced: _Replaced, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if any(map(holds_node, (*args, *kwargs.values()))):
        return replaced.meaning(args, kwargs)
    result = replaced.own(*args, **kwargs)
    made = _inside.get() and replaced.function.__module__.startswith("numpy")
    return result.view(Constants) if made else result


def _stand_in(own: Any, meaning: Meaning) -> Any:
    @wraps(own)
    def function(*args: Any, **kwargs: Any) -> Any:
        if _inside.get() and args and _holds_expression(args[0]):
            return meaning(args, kwargs)
        return own(*args, **kwargs)

    return function


def _holds_expression(value: Any) -> bool:
    """Whether an expression is in nested lists; extents alone are numbers here, which pins them."""
    if isinstance(value, (list, tuple)):
        return any(map(_holds_expression, value))
    return isinstance(value, Node)


_compiled = {name: getattr(np, name) for name in COMPILED}
_standing_in = {
    name: _stand_in(own, Meaning(own, COMPILED[name])) for name, own in _compiled.items()
}
