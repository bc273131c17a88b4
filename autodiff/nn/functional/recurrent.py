"""One step of recurrent networks; the layouts of weights are those of ``torch.nn.RNN`` and kin.

A step takes the input's share of the gates, ``x W_ih' + b_ih``, which is one contraction for a
whole sequence (:func:`autodiff.nn.functional.linear`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from tensorcalc.applications import apply

from ...graph import layer_function
from .linear import linear


def _hidden_share(hidden: Any, weight: Any, bias: Any) -> Any:
    share = np.matmul(hidden, weight.T)
    return share if bias is None else share + bias


@layer_function
def rnn_step(
    share: Any, hidden: Any, weight_hh: Any, bias_hh: Any = None, nonlinearity: str = "tanh"
) -> Any:
    """``h' = tanh(share + h W_hh' + b_hh)``, or relu; shapes ``(b, n)``."""
    total = share + _hidden_share(hidden, weight_hh, bias_hh)
    return np.tanh(total) if nonlinearity == "tanh" else apply("relu", total)


@layer_function
def lstm_step(
    share: Any, hidden: Any, cell: Any, weight_hh: Any, bias_hh: Any = None
) -> tuple[Any, Any]:
    """``c' = f c + i g`` and ``h' = o tanh(c')`` with gates i, f, g, o in this order.

    Shapes: share ``(b, 4n)``, hidden and cell ``(b, n)``. Source: Hochreiter and Schmidhuber, *Long
    Short-Term Memory* (1997), with the forget gate of Gers et al. (2000).
    """
    total = share + _hidden_share(hidden, weight_hh, bias_hh)
    i, f, g, o = np.split(total, 4, axis=-1)
    new_cell = special.expit(f) * cell + special.expit(i) * np.tanh(g)
    return special.expit(o) * np.tanh(new_cell), new_cell


@layer_function
def gru_step(share: Any, hidden: Any, weight_hh: Any, bias_hh: Any = None) -> Any:
    """``h' = (1 - z) n + z h`` with gates r, z, n in this order, ``n = tanh(share + r (h W'))``.

    Source: Cho et al., *Learning Phrase Representations using RNN Encoder-Decoder* (2014).
    """
    own = _hidden_share(hidden, weight_hh, bias_hh)
    (r_in, z_in, n_in), (r_own, z_own, n_own) = (np.split(t, 3, axis=-1) for t in (share, own))
    r, z = special.expit(r_in + r_own), special.expit(z_in + z_own)
    n = np.tanh(n_in + r * n_own)
    return n + z * (hidden - n)


def rnn_cell(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """A step of a tanh network from its input."""
    return rnn_step(linear(x, w_ih, b_ih), h, w_hh, b_hh)


def lstm_cell(
    x: Any, state: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> tuple[Any, Any]:
    """A step of an LSTM from its input; ``state`` is ``(h, c)``."""
    return lstm_step(linear(x, w_ih, b_ih), *state, w_hh, b_hh)


def gru_cell(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """A step of a GRU from its input."""
    return gru_step(linear(x, w_ih, b_ih), h, w_hh, b_hh)
