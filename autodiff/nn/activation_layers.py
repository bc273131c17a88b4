"""Activation functions as layers, with torch's names, arguments and defaults."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .module import Module
from .parameter import filled


class Activation(Module):
    """A function of one input with fixed options."""

    function: Any = None
    #: Names and defaults of the options in their order.
    options: dict[str, Any] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        names = list(self.options)
        if len(args) > len(names) or kwargs.keys() - {*names, "inplace"}:
            raise TypeError(f"{type(self).__name__} takes {', '.join(names) or 'no'} options")
        self.values = {**self.options, **dict(zip(names, args, strict=False)), **kwargs}
        self.values.pop("inplace", None)

    def forward(self, input: Any) -> Any:
        return type(self).function(input, *self.values.values())

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.values.items())


def _layer(name: str, function: Any, **options: Any) -> Any:
    summary = (function.__doc__ or "").strip()
    fields = {
        "function": staticmethod(function),
        "options": options,
        "__doc__": summary,
        "__module__": __name__,
    }
    return type(name, (Activation,), fields)


ReLU = _layer("ReLU", F.relu)
ReLU6 = _layer("ReLU6", F.relu6)
LeakyReLU = _layer("LeakyReLU", F.leaky_relu, negative_slope=0.01)
ELU = _layer("ELU", F.elu, alpha=1.0)
SELU = _layer("SELU", F.selu)
CELU = _layer("CELU", F.celu, alpha=1.0)
GELU = _layer("GELU", F.gelu, approximate="none")
SiLU = _layer("SiLU", F.silu)
Mish = _layer("Mish", F.mish)
Sigmoid = _layer("Sigmoid", F.sigmoid)
LogSigmoid = _layer("LogSigmoid", F.logsigmoid)
Tanh = _layer("Tanh", F.tanh)
Softplus = _layer("Softplus", F.softplus, beta=1.0, threshold=20.0)
Softsign = _layer("Softsign", F.softsign)
Hardtanh = _layer("Hardtanh", F.hardtanh, min_val=-1.0, max_val=1.0)
Hardsigmoid = _layer("Hardsigmoid", F.hardsigmoid)
Hardswish = _layer("Hardswish", F.hardswish)
Hardshrink = _layer("Hardshrink", F.hardshrink, lambd=0.5)
Softshrink = _layer("Softshrink", F.softshrink, lambd=0.5)
Tanhshrink = _layer("Tanhshrink", F.tanhshrink)
GLU = _layer("GLU", F.glu, dim=-1)
Softmax = _layer("Softmax", F.softmax, dim=-1)
LogSoftmax = _layer("LogSoftmax", F.log_softmax, dim=-1)
Softmin = _layer("Softmin", F.softmin, dim=-1)


class Threshold(Module):
    """``x`` where it exceeds ``threshold``, else ``value``."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold, self.value = threshold, value

    def forward(self, input: Any) -> Any:
        return F.threshold(input, self.threshold, self.value)


class PReLU(Module):
    """``x`` where positive, else ``weight x``; one weight, or one per channel."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = None) -> None:
        self.weight = filled((num_parameters,), init, dtype)

    def forward(self, input: Any) -> Any:
        return F.prelu(input, self.weight)
