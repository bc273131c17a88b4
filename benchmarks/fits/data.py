"""Data sets that scikit-learn brings along, with standardised columns."""

from __future__ import annotations

from typing import Any

from sklearn import datasets


def breast_cancer() -> tuple[Any, Any]:
    """569 tumours, 30 measurements, labels -1 and 1."""
    found = datasets.load_breast_cancer()
    return standardised(found.data), 2.0 * found.target - 1


def digits() -> tuple[Any, Any]:
    """1797 images of 64 pixels in [0, 1], digits 0 to 9."""
    found = datasets.load_digits()
    return found.data / 16, found.target


def diabetes() -> tuple[Any, Any]:
    """442 patients, 10 measurements, a positive score."""
    found = datasets.load_diabetes()
    return standardised(found.data), found.target


def iris() -> Any:
    """150 flowers, 4 measurements."""
    return datasets.load_iris().data


def standardised(X: Any) -> Any:
    """Columns of mean 0 and variance 1."""
    return (X - X.mean(0)) / X.std(0)
