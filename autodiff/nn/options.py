"""Options that torch's layers have and that are taken here at their default only."""

from __future__ import annotations

from typing import Any


def only(layer: Any, option: str, value: Any, allowed: Any, hint: str) -> None:
    """Raise ValueError unless an option has the one value that the layer knows.

    Arguments keep torch's order, so that calls carry over; what is not there is refused, not
    ignored.
    """
    if value != allowed:
        name = layer if isinstance(layer, str) else type(layer).__name__
        raise ValueError(f"{name}: {option}={value!r} is not supported\n  hint: {hint}")
