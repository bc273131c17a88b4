"""Linear and bilinear maps, and embeddings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorcalc.errors import TraceError
from tensorcalc.nodes import Node

from ..graph import Tensor, default_generator
from . import functional
from .module import Module
from .options import only
from .parameter import Parameter, get_default_dtype, uniform


class Linear(Module):
    """``out[..., o] = sum over i of x[..., i] weight[o, i] + bias[o]``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.Linear(3, 2)(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = uniform((out_features, in_features), bound, dtype, generator)
        self.bias = uniform((out_features,), bound, dtype, generator) if bias else None

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return functional.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        bias = self.bias is not None
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={bias}"


class Bilinear(Module):
    """``out[..., o] = sum over i, j of x[..., i] weight[o, i, j] y[..., j] + bias[o]``.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.Bilinear(2, 3, 4)(np.ones((5, 2)), np.ones((5, 3))).shape
    (5, 4)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        shape = (out_features, in1_features, in2_features)
        bound = 1 / math.sqrt(in1_features)
        self.weight = uniform(shape, bound, dtype, generator)
        self.bias = uniform((out_features,), bound, dtype, generator) if bias else None

    def forward(self, input1: Any, input2: Any) -> Any:
        """Apply the layer."""
        return functional.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        out, first, second = self.weight.shape
        return f"in1_features={first}, in2_features={second}, out_features={out}"


class Embedding(Module):
    """Rows of a table: ``out[..., e] = weight[x[...], e]``.

    The row ``padding_idx`` starts at zero and does not learn. Where ``weight`` is an expression, as
    in a compiled step, that row counts as zero, whatever was written into it. With ``max_norm``,
    rows are scaled down in place to that ``norm_type``-norm when they are looked up, outside the
    graph.

    Raises ValueError for ``scale_grad_by_freq`` and ``sparse``, TraceError for ``max_norm`` in a
    compiled step.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.Embedding(10, 4)(np.array([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        only(self, "scale_grad_by_freq", scale_grad_by_freq, False, "no loss has that gradient")
        only(self, "sparse", sparse, False, "gradients are dense arrays")
        self.max_norm, self.norm_type = max_norm, norm_type
        generator = generator or default_generator()
        table = generator.standard_normal((num_embeddings, embedding_dim))
        if padding_idx is not None:
            padding_idx %= num_embeddings
            table[padding_idx] = 0
        self.padding_idx = padding_idx
        self.weight = Parameter(table.astype(dtype or get_default_dtype()))

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        if self.max_norm is not None:
            self._renormalise(input)
        if self.padding_idx is None:
            return functional.embedding(input, self.weight)
        weight = self.weight
        frozen = weight.data if isinstance(weight, Parameter) else np.zeros_like(weight)
        return functional.embedding(input, weight, self.padding_idx, frozen)

    def _renormalise(self, input: Any) -> None:
        """Scale the rows that are looked up to the largest norm allowed."""
        if isinstance(input, Node) or not isinstance(self.weight, Parameter):
            raise TraceError(
                f"Embedding with max_norm={self.max_norm}, which changes its weight in place, was "
                "met while tracing",
                hint="train with compiled=False",
            )
        positions = np.unique(input.data if isinstance(input, Tensor) else input)
        rows = self.weight.data[positions]
        norms = np.linalg.norm(rows, self.norm_type, axis=1, keepdims=True)
        scales = np.where(norms > self.max_norm, self.max_norm / (norms + 1e-7), 1.0)
        self.weight.data[positions] = rows * scales.astype(rows.dtype)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        rows, width = self.weight.shape
        return f"{rows}, {width}" + (
            "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        )
