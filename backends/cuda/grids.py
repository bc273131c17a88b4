"""Blocks and threads of a launch: pure functions of sizes, so that results never depend on more."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

#: Threads of a block wherever a kernel does not need another number.
THREADS = 256
#: Blocks beyond which threads loop instead: 8 for each of an H200's 132 multiprocessors.
BLOCKS = 1056
#: Blocks whose partial sums the last one adds up, at most.
PARTS = 1024
#: What the y and z axes of a grid hold, at most.
HIGHEST = 65535


class Geometry(NamedTuple):
    """Blocks of the grid and threads of a block along x, y and z."""

    blocks: tuple[int, int, int]
    threads: tuple[int, int, int]


def _up(a: int, b: int) -> int:
    return max(-(-a // b), 1)


def _power_of_two(size: int, most: int) -> int:
    power = 1
    while power < size and power < most:
        power *= 2
    return power


def flat(size: int) -> Geometry:
    """One thread for each entry; beyond :data:`BLOCKS` blocks they take several."""
    return Geometry((min(_up(size, THREADS), BLOCKS), 1, 1), (THREADS, 1, 1))


def tiles(outer: int, middle: int, inner: int) -> Geometry:
    """A thread for each entry of an array with three axes; neighbours along the last one."""
    x = _power_of_two(inner, 64)
    y = _power_of_two(middle, THREADS // x)
    z = _power_of_two(outer, min(THREADS // x // y, 64))
    blocks = _up(inner, x), min(_up(middle, y), HIGHEST), min(_up(outer, z), HIGHEST)
    return Geometry(blocks, (x, y, z))


def parts(size: int) -> Geometry:
    """Blocks that each add up a part: four terms for every thread, or more."""
    return Geometry((min(_up(size, 4 * THREADS), PARTS), 1, 1), (THREADS, 1, 1))


def warps(rows: int) -> Geometry:
    """A warp for each row, along x within the warp."""
    return Geometry((min(_up(rows, THREADS // 32), 16 * BLOCKS), 1, 1), (32, THREADS // 32, 1))


def blocks(rows: int) -> Geometry:
    """A block for each row."""
    return Geometry((min(max(rows, 1), 16 * BLOCKS), 1, 1), (THREADS, 1, 1))


def one() -> Geometry:
    """A single block."""
    return Geometry((1, 1, 1), (THREADS, 1, 1))


def single() -> Geometry:
    """A single thread."""
    return Geometry((1, 1, 1), (1, 1, 1))


RULES: dict[str, Callable[..., Geometry]] = {
    rule.__name__: rule for rule in (flat, tiles, parts, warps, blocks, one, single)
}


def grid_rule(name: str) -> Callable[..., Geometry]:
    """The rule of this name."""
    return RULES[name]
