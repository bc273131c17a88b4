"""What second-order optimizers of networks share: the loss at a point, a damped quadratic model.

A step ``s`` changes the loss of a batch by about ``q(s) = g's + s'(G + damping I)s / 2`` with the
generalised Gauss-Newton matrix ``G``. The damping follows how good that was: the ratio of the real
change to the one that the model without damping promised, after Levenberg and Marquardt.

Source: Martens, *Deep learning via Hessian-free optimization* (2010), section 4.1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tensorcalc.derivatives import pullback
from tensorcalc.nodes import Constant, Node

from ..curvature.matrices import NetworkMatrix, ggn
from ..curvature.network import Batch, Network, network_of
from ..graph import Tensor
from ..nn.module import Module

#: Ratios of real to promised change below and above which the damping grows and shrinks.
POOR, GOOD = 0.25, 0.75


class Local(NamedTuple):
    """A batch at the present parameters: loss, gradient as one vector, Gauss-Newton matrix."""

    network: Network
    batch: Batch
    value: float
    gradient: Any
    matrix: NetworkMatrix


class CurvatureOptimizer(ABC):
    """Second-order steps on a model's loss; ``step(*inputs, target)`` takes one and gives the loss.

    They use the loss as an expression, not gradients left by ``backward``, so they hold the model
    and the loss. :func:`autodiff.fit` takes them as it takes other optimizers; ``lr`` scales steps.
    Parameters that want no gradient stay as they are. Layers that draw random numbers are refused.

    >>> import autodiff as ad
    >>> [issubclass(kind, CurvatureOptimizer) for kind in (ad.optim.KFAC, ad.optim.NewtonCG)]
    [True, True]

    Raises ValueError for options outside their range, TypeError for a model that is no module.
    """

    def __init__(
        self, model: Module, loss: Callable[..., Any], lr: float, damping: float, adapt: float
    ) -> None:
        if not isinstance(model, Module):
            raise TypeError(
                f"{type(self).__name__} takes the model and the loss, not a "
                f"{type(model).__name__}\n  hint: {type(self).__name__}(model, loss)"
            )
        if not lr > 0 or not damping > 0 or not 0 < adapt <= 1:
            raise ValueError(
                f"{type(self).__name__}: lr={lr!r} and damping={damping!r} must be positive, "
                f"adapt={adapt!r} in (0, 1]"
            )
        self.model, self.loss = model, loss
        self.param_groups: list[dict[str, Any]] = [{"lr": lr}]
        #: Multiple of the identity that is added to the curvature; follows the success of steps.
        self.damping = damping
        #: Factor of the damping after a good step, and its inverse after a poor one.
        self.adapt = adapt
        #: The last step as one vector.
        self.last: Any = None

    def parameters(self) -> list[Tensor]:
        """The parameters that learn."""
        return [p for p in self.model.parameters() if p.requires_grad]

    # -- at a point ---------------------------------------------------------------------------
    def at(self, batch: tuple[Any, ...]) -> Local:
        """Loss, gradient and curvature of a batch."""
        network, arrays = network_of(self.model, self.loss, batch)
        program = network.program("value and gradient", lambda: _value_and_gradient(network))
        value, gradients = program.call(arrays)
        matrix = ggn(self.model, self.loss, arrays)
        named = dict(zip(network.parameters, gradients, strict=True))
        return Local(network, arrays, float(value), matrix.flattened(named), matrix)

    def value(self, local: Local) -> float:
        """The loss of the batch at the parameters as they are now."""
        program = local.network.program("value", lambda: local.network.objective)
        return float(program.call(local.batch))

    def move(self, local: Local, step: Any) -> None:
        """Add a vector to the parameters, as new arrays."""
        changes = local.matrix.unflattened(step)
        held = dict(self.model.named_parameters())
        for name, change in changes.items():
            held[name].data = held[name].data + change.astype(held[name].dtype)

    def adapted(self, change: float, promised: float) -> None:
        """Follow the ratio of the change of the loss to that of the model without damping."""
        if not promised < 0 or change > POOR * promised:
            self.damping /= self.adapt
        elif change < GOOD * promised:
            self.damping *= self.adapt

    @abstractmethod
    def step(self, *batch: Any) -> float:
        """One step on ``(*inputs, target)``; gives the loss before it."""

    # -- saving -------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Options that change and the last step."""
        return {"lr": self.param_groups[0]["lr"], "damping": self.damping, "last": self.last}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state_dict`."""
        self.param_groups[0]["lr"] = state_dict["lr"]
        self.damping, self.last = state_dict["damping"], state_dict["last"]

    def __repr__(self) -> str:
        lr = self.param_groups[0]["lr"]
        return f"{type(self).__name__}(lr={lr:g}, damping={self.damping:.3g})"


def _value_and_gradient(network: Network) -> tuple[Node, list[Node]]:
    return network.objective, pullback(network.objective, network.xs, Constant(1), 0)


def promised_change(local: Local, step: Any, curved: Any) -> float:
    """``g's + s'G s / 2``, given ``curved = G s``."""
    return float(local.gradient @ step + step @ curved / 2)


__all__ = ["CurvatureOptimizer", "Local", "promised_change"]
