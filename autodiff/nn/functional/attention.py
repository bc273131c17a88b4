"""Scaled dot-product attention, with masks, over one or many heads.

Source: Vaswani et al., *Attention Is All You Need* (2017), section 3.2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tensorcalc as tc
from tensorcalc.numpy_protocol.convert import as_node, broadcast_extents, broadcast_to
from tensorcalc.products import is_boolean, product, scale

from ...graph import layer_function
from .geometry import join_axes, split_axis


def _scores(query: Any, key: Any, factor: float) -> Any:
    """``sum over e of query[..., l, e] key[..., s, e]``, scaled."""
    return scale(factor, np.matmul(query, np.swapaxes(key, -1, -2)))


def _masked(scores: Any, mask: Any) -> Any:
    """A boolean mask says what takes part; numbers are added."""
    if mask is None:
        return scores
    if is_boolean(mask):
        spread = broadcast_to(mask, broadcast_extents(mask.extents, scores.extents))
        return np.where(spread, scores, -np.inf)
    return scores + mask


def _causal(scores: Any) -> Any:
    """What lies behind the diagonal takes no part."""
    allowed = np.tril(np.ones_like(scores))
    return np.where(allowed > 0, scores, -np.inf)


@layer_function
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    """``softmax(scale * query key' + mask) value`` over the last two axes.

    ``attn_mask`` is boolean (true takes part) or is added. ``dropout_mask`` holds what is kept of
    the weights, drawn with probability ``1 - dropout_p``.

    >>> import numpy as np, autodiff as ad
    >>> q = np.ones((1, 2, 5, 4))
    >>> ad.nn.functional.scaled_dot_product_attention(q, q, q).shape
    (1, 2, 5, 4)
    """
    width = int(query.extents[-1])
    scores = _scores(query, key, 1 / math.sqrt(width) if scale is None else scale)
    scores = _masked(_causal(scores) if is_causal else scores, attn_mask)
    weights = tc.softmax(scores, axis=-1)
    if dropout_mask is not None:
        weights = np.where(dropout_mask, weights / (1 - dropout_p), 0.0)
    return np.matmul(weights, value)


@layer_function
def attend(
    query: Any,
    key: Any,
    value: Any,
    num_heads: int,
    mask: Any = None,
    dropout_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
) -> tuple[Any, Any]:
    """Attention in heads of projected inputs: results ``(b, l, e)`` and weights ``(b, h, l, s)``.

    Shapes: query ``(b, l, e)``, key and value ``(b, s, e)``; ``mask`` is added to the scores
    ``(b, h, l, s)``, minus infinity where nothing may be seen.
    """
    q, k, v = (split_axis(x, 2, num_heads) for x in (query, key, value))
    scores = product((q, k), (("b", "l", "h", "e"), ("b", "s", "h", "e")), ("b", "h", "l", "s"))
    scores = scale(1 / math.sqrt(int(q.extents[3])), scores)
    if is_causal:
        scores = _causal(scores)
    weights = tc.softmax(scores if mask is None else scores + as_node(mask), axis=-1)
    used = weights
    if dropout_mask is not None:
        used = np.where(dropout_mask, weights / (1 - dropout_p), 0.0)
    joined = product((used, v), (("b", "h", "l", "s"), ("b", "s", "h", "e")), ("b", "l", "h", "e"))
    return join_axes(joined, 2), used
