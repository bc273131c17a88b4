"""Losses that want a margin: hinges and distances. Sources: the torch.nn names."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.functions import layer_function
from .reduction import Loss, check_positive, check_reduction, check_same_shape, reduced


@layer_function
def _hinge(input: Any, target: Any, margin: float, reduction: str) -> Any:
    return reduced(np.maximum(0.0, margin - target * input), reduction)


@layer_function
def _hinge_embedding(input: Any, target: Any, margin: float, reduction: str) -> Any:
    losses = np.where(np.equal(target, 1), input, np.maximum(0.0, margin - input))
    return reduced(losses, reduction)


@layer_function
def _margin_ranking(input1: Any, input2: Any, target: Any, margin: float, reduction: str) -> Any:
    return reduced(np.maximum(0.0, margin - target * (input1 - input2)), reduction)


@functools.cache
def _triplet(p: float) -> Callable[..., Any]:
    """The loss for one norm: p is no argument of the operation, since the formula depends on it."""

    @layer_function
    def triplet(
        anchor: Any,
        positive: Any,
        negative: Any,
        margin: float,
        eps: float,
        swap: bool,
        reduction: str,
    ) -> Any:
        near, far = _distance(anchor, positive, p, eps), _distance(anchor, negative, p, eps)
        if swap:
            far = np.minimum(far, _distance(positive, negative, p, eps))
        return reduced(np.maximum(0.0, margin + near - far), reduction)

    return triplet


def _distance(x: Any, y: Any, p: float, eps: float) -> Any:
    difference = x - y + eps
    if p == 2:
        return np.linalg.norm(difference, axis=-1)
    if p == 1:
        return np.sum(np.abs(difference), axis=-1)
    return np.sum(np.abs(difference) ** p, axis=-1) ** (1 / p)


def hinge_loss(input: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Any:
    """``max(0, margin - t[i] x[i])`` with targets of -1 and 1: the support vector machine's.

    >>> import numpy as np, autodiff as ad
    >>> ad.losses.hinge_loss(np.array([2.0, 0.5]), np.array([1, -1]), reduction="none")
    array([0. , 1.5])

    Raises ShapeError where shapes differ. Source: Cortes and Vapnik 1995.
    """
    check_reduction(reduction)
    check_same_shape("hinge_loss", input, target)
    return _hinge(input, target, float(margin), reduction)


def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, reduction: str = "mean"
) -> Any:
    """``x[i]`` where the target is 1, ``max(0, margin - x[i])`` where it is -1.

    >>> import numpy as np, autodiff as ad
    >>> ad.losses.hinge_embedding_loss(np.array([0.3, 0.3]), np.array([1, -1]), reduction="none")
    array([0.3, 0.7])

    Raises ShapeError where shapes differ.
    """
    check_reduction(reduction)
    check_same_shape("hinge_embedding_loss", input, target)
    return _hinge_embedding(input, target, float(margin), reduction)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """``max(0, margin - t[i] (x1[i] - x2[i]))``: which of two inputs ranks higher.

    >>> import numpy as np, autodiff as ad
    >>> float(ad.losses.margin_ranking_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0

    Raises ShapeError where shapes differ.
    """
    check_reduction(reduction)
    check_same_shape("margin_ranking_loss", input1, input2)
    check_same_shape("margin_ranking_loss", input1, target)
    return _margin_ranking(input1, input2, target, float(margin), reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """``max(0, margin + d(a[i], p[i]) - d(a[i], n[i]))`` with the p-norm of ``x - y + eps``.

    The last axis holds coordinates. ``swap`` takes the nearer of anchor and positive to the
    negative. Raises ShapeError where shapes differ. Source: Balntas et al. 2016.

    >>> import numpy as np, autodiff as ad
    >>> near, far = np.array([[0.0, 1.0]]), np.array([[0.0, 1.5]])
    >>> round(float(ad.losses.triplet_margin_loss(np.zeros((1, 2)), near, far)), 4)
    0.5
    """
    check_reduction(reduction)
    check_positive("p", p)
    check_same_shape("triplet_margin_loss", anchor, positive)
    check_same_shape("triplet_margin_loss", anchor, negative)
    options = float(margin), float(eps), swap, reduction
    return _triplet(float(p))(anchor, positive, negative, *options)


class HingeLoss(Loss):
    """:func:`hinge_loss` with its options.

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.HingeLoss()(np.array([0.5]), np.array([1]))), 4)
    0.5
    """

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(hinge_loss, margin=margin, reduction=reduction)


class HingeEmbeddingLoss(Loss):
    """:func:`hinge_embedding_loss` with its options.

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.HingeEmbeddingLoss()(np.array([0.5]), np.array([-1]))), 4)
    0.5
    """

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(hinge_embedding_loss, margin=margin, reduction=reduction)


class MarginRankingLoss(Loss):
    """:func:`margin_ranking_loss` with its options.

    >>> import numpy as np, autodiff as ad
    >>> loss = ad.losses.MarginRankingLoss()
    >>> round(float(loss(np.array([1.0]), np.array([3.0]), np.array([1.0]))), 4)
    2.0
    """

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(margin_ranking_loss, margin=margin, reduction=reduction)


class TripletMarginLoss(Loss):
    """:func:`triplet_margin_loss` with its options.

    >>> import numpy as np, autodiff as ad
    >>> loss = ad.losses.TripletMarginLoss()
    >>> round(float(loss(np.zeros((1, 2)), np.ones((1, 2)), np.ones((1, 2)))), 4)
    1.0
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(
            triplet_margin_loss, margin=margin, p=p, eps=eps, swap=swap, reduction=reduction
        )
