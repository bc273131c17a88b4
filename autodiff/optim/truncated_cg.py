"""Conjugate gradients for a quadratic model, ended early: by accuracy, radius or curvature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def truncated_cg(
    product: Callable[[Any], Any],
    gradient: Any,
    tolerance: float,
    radius: float = np.inf,
    maxiter: int | None = None,
    inverse: Callable[[Any], Any] | None = None,
) -> Any:
    """A step that decreases ``g.s + s.H s / 2`` within ``|s| <= radius``: Steihaug's method.

    Conjugate gradients until the residual is at most ``tolerance``; where the curvature is not
    positive, or the boundary is met, the step goes to the boundary along the last direction. With
    an infinite radius a direction of negative curvature ends the iteration: the step so far, or
    steepest descent if there was none. ``inverse`` solves with a positive definite matrix like
    ``H``, the preconditioner; it goes with an infinite radius.

    Source: Steihaug, *The conjugate gradient method and trust regions* (1983).
    """
    step, residual = np.zeros_like(gradient), gradient.copy()
    solved = residual if inverse is None else inverse(residual)
    direction = -solved
    squared = residual @ solved
    for k in range(maxiter or 2 * len(gradient)):
        if np.linalg.norm(residual) <= tolerance:
            break
        curved = product(direction)
        curvature = direction @ curved
        if curvature <= 0:
            if np.isfinite(radius):
                return step + to_boundary(step, direction, radius) * direction
            return step if k else direction
        length = squared / curvature
        if np.linalg.norm(step + length * direction) >= radius:
            return step + to_boundary(step, direction, radius) * direction
        step = step + length * direction
        residual = residual + length * curved
        solved = residual if inverse is None else inverse(residual)
        before, squared = squared, residual @ solved
        direction = -solved + (squared / before) * direction
    return step


def to_boundary(step: Any, direction: Any, radius: float) -> float:
    """``t >= 0`` with ``|step + t * direction| = radius``, for ``|step| <= radius``."""
    a, b = direction @ direction, step @ direction
    c = step @ step - radius**2
    root = np.sqrt(max(b * b - a * c, 0.0))
    return float(-c / (b + root)) if b > 0 else float((root - b) / a)
