"""Newton's method for networks: Gauss-Newton curvature, conjugate gradients, adapted damping.

Source: Martens, *Deep learning via Hessian-free optimization* (2010); Schraudolph, *Fast curvature
matrix-vector products for second-order gradient descent* (2002).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .curvature_base import CurvatureOptimizer, promised_change

#: Halvings of a step that does not lower the loss before it is given up.
HALVINGS = 8


class NewtonCG(CurvatureOptimizer):
    """Steps ``-(G + damping I)^-1 g`` by conjugate gradients, ``G`` the Gauss-Newton matrix.

    Conjugate gradients start from ``momentum`` times the last step and end after
    ``max_iterations``, or when the quadratic model has improved by less than ``tolerance`` per
    iteration, relatively. A step that does not lower the loss is halved; if that does not help,
    none is taken.

    >>> import numpy as np, autodiff as ad
    >>> _ = ad.manual_seed(0)
    >>> model = ad.nn.Sequential(ad.nn.Linear(2, 8), ad.nn.Tanh(), ad.nn.Linear(8, 1)).double()
    >>> x = np.random.default_rng(0).normal(size=(64, 2))
    >>> optimizer = ad.optim.NewtonCG(model, ad.losses.MSELoss())
    >>> losses = [optimizer.step(x, x[:, :1] * x[:, 1:]) for _ in range(30)]
    >>> losses[-1] < 1e-2 * losses[0]
    True
    """

    def __init__(
        self,
        model: Any,
        loss: Callable[..., Any],
        lr: float = 1.0,
        *,
        damping: float = 0.1,
        adapt: float = 2 / 3,
        max_iterations: int = 50,
        tolerance: float = 5e-4,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(model, loss, lr, damping, adapt)
        self.max_iterations, self.tolerance, self.momentum = max_iterations, tolerance, momentum

    def step(self, *batch: Any) -> float:
        """One step on ``(*inputs, target)``; gives the loss before it."""
        local = self.at(batch)
        start = np.zeros_like(local.gradient)
        if self.last is not None and len(self.last) == len(start):
            start = self.momentum * self.last
        step = _conjugate_gradients(
            lambda v: local.matrix @ v + self.damping * v,
            -local.gradient,
            start,
            self.max_iterations,
            self.tolerance,
        )
        self.last = step
        step = self.param_groups[0]["lr"] * step
        curved = local.matrix @ step
        change = self._search(local, step)
        self.adapted(change, promised_change(local, step, curved))
        return local.value

    def _search(self, local: Any, step: Any) -> float:
        """Move along the step, halved until the loss falls; gives the change of the whole step."""
        self.move(local, step)
        first = change = self.value(local) - local.value
        for _ in range(HALVINGS):
            if change < 0:
                return first
            step = step / 2
            self.move(local, -step)
            change = self.value(local) - local.value
        if not change < 0:
            self.move(local, -step)
            self.last = None
        return first


def _conjugate_gradients(
    product: Callable[[Any], Any], b: Any, x: Any, limit: int, tolerance: float
) -> Any:
    """``x`` that minimises ``x'Ax/2 - b'x``, until the relative progress per iteration is small."""
    residual = b - product(x) if x.any() else b.copy()
    direction, squared = residual, residual @ residual
    values: list[float] = []
    for k in range(limit):
        if squared == 0:
            break
        curved = product(direction)
        curvature = direction @ curved
        if not curvature > 0:  # too small for the precision, or lost in rounding
            break
        length = squared / curvature
        x = x + length * direction
        residual = residual - length * curved
        values.append(float(-(x @ (b + residual)) / 2))
        back = max(10, k // 10)
        if k >= back and values[-1] < 0:
            if (values[-1] - values[-1 - back]) / values[-1] < back * tolerance:
                break
        before, squared = squared, residual @ residual
        direction = residual + (squared / before) * direction
    return x
