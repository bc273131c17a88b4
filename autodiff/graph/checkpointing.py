"""Checkpoints: results whose operations run again in the backward pass instead of being stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import pytrees
from . import random_state
from .backward import Sweep
from .modes import Switch, recording
from .placement import kept
from .record import Record
from .tensor import Tensor, tracked, untracked


class Replay:
    """The plan of a checkpoint's record: run the function again, and back through it."""

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> None:
        self.name = f"checkpoint of {getattr(function, '__name__', type(function).__name__)}"
        self._function = function
        self.leaves, self._definition = pytrees.flatten((tuple(args), kwargs))
        self._random = random_state.snapshot()

    def __call__(self, leaves: Sequence[Any]) -> tuple[list[Any], Any]:
        """Results of the function, flat, and their nesting."""
        args, kwargs = pytrees.unflatten(self._definition, leaves)
        return pytrees.flatten(self._function(*args, **kwargs))

    def propagate(self, sweep: Sweep, node: Record, sums: dict[int, list[Any]]) -> None:
        """Record the function's operations now, and sweep back through them at once."""
        inputs = list(self.leaves)
        mine: dict[Tensor, tuple[Any, int]] = {}
        edges = iter(node.edges or ())
        for k, leaf in enumerate(inputs):
            if isinstance(leaf, Tensor) and leaf.requires_grad:
                edge = next(edges)
                if not sweep.create:
                    inputs[k] = leaf = Tensor(leaf.data, requires_grad=True)
                    mine[leaf] = edge
        with Switch(True), random_state.restored(self._random):
            results, _ = self(inputs)
        inner = Sweep(sweep.retain, sweep.create)
        for k, (adjoint, _) in sums.items():
            result = results[k]
            if result.requires_grad:
                inner.add(result.record or result, result.index, adjoint, False)
        inner.run()
        for leaf, (adjoint, owned) in inner.leaves.items():
            target, index = mine.get(leaf, (leaf, -1))
            sweep.add(target, index, adjoint, owned)


def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)`` that stores its arguments only, and runs again going back.

    ``function`` maps tensors to tensors, for example a layer; random masks are drawn again as they
    were. Memory falls from that of every operation to that of one call, at the price of a second
    forward pass. Source: Griewank and Walther, *Evaluating Derivatives*, chapter 12.
    """
    if not recording.get():
        return function(*args, **kwargs)
    replay = Replay(function, args, kwargs)
    with Switch(False):
        results, definition = replay(replay.leaves)
    edges = [
        (t, -1) if t.record is None else (t.record, t.index)
        for t in replay.leaves
        if isinstance(t, Tensor) and t.requires_grad
    ]
    node = Record(replay, edges, [])
    outputs = [_output(result, node, k) for k, result in enumerate(results)]
    return pytrees.unflatten(definition, outputs)


def _output(result: Any, node: Record, k: int) -> Any:
    data = result.data if isinstance(result, Tensor) else kept(result)
    return tracked(data, node, k) if data.dtype.kind == "f" else untracked(data)


__all__ = ["checkpoint"]
