"""Arrays made of extents and of lists: what ``np.eye(x.shape[0])`` and ``np.array([x[0]])`` mean.

NumPy has no protocol for these, since no expression is among their arguments, only an extent or a
list; ``autodiff`` calls them while it traces a function.
"""

from __future__ import annotations

from typing import Any

from ..nodes import Constant, Node
from .convert import as_node, broadcast_to
from .methods import astype
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


def array(object: Any, dtype: Any = None) -> Any:
    """Expressions and numbers in nested lists, stacked."""
    node = as_node(object)
    return node if dtype is None else astype(node, dtype)


def asarray(a: Any, dtype: Any = None) -> Any:
    """An expression itself; lists as by :func:`array`."""
    return array(a, dtype)
