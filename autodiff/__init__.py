"""Derivatives of plain NumPy functions, derived as formulas and compiled."""

from .check import CheckError, check
from .graph import GraphError, Tensor, enable_grad, function, manual_seed, no_grad
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
from . import optim

__all__ = [
    "CheckError",
    "GraphError",
    "Objective",
    "Tensor",
    "Transform",
    "check",
    "enable_grad",
    "function",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "manual_seed",
    "no_grad",
    "objective",
    "optim",
    "trace_count",
    "value_and_grad",
    "vjp",
]
