"""Fits on real data with the trusted implementation of each, and how well the two must agree."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import (
    constrained,
    data,
    elastic_net,
    fisher_scoring,
    huber,
    logistic,
    poisson,
    ridge,
    squared_hinge,
)


class Case(NamedTuple):
    """A fit, the same by others, and a tolerance: that of the less accurate stopping rule."""

    name: str
    method: str
    fit: Callable[[], Any]
    reference: Callable[[], Any]
    tolerance: float

    def error(self) -> float:
        """The largest difference of a parameter, relative to the largest one and 1.

        Raises AssertionError if the fit says that it failed.
        """
        found, theirs = self.fit(), self.reference()
        assert found.success, f"{self.name} by {self.method}: {found.message}"
        assert found.get("optimality", 0.0) <= 1e-8
        ours = found.solution if isinstance(found.solution, dict) else {"w": found.solution}
        theirs = theirs if isinstance(theirs, dict) else {"w": theirs}
        return max(
            float(np.abs(ours[key] - theirs[key]).max() / (1 + np.abs(theirs[key]).max()))
            for key in ours
        )


def cases() -> list[Case]:
    """All fits that need no settings of their own."""
    tumours, patients = data.breast_cancer(), data.diabetes()
    X, y = patients
    shortened = data.standardised(y[np.argsort(X[:, 2])][::11])  # by body mass index
    centred = y - y.mean()
    weights = constrained.bounded_norm_reference(X, centred, 50.0)
    bound = float(weights @ weights)
    found = [
        _case(logistic, "newton", tumours, 1e-8),
        _case(poisson, "newton", patients, 1e-8),
        _case(huber, "newton", patients, 1e-3),
        _case(ridge, "newton", patients, 1e-9),
        _case(squared_hinge, "newton", tumours, 1e-5),
        _case(elastic_net, "proximal-newton", patients, 1e-9),
    ]
    for family in fisher_scoring.FAMILIES:
        found.append(
            Case(
                f"{family} regression",
                "natural-gradient",
                partial(fisher_scoring.fit, X, y, family),
                partial(fisher_scoring.reference, X, y, family),
                1e-9,
            )
        )
    for method in constrained.TIGHT:
        found += [
            Case(
                "isotonic regression",
                method,
                partial(constrained.isotonic, shortened, method),
                partial(constrained.isotonic_reference, shortened),
                1e-5,
            ),
            Case(
                "regression of bounded norm",
                method,
                partial(constrained.bounded_norm, X, centred, bound, method),
                partial(constrained.bounded_norm_reference, X, centred, 50.0),
                1e-6,
            ),
        ]
    return found


def _case(model: Any, method: str, dataset: Any, tolerance: float) -> Case:
    name = model.__name__.rpartition(".")[2].replace("_", " ")
    return Case(
        name, method, partial(model.fit, *dataset), partial(model.reference, *dataset), tolerance
    )


__all__ = ["Case", "cases"]
