"""PyTorch: ``torch.func`` on tensors of the CPU; Hessians as its documentation advises."""

from __future__ import annotations

from typing import Any

from ..calling import Call
from ..modelling import Model

NAME = "torch.func"
PACKAGE = "torch"


class _Torch:
    """torch under NumPy's names."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self.linalg = torch.linalg

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def maximum(self, a: Any, b: Any) -> Any:
        """``clamp`` takes a number."""
        number, tensor = (a, b) if isinstance(a, float) else (b, a)
        return self._torch.clamp(tensor, min=number)


def contestant(model: Model, result: str, arguments: tuple[Any, ...], direction: Any) -> Call:
    """The transformed function of tensors that share the arrays' memory."""
    import torch

    own, like_numpy = model.variant("torch"), _Torch(torch)

    def loss(*args: Any) -> Any:
        return own(torch, *args) if own else model.loss(like_numpy, *args)

    def product(x: Any, *rest: Any) -> Any:
        return torch.func.jvp(lambda x: torch.func.grad(loss)(x, *rest), (x,), (v,))[1]

    def newton(x: Any, *rest: Any) -> Any:
        gradient, hessian = torch.func.grad(loss)(x, *rest), torch.func.hessian(loss)(x, *rest)
        factor = torch.linalg.cholesky(hessian.reshape(x.numel(), x.numel()))
        return torch.cholesky_solve(gradient.reshape(-1, 1), factor).reshape(x.shape)

    def value_and_gradient(*args: Any) -> Any:
        gradient, value = torch.func.grad_and_value(loss)(*args)
        return value, gradient

    functions = {
        "value": loss,
        "value and gradient": value_and_gradient,
        "Hessian": torch.func.hessian(loss),
        "Hessian product": product,
        "Newton step": newton,
    }
    v = torch.from_numpy(direction)
    tensors = [torch.from_numpy(array) for array in arguments]
    return lambda: functions[result](*tensors)
