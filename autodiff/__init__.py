"""Derivatives of plain NumPy functions, derived as formulas and compiled."""

from .check import CheckError, check
from .graph import GraphError, Tensor, enable_grad, function, manual_seed, no_grad
from .budget import Choice
from .hessians import hessian
from .objective import Objective, objective
from .transforms import (
    Transform,
    grad,
    hvp,
    jacobian,
    jvp,
    trace_count,
    value_and_grad,
    vjp,
)
from . import curvature, init, losses, nn, optim
from .curvature import per_example_gradients
from .training import (
    Batches,
    Callback,
    EarlyStopping,
    History,
    compile_step,
    evaluate,
    fit,
    predict,
)

__all__ = [
    "Batches",
    "Callback",
    "CheckError",
    "Choice",
    "EarlyStopping",
    "GraphError",
    "History",
    "Objective",
    "Tensor",
    "Transform",
    "check",
    "compile_step",
    "curvature",
    "enable_grad",
    "evaluate",
    "fit",
    "function",
    "grad",
    "hessian",
    "hvp",
    "init",
    "jacobian",
    "jvp",
    "losses",
    "manual_seed",
    "nn",
    "no_grad",
    "objective",
    "optim",
    "per_example_gradients",
    "predict",
    "trace_count",
    "value_and_grad",
    "vjp",
]
