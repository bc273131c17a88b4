"""Recurrent networks over sequences, with torch's layouts of weights and results.

The input's share of all gates of a layer is one contraction over the whole sequence; then one
recorded operation per time step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError
from tensorcalc.nodes import Node
from tensorcalc.products import zeros as zero_state

from . import functional
from .module import Module
from .parameter import kept_mask, uniform


class _Recurrent(Module):
    """Stacked, possibly bidirectional, recurrent layers.

    Input ``(t, b, i)``, or ``(b, t, i)`` with ``batch_first``, or ``(t, i)`` without a batch;
    results: the last layer's outputs of all steps, and the final states, ``(layers * directions, b,
    n)``.
    """

    gates: int
    #: Number of arrays that make up the state.
    states = 1
    #: Features that outputs are projected to; 0 for none.
    proj_size = 0

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.generator = bidirectional, generator
        bound = 1 / math.sqrt(hidden_size) if hidden_size else 0.0
        for name, shape in self._shapes():
            setattr(self, name, uniform(shape, bound, dtype, generator))

    @property
    def output_size(self) -> int:
        """Features of a step's output in one direction."""
        return self.proj_size or self.hidden_size

    @property
    def directions(self) -> int:
        """1, or 2 where sequences are also read backwards."""
        return 2 if self.bidirectional else 1

    def _shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        shapes: list[tuple[str, tuple[int, ...]]] = []
        rows = self.gates * self.hidden_size
        for layer in range(self.num_layers):
            width = self.output_size * self.directions if layer else self.input_size
            for suffix in ("", "_reverse")[: self.directions]:
                shapes.append((f"weight_ih_l{layer}{suffix}", (rows, width)))
                shapes.append((f"weight_hh_l{layer}{suffix}", (rows, self.output_size)))
                if self.bias:
                    shapes.append((f"bias_ih_l{layer}{suffix}", (rows,)))
                    shapes.append((f"bias_hh_l{layer}{suffix}", (rows,)))
                if self.proj_size:
                    shape = (self.proj_size, self.hidden_size)
                    shapes.append((f"weight_hr_l{layer}{suffix}", shape))
        return shapes

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Apply the layer."""
        rank = np.ndim(input)
        if rank not in (2, 3) or not self._fits(np.shape(input)[-1]):
            raise ShapeError(
                f"{type(self).__name__} with input_size {self.input_size}",
                [f"input: shape {np.shape(input)}"],
                "pass (steps, batch, features), or (batch, steps, features) with batch_first=True",
            )
        x = input[:, None] if rank == 2 else np.swapaxes(input, 0, 1) if self.batch_first else input
        initial = self._initial(x, hx, rank)
        finals: list[tuple[Any, ...]] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                mask = kept_mask(x, np.shape(x), self.dropout, self.generator)
                x = functional.dropout(x, mask, self.dropout)
            outputs = []
            for direction in range(self.directions):
                state = initial(layer * self.directions + direction)
                steps, final = self._run(x, layer, direction, state)
                outputs.append(steps)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
        states = [np.stack(parts) for parts in zip(*finals, strict=True)]
        if rank == 2:
            x, states = x[:, 0], [state[:, 0] for state in states]
        elif self.batch_first:
            x = np.swapaxes(x, 0, 1)
        return x, states[0] if self.states == 1 else tuple(states)

    def _fits(self, width: Any) -> bool:
        return bool(width == self.input_size)

    def _initial(self, x: Any, hx: Any, rank: int) -> Callable[[int], tuple[Any, ...]]:
        """The initial state of every layer and direction; zeros unless given."""
        if hx is None:
            widths = (self.output_size, *(self.hidden_size,) * (self.states - 1))
            zeros = tuple(_zeros(x, (np.shape(x)[1], width)) for width in widths)
            return lambda k: zeros
        states = hx if self.states > 1 else (hx,)
        states = [state[:, None] for state in states] if rank == 2 else list(states)
        return lambda k: tuple(state[k] for state in states)

    def _run(self, x: Any, layer: int, direction: int, state: tuple[Any, ...]) -> Any:
        """All steps of one layer in one direction: outputs in order of time, final state."""
        suffix = f"_l{layer}" + ("_reverse" if direction else "")
        w_ih, w_hh = (getattr(self, f"weight_{part}{suffix}") for part in ("ih", "hh"))
        b_ih, b_hh = (
            getattr(self, f"bias_{part}{suffix}") if self.bias else None for part in ("ih", "hh")
        )
        shares = list(np.unstack(functional.linear(x, w_ih, b_ih)))
        outputs = []
        for share in reversed(shares) if direction else shares:
            state = self._step(share, state, w_hh, b_hh)
            if self.proj_size:
                projected = functional.linear(state[0], getattr(self, f"weight_hr{suffix}"))
                state = (projected, *state[1:])
            outputs.append(state[0])
        return np.stack(outputs[::-1] if direction else outputs), state

    def _step(self, share: Any, state: tuple[Any, ...], w_hh: Any, b_hh: Any) -> tuple[Any, ...]:
        raise TypeError(f"{type(self).__name__} defines no _step")

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}"


def _zeros(x: Any, shape: tuple[Any, ...]) -> Any:
    return zero_state(shape) if isinstance(x, Node) else np.zeros(shape, x.dtype)


class RNN(_Recurrent):
    """``h[t] = tanh(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh)``, or relu. Source: Elman (1990).

    >>> import numpy as np, autodiff as ad
    >>> output, state = ad.nn.RNN(3, 5)(np.ones((7, 2, 3)))
    >>> output.shape, state.shape
    ((7, 2, 5), (1, 2, 5))

    Raises ShapeError for an input of another rank or size, ValueError for another nonlinearity.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN with nonlinearity {nonlinearity!r}: it is 'tanh' or 'relu'")
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            dtype=dtype,
            generator=generator,
        )

    def _step(self, share: Any, state: tuple[Any, ...], w_hh: Any, b_hh: Any) -> tuple[Any, ...]:
        return (functional.rnn_step(share, state[0], w_hh, b_hh, self.nonlinearity),)


class LSTM(_Recurrent):
    """Long short-term memory; the state is a pair ``(h, c)``.

    With ``proj_size`` outputs are ``W_hr h``, which the next step and layer read in the place of
    ``h``. Source: Sak et al., *Long short-term memory based recurrent neural network architectures*
    (2014).

    Raises ValueError unless ``proj_size`` is below ``hidden_size``.

    >>> import numpy as np, autodiff as ad
    >>> output, (state, cell) = ad.nn.LSTM(3, 5)(np.ones((7, 2, 3)))
    >>> output.shape, state.shape, cell.shape
    ((7, 2, 5), (1, 2, 5), (1, 2, 5))
    """

    gates, states = 4, 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        if not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"LSTM with proj_size={proj_size}: it must be at least 0 and below hidden_size, "
                f"{hidden_size}"
            )
        self.proj_size = proj_size
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            dtype=dtype,
            generator=generator,
        )

    def _step(self, share: Any, state: tuple[Any, ...], w_hh: Any, b_hh: Any) -> tuple[Any, ...]:
        return functional.lstm_step(share, *state, w_hh, b_hh)


class GRU(_Recurrent):
    """Gated recurrent units.

    >>> import numpy as np, autodiff as ad
    >>> output, state = ad.nn.GRU(3, 5)(np.ones((7, 2, 3)))
    >>> output.shape, state.shape
    ((7, 2, 5), (1, 2, 5))
    """

    gates = 3

    def _step(self, share: Any, state: tuple[Any, ...], w_hh: Any, b_hh: Any) -> tuple[Any, ...]:
        return (functional.gru_step(share, state[0], w_hh, b_hh),)
