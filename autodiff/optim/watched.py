"""What SciPy's methods call after an iteration: the history, the caller's callback, a bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Watched:
    """Keeps the values that it is called with, and counts them with tqdm where that is wanted.

    >>> with Watched(False, 10, None) as watched:
    ...     watched(None, 2.0)
    >>> watched.history
    [{'fun': 2.0}]
    """

    def __init__(
        self, progress: bool, total: int | None, callback: Callable[[Any], Any] | None
    ) -> None:
        self.history: list[dict[str, float]] = []
        self._callback = callback
        self._bar: Any = None
        if progress:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=" iterations")

    def __call__(self, x: Any, value: float) -> Any:
        """The answer of the callback, which may end the method."""
        self.history.append({"fun": float(value)})
        if self._bar is not None:
            self._bar.update()
        return self._callback(x) if self._callback else None

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._bar is not None:
            self._bar.close()


__all__ = ["Watched"]
