"""Derivatives of plain NumPy functions, derived as formulas and compiled."""

from .check import CheckError, check
from .objective import Objective, objective
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
    "CheckError",
    "Objective",
    "Transform",
    "check",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "objective",
    "trace_count",
    "value_and_grad",
    "vjp",
]
