"""Derivatives of plain NumPy functions, derived as formulas and compiled.

Networks, optimizers and the structured operators are loaded when they are first asked for: a
gradient needs neither them nor the parts of SciPy that they use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .check import CheckError, check
from .hessians import hessian
from .lazy import later
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

if TYPE_CHECKING:
    from . import curvature, init, losses, nn, optim
    from .budget import Choice
    from .curvature import per_example_gradients
    from .graph import GraphError, Tensor, enable_grad, function, manual_seed, no_grad
    from .objectives import Objective, objective
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

__getattr__, __dir__ = later(
    __name__,
    {
        **dict.fromkeys(["curvature", "init", "losses", "nn", "optim"], ""),
        "Choice": "budget",
        "per_example_gradients": "curvature",
        **dict.fromkeys(
            ["GraphError", "Tensor", "enable_grad", "function", "manual_seed", "no_grad"], "graph"
        ),
        # With the objective come the methods that minimise it.
        **dict.fromkeys(["Objective", "objective"], "optim"),
        **dict.fromkeys(
            ["Batches", "Callback", "EarlyStopping", "History", "compile_step", "evaluate", "fit"],
            "training",
        ),
        "predict": "training",
    },
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
