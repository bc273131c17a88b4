"""Update rules: pure NumPy functions ``(param, grad, state, options) -> (param, state)``.

Each rule is written once. An optimizer's ``step`` runs it on arrays; ``compile_step`` runs it on
expressions, so that it becomes a part of the program of a training step. ``state`` is a dictionary
of arrays of the parameter's shape (each rule names them as torch does). ``options`` holds the
options of the parameter group, which are constants, and the numbers that change from step to step:
``lr`` and those that the optimizer derives from the count of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

State = dict[str, Any]
Updated = tuple[Any, State]


def _decayed(param: Any, grad: Any, options: Mapping[str, Any]) -> Any:
    """The gradient of the loss plus ``weight_decay/2 |param|²``."""
    decay = options["weight_decay"]
    return grad + decay * param if decay else grad


def sgd(param: Any, grad: Any, state: State, options: Mapping[str, Any]) -> Updated:
    """``b' = momentum b + intake g``, ``p' = p - lr b'``; Nesterov: ``p - lr (g + momentum b')``.

    ``intake`` is 1 at the first step and ``1 - dampening`` later. Sources: Polyak 1964; Sutskever
    et al. 2013.
    """
    grad = _decayed(param, grad, options)
    momentum = options["momentum"]
    if not momentum:
        return param - options["lr"] * grad, state
    taken = options["intake"] * grad if options["dampening"] else grad
    buffer = momentum * state["momentum_buffer"] + taken
    direction = grad + momentum * buffer if options["nesterov"] else buffer
    return param - options["lr"] * direction, {"momentum_buffer": buffer}


def adam(param: Any, grad: Any, state: State, options: Mapping[str, Any]) -> Updated:
    """``m' = b1 m + (1-b1) g``, ``v' = b2 v + (1-b2) g²``, ``p' = p - s m'/(sqrt(v')/root + eps)``.

    ``s = lr/(1-b1^t)`` and ``root = sqrt(1-b2^t)`` correct the averages for having begun at
    zero. Source: Kingma and Ba 2015; amsgrad: Reddi et al. 2018.
    """
    return _adam(param, _decayed(param, grad, options), state, options)


def adamw(param: Any, grad: Any, state: State, options: Mapping[str, Any]) -> Updated:
    """:func:`adam` of parameters that first shrink by ``lr weight_decay``.

    Source: Loshchilov and Hutter 2019.
    """
    return _adam(_shrunk(param, options), grad, state, options)


def _shrunk(param: Any, options: Mapping[str, Any]) -> Any:
    decay = options["weight_decay"]
    return param * (1 - options["lr"] * decay) if decay else param


def _adam(param: Any, grad: Any, state: State, options: Mapping[str, Any]) -> Updated:
    beta1, beta2 = options["betas"]
    mean = beta1 * state["exp_avg"] + (1 - beta1) * grad
    square = beta2 * state["exp_avg_sq"] + (1 - beta2) * (grad * grad)
    new = {"exp_avg": mean, "exp_avg_sq": square}
    if options["amsgrad"]:
        square = new["max_exp_avg_sq"] = np.maximum(state["max_exp_avg_sq"], square)
    scale = np.sqrt(square) / options["root"] + options["eps"]
    return param - options["step_size"] * (mean / scale), new


def rmsprop(param: Any, grad: Any, state: State, options: Mapping[str, Any]) -> Updated:
    """``v' = alpha v + (1-alpha) g²``, ``p' = p - lr g/(sqrt(v') + eps)``.

    ``centered`` subtracts the square of the averaged gradient from v'; with ``momentum`` the steps
    are averaged. Source: Tieleman and Hinton 2012.
    """
    grad, alpha = _decayed(param, grad, options), options["alpha"]
    square = alpha * state["square_avg"] + (1 - alpha) * (grad * grad)
    new = {"square_avg": square}
    if options["centered"]:
        mean = new["grad_avg"] = alpha * state["grad_avg"] + (1 - alpha) * grad
        square = square - mean * mean
    direction = grad / (np.sqrt(square) + options["eps"])
    if options["momentum"]:
        direction = options["momentum"] * state["momentum_buffer"] + direction
        new["momentum_buffer"] = direction
    return param - options["lr"] * direction, new


def adagrad(param: Any, grad: Any, state: State, options: Mapping[str, Any]) -> Updated:
    """``s' = s + g²``, ``p' = p - r g/(sqrt(s') + eps)`` with ``r = lr/(1 + (t-1) lr_decay)``.

    Source: Duchi, Hazan and Singer 2011.
    """
    grad = _decayed(param, grad, options)
    total = state["sum"] + grad * grad
    return param - options["rate"] * (grad / (np.sqrt(total) + options["eps"])), {"sum": total}


def lion(param: Any, grad: Any, state: State, options: Mapping[str, Any]) -> Updated:
    """``p' = p (1 - lr weight_decay) - lr sign(b1 m + (1-b1) g)``, then ``m' = b2 m + (1-b2) g``.

    Source: Chen et al. 2023, algorithm 2.
    """
    beta1, beta2 = options["betas"]
    mean = state["exp_avg"]
    direction = np.sign(beta1 * mean + (1 - beta1) * grad)
    updated = _shrunk(param, options) - options["lr"] * direction
    return updated, {"exp_avg": beta2 * mean + (1 - beta2) * grad}
