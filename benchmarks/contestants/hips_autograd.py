"""HIPS autograd: ``autograd.numpy`` in place of NumPy."""

from __future__ import annotations

from typing import Any

from scipy.linalg import cho_factor, cho_solve

from ..calling import Call
from ..modelling import Model

NAME = "autograd"
PACKAGE = "autograd"


def contestant(model: Model, result: str, arguments: tuple[Any, ...], direction: Any) -> Call:
    """The transformed function of NumPy arrays."""
    import autograd
    import autograd.numpy as anp

    def loss(*args: Any) -> Any:
        return model.loss(anp, *args)

    gradient, hessian = autograd.grad(loss), autograd.hessian(loss)
    product = autograd.hessian_vector_product(loss)

    def newton(x: Any, *rest: Any) -> Any:
        factor = cho_factor(hessian(x, *rest).reshape(x.size, x.size))
        return cho_solve(factor, gradient(x, *rest).ravel()).reshape(x.shape)

    x, *rest = arguments
    calls: dict[str, Call] = {
        "value": lambda: loss(*arguments),
        "value and gradient": lambda: autograd.value_and_grad(loss)(*arguments),
        "Hessian": lambda: hessian(*arguments),
        "Hessian product": lambda: product(x, *rest, direction),
        "Newton step": lambda: newton(*arguments),
    }
    return calls[result]
