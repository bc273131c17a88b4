"""Arrays of sizes that are known only at run time: what ``np.eye(x.shape[0])`` means.

NumPy has no protocol for these, since no expression is among their arguments, only an extent;
``autodiff`` calls them while it traces a function.
"""

from __future__ import annotations

from typing import Any

from ..nodes import Constant, Node
from .convert import as_node, broadcast_to
from .selections import tril
from .shapes import Size, affine_view


def eye(N: Size, M: Size | None = None, k: Size = 0, dtype: Any = None) -> Node:
    """``out[i, j] = [j == i + k]``, of shape ``(N, M)``."""
    sizes = {"i": N, "j": N if M is None else M}
    return affine_view(Constant(1), (), ("i", "j"), sizes, [({"i": 1, "j": -1}, k)])


def identity(n: Size, dtype: Any = None) -> Node:
    """The identity matrix."""
    return eye(n)


def full(shape: Any, fill_value: Any) -> Node:
    """``fill_value`` everywhere."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    return broadcast_to(as_node(fill_value), sizes)


def ones(shape: Any, dtype: Any = None) -> Node:
    """1 everywhere."""
    return full(shape, 1)


def tri(N: Size, M: Size | None = None, k: Size = 0, dtype: Any = None) -> Node:
    """``out[i, j] = [j <= i + k]``, of shape ``(N, M)``."""
    return tril(ones((N, N if M is None else M)), k)
