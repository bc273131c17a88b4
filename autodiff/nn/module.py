"""Modules: layers with parameters and buffers, nested by attributes.

A module's parameters, buffers and children are ordinary attributes (or items of lists that are
attributes); nothing happens when they are set, and they are found when they are asked for. So
:func:`functional_call` can put other values, expressions among them, in their places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

import numpy as np

from tensorcalc.errors import ShapeError, UnknownNameError
from tensorcalc.nodes import Node

from ..graph import Tensor
from ..graph.modes import Scope, extend, path_of, scope
from ..graph.placement import moved
from .inputs import wrong_input
from .parameter import Parameter, traced_buffers

#: Tables and drawings; set by :mod:`autodiff.nn.summary`, which comes later.
summary_of: Callable[..., Any] = NotImplemented
drawing_of: Callable[..., str] = NotImplemented


class Place(NamedTuple):
    """Where a parameter, buffer or child is held: ``container[key]``, under a dotted name."""

    name: str
    container: Any
    key: Any
    value: Any


class Module:
    """Base of layers and networks: define parameters and children in ``__init__``, and ``forward``.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Parameter(np.array(2.0))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> float(Scale()(np.array(3.0)))
    6.0

    Raises TypeError in a call of a class that defines no ``forward``.
    """

    training: bool = True
    _buffer_names: dict[str, bool] = {}
    _hooks: list[Callable[..., Any]] | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer computes; every subclass defines it."""
        raise TypeError(f"{type(self).__name__} defines no forward(self, ...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`forward`, in the scope of this layer, followed by hooks."""
        token = scope.set(Scope(self, scope.get()))
        try:
            result = self.forward(*args, **kwargs)
        except Exception as error:
            if getattr(error, "_layer", None):
                raise
            wrong: Any = wrong_input(self, args)
            shown: Any = wrong or error
            shown._layer = self
            extend(shown, [f"in layer {path_of(scope.get())}: {self!r}".split("\n")[0]])
            if wrong:
                raise wrong from error
            raise
        finally:
            scope.reset(token)
        for hook in self._hooks or ():
            changed = hook(self, args, result)
            result = result if changed is None else changed
        return result

    # -- what it holds ----------------------------------------------------------------------
    def _places(self, kind: Any, prefix: str = "") -> Iterator[Place]:
        """Attributes, and items of lists and dicts among them, of a kind."""
        for name, value in list(vars(self).items()):
            if isinstance(value, kind):
                yield Place(prefix + name, vars(self), name, value)
            elif isinstance(value, (list, tuple, dict)):
                items = value.items() if isinstance(value, dict) else enumerate(value)
                for key, item in items:
                    if isinstance(item, kind):
                        yield Place(f"{prefix}{name}.{key}", value, key, item)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Layers held directly, with their names."""
        for place in self._places(Module):
            yield place.name, place.value

    def children(self) -> Iterator[Module]:
        """Layers held directly."""
        return (child for _, child in self.named_children())

    def child_name(self, child: Module) -> str | None:
        """The name under which this module holds ``child``."""
        return next((name for name, each in self.named_children() if each is child), None)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """The module itself under the name "" and all below it, each once."""
        seen: set[int] = set()
        stack = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            inner = [(f"{name}.{key}" if name else key, m) for key, m in module.named_children()]
            stack.extend(reversed(inner))

    def modules(self) -> Iterator[Module]:
        """The module itself and all below it, each once."""
        return (module for _, module in self.named_modules())

    def parameter_places(self) -> Iterator[Place]:
        """Every place of every parameter, shared ones several times."""
        for name, module in self.named_modules():
            yield from module._places(Parameter, f"{name}." if name else "")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(vars(self).get(name), Parameter) and not isinstance(
            value, (Tensor, NoneType)
        ):
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter, and {type(value).__name__} is none\n"
                f"  hint: new numbers go into its data, layer.{name}.data[...] = values; another "
                "parameter is nn.Parameter(values)"
            )
        object.__setattr__(self, name, value)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Parameters with dotted names, each once."""
        seen: set[int] = set()
        for place in self.parameter_places():
            if id(place.value) not in seen:
                seen.add(id(place.value))
                yield place.name, place.value

    def parameters(self) -> Iterator[Parameter]:
        """Parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def register_buffer(self, name: str, value: Any, persistent: bool = True) -> None:
        """An array that is part of the layer's state but not learned."""
        self._buffer_names = {**self._buffer_names, name: persistent}
        setattr(self, name, None if value is None else np.asarray(value))

    def buffer_places(self, persistent_only: bool = False) -> Iterator[Place]:
        """The places of all buffers."""
        for prefix, module in self.named_modules():
            for name, persistent in module._buffer_names.items():
                value = getattr(module, name)
                if value is not None and (persistent or not persistent_only):
                    full = f"{prefix}.{name}" if prefix else name
                    yield Place(full, vars(module), name, value)

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """Buffers with dotted names."""
        return ((place.name, place.value) for place in self.buffer_places())

    def update_buffer(self, name: str, value: Any) -> None:
        """Give a buffer a new value: in place, or to whoever traces the step."""
        if isinstance(value, Node):
            handler = traced_buffers.get()
            if handler is not None:
                handler(self, name, value)
            return
        getattr(self, name)[...] = value

    # -- modes ------------------------------------------------------------------------------
    def train(self, mode: bool = True) -> Any:
        """Training behaviour of this module and all below it (dropout, batch statistics)."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Any:
        """Inference behaviour."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Whether the parameters learn."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def freeze(self) -> Any:
        """No parameter learns until :meth:`unfreeze`."""
        return self.requires_grad_(False)

    def unfreeze(self) -> Any:
        """All parameters learn."""
        return self.requires_grad_(True)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def apply(self, function: Callable[[Module], Any]) -> Any:
        """Call ``function`` with every module, children before their parents."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def astype(self, dtype: Any) -> Any:
        """All parameters and real buffers in another precision."""
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(dtype)
            parameter.grad = None
        for place in self.buffer_places():
            if place.value.dtype.kind == "f":
                place.container[place.key] = place.value.astype(dtype)
        return self

    def to(self, place: str) -> Any:
        """All parameters and buffers in the memory of ``"cuda"`` or ``"cpu"``."""
        for parameter in self.parameters():
            parameter.data = moved(parameter.data, place)
            parameter.grad = None if parameter.grad is None else moved(parameter.grad, place)
        for buffer in self.buffer_places():
            buffer.container[buffer.key] = moved(buffer.value, place)
        return self

    def double(self) -> Any:
        """In float64."""
        return self.astype(np.float64)

    def float(self) -> Any:
        """In float32."""
        return self.astype(np.float32)

    def register_forward_hook(self, hook: Callable[..., Any]) -> Callable[[], None]:
        """Call ``hook(module, args, result)`` after every call; returns what removes it."""
        self._hooks = [*(self._hooks or []), hook]
        return lambda: setattr(self, "_hooks", [h for h in self._hooks or () if h is not hook])

    # -- state ------------------------------------------------------------------------------
    def _state_places(self) -> Iterator[Place]:
        for name, parameter in self.named_parameters():
            yield Place(name, None, None, parameter.data)
        yield from self.buffer_places(persistent_only=True)

    def state_dict(self) -> dict[str, Any]:
        """Copies of all parameters and persistent buffers by name."""
        return {place.name: np.array(place.value) for place in self._state_places()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Copy values into parameters and buffers.

        Raises UnknownNameError for names that are missing or too many (unless not ``strict``), and
        ShapeError for a wrong shape; then nothing is changed.
        """
        places = {place.name: place.value for place in self._state_places()}
        missing = [name for name in places if name not in state]
        extra = [name for name in state if name not in places]
        if strict and (missing or extra):
            raise UnknownNameError(
                f"load_state_dict of {type(self).__name__}: names do not match",
                [
                    f"missing in the state: {', '.join(missing) or 'none'}",
                    f"not in the module: {', '.join(extra) or 'none'}",
                ],
                "build the same network, or pass strict=False",
            )
        common = [name for name in places if name in state]
        for name in common:
            if np.shape(state[name]) != places[name].shape:
                raise ShapeError(
                    f"load_state_dict of {type(self).__name__}: {name} has another shape",
                    [f"module: {places[name].shape}", f"state: {np.shape(state[name])}"],
                    "build the network with the sizes of the saved one",
                )
        for name in common:
            places[name][...] = state[name]

    def save(self, path: str | Path) -> None:
        """Write the state as ``.npz``."""
        with open(path, "wb") as file:
            np.savez(file, **self.state_dict())

    def load(self, path: str | Path, strict: bool = True) -> None:
        """Read what :meth:`save` wrote; nothing in the file is executed."""
        with np.load(path, allow_pickle=False) as file:
            self.load_state_dict(dict(file), strict)

    # -- text -------------------------------------------------------------------------------
    def summary(self, *inputs: Any, **kwargs: Any) -> Any:
        """A table of layers with shapes, parameters and operations; see :func:`nn.summary`."""
        return summary_of(self, *inputs, **kwargs)

    def to_dot(self, *inputs: Any, **kwargs: Any) -> str:
        """The recorded graph of a forward pass for Graphviz; see :func:`nn.draw`."""
        return drawing_of(self, *inputs, **kwargs)

    def extra_repr(self) -> str:
        """Arguments that the text of a layer shows."""
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): {child!r}" for name, child in self.named_children()]
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        inner = "\n".join(children).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {inner}\n)"


@contextmanager
def substituted(module: Module, values: Mapping[str, Any]) -> Iterator[None]:
    """Other values in the places of parameters and buffers while the block runs.

    A parameter that is held in several places is replaced in all. Raises UnknownNameError for a
    name that is none of them.

    >>> import numpy as np, autodiff as ad
    >>> layer = ad.nn.Linear(1, 1, bias=False)
    >>> with ad.nn.substituted(layer, {"weight": np.array([[3.0]])}):
    ...     layer(np.ones((1, 1)))
    array([[3.]])
    """
    places = [*module.parameter_places(), *module.buffer_places()]
    by_name = {place.name: place.value for place in places}
    unknown = [name for name in values if name not in by_name]
    if unknown:
        raise UnknownNameError(
            f"{type(module).__name__} has no parameter or buffer {', '.join(unknown)}",
            [f"it has: {', '.join(by_name)}"],
        )
    new = {id(by_name[name]): value for name, value in values.items()}
    changed = [place for place in places if id(place.value) in new]
    try:
        for place in changed:
            place.container[place.key] = new[id(place.value)]
        yield
    finally:
        for place in changed:
            place.container[place.key] = place.value


def functional_call(module: Module, values: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """``module(*args, **kwargs)`` as a function of parameters and buffers given by name.

    Values are arrays, tensors or expressions; names that are left out keep what the module has.
    While it runs, the module holds the values themselves, so one module must not be called from
    two threads at once.

    >>> import numpy as np, autodiff as ad
    >>> layer = ad.nn.Linear(2, 1)
    >>> values = {"weight": np.array([[1.0, 2.0]]), "bias": np.zeros(1)}
    >>> ad.nn.functional_call(layer, values, np.ones((1, 2)))
    array([[3.]])
    """
    with substituted(module, values):
        return module(*args, **kwargs)
