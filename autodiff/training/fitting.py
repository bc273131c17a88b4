"""Training loops: epochs of steps, validation, checkpoints that resume exactly."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from ..graph import Tensor, manual_seed, no_grad, random_state
from ..optim.clipping import clip_grad_norm_
from ..optim.curvature_base import CurvatureOptimizer
from ..optim.lr_scheduler import ReduceLROnPlateau
from .callbacks import Callback, as_callback
from .checkpoints import load_tree, save_tree
from .compiled_step import compile_step
from .data import Batches
from .history import History
from .metrics import named_metrics


class Trainer:
    """Everything that training changes, and what it needs to change it; see :func:`fit`."""

    def __init__(
        self,
        model: Any,
        loss: Callable[..., Any],
        optimizer: Any,
        data: Iterable[Any],
        *,
        validation: Any = None,
        metrics: Any = None,
        schedule: Any = None,
        schedule_every: str = "epoch",
        clip_norm: float | None = None,
        callbacks: Sequence[Any] = (),
        compiled: bool = True,
        target: str = "auto",
        progress: bool = True,
    ) -> None:
        if schedule_every not in ("epoch", "step"):
            raise ValueError(f"schedule_every={schedule_every!r}: use 'epoch' or 'step'")
        _check_training(loss, optimizer)
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.data, self.validation = as_batches(data), validation
        if validation is not None and not isinstance(validation, tuple):
            self.validation = as_batches(validation)
        self.metrics = named_metrics(metrics)
        self.schedule, self.schedule_every = schedule, schedule_every
        self.clip_norm, self.progress = clip_norm, progress
        self.callbacks: list[Callback] = [as_callback(c) for c in callbacks]
        self.history = History()
        #: Epochs that are finished.
        self.epoch = 0
        self.stop = False
        #: Which layers train; those that were told to ``eval()`` stay so.
        self._modes: dict[Any, bool] = {}
        self._step = self._chosen_step(compiled, target)

    def _chosen_step(self, compiled: bool, target: str) -> Callable[..., Any]:
        """What a batch is given to."""
        if isinstance(self.optimizer, CurvatureOptimizer):
            self._check_curvature()
            return self.optimizer.step
        if compiled:
            return compile_step(self.model, self.loss, self.optimizer, self.clip_norm, target)
        return self._eager_step

    def _check_curvature(self) -> None:
        """A second-order optimizer computes its steps from its own model and loss."""
        own = self.optimizer.model is self.model and self.optimizer.loss is self.loss
        if not own or self.clip_norm is not None:
            raise ValueError(
                f"fit with {type(self.optimizer).__name__}, which takes steps by itself: give it "
                "the same model and loss as fit, and leave clip_norm away"
            )

    # -- training -----------------------------------------------------------------------------
    def run(self, epochs: int, checkpoint: Any = None) -> History:
        """Train until ``epochs`` epochs are finished in all, or a callback stops."""
        if not self.model.training:
            self.model.train()
        self._modes = {layer: layer.training for layer in self.model.modules()}
        self._tell("on_train_begin")
        bar = tqdm(total=epochs, initial=self.epoch, unit="epoch", disable=not self.progress)
        with bar:
            while self.epoch < epochs and not self.stop:
                numbers = self._run_epoch()
                if checkpoint is not None:
                    self.save(checkpoint)
                shown = {k: v for k, v in numbers.items() if v is not None and k != "seconds"}
                bar.set_postfix({name: f"{value:.4g}" for name, value in shown.items()})
                bar.update()
        self._tell("on_train_end")
        return self.history

    def _run_epoch(self) -> dict[str, Any]:
        start = time.perf_counter()
        self._tell("on_epoch_begin")
        for layer, training in self._modes.items():
            layer.training = training
        rate = self.optimizer.param_groups[0]["lr"]
        total, count = 0.0, 0
        for batch in self.data:
            loss = float(self._step(*batch))
            total, count = total + loss * len(batch[0]), count + len(batch[0])
            if self.schedule is not None and self.schedule_every == "step":
                self.schedule.step()
            self._tell("on_batch_end", loss)
        numbers: dict[str, Any] = {"loss": total / max(count, 1)}
        if self.validation is not None:
            held_out = evaluate(self.model, self.loss, self.validation, self.metrics)
            numbers |= {f"val_{name}": value for name, value in held_out.items()}
        numbers |= {"lr": rate, "seconds": time.perf_counter() - start}
        self.epoch += 1
        self._end_epoch(numbers)
        return numbers

    def _end_epoch(self, numbers: dict[str, Any]) -> None:
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(numbers.get("val_loss", numbers["loss"]))
        elif self.schedule is not None and self.schedule_every == "epoch":
            self.schedule.step()
        self.history.append(numbers)
        self._tell("on_epoch_end", numbers)

    def _eager_step(self, *batch: Any) -> Any:
        """Forward, backward and update through the graph."""
        self.optimizer.zero_grad()
        *inputs, target = batch
        loss = self.loss(self.model(*map(Tensor, inputs)), target)
        loss.backward()
        if self.clip_norm is not None:
            clip_grad_norm_(self.optimizer.parameters(), self.clip_norm)
        self.optimizer.step()
        return loss.data

    def _tell(self, event: str, *details: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *details)

    # -- saving -------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch depends on, and the history."""
        return {
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "data": self.data.state_dict() if hasattr(self.data, "state_dict") else None,
            "generator": random_state.snapshot(),
            "callbacks": [callback.state_dict() for callback in self.callbacks],
            "epoch": self.epoch,
            "stop": self.stop,
            "history": self.history.epochs,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None and state["schedule"] is not None:
            self.schedule.load_state_dict(state["schedule"])
        if hasattr(self.data, "load_state_dict") and state["data"] is not None:
            self.data.load_state_dict(state["data"])
        random_state.set_state(state["generator"])
        for callback, own in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(own)
        self.epoch, self.stop = state["epoch"], state["stop"]
        self.history = History(state["history"])

    def save(self, path: Any) -> None:
        """Write a checkpoint."""
        save_tree(path, self.state_dict())

    def load(self, path: Any) -> None:
        """Continue from a checkpoint."""
        self.load_state_dict(load_tree(path))


def as_batches(data: Any) -> Any:
    """Data that can be iterated over anew in each epoch; a tuple of arrays is cut into batches.

    Raises TypeError for an array alone, a dictionary, or a tuple of what are no arrays.
    """
    if isinstance(data, tuple) and all(hasattr(a, "shape") for a in data):
        return Batches(*data)
    if isinstance(data, (tuple, dict, str)) or hasattr(data, "shape"):
        given = type(data).__name__
        if isinstance(data, tuple):
            given += f" of {', '.join(type(a).__name__ for a in data)}"
        raise TypeError(
            f"data are arrays in a tuple, (*inputs, target), or an iterable of such batches, not "
            f"{given}\n  hint: pass (np.asarray(x), np.asarray(y)), or Batches(x, y, shuffle=True)"
        )
    return data


def _check_training(loss: Any, optimizer: Any) -> None:
    """Raise TypeError for a class or a name where an object goes."""
    if isinstance(loss, type) or not callable(loss):
        raise TypeError(
            f"fit: the loss is a function of outputs and targets, not {loss!r}\n"
            "  hint: losses.cross_entropy, or losses.CrossEntropyLoss() with parentheses"
        )
    if isinstance(optimizer, type) or not hasattr(optimizer, "param_groups"):
        raise TypeError(
            f"fit: the optimizer is an object that holds parameters, not {optimizer!r}\n"
            "  hint: optim.Adam(model.parameters())"
        )


def fit(
    model: Any,
    loss: Callable[..., Any],
    optimizer: Any,
    data: Any,
    epochs: int = 10,
    *,
    validation: Any = None,
    metrics: Any = None,
    schedule: Any = None,
    schedule_every: str = "epoch",
    clip_norm: float | None = None,
    callbacks: Sequence[Any] = (),
    checkpoint: Any = None,
    resume: bool = False,
    seed: int | None = None,
    compiled: bool = True,
    target: str = "auto",
    progress: bool = True,
) -> History:
    """Train a model and return its history.

    ``data`` and ``validation`` are tuples ``(*inputs, target)`` of arrays or iterables of such
    batches (:class:`Batches` for shuffling). After each epoch the validation loss and ``metrics``
    are computed, the ``schedule`` steps (after each step with ``schedule_every="step"``), and a
    ``checkpoint`` is written to that path. With ``resume`` training continues from it, if it is
    there, with the numbers of an uninterrupted run: weights, optimizer, schedule, shuffling, random
    numbers and callbacks all go on where they stopped. ``seed`` seeds the default generator of a
    run that is not resumed. With ``compiled`` each step is one program (:func:`compile_step`).

    A model in evaluation mode is told to train. One that trains keeps the modes of its layers:
    those that were told to ``eval()``, such as a frozen batch normalisation, stay so.

    >>> import numpy as np, autodiff as ad
    >>> _ = ad.manual_seed(0)
    >>> x = np.linspace(-1, 1, 32, dtype=np.float32)[:, None]
    >>> model = ad.nn.Linear(1, 1)
    >>> loss, optimizer = ad.losses.MSELoss(), ad.optim.SGD(model.parameters(), 0.3)
    >>> history = ad.fit(model, loss, optimizer, (x, 2 * x + 1), epochs=20, progress=False)
    >>> bool(history["loss"][-1] < 0.01)
    True
    """
    trainer = Trainer(
        model,
        loss,
        optimizer,
        data,
        validation=validation,
        metrics=metrics,
        schedule=schedule,
        schedule_every=schedule_every,
        clip_norm=clip_norm,
        callbacks=callbacks,
        compiled=compiled,
        target=target,
        progress=progress,
    )
    if resume and checkpoint is not None and os.path.exists(checkpoint):
        trainer.load(checkpoint)
    elif seed is not None:
        manual_seed(seed)
    return trainer.run(epochs, checkpoint)


def predict(model: Any, *inputs: Any, batch_size: int = 256) -> Any:
    """The model's outputs as one array, in evaluation mode; the mode is restored.

    >>> import numpy as np, autodiff as ad
    >>> ad.predict(ad.nn.Flatten(), np.ones((5, 2, 3))).shape
    (5, 6)
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            parts = [_output(model, batch) for batch in Batches(*inputs, batch_size=batch_size)]
    finally:
        for module, training in modes:
            module.training = training
    return np.concatenate(parts)


def _output(model: Any, batch: Sequence[Any]) -> Any:
    output = model(*map(Tensor, batch))
    return output.data if isinstance(output, Tensor) else output


def evaluate(
    model: Any, loss: Callable[..., Any] | None, data: Any, metrics: Any = None
) -> dict[str, float]:
    """Loss and metrics over all of ``data``, in evaluation mode.

    The loss is averaged over examples; metrics see all outputs at once.

    >>> import numpy as np, autodiff as ad
    >>> ad.evaluate(ad.nn.Identity(), ad.losses.l1_loss, (np.ones((4, 2)), np.zeros((4, 2))))
    {'loss': 1.0}
    """
    batches = [data] if isinstance(data, tuple) else list(data)
    outputs = np.concatenate([predict(model, *batch[:-1]) for batch in batches])
    targets = np.concatenate([np.asarray(batch[-1]) for batch in batches])
    result = {} if loss is None else {"loss": float(loss(outputs, targets))}
    return result | {
        name: float(metric(outputs, targets)) for name, metric in named_metrics(metrics).items()
    }
