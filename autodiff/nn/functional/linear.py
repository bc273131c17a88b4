"""Layers that are one contraction: linear, bilinear, embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError, TraceError
from tensorcalc.extents import is_equal
from tensorcalc.numpy_protocol.indexing import is_integer
from tensorcalc.products import product

from ...graph import layer_function


@layer_function
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """``out[..., o] = sum over i of input[..., i] weight[o, i] + bias[o]``.

    Shapes: input ``(..., i)``, weight ``(o, i)``, bias ``(o,)``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.linear(np.ones((2, 3)), np.ones((4, 3)), np.zeros(4)).shape
    (2, 4)
    """
    batch = tuple(range(input.ndim - 1))
    if not input.ndim or not is_equal(input.extents[-1], weight.extents[1]):
        raise ShapeError(
            "linear: the last axis of the input is not the one that the weight sums over",
            [f"input: shape {input.extents}", f"weight (out, in): shape {weight.extents}"],
            "in_features is the size of the input's last axis",
        )
    out = product((input, weight), ((*batch, "i"), ("o", "i")), (*batch, "o"))
    return out if bias is None else out + bias


@layer_function
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """``out[..., o] = sum over i, j of x[..., i] weight[o, i, j] y[..., j] + bias[o]``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.bilinear(np.ones((5, 2)), np.ones((5, 3)), np.ones((4, 2, 3))).shape
    (5, 4)
    """
    batch = tuple(range(input1.ndim - 1))
    out = product(
        (input1, weight, input2),
        ((*batch, "i"), ("o", "i", "j"), (*batch, "j")),
        (*batch, "o"),
    )
    return out if bias is None else out + bias


@layer_function
def embedding(input: Any, weight: Any, padding_idx: int | None = None, frozen: Any = None) -> Any:
    """``out[..., e] = weight[input[...], e]``.

    Rows looked up for ``padding_idx`` are taken from ``frozen`` (an array like ``weight`` that
    wants no gradient), so that the padding row of ``weight`` does not learn.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.functional.embedding(np.array([1, 0]), np.eye(2))
    array([[0., 1.],
           [1., 0.]])

    Raises TraceError unless ``input`` is of integers.
    """
    if not is_integer(input):
        raise TraceError(
            "embedding: the input is not an array of integers",
            hint="pass positions, for example tokens.astype(int)",
        )
    rows = weight[input]
    if padding_idx is None or frozen is None:
        return rows
    at_padding = np.equal(input, padding_idx)[..., None]
    return np.where(at_padding, frozen[input], rows)
