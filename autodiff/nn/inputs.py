"""What layers may be called with, in words for those who call them with something else."""

from __future__ import annotations

from numbers import Number
from typing import Any

from tensorcalc.errors import TraceError
from tensorcalc.nodes import Node

#: Hints by what the input has.
HINTS = {
    "batch_sizes": "packed sequences are not taken: pad them to one length, and give losses the "
    "steps that count (a mask, or ignore_index)",
    "__getitem__": "convert it with np.asarray, to an array of numbers",
}


def wrong_input(layer: Any, args: tuple[Any, ...]) -> TraceError | None:
    """An error for a layer of this library whose first input is no array, None if it is one.

    Containers pass on whatever they are given, and so may modules of users.
    """
    own, _, file = type(layer).__module__.rpartition(".")
    is_container = file == "containers" and next(layer.named_children(), None) is not None
    if own != __package__ or is_container or not args or _is_array(args[0]):
        return None
    value = args[0]
    name = type(layer).__name__
    hint = next((text for key, text in HINTS.items() if hasattr(value, key)), "pass an array")
    shown = repr(value)
    return TraceError(
        f"{name} takes arrays of numbers, not {type(value).__name__}",
        [f"input: {shown if len(shown) < 60 else shown[:57] + '...'}"],
        hint if not isinstance(value, str) else "pass an array of numbers",
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, (Number, Node)) or (
        hasattr(value, "shape") and hasattr(value, "dtype")
    )
