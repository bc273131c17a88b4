"""Functions that no protocol reaches, inside a traced function.

``scipy.special.softmax`` and a few others are no ufuncs: they turn their argument into an array of
numbers. ``np.eye(x.shape[0])`` has no expression among its arguments at all. Users' modules hold
these functions by names of their own. So while a function is traced they run other code:
expressions and extents go to what tensorcalc means by that name, numbers go to the code that was
there, also in other threads.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from inspect import signature
from types import FunctionType
from typing import Any, NamedTuple

import tensorcalc as tc
from tensorcalc.errors import TraceError
from tensorcalc.numpy_protocol.convert import Constants, holds_node
from tensorcalc.numpy_protocol.creation import eye, full, identity, ones, tri

#: The functions with their meanings, by the module that users import them from.
MODULES: dict[str, dict[str, Callable[..., Any]]] = {
    "numpy": {f.__name__: f for f in (eye, identity, ones, full, tri)},
    "scipy.special": {
        f.__name__: f for f in (tc.logsumexp, tc.softmax, tc.log_softmax, tc.polygamma)
    },
    "scipy.linalg": {"expm": tc.expm},
}
MEANINGS = {name: meaning for meanings in MODULES.values() for name, meaning in meanings.items()}


class _Replaced(NamedTuple):
    """A function that runs other code, and one with the code and the defaults that were its own."""

    function: Any
    own: Any


_replaced: dict[str, _Replaced] = {}
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
        for module, names in MODULES.items():
            for name in names if module in sys.modules else ():
                _replace(name, getattr(sys.modules[module], name))
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)
        with _lock:
            _traces -= 1
            if not _traces:
                for function, own in _replaced.values():
                    function.__code__ = own.__code__
                    function.__kwdefaults__ = own.__kwdefaults__


def _replace(name: str, function: Any) -> None:
    if name not in _replaced:
        code, namespace = function.__code__, function.__globals__
        own = FunctionType(code, namespace, name, function.__defaults__, function.__closure__)
        own.__kwdefaults__ = function.__kwdefaults__
        _replaced[name] = _Replaced(function, own)
    # The defaults of both, at every moment: another thread may be about to call.
    defaults = _replaced[name].own.__kwdefaults__ or {}
    function.__kwdefaults__ = {**defaults, "_called": partial(called, name)}
    function.__code__ = _call.__code__


def _call(*args: Any, _called: Any, **kwargs: Any) -> Any:
    return _called(args, kwargs)


def called(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a call of a function of :data:`MODULES` gives while something is traced.

    Raises TraceError for an option that expressions cannot have.
    """
    if not any(map(holds_node, (*args, *kwargs.values()))):
        result = _replaced[name].own(*args, **kwargs)
        return result.view(Constants) if _inside.get() and name in MODULES["numpy"] else result
    meaning = MEANINGS[name]
    options = signature(meaning).parameters
    refused = sorted(kwargs.keys() - options.keys())
    if refused:
        raise TraceError(
            f"{name} with {', '.join(f'{key}=' for key in refused)} cannot be traced",
            [f"options that can: {', '.join(list(options)[1:])}"],
            "leave the option out",
        )
    return meaning(*args, **kwargs)
