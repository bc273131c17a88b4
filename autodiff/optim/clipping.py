"""Gradients kept below a bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..graph import GraphError, Tensor
from ..graph.calls import on_arrays


def total_norm(grads: Sequence[Any], norm_type: float = 2.0) -> Any:
    """The norm of all entries of all gradients together, of arrays or expressions."""
    if norm_type == 2:
        return np.sqrt(sum(np.sum(grad * grad) for grad in grads))
    if norm_type == np.inf:
        largest = np.max(np.abs(grads[0]))
        for grad in grads[1:]:
            largest = np.maximum(largest, np.max(np.abs(grad)))
        return largest
    return sum(np.sum(np.abs(grad) ** norm_type) for grad in grads) ** (1 / norm_type)


def clip_factor(norm: Any, max_norm: float) -> Any:
    """``min(1, max_norm/(norm + 1e-6))``, of a number or an expression."""
    return np.minimum(1.0, max_norm / (norm + 1e-6))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Any:
    """Scale all gradients by ``min(1, max_norm/(norm + 1e-6))``; gives the norm before.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.array([3.0, 4.0]), requires_grad=True)
    >>> np.sum(w**2).backward()
    >>> float(ad.optim.clip_grad_norm_([w], 1.0))
    10.0
    >>> w.grad.round(3)
    array([0.6, 0.8])

    Raises GraphError for a norm that is not finite if ``error_if_nonfinite``. Source: Pascanu,
    Mikolov and Bengio 2013.
    """
    given = _with_gradients(parameters)
    if not given:
        return np.float64(0.0)
    norm = on_arrays(total_norm, [_array(p.grad) for p in given], float(norm_type))
    if error_if_nonfinite and not np.isfinite(float(norm)):
        raise GraphError(f"the norm of the gradients is {norm}", hint="lower the learning rate")
    factor = on_arrays(clip_factor, norm, max_norm)
    for param in given:
        grad = _array(param.grad)
        param.grad = on_arrays(np.multiply, factor, grad).astype(grad.dtype, copy=False)
    return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Keep every entry of every gradient within ``[-clip_value, clip_value]``.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.array([1.0, -2.0]), requires_grad=True)
    >>> np.sum(w**2).backward()
    >>> ad.optim.clip_grad_value_([w], 3.0)
    >>> w.grad
    array([ 2., -3.])
    """
    for param in _with_gradients(parameters):
        param.grad = on_arrays(np.clip, _array(param.grad), -clip_value, clip_value)


def _with_gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    given = [parameters] if isinstance(parameters, Tensor) else listed(parameters, "clipping")
    return [p for p in given if p.grad is not None]


def listed(parameters: Any, who: str) -> list[Any]:
    """Parameters as a list.

    Raises TypeError for what cannot be iterated over, as a method that was not called.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError(
            f"{who} takes tensors, not {type(parameters).__name__}\n"
            "  hint: pass model.parameters(), with parentheses"
        )
    return list(parameters)


def _array(grad: Any) -> Any:
    return grad.data if isinstance(grad, Tensor) else grad
