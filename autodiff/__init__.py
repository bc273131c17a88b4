"""Derivatives of plain NumPy functions, derived as formulas and compiled."""

from .transforms import (
    Transform,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    trace_count,
    value_and_grad,
    vjp,
)

__all__ = [
    "Transform",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "trace_count",
    "value_and_grad",
    "vjp",
]
