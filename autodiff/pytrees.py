"""Nested containers of arrays: dict, list, tuple, namedtuple and None.

A *definition* is the nesting without the leaves, as a hashable tuple; equal nestings have equal
definitions, so a definition can be part of a cache key. Dictionaries are ordered by key, as in
JAX, so that insertion order does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Definition = tuple[Any, ...]

LEAF: Definition = ("leaf",)
NOTHING: Definition = ("none",)


def flatten(tree: Any) -> tuple[list[Any], Definition]:
    """Leaves in order, and the definition that :func:`unflatten` turns back.

    >>> flatten({"b": [1, 2], "a": None})
    ([1, 2], ('dict', ('a', 'b'), (('none',), ('list', None, (('leaf',), ('leaf',))))))
    """
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> Definition:
    if tree is None:
        return NOTHING
    if isinstance(tree, dict):
        keys = _ordered(tree)
        return "dict", keys, tuple([_flatten(tree[key], leaves) for key in keys])
    if isinstance(tree, tuple):
        named = type(tree) if hasattr(tree, "_fields") else None
        return "tuple", named, tuple([_flatten(item, leaves) for item in tree])
    if isinstance(tree, list):
        return "list", None, tuple([_flatten(item, leaves) for item in tree])
    leaves.append(tree)
    return LEAF


def _ordered(tree: dict[Any, Any]) -> tuple[Any, ...]:
    try:
        return tuple(sorted(tree))
    except TypeError:
        return tuple(sorted(tree, key=lambda key: (type(key).__name__, str(key))))


def unflatten(definition: Definition, leaves: Iterable[Any]) -> Any:
    """The nesting of ``definition`` with ``leaves`` put in.

    >>> unflatten(flatten((0, [0, 0]))[1], "abc")
    ('a', ['b', 'c'])
    """
    return _unflatten(definition, iter(leaves))


def _unflatten(definition: Definition, leaves: Iterator[Any]) -> Any:
    kind = definition[0]
    if kind == "leaf":
        return next(leaves)
    if kind == "none":
        return None
    _, extra, children = definition
    items = [_unflatten(child, leaves) for child in children]
    if kind == "dict":
        return dict(zip(extra, items, strict=True))
    if kind == "list":
        return items
    return tuple(items) if extra is None else extra(*items)


def tuple_of(definitions: Iterable[Definition]) -> Definition:
    """The definition of a plain tuple of nestings."""
    return "tuple", None, tuple(definitions)


def nested(outer: Definition, inner: Definition) -> Definition:
    """``outer`` with every leaf replaced by the nesting ``inner``.

    The Hessian with respect to a dict is a dict of dicts: ``nested(d, d)``.
    """
    if outer == LEAF:
        return inner
    if outer == NOTHING:
        return NOTHING
    kind, extra, children = outer
    return kind, extra, tuple(nested(child, inner) for child in children)


def leaf_count(definition: Definition) -> int:
    """Number of leaves."""
    if definition == LEAF:
        return 1
    return 0 if definition == NOTHING else sum(map(leaf_count, definition[2]))


def paths(definition: Definition) -> list[tuple[Any, ...]]:
    """For each leaf the keys, field names and positions that lead to it.

    >>> paths(flatten({"layers": [1, 2]})[1])
    [('layers', 0), ('layers', 1)]
    """
    if definition == LEAF:
        return [()]
    if definition == NOTHING:
        return []
    kind, extra, children = definition
    keys = extra if kind == "dict" else extra._fields if extra else range(len(children))
    return [
        (key, *rest) for key, child in zip(keys, children, strict=True) for rest in paths(child)
    ]


def path_text(path: Iterable[Any]) -> str:
    """A path as Python would write the access: ``['layers'][0]``."""
    return "".join(f"[{key!r}]" for key in path)


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """``function`` of the leaves of trees of one nesting, in that nesting.

    Raises ValueError if the nestings differ.

    >>> map_leaves(lambda x, y: x + y, {"a": 1}, {"a": 2})
    {'a': 3}
    """
    leaves, definition = flatten(tree)
    columns = [leaves]
    for other in others:
        own, own_definition = flatten(other)
        if own_definition != definition:
            raise ValueError(f"the nestings differ: {definition} and {own_definition}")
        columns.append(own)
    return unflatten(definition, map(function, *columns))
