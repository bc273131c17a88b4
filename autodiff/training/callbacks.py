"""What can happen between batches and epochs of :func:`autodiff.fit`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


class Callback:
    """Called with the trainer; every method does nothing unless a subclass says otherwise.

    ``trainer.stop = True`` ends training after the epoch. State that must survive a checkpoint is
    given by ``state_dict`` and taken by ``load_state_dict``.

    >>> import numpy as np, autodiff as ad
    >>> class Shout(ad.Callback):
    ...     def on_train_begin(self, trainer):
    ...         print("here we go")
    >>> Shout().on_train_begin(None)
    here we go
    """

    def on_train_begin(self, trainer: Any) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, trainer: Any) -> None:
        """Before each epoch."""

    def on_batch_end(self, trainer: Any, loss: float) -> None:
        """After each step."""

    def on_epoch_end(self, trainer: Any, numbers: Mapping[str, Any]) -> None:
        """After each epoch, with its row of the history."""

    def on_train_end(self, trainer: Any) -> None:
        """After the last epoch."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state_dict`."""


class LambdaCallback(Callback):
    """A function ``(trainer, numbers)`` called after each epoch."""

    def __init__(self, function: Callable[[Any, Mapping[str, Any]], Any]) -> None:
        self.function = function

    def on_epoch_end(self, trainer: Any, numbers: Mapping[str, Any]) -> None:
        """Call the function."""
        self.function(trainer, numbers)


class EarlyStopping(Callback):
    """Ends training when a column of the history has not improved for ``patience`` epochs.

    With ``restore_best`` the model gets back the weights of its best epoch when training ends.
    Raises KeyError if the history has no such column.

    >>> import numpy as np, autodiff as ad
    >>> stop = ad.EarlyStopping("loss", patience=2)
    >>> stop.monitor, stop.patience, stop.best
    ('loss', 2, inf)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        mode: str = "min",
        restore_best: bool = True,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode={mode!r}: use 'min' or 'max'")
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        self.mode, self.restore_best = mode, restore_best
        self.best = math.inf if mode == "min" else -math.inf
        self.best_epoch = self.waited = 0
        self.weights: dict[str, Any] | None = None

    def on_epoch_end(self, trainer: Any, numbers: Mapping[str, Any]) -> None:
        """Compare with the best epoch so far."""
        if self.monitor not in numbers:
            raise KeyError(
                f"EarlyStopping watches {self.monitor!r}, but an epoch has {', '.join(numbers)}"
            )
        value = numbers[self.monitor]
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best, self.best_epoch, self.waited = value, trainer.epoch, 0
            if self.restore_best:
                self.weights = {k: v.copy() for k, v in trainer.model.state_dict().items()}
        else:
            self.waited += 1
            trainer.stop = trainer.stop or self.waited >= self.patience

    def on_train_end(self, trainer: Any) -> None:
        """Give back the best weights."""
        if self.restore_best and self.weights is not None:
            trainer.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """The best epoch and how long ago it was."""
        names = ("best", "best_epoch", "waited", "weights")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state_dict`."""
        for name, value in state_dict.items():
            setattr(self, name, value)


def as_callback(given: Any) -> Callback:
    """A callback, or a function made one."""
    return given if isinstance(given, Callback) else LambdaCallback(given)
