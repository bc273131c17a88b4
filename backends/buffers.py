"""Large results in memory that earlier results have given up.

Fresh memory of tens of megabytes costs more in page faults than the arithmetic that fills it. A
buffer is handed out again only when nobody holds a view of it: NumPy keeps the owner of the memory
as ``base`` of every view, so the count of references to the buffer says so.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

#: Bytes from which a page fault costs more than looking for a buffer, and beyond which memory is
#: not kept from the system.
SMALLEST = 2**20
LARGEST = 2**28
#: Buffers kept of one size, and sizes kept.
HELD, SIZES = 8, 32

#: References to a buffer that nobody uses: the local name and the argument of ``getrefcount``.
_UNUSED = 2


class BufferPool:
    """Memory of one compiled function; freed with it."""

    def __init__(self) -> None:
        self._buffers: dict[int, list[Any]] = {}

    def release(self) -> None:
        """Keep nothing for later results."""
        self._buffers.clear()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Like ``np.empty``; a result never shares memory with one that is still in use."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if not SMALLEST <= size <= LARGEST:
            return np.empty(shape, dtype)
        rounded = _rounded(size)
        if rounded not in self._buffers and len(self._buffers) >= SIZES:
            self._buffers.clear()
        held = self._buffers.setdefault(rounded, [])
        buffer = _unused(held)
        if buffer is None:
            buffer = np.empty(rounded, np.uint8)
        result = buffer[:size].view(dtype).reshape(shape)
        if len(held) < HELD:
            held.append(buffer)
        return result

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Like ``np.zeros``, whose large results come with a page fault every 4 kB."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if not SMALLEST <= size <= LARGEST:
            return np.zeros(shape, dtype)
        result = self.empty(shape, dtype)
        result.view(np.uint8).fill(0)
        return result


def _rounded(size: int) -> int:
    """The least size with three leading binary digits that is not smaller: they share buffers."""
    step = 1 << max(size.bit_length() - 3, 0)
    return -(-size // step) * step


def _unused(held: list[Any]) -> Any:
    """A buffer of the list that nobody uses, taken out of it; other threads cannot see it then."""
    for _ in range(len(held)):
        try:
            buffer = held.pop(0)
        except IndexError:
            return None
        if sys.getrefcount(buffer) == _UNUSED:
            return buffer
        held.append(buffer)
    return None
