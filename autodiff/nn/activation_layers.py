"""Activation functions as layers, with torch's names, arguments and defaults."""

from __future__ import annotations

from inspect import Parameter, Signature, signature
from typing import Any

from . import functional
from .module import Module
from .parameter import filled

#: Layers that torch can run in place; here that changes nothing but the memory that torch saves.
INPLACE = frozenset(
    "ReLU ReLU6 LeakyReLU ELU SELU CELU SiLU Mish Hardtanh Hardsigmoid Hardswish".split()
)


class Activation(Module):
    """A function of one input with fixed options."""

    function: Any = None
    #: Names and defaults of the options in their order.
    options: dict[str, Any] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature(type(self)).bind(*args, **kwargs)
        except TypeError as error:
            names = ", ".join(signature(type(self)).parameters) or "nothing"
            raise TypeError(f"{type(self).__name__} takes {names}: {error}") from None
        bound.apply_defaults()
        self.values = {name: bound.arguments[name] for name in self.options}

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return type(self).function(input, *self.values.values())

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return ", ".join(f"{name}={value}" for name, value in self.values.items())


def _layer(name: str, function: Any, **options: Any) -> Any:
    summary = (function.__doc__ or "").strip()
    options_of_torch = {**options, "inplace": False} if name in INPLACE else options
    parameters = [
        Parameter(option, Parameter.POSITIONAL_OR_KEYWORD, default=default)
        for option, default in options_of_torch.items()
    ]
    fields = {
        "function": staticmethod(function),
        "__signature__": Signature(parameters),
        "options": options,
        "__doc__": summary,
        "__module__": __name__,
    }
    return type(name, (Activation,), fields)


ReLU = _layer("ReLU", functional.relu)
ReLU6 = _layer("ReLU6", functional.relu6)
LeakyReLU = _layer("LeakyReLU", functional.leaky_relu, negative_slope=0.01)
ELU = _layer("ELU", functional.elu, alpha=1.0)
SELU = _layer("SELU", functional.selu)
CELU = _layer("CELU", functional.celu, alpha=1.0)
GELU = _layer("GELU", functional.gelu, approximate="none")
SiLU = _layer("SiLU", functional.silu)
Mish = _layer("Mish", functional.mish)
Sigmoid = _layer("Sigmoid", functional.sigmoid)
LogSigmoid = _layer("LogSigmoid", functional.logsigmoid)
Tanh = _layer("Tanh", functional.tanh)
Softplus = _layer("Softplus", functional.softplus, beta=1.0, threshold=20.0)
Softsign = _layer("Softsign", functional.softsign)
Hardtanh = _layer("Hardtanh", functional.hardtanh, min_val=-1.0, max_val=1.0)
Hardsigmoid = _layer("Hardsigmoid", functional.hardsigmoid)
Hardswish = _layer("Hardswish", functional.hardswish)
Hardshrink = _layer("Hardshrink", functional.hardshrink, lambd=0.5)
Softshrink = _layer("Softshrink", functional.softshrink, lambd=0.5)
Tanhshrink = _layer("Tanhshrink", functional.tanhshrink)
GLU = _layer("GLU", functional.glu, dim=-1)
Softmax = _layer("Softmax", functional.softmax, dim=-1)
LogSoftmax = _layer("LogSoftmax", functional.log_softmax, dim=-1)
Softmin = _layer("Softmin", functional.softmin, dim=-1)


class Threshold(Module):
    """``x`` where it exceeds ``threshold``, else ``value``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.Threshold(1.0, -1.0)(np.array([0.0, 2.0]))
    array([-1.,  2.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold, self.value = threshold, value

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return functional.threshold(input, self.threshold, self.value)


class PReLU(Module):
    """``x`` where positive, else ``weight x``; one weight, or one per channel.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.PReLU()(np.array([-1.0, 2.0])).data
    array([-0.25,  2.  ])
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = None) -> None:
        self.weight = filled((num_parameters,), init, dtype)

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return functional.prelu(input, self.weight)
