"""Operators, array methods and in-place updates of tensors: what leads to a recorded call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.cuda.arrays import is_on_device
from tensorcalc.nodes import METHODS, Node

from . import changes, tensor
from .calls import on_arrays, record
from .modes import GraphError, recording
from .placement import target_of
from .tensor import Tensor, not_in_place


def _operator(ufunc: Any, reflected: bool) -> Callable[..., Any]:
    """An operator method that skips NumPy's dispatch, which would come back here."""
    if reflected:
        return lambda self, other: record(ufunc, (other, self))

    def operator(self: Tensor, other: Any) -> Any:
        foreign = getattr(other, "__array_ufunc__", True) is None and not is_on_device(other)
        if isinstance(other, Node) or foreign:
            return NotImplemented
        return record(ufunc, (self, other))

    return operator


for _name, _ufunc in [
    ("add", np.add),
    ("sub", np.subtract),
    ("mul", np.multiply),
    ("truediv", np.true_divide),
    ("pow", np.power),
    ("matmul", np.matmul),
]:
    setattr(Tensor, f"__{_name}__", _operator(_ufunc, False))
    setattr(Tensor, f"__r{_name}__", _operator(_ufunc, True))


# -- array methods --------------------------------------------------------------------------------
class Method:
    """An array method or property by name, as a function of arrays and expressions alike."""

    _known: dict[str, Method] = {}

    def __new__(cls, name: str, is_property: bool) -> Method:
        """The one object for a name, so that it can be a key."""
        if name not in cls._known:
            method = cls._known[name] = object.__new__(cls)
            method.__name__, method.is_property = name, is_property
        return cls._known[name]

    __name__: str
    is_property: bool

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The property of ``x``, or the method called."""
        found = getattr(x, self.__name__)
        return found if self.is_property else found(*args, **kwargs)


def _add_methods() -> None:
    """Every array method that expressions have; those defined above stay."""
    for name, meaning in METHODS.items():
        if name.startswith("_") or hasattr(Tensor, name) or not hasattr(np.ndarray, name):
            continue
        is_property = getattr(meaning, "is_property", False)
        method = Method(name, is_property)
        if is_property:
            setattr(Tensor, name, _recorded_property(method))
        else:
            setattr(Tensor, name, _recorded_method(method))


def _recorded_property(method: Method) -> property:
    return property(lambda self: record(method, (self,)))


def _recorded_method(method: Method) -> Callable[..., Any]:
    def recorded(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return record(method, (self, *args), kwargs)

    recorded.__name__ = method.__name__
    recorded.__doc__ = f"``numpy.ndarray.{method.__name__}``, recorded."
    return recorded


_add_methods()


# -- in place -------------------------------------------------------------------------------------
def in_place(ufunc: Any, method: str, inputs: Any, options: dict[str, Any]) -> Any:
    """``out=`` writes into data outside the graph; ``t += u`` of a result makes a new tensor."""
    outs = options.pop("out")
    if len(outs) != 1 or method != "__call__":
        raise GraphError(f"{ufunc.__name__}.{method} with out= of tensors", hint="leave out= away")
    out = outs[0]
    involved = any(isinstance(x, Tensor) and x._requires_grad for x in (*inputs, out))
    if recording.get() and involved:
        if out is inputs[0] and not (isinstance(out, Tensor) and out.is_leaf):
            return record(ufunc, inputs, options)
        raise not_in_place(f"{ufunc.__name__} into a tensor that requires gradients")
    target = out.data if isinstance(out, Tensor) else out
    arrays = [x.data if isinstance(x, Tensor) else x for x in inputs]
    if target_of([target, *arrays]) == "numpy":
        ufunc(*arrays, out=target, **options)
    else:
        target[...] = on_arrays(ufunc, *arrays, **options)
    changes.note(target)
    return out


tensor.in_place = in_place
