"""What losses have in common: options, checks of shapes, and how entries are reduced."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError
from tensorcalc.nodes import Node

from ..graph.placement import kept
from ..graph.tensor import Tensor

REDUCTIONS = ("none", "mean", "sum")


def reduced(losses: Any, reduction: str) -> Any:
    """The entries, their mean or their sum."""
    if reduction == "mean":
        return np.mean(losses)
    return np.sum(losses) if reduction == "sum" else losses


def check_reduction(reduction: str, allowed: tuple[str, ...] = REDUCTIONS) -> None:
    """Raise ValueError for a reduction that the loss does not know."""
    if reduction not in allowed:
        raise ValueError(f"reduction={reduction!r}: use one of {', '.join(map(repr, allowed))}")


def check_same_shape(name: str, input: Any, target: Any) -> None:
    """Raise ShapeError unless input and target have the same shape.

    Broadcasting (n, 1) against (n,) would silently compare everything with everything.
    """
    given, wanted = np.shape(input), np.shape(target)
    if given != wanted:
        raise ShapeError(
            f"{name} of an input and a target of different shapes",
            [f"input: {shape_text(given)}", f"target: {shape_text(wanted)}"],
            "reshape the target, e.g. target[:, None] or input[:, 0]",
        )


def shape_text(shape: Any) -> str:
    """A shape as a message shows it."""
    sizes = [str(size) for size in shape]
    return "shape (" + ", ".join(sizes) + ("," if len(sizes) == 1 else "") + ")"


def tensor_dtype(value: Any) -> Any:
    """The kind of an argument's entries: "f", "i", "u" or "b"."""
    if isinstance(value, Node):
        return "i" if "integer" in getattr(value, "flags", ()) else "f"
    return kept(value.data if isinstance(value, Tensor) else value).dtype.kind


class Loss:
    """A loss with its options; ``loss(input, target)`` is its value.

    Subclasses name the function that they call and the options that they hold.

    >>> import numpy as np, autodiff as ad
    >>> loss = ad.losses.Loss(ad.losses.l1_loss, reduction="sum")
    >>> float(loss(np.array([3.0, 1.0]), np.zeros(2)))
    4.0
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        if "reduction" in options and options["reduction"] != "batchmean":
            check_reduction(options["reduction"])
        self.function, self.options = function, options

    def __call__(self, *args: Any) -> Any:
        """The loss of these inputs and targets."""
        return self.function(*args, **self.options)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{type(self).__name__}({options})"


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless the option is a positive finite number."""
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name}={value!r}: it must be a positive number")
