"""Losses of class targets: indices, probabilities, or one probability per entry.

Inputs have shape (C,), (N, C) or (N, C, d1, d2, ...), as in torch: classes are axis 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.special import log_expit, xlogy

import tensorcalc as tc
from tensorcalc.errors import ShapeError

from ..graph import Tensor
from ..graph.functions import layer_function
from ..graph.modes import extend
from .reduction import (
    Loss,
    check_reduction,
    check_same_shape,
    reduced,
    shape_text,
    tensor_dtype,
)


# -- classes --------------------------------------------------------------------------------------
def _classes_last(input: Any) -> Any:
    return np.moveaxis(input, 1, -1) if np.ndim(input) > 2 else input


def _negative_log_likelihood(
    logs: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float | None
) -> Any:
    """``-w[t] logs[t]`` per example, smoothed towards all classes; ``logs`` has classes last."""
    classes = logs.shape[-1]
    counted = np.not_equal(target, ignore_index)
    hot = tc.one_hot(np.where(counted, target, 0), classes)
    hot = hot if weight is None else hot * weight
    losses = -np.sum(hot * logs, axis=-1)
    if smoothing is not None:
        spread = np.sum(logs if weight is None else logs * weight, axis=-1)
        losses = (1 - smoothing) * losses - smoothing / classes * spread
    losses = np.where(counted, losses, 0.0)
    if reduction != "mean":
        return reduced(losses, reduction)
    if weight is None:
        return np.sum(losses) / np.sum(np.where(counted, 1.0, 0.0))
    return np.sum(losses) / np.sum(np.where(counted, np.sum(hot, axis=-1), 0.0))


@layer_function
def _nll(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    logs = _classes_last(input)
    return _negative_log_likelihood(logs, target, weight, ignore_index, reduction, None)


@layer_function
def _cross_entropy_of_indices(
    input: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float | None
) -> Any:
    logs = tc.log_softmax(_classes_last(input), axis=-1)
    return _negative_log_likelihood(logs, target, weight, ignore_index, reduction, smoothing)


@layer_function
def _cross_entropy_of_probabilities(
    input: Any, target: Any, weight: Any, reduction: str, smoothing: float | None
) -> Any:
    logs, target = tc.log_softmax(_classes_last(input), axis=-1), _classes_last(target)
    if smoothing is not None:
        target = (1 - smoothing) * target + smoothing / logs.shape[-1]
    losses = -np.sum(target * (logs if weight is None else logs * weight), axis=-1)
    return reduced(losses, reduction)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Cross entropy of logits, ``-sum over c of p[i,c] log softmax(input)[i,c]``.

    ``target`` holds class indices (the shape of the input without its class axis) or
    probabilities (the shape of the input). ``weight`` is one factor per class; with indices the
    mean divides by the sum of the weights met. Targets equal to ``ignore_index`` do not count.

    >>> round(float(cross_entropy(np.zeros((2, 4)), np.array([0, 3]))), 4)  # log 4
    1.3863

    Raises ShapeError where shapes do not fit, ValueError for smoothing outside [0, 1], and
    IndexError for an index that is no class.
    """
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing={label_smoothing!r}: it must lie in [0, 1]")
    smoothing = float(label_smoothing) or None
    if np.shape(target) == np.shape(input) and tensor_dtype(target) == "f":
        return _cross_entropy_of_probabilities(input, target, weight, reduction, smoothing)
    _check_indices("cross_entropy", input, target)
    with _named_classes(input):
        return _cross_entropy_of_indices(input, target, weight, ignore_index, reduction, smoothing)


def nll_loss(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Negative log-likelihood, ``-w[t[i]] input[i,t[i]]``, of log-probabilities.

    Shapes, weights and errors are those of :func:`cross_entropy` with class indices.

    >>> import numpy as np, autodiff as ad
    >>> log_p = np.log(np.array([[0.25, 0.75]]))
    >>> round(float(ad.losses.nll_loss(log_p, np.array([1]))), 6)
    0.287682
    """
    check_reduction(reduction)
    _check_indices("nll_loss", input, target)
    with _named_classes(input):
        return _nll(input, target, weight, ignore_index, reduction)


@contextmanager
def _named_classes(input: Any) -> Iterator[None]:
    """An index that is no class is said to be one."""
    try:
        yield
    except IndexError as error:
        shape = np.shape(input)
        last = shape[1 if len(shape) > 1 else 0] - 1
        extend(error, [f"class indices go from 0 to {last}: input of {shape_text(shape)}"])
        raise


def _check_indices(name: str, input: Any, target: Any) -> None:
    given, found = np.shape(input), np.shape(target)
    wanted = given[:1] + given[2:] if len(given) > 1 else ()
    if found != wanted:
        raise ShapeError(
            f"{name}: the target has neither the shape of class indices nor of probabilities",
            [f"input: {shape_text(given)}", f"target: {shape_text(found)}"],
            f"class indices have {shape_text(wanted)}, probabilities (floats) {shape_text(given)}",
        )
    if tensor_dtype(target) == "f":
        raise TypeError(f"{name}: class indices must be integers\n  hint: target.astype(int)")


class CrossEntropyLoss(Loss):
    """:func:`cross_entropy` with its options.

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.CrossEntropyLoss()(np.array([[0.0, 0.0]]), np.array([1]))), 4)
    0.6931
    """

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            cross_entropy,
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )


class NLLLoss(Loss):
    """:func:`nll_loss` with its options.

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.NLLLoss()(np.log(np.array([[0.5, 0.5]])), np.array([1]))), 4)
    0.6931
    """

    def __init__(
        self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(nll_loss, weight=weight, ignore_index=ignore_index, reduction=reduction)


# -- one probability per entry --------------------------------------------------------------------
@layer_function
def _binary(input: Any, target: Any, weight: Any, reduction: str) -> Any:
    # Logarithms are cut at -100, so that a certain and wrong prediction costs much but not inf.
    success, failure = np.maximum(np.log(input), -100.0), np.maximum(np.log1p(-input), -100.0)
    losses = -(target * success + (1 - target) * failure)
    return reduced(losses if weight is None else losses * weight, reduction)


@layer_function
def _binary_with_logits(
    input: Any, target: Any, weight: Any, reduction: str, pos_weight: Any
) -> Any:
    success = target * log_expit(input)
    success = success if pos_weight is None else success * pos_weight
    losses = -(success + (1 - target) * log_expit(-input))
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """``-(t[i] log p[i] + (1 - t[i]) log(1 - p[i]))`` of probabilities, logarithms above -100.

    ``weight`` broadcasts against the input. At p = 0 and p = 1 exactly the cut logarithm is
    constant, so its gradient is zero there. Raises ShapeError where shapes differ, ValueError for
    an array with entries outside [0, 1].

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.binary_cross_entropy(np.array([0.9, 0.2]), np.array([1.0, 0.0]))), 6)
    0.164252
    """
    check_reduction(reduction)
    check_same_shape("binary_cross_entropy", input, target)
    _check_probabilities(input)
    return _binary(input, target, weight, reduction)


def _check_probabilities(input: Any) -> None:
    array = input.data if isinstance(input, Tensor) else input
    if isinstance(array, np.ndarray) and array.size and (array.min() < 0 or array.max() > 1):
        raise ValueError(
            f"binary_cross_entropy of numbers from {array.min():.3g} to {array.max():.3g}, which "
            "are no probabilities\n  hint: binary_cross_entropy_with_logits takes any numbers"
        )


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """``-(q t[i] log s(x[i]) + (1 - t[i]) log s(-x[i]))`` with the logistic function s.

    ``weight`` and ``pos_weight`` (q, the factor of positive targets) broadcast against the input.
    Raises ShapeError where shapes differ.

    >>> import numpy as np, autodiff as ad
    >>> float(ad.losses.binary_cross_entropy_with_logits(np.array([-1000.0]), np.array([1.0])))
    1000.0
    """
    check_reduction(reduction)
    check_same_shape("binary_cross_entropy_with_logits", input, target)
    return _binary_with_logits(input, target, weight, reduction, pos_weight)


class BCELoss(Loss):
    """:func:`binary_cross_entropy` with its options.

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.BCELoss()(np.array([0.5]), np.array([1.0]))), 4)
    0.6931
    """

    def __init__(self, weight: Any = None, *, reduction: str = "mean") -> None:
        super().__init__(binary_cross_entropy, weight=weight, reduction=reduction)


class BCEWithLogitsLoss(Loss):
    """:func:`binary_cross_entropy_with_logits` with its options.

    >>> import numpy as np, autodiff as ad
    >>> round(float(ad.losses.BCEWithLogitsLoss()(np.array([0.0]), np.array([1.0]))), 4)
    0.6931
    """

    def __init__(
        self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None
    ) -> None:
        super().__init__(
            binary_cross_entropy_with_logits,
            weight=weight,
            reduction=reduction,
            pos_weight=pos_weight,
        )


# -- distributions --------------------------------------------------------------------------------
@layer_function
def _divergence(input: Any, target: Any, reduction: str, log_target: bool) -> Any:
    if log_target:
        losses = np.exp(target) * (target - input)
    else:
        losses = xlogy(target, target) - target * input
    if reduction == "batchmean":
        return np.sum(losses) / losses.shape[0]
    return reduced(losses, reduction)


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """Divergence ``t[i] (log t[i] - input[i])`` of log-probabilities ``input``.

    ``target`` holds probabilities, or their logarithms with ``log_target``. ``"batchmean"`` divides
    the sum by the size of the first axis and is the divergence of the definition. Raises ShapeError
    where shapes differ.

    >>> import numpy as np, autodiff as ad
    >>> p = np.array([0.5, 0.5])
    >>> float(ad.losses.kl_div(np.log(p), p, reduction="sum"))
    0.0
    """
    check_reduction(reduction, ("none", "batchmean", "mean", "sum"))
    check_same_shape("kl_div", input, target)
    return _divergence(input, target, reduction, log_target)


class KLDivLoss(Loss):
    """:func:`kl_div` with its options.

    >>> import numpy as np, autodiff as ad
    >>> loss = ad.losses.KLDivLoss(reduction="sum")
    >>> round(float(loss(np.log(np.array([0.5, 0.5])), np.array([0.25, 0.75]))), 4)
    0.1308
    """

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(kl_div, reduction=reduction, log_target=log_target)
