"""Multi-head attention with torch's parameters, arguments and masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError

from ..graph import layer_function
from . import functional
from .linear_layers import Linear
from .module import Module
from .parameter import filled, kept_mask, uniform


@layer_function
def _projected(query: Any, key: Any, value: Any, weight: Any, bias: Any = None) -> Any:
    """Three projections by the rows of one matrix."""
    width = weight.extents[1]
    parts = []
    for k, x in enumerate((query, key, value)):
        rows = slice(k * width, (k + 1) * width)
        out = np.matmul(x, weight[rows].T)
        parts.append(out if bias is None else out + bias[rows])
    return tuple(parts)


class MultiheadAttention(Module):
    """Attention of ``query`` to ``key`` and ``value`` in ``num_heads`` heads.

    Inputs ``(l, b, e)`` and ``(s, b, e)``, or ``(b, l, e)`` with ``batch_first``, or without the
    batch. Returns the result and, with ``need_weights``, the weights ``(b, l, s)`` averaged over
    heads, or ``(b, h, l, s)``. In boolean masks, true means *may not be seen*; masks of numbers are
    added to the scores. Source: Vaswani et al. (2017).

    >>> import numpy as np, autodiff as ad
    >>> attention = ad.nn.MultiheadAttention(4, 2)
    >>> x = np.ones((5, 1, 4))
    >>> output, weights = attention(x, x, x)
    >>> output.shape, weights.shape
    ((5, 1, 4), (1, 5, 5))

    Raises ShapeError if ``num_heads`` does not divide ``embed_dim``.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        if embed_dim % num_heads:
            raise ShapeError(
                f"MultiheadAttention: embed_dim {embed_dim} in {num_heads} heads",
                hint="num_heads must divide embed_dim",
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.batch_first, self.add_zero_attn, self.generator = batch_first, add_zero_attn, generator
        widths = (embed_dim, kdim or embed_dim, vdim or embed_dim)
        self.same_widths = widths == (embed_dim,) * 3
        if self.same_widths:
            bound = math.sqrt(6 / (4 * embed_dim))
            self.in_proj_weight = uniform((3 * embed_dim, embed_dim), bound, dtype, generator)
        else:
            self.q_proj_weight, self.k_proj_weight, self.v_proj_weight = (
                uniform((embed_dim, width), math.sqrt(6 / (embed_dim + width)), dtype, generator)
                for width in widths
            )
        self.in_proj_bias = filled((3 * embed_dim,), 0.0, dtype) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype, generator=generator)
        if self.out_proj.bias is not None:
            self.out_proj.bias.data[...] = 0
        self.bias_k = uniform((1, 1, embed_dim), 0.1, dtype, generator) if add_bias_kv else None
        self.bias_v = uniform((1, 1, embed_dim), 0.1, dtype, generator) if add_bias_kv else None

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """Apply the layer."""
        batched = np.ndim(query) == 3
        q, k, v = (self._batch_first(x, batched) for x in (query, key, value))
        q, k, v = self._projections(q, k, v)
        k, v, extra = self._extended(k, v)
        mask = self._mask(np.shape(q), attn_mask, key_padding_mask, batched, extra)
        dropout_mask, p = None, 0.0
        if self.training and self.dropout:
            p = self.dropout
            shape = (np.shape(q)[0], self.num_heads, np.shape(q)[1], np.shape(k)[1])
            dropout_mask = kept_mask(q, shape, p, self.generator)
        causal = is_causal and attn_mask is None
        joined, weights = functional.attend(q, k, v, self.num_heads, mask, dropout_mask, p, causal)
        out = self.out_proj(joined)
        if not batched:
            out = out[0]
        elif not self.batch_first:
            out = np.swapaxes(out, 0, 1)
        if not need_weights:
            return out, None
        weights = np.mean(weights, axis=1) if average_attn_weights else weights
        return out, weights if batched else weights[0]

    def _batch_first(self, x: Any, batched: bool) -> Any:
        if not batched:
            return x[None]
        return x if self.batch_first else np.swapaxes(x, 0, 1)

    def _projections(self, q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
        if self.same_widths:
            return _projected(q, k, v, self.in_proj_weight, self.in_proj_bias)
        biases: Any = (None,) * 3
        if self.in_proj_bias is not None:
            biases = np.split(self.in_proj_bias, 3)
        weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        triples = zip((q, k, v), weights, biases, strict=True)
        first, second, third = (functional.linear(x, w, b) for x, w, b in triples)
        return first, second, third

    def _extended(self, k: Any, v: Any) -> tuple[Any, Any, int]:
        """Keys and values with a learned and a zero position at the end, and how many."""
        extra = 0
        batch = np.shape(k)[0]
        if self.bias_k is not None and self.bias_v is not None:
            k = np.concatenate([k, np.broadcast_to(self.bias_k, (batch, 1, self.embed_dim))], 1)
            v = np.concatenate([v, np.broadcast_to(self.bias_v, (batch, 1, self.embed_dim))], 1)
            extra += 1
        if self.add_zero_attn:
            k, v = (np.concatenate([x, np.zeros_like(x[:, :1])], axis=1) for x in (k, v))
            extra += 1
        return k, v, extra

    def _mask(self, shape: Any, attn_mask: Any, padding: Any, batched: bool, extra: int) -> Any:
        """What is added to the scores ``(b, h, l, s)``, None if nothing is."""
        total = None
        if attn_mask is not None:
            mask = _additive(attn_mask)
            if np.ndim(mask) == 3:
                mask = mask.reshape((-1, self.num_heads, *np.shape(mask)[1:]))
            total = mask
        if padding is not None:
            mask = _additive(padding if batched else padding[None])[:, None, None, :]
            total = mask if total is None else total + mask
        if total is not None and extra:
            width = [(0, 0)] * (np.ndim(total) - 1) + [(0, extra)]
            total = np.pad(total, width)
        return total

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}"


def _additive(mask: Any) -> Any:
    """A mask as numbers: minus infinity where a boolean one is true."""
    mask = getattr(mask, "data", mask) if not isinstance(mask, np.ndarray) else mask
    if isinstance(mask, np.ndarray) and mask.dtype == bool:
        return np.where(mask, -np.inf, 0.0).astype(np.float32)
    return mask


#: The spelling with a capital H.
MultiHeadAttention = MultiheadAttention
