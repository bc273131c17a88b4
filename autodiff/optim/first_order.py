"""First-order optimizers with the names, arguments and defaults of torch.optim, and Lion."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from . import rules
from .base import Optimizer


def _zeros(param: Any, *names: str) -> dict[str, Any]:
    return {name: np.zeros_like(param) for name in names}


class SGD(Optimizer):
    """Gradient descent, with momentum, dampening and Nesterov's look-ahead.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.array([1.0, -2.0]), requires_grad=True)
    >>> optimizer = ad.optim.SGD([w], lr=0.1, momentum=0.9)
    >>> np.sum(w**2).backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([ 0.8, -1.6])

    Raises ValueError for Nesterov without momentum or with dampening.
    """

    rule = staticmethod(rules.sgd)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError for options outside their range."""
        super().check_options(options)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"]):
            raise ValueError("SGD: nesterov=True needs momentum > 0 and dampening = 0")

    def initial_state(self, param: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        """The momentum buffer, if there is momentum."""
        return _zeros(param, "momentum_buffer") if options["momentum"] else {}

    def numbers(self, options: Mapping[str, Any], step: int) -> dict[str, float]:
        """The learning rate, and how much of the gradient the buffer takes in."""
        intake = 1.0 if step == 1 else 1.0 - options["dampening"]
        return {"lr": float(options["lr"]), "intake": intake}


class Adam(Optimizer):
    """Steps by averages of the gradient and of its square.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.array([1.0, -2.0]), requires_grad=True)
    >>> optimizer = ad.optim.Adam([w], lr=0.1)
    >>> np.sum(w**2).backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([ 0.9, -1.9])
    """

    rule = staticmethod(rules.adam)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def initial_state(self, param: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        """Averages of the gradient and of its square, and the largest of these for amsgrad."""
        largest = ("max_exp_avg_sq",) if options["amsgrad"] else ()
        return _zeros(param, "exp_avg", "exp_avg_sq", *largest)

    def numbers(self, options: Mapping[str, Any], step: int) -> dict[str, float]:
        """The learning rate and the corrections of the averages, in double precision."""
        beta1, beta2 = options["betas"]
        return {
            "lr": float(options["lr"]),
            "step_size": options["lr"] / (1 - beta1**step),
            "root": math.sqrt(1 - beta2**step),
        }


class AdamW(Adam):
    """Adam whose weight decay does not go through the averages.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.array([1.0, -2.0]), requires_grad=True)
    >>> optimizer = ad.optim.AdamW([w], lr=0.1)
    >>> np.sum(w**2).backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([ 0.899, -1.898])
    """

    rule = staticmethod(rules.adamw)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class RMSprop(Optimizer):
    """Gradients divided by the root of an average of their squares.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.array([1.0, -2.0]), requires_grad=True)
    >>> optimizer = ad.optim.RMSprop([w], lr=0.1)
    >>> np.sum(w**2).backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([ 0., -1.])
    """

    rule = staticmethod(rules.rmsprop)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def initial_state(self, param: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        """Averages of the square and, where asked for, of the gradient and of the steps."""
        names = ["square_avg"]
        names += ["grad_avg"] if options["centered"] else []
        names += ["momentum_buffer"] if options["momentum"] else []
        return _zeros(param, *names)


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.array([1.0, -2.0]), requires_grad=True)
    >>> optimizer = ad.optim.Adagrad([w], lr=0.1)
    >>> np.sum(w**2).backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([ 0.9, -1.9])
    """

    rule = staticmethod(rules.adagrad)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def initial_state(self, param: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        """The sum of squares."""
        return {"sum": np.full_like(param, options["initial_accumulator_value"])}

    def numbers(self, options: Mapping[str, Any], step: int) -> dict[str, float]:
        """The learning rate as it decays with the steps."""
        rate = options["lr"] / (1 + (step - 1) * options["lr_decay"])
        return {"lr": float(options["lr"]), "rate": rate}


class Lion(Optimizer):
    """Steps by the sign of an average of the gradient; rates are 3 to 10 times below Adam's.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.array([1.0, -2.0]), requires_grad=True)
    >>> optimizer = ad.optim.Lion([w], lr=0.1)
    >>> np.sum(w**2).backward()
    >>> optimizer.step()
    >>> w.data.round(3)
    array([ 0.9, -1.9])
    """

    rule = staticmethod(rules.lion)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def initial_state(self, param: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        """The average of the gradient."""
        return _zeros(param, "exp_avg")
