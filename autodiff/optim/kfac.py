"""K-FAC for networks of any layers: natural gradient steps by Kronecker factors.

Source: Martens and Grosse, *Optimizing neural networks with Kronecker-factored approximate
curvature* (2015): exponential averages of the factors (section 5), steps and momentum scaled by the
exact Gauss-Newton matrix (sections 6.4 and 7), damping by Levenberg and Marquardt (section 6.5).
Damping is added to the product of the factors exactly, by their eigenvectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..curvature import kronecker_operator
from ..curvature.likelihoods import drawn_targets
from .curvature_base import CurvatureOptimizer, Local, promised_change


class KFAC(CurvatureOptimizer):
    """Steps ``a P g + m s`` with ``P = -(K + damping I)^-1`` and the last step ``s``.

    ``K`` is the Kronecker-factored curvature, its factors averaged over batches with ``decay`` and
    renewed every ``factor_every`` steps. ``a`` and ``m`` minimise the quadratic model of the batch,
    so there is no learning rate to choose. The damping is adapted every ``adapt_every`` steps.

    ``curvature`` says what the factors are of: ``"sampled"`` gradients for targets drawn from the
    model (one backward pass, for losses that are likelihoods), ``"empirical"`` gradients for the
    targets given, or exactly ``"ggn"`` or ``"fisher"`` (as many backward passes as outputs).
    ``approximation`` treats positions that share a weight, see :func:`autodiff.curvature.kfac`.

    >>> import numpy as np, autodiff as ad
    >>> _ = ad.manual_seed(0)
    >>> model = ad.nn.Sequential(ad.nn.Linear(2, 8), ad.nn.Tanh(), ad.nn.Linear(8, 1)).double()
    >>> x = np.random.default_rng(0).normal(size=(64, 2))
    >>> optimizer = ad.optim.KFAC(model, ad.losses.MSELoss())
    >>> losses = [optimizer.step(x, x[:, :1] * x[:, 1:]) for _ in range(60)]
    >>> losses[-1] < 1e-2 * losses[0]
    True

    Raises ValueError for options out of their range.
    """

    def __init__(
        self,
        model: Any,
        loss: Callable[..., Any],
        lr: float = 1.0,
        *,
        damping: float = 0.03,
        adapt: float = (19 / 20) ** 5,
        adapt_every: int = 5,
        factor_every: int = 1,
        decay: float = 0.95,
        curvature: str = "sampled",
        approximation: str = "expand",
        generator: Any = None,
    ) -> None:
        super().__init__(model, loss, lr, damping, adapt)
        if not 0 <= decay < 1 or adapt_every < 1 or factor_every < 1:
            raise ValueError(
                f"KFAC: decay={decay!r} must lie in [0, 1), adapt_every={adapt_every!r} and "
                f"factor_every={factor_every!r} be at least 1"
            )
        self.adapt_every, self.factor_every, self.decay = adapt_every, factor_every, decay
        self.curvature, self.approximation = curvature, approximation
        self.generator = generator
        self.count = 0
        #: Averages of the factors ``(A, G)`` of every layer.
        self.factors: list[tuple[Any, Any]] = []
        self._operator: Any = None

    def step(self, *batch: Any) -> float:
        """One step on ``(*inputs, target)``; gives the loss before it."""
        local = self.at(batch)
        if self.count % self.factor_every == 0 or not self.factors:
            self._renew(local)
        if self._operator is None:
            self._operator = kronecker_operator.KFAC(local.network, self._plan(local), self.factors)
        direction = -self._operator.solve(local.gradient, self.damping)
        step, promised = self._scaled(local, direction)
        self.last = step
        self.count += 1
        self.move(local, step)
        if self.count % self.adapt_every == 0:
            self.adapted(self.value(local) - local.value, promised)
        return local.value

    def _renew(self, local: Local) -> None:
        """Average the factors with those of this batch."""
        batch = local.batch
        if self.curvature == "sampled":
            batch = drawn_targets(local.network, batch, self.generator)
        new = self._plan(local).values(local.network.values(batch), batch)
        keep = min(1 - 1 / (self.count // self.factor_every + 1), self.decay) if self.factors else 0
        if not keep:
            self.factors = [(A, G) for A, G in new]
        else:
            self.factors = [
                (keep * A + (1 - keep) * a, keep * G + (1 - keep) * g)
                for (A, G), (a, g) in zip(self.factors, new, strict=True)
            ]
        self._operator = None

    def _plan(self, local: Local) -> Any:
        kind = "empirical" if self.curvature == "sampled" else self.curvature
        return kronecker_operator.factor_plan(local.network, kind, self.approximation)

    def _scaled(self, local: Local, direction: Any) -> tuple[Any, float]:
        """The best combination of the direction and the last step, and the change it promises."""
        basis = [direction]
        if self.last is not None and len(self.last) == len(direction):
            basis.append(self.last)
        curved = [local.matrix @ v for v in basis]
        quadratic = np.array([[u @ c for c in curved] for u in basis], float)
        norms = np.array([[u @ v for v in basis] for u in basis], float)
        slopes = np.array([local.gradient @ v for v in basis], float)
        damped = quadratic + self.damping * norms
        weights = self.param_groups[0]["lr"] * np.linalg.lstsq(damped, -slopes, rcond=None)[0]
        step = sum(w * v for w, v in zip(weights, basis, strict=True))
        product = sum(w * c for w, c in zip(weights, curved, strict=True))
        return step.astype(direction.dtype), promised_change(local, step, product)

    def state_dict(self) -> dict[str, Any]:
        """Options that change, the last step, averages of factors, the count of steps."""
        factors = [list(pair) for pair in self.factors]
        return {**super().state_dict(), "count": self.count, "factors": factors}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state_dict`."""
        super().load_state_dict(state_dict)
        self.count = state_dict["count"]
        self.factors = [(A, G) for A, G in state_dict["factors"]]
        self._operator = None
