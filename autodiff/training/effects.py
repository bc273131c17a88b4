"""What a traced step draws and where its layers put new buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tensorcalc.numpy_protocol.convert import as_node

from ..nn.parameter import traced_buffers, traced_draws


class StepEffects:
    """Random arrays and buffers of one traced step.

    What layers draw becomes variables of the trace, bound to arrays that :meth:`refill` draws anew
    before every run, in the order of the trace, which is that of the eager step.
    """

    def __init__(self, model: Any) -> None:
        self._draws: list[tuple[Any, Callable[..., Any]]] = []
        self._prefixes = {id(m): f"{name}." if name else "" for name, m in model.named_modules()}
        #: New values of buffers, by dotted name.
        self.buffers: dict[str, Any] = {}

    def _draw(self, shape: Sequence[Any], sample: Callable[..., Any]) -> Any:
        sizes = tuple(int(size) for size in shape)
        array = np.zeros(sizes, sample((0,)).dtype)
        self._draws.append((array, sample))
        return as_node(array)

    def _update(self, module: Any, name: str, value: Any) -> None:
        self.buffers[self._prefixes[id(module)] + name] = value

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Inside the block, layers draw from here and leave their buffers here."""
        draws, buffers = traced_draws.set(self._draw), traced_buffers.set(self._update)
        try:
            yield
        finally:
            traced_draws.reset(draws)
            traced_buffers.reset(buffers)

    def refill(self) -> None:
        """Draw everything anew."""
        for array, sample in self._draws:
            array[...] = sample(array.shape)
