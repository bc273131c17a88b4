"""Parameters and what layers take from the trace of a whole step: random draws, new buffers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from tensorcalc.errors import TraceError
from tensorcalc.nodes import Node

from ..graph import Tensor, default_generator

_default_dtype: list[Any] = [np.dtype(np.float32)]

#: Where random arrays come from while a step is traced: ``draw(extents, sample)`` gives a variable
#: that every run of the compiled step fills with ``sample(shape)``.
traced_draws: ContextVar[Callable[[Sequence[Any], Callable[..., Any]], Node] | None] = ContextVar(
    "traced_draws", default=None
)
#: Where new values of buffers go while a step is traced: ``update(module, name, value)``.
traced_buffers: ContextVar[Callable[[Any, str, Node], None] | None] = ContextVar(
    "traced_buffers", default=None
)


class Parameter(Tensor):
    """A tensor that a layer learns: requires gradients from the start.

    >>> Parameter(np.zeros(2)).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, name: str | None = None) -> None:
        super().__init__(data, requires_grad=requires_grad, name=name)


def set_default_dtype(dtype: Any) -> None:
    """The precision of parameters that are made from now on; float32 at the start, as in torch.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.set_default_dtype("float64")
    >>> ad.nn.Linear(2, 2).weight.dtype
    dtype('float64')
    >>> ad.nn.set_default_dtype("float32")

    Raises TypeError for a dtype that is not of real numbers.
    """
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"default dtype {dtype}: parameters are real numbers")
    _default_dtype[0] = dtype


def get_default_dtype() -> Any:
    """The precision of new parameters.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.get_default_dtype()
    dtype('float32')
    """
    return _default_dtype[0]


def uniform(
    shape: Sequence[int], bound: float, dtype: Any = None, generator: Any = None
) -> Parameter:
    """A parameter with entries drawn evenly between ``-bound`` and ``bound``."""
    generator = generator or default_generator()
    values = generator.uniform(-bound, bound, tuple(shape))
    return Parameter(values.astype(dtype or get_default_dtype()))


def filled(shape: Sequence[int], value: float, dtype: Any = None) -> Parameter:
    """A parameter with one value everywhere."""
    return Parameter(np.full(tuple(shape), value, dtype or get_default_dtype()))


def kept_mask(x: Any, shape: Sequence[Any], p: float, generator: Any = None) -> Any:
    """A random mask that is false with probability ``p``.

    Raises TraceError where ``x`` is an expression and no step is being compiled.
    """

    def sample(sizes: Sequence[int]) -> Any:
        return (generator or default_generator()).random(tuple(sizes), np.float32) >= p

    if not isinstance(x, Node):
        return sample(shape)
    draw = traced_draws.get()
    if draw is None:
        raise TraceError(
            "a layer that draws random numbers was met while tracing",
            hint="call model.eval() first, or compile the training step with ad.compile_step",
        )
    return draw(shape, sample)
