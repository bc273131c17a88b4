"""Arguments of a call: their leaves, how they nest, which are traced and what they are called.

NumPy arrays and scalars, arrays on a device, and Python floats in positional arguments, are traced
as variables. Python ints, bools, strings and other hashable values, and floats given by keyword,
are constants: part of the key of the trace.
"""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.cuda.arrays import ArrayOnDevice, is_on_device, on_device
from tensorcalc.nodes import Node

from . import pytrees
from .pytrees import Definition

#: Arrays as they are kept: NumPy's, and those in a GPU's memory for the target "cuda".
ARRAYS = (np.ndarray, np.generic, ArrayOnDevice)


@dataclass
class Arguments:
    """The leaves of a call's arguments, and how they nest."""

    leaves: list[Any]
    positional: tuple[Definition, ...]
    keywords: Definition

    @property
    def definition(self) -> Definition:
        """The nesting ``(args, kwargs)`` of all leaves."""
        return pytrees.tuple_of((pytrees.tuple_of(self.positional), self.keywords))

    def leaf_indices(self, position: int) -> range:
        """Positions among all leaves of those of one positional argument."""
        start = sum(map(pytrees.leaf_count, self.positional[:position]))
        return range(start, start + pytrees.leaf_count(self.positional[position]))

    @property
    def positional_leaves(self) -> int:
        """Number of leaves of positional arguments; those of keywords come after."""
        return sum(map(pytrees.leaf_count, self.positional))


def arguments_of(args: Sequence[Any], kwargs: dict[str, Any]) -> Arguments:
    """The arguments of a call; foreign arrays in the host's memory are turned into NumPy's."""
    leaves, (_, _, positional) = pytrees.flatten(tuple(args))
    keyword_leaves, keywords = pytrees.flatten(kwargs)
    return Arguments([normal_leaf(x) for x in leaves + keyword_leaves], positional, keywords)


def normal_leaf(leaf: Any) -> Any:
    """A leaf as it is kept: foreign arrays as NumPy's, or as arrays on the device."""
    if type(leaf) is np.ndarray or isinstance(leaf, (Node, np.generic)):
        return leaf
    if is_on_device(leaf):
        return on_device(leaf)
    return np.asarray(leaf) if hasattr(leaf, "__array__") else leaf


def is_traced(leaf: Any, by_keyword: bool = False) -> bool:
    """Whether a leaf becomes a variable; otherwise it is a constant of the trace."""
    if isinstance(leaf, (*ARRAYS, Node)):
        return True
    return isinstance(leaf, float) and not by_keyword


def kind_of(leaf: Any) -> str:
    """The kind of a traced leaf: "f", "i", "u" or "b"."""
    return leaf.dtype.kind if isinstance(leaf, ARRAYS) else "f"


# -- names ----------------------------------------------------------------------------------------
def leaf_names(function: Callable[..., Any], arguments: Arguments) -> list[str]:
    """A valid identifier per leaf: the parameter's name, or the key of a leaf where that is plain.

    ``f(params, x)`` with ``params = {"W": ..., "b": ...}`` has the leaves W, b, x.
    """
    parameters = _parameter_names(function, len(arguments.positional))
    trees = [*zip(parameters, arguments.positional, strict=True), ("", arguments.keywords)]
    full = [(name, *path) if name else path for name, tree in trees for path in pytrees.paths(tree)]
    short = [_identifier(path[-1:]) for path in full]
    taken: set[str] = set()
    return [
        unique_name(own if own and short.count(own) == 1 else _identifier(path), taken)
        for own, path in zip(short, full, strict=True)
    ]


def _parameter_names(function: Callable[..., Any], count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}{k}" for k in range(count)]
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    return [*names, *(f"p{k}" for k in range(len(names), count))][:count]


def _identifier(path: Sequence[Any]) -> str:
    """The path joined by underscores; empty if that is no identifier."""
    text = re.sub(r"\W", "_", "_".join(map(str, path)))
    return text if text.isidentifier() and not keyword.iskeyword(text) else ""


def unique_name(name: str, taken: set[str]) -> str:
    """``name``, changed until it is neither taken nor the name of an extent; then it is taken."""
    name = name or "p"
    if re.fullmatch(r"n\d+", name):
        name += "_"
    candidate, k = name, 0
    while candidate in taken:
        k += 1
        candidate = f"{name}_{k}"
    taken.add(candidate)
    return candidate
