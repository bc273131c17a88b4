"""Losses of real targets. Shapes of input and target agree; sources: the torch.nn names."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph.functions import layer_function
from .reduction import Loss, check_positive, check_reduction, check_same_shape, reduced


@layer_function
def _squared(input: Any, target: Any, reduction: str) -> Any:
    return reduced((input - target) ** 2, reduction)


@layer_function
def _absolute(input: Any, target: Any, reduction: str) -> Any:
    return reduced(np.abs(input - target), reduction)


@layer_function
def _huber(input: Any, target: Any, reduction: str, delta: float) -> Any:
    distance = np.abs(input - target)
    near = 0.5 * distance**2
    return reduced(np.where(distance < delta, near, delta * (distance - 0.5 * delta)), reduction)


@layer_function
def _smooth_absolute(input: Any, target: Any, reduction: str, beta: float) -> Any:
    distance = np.abs(input - target)
    near = distance**2 * (0.5 / beta)
    return reduced(np.where(distance < beta, near, distance - 0.5 * beta), reduction)


@layer_function
def _gaussian_nll(input: Any, target: Any, var: Any, full: bool, eps: float, reduction: str) -> Any:
    var = np.maximum(var, eps)
    losses = 0.5 * (np.log(var) + (input - target) ** 2 / var)
    return reduced(losses + 0.5 * np.log(2 * np.pi) if full else losses, reduction)


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Squared error, ``(input[i] - target[i])²``.

    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([0.0, 0.0])))
    2.5

    Raises ShapeError where shapes differ.
    """
    check_reduction(reduction)
    check_same_shape("mse_loss", input, target)
    return _squared(input, target, reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Absolute error, ``|input[i] - target[i]|``.

    >>> import numpy as np, autodiff as ad
    >>> float(ad.losses.l1_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    1.0

    Raises ShapeError where shapes differ.
    """
    check_reduction(reduction)
    check_same_shape("l1_loss", input, target)
    return _absolute(input, target, reduction)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Squared error up to ``delta``, absolute beyond: r²/2 or ``delta (|r| - delta/2)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.losses.huber_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none", delta=2.0)
    array([0.125, 4.   ])

    Raises ShapeError where shapes differ, ValueError unless delta is positive. Source: Huber 1964.
    """
    check_reduction(reduction)
    check_positive("delta", delta)
    check_same_shape("huber_loss", input, target)
    return _huber(input, target, reduction, float(delta))


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Absolute error, rounded within ``beta``: ``r²/(2 beta)`` or ``|r| - beta/2``.

    >>> import numpy as np, autodiff as ad
    >>> ad.losses.smooth_l1_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])

    Raises ShapeError where shapes differ. ``beta=0`` is :func:`l1_loss`.
    """
    if beta == 0:
        return l1_loss(input, target, reduction)
    check_reduction(reduction)
    check_positive("beta", beta)
    check_same_shape("smooth_l1_loss", input, target)
    return _smooth_absolute(input, target, reduction, float(beta))


def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """Negative log-likelihood of normal targets, ``(log v[i] + (x[i] - t[i])²/v[i]) / 2``.

    ``var`` has the shape of the input and is kept above ``eps``; ``full`` adds ``log(2 pi)/2``.
    Raises ShapeError where shapes differ.

    >>> import numpy as np, autodiff as ad
    >>> float(ad.losses.gaussian_nll_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0
    """
    check_reduction(reduction)
    check_same_shape("gaussian_nll_loss", input, target)
    check_same_shape("gaussian_nll_loss (variance as target)", input, var)
    return _gaussian_nll(input, target, var, full, float(eps), reduction)


class MSELoss(Loss):
    """:func:`mse_loss` with its reduction.

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.MSELoss()(np.array([3.0]), np.array([1.0]))), 4)
    4.0
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(mse_loss, reduction=reduction)


class L1Loss(Loss):
    """:func:`l1_loss` with its reduction.

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.L1Loss()(np.array([3.0]), np.array([1.0]))), 4)
    2.0
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(l1_loss, reduction=reduction)


class HuberLoss(Loss):
    """:func:`huber_loss` with its options.

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.HuberLoss()(np.array([3.0]), np.array([0.0]))), 4)
    2.5
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        check_positive("delta", delta)
        super().__init__(huber_loss, reduction=reduction, delta=delta)


class SmoothL1Loss(Loss):
    """:func:`smooth_l1_loss` with its options.

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.SmoothL1Loss()(np.array([3.0]), np.array([0.0]))), 4)
    2.5
    """

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(smooth_l1_loss, reduction=reduction, beta=beta)


class GaussianNLLLoss(Loss):
    """:func:`gaussian_nll_loss` with its options.

    >>> import numpy as np, autodiff as ad
    >>> loss = ad.losses.GaussianNLLLoss()
    >>> round(float(loss(np.array([1.0]), np.array([3.0]), np.array([4.0]))), 4)
    1.1931
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(gaussian_nll_loss, full=full, eps=eps, reduction=reduction)
