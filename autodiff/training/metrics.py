"""Metrics of outputs against targets, both arrays; higher is better unless said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..graph import Tensor


def _array(value: Any) -> Any:
    return np.asarray(value.data if isinstance(value, Tensor) else value)


def predicted_classes(outputs: Any) -> Any:
    """The class of highest score (axis 1), or 1 where a single score is positive."""
    scores = _array(outputs)
    if scores.ndim == 1 or scores.shape[1] == 1:
        return (scores.reshape(len(scores)) > 0).astype(int)
    return scores.argmax(axis=1)


def accuracy(outputs: Any, targets: Any) -> float:
    """Share of examples whose class is right; outputs are scores (logits) per class.

    >>> accuracy([[2.0, 1.0], [0.0, 3.0]], [0, 0])
    0.5
    """
    targets = _array(targets)
    found = predicted_classes(outputs)
    return float(np.mean(found == targets.reshape(found.shape)))


def top_k_accuracy(outputs: Any, targets: Any, k: int = 5) -> float:
    """Share of examples whose class is among the k of highest score.

    Raises ValueError for more than there are classes.
    """
    scores, targets = _array(outputs), _array(targets)
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"the {k} best of {scores.shape[1]} classes")
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return float(np.mean((best == targets[:, None]).any(axis=1)))


def r2_score(outputs: Any, targets: Any) -> float:
    """``1 - sum (t - x)²/sum (t - mean t)²``, averaged over outputs."""
    outputs, targets = _array(outputs), _array(targets)
    targets = targets.reshape(len(targets), -1)
    residual = ((targets - outputs.reshape(targets.shape)) ** 2).sum(axis=0)
    total = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    return float(np.mean(1 - residual / total))


def confusion_matrix(outputs: Any, targets: Any, classes: int | None = None) -> Any:
    """Counts ``C[i,j]`` of examples of class i that were taken for class j.

    ``outputs`` are scores per class, or predicted classes (integers).
    """
    outputs, targets = _array(outputs), _array(targets).ravel()
    found = outputs.ravel() if outputs.dtype.kind in "iu" else predicted_classes(outputs).ravel()
    size = classes or int(max(targets.max(), found.max())) + 1
    return np.bincount(targets * size + found, minlength=size * size).reshape(size, size)


def mean_absolute_error(outputs: Any, targets: Any) -> float:
    """Mean of ``|x[i] - t[i]|``; lower is better."""
    targets = _array(targets)
    return float(np.mean(np.abs(_array(outputs).reshape(targets.shape) - targets)))


METRICS: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": accuracy,
    "top_5_accuracy": top_k_accuracy,
    "r2": r2_score,
    "mean_absolute_error": mean_absolute_error,
}


def named_metrics(metrics: Any) -> dict[str, Callable[[Any, Any], Any]]:
    """Metrics by name from a dictionary, or from names and functions.

    Raises ValueError for an unknown name.
    """
    if metrics is None:
        return {}
    if isinstance(metrics, Mapping):
        return dict(metrics)
    given: Iterable[Any] = [metrics] if isinstance(metrics, str) or callable(metrics) else metrics
    result = {}
    for metric in given:
        if isinstance(metric, str):
            if metric not in METRICS:
                raise ValueError(f"no metric {metric!r}: use one of {', '.join(METRICS)}")
            result[metric] = METRICS[metric]
        else:
            result[getattr(metric, "__name__", type(metric).__name__)] = metric
    return result
