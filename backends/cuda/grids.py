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
#: Parts that a sum along columns is cut into, at most.
SPLITS = 256
#: Length from which a row is worth a block of its own.
LONG = 2048
#: Rows and columns of a tile of a product, terms of its sums that are in shared memory at once, and
#: rows and columns of the tile that a thread has.
TILE, DEEP, EACH = 32, 16, 2
#: Blocks below which pairwise sums take fewer rows each: two for each multiprocessor.
FILLED = 264
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


def fours(size: int) -> Geometry:
    """One thread for four entries; beyond :data:`BLOCKS` blocks they take more."""
    return flat(_up(size, 4))


def tiles(outer: int, middle: int, inner: int) -> Geometry:
    """A thread for each entry of an array with three axes; neighbours along the last one."""
    x = _power_of_two(inner, 64)
    y = _power_of_two(middle, THREADS // x)
    z = _power_of_two(outer, min(THREADS // x // y, 64))
    blocks = _up(inner, x), min(_up(middle, y), HIGHEST), min(_up(outer, z), HIGHEST)
    return Geometry(blocks, (x, y, z))


def line(size: int) -> Geometry:
    """Blocks that each add up a part of a sum over one axis: four terms a thread, or more."""
    return Geometry((min(_up(size, 4 * THREADS), PARTS), 1, 1), (THREADS, 1, 1))


def parts(outer: int, inner: int) -> Geometry:
    """Blocks that each add up a part of a sum over two axes: y and z count along the outer one.

    Every thread takes four terms, or more beyond :data:`PARTS` blocks.
    """
    x = _power_of_two(inner, THREADS)
    y = THREADS // x
    across = min(_up(inner, 4 * x), PARTS)
    down = min(_up(outer, (4 if across == 1 else 1) * y), max(PARTS // across, 1))
    return Geometry((across, down, 1), (x, y, 1))


def rows(count: int, length: int) -> Geometry:
    """A warp for each row, or a block if rows are long."""
    x = THREADS if length > LONG else 32
    return Geometry((min(_up(count, THREADS // x), 16 * BLOCKS), 1, 1), (x, THREADS // x, 1))


def columns(width: int, height: int, outer: int) -> Geometry:
    """Threads along x for entries of a row, blocks along y for the rows they add up."""
    x = _power_of_two(width, THREADS)
    count = min(max(outer, 1), HIGHEST)
    return Geometry((_up(width, x), splits(width, height), count), (x, THREADS // x, 1))


def pairs(rows: int, terms: int, outer: int) -> Geometry:
    """Threads along x for rows of pairwise sums, along y for terms of a tile, blocks for tiles."""
    x = _rows_of_block(rows, terms)
    count = min(max(outer, 1), HIGHEST)
    return Geometry((_up(rows, x), pair_splits(rows, terms), count), (x, THREADS // x, 1))


def all_pairs(rows: int, terms: int) -> Geometry:
    """The same for the sum over all pairs, whose blocks take more rows beyond :data:`PARTS`."""
    x = _rows_of_block(rows, terms)
    across = min(_up(rows, x), PARTS)
    down = min(_up(terms, THREADS), max(PARTS // across, 1))
    return Geometry((across, down, 1), (x, THREADS // x, 1))


def _rows_of_block(rows: int, terms: int) -> int:
    """As many rows as a block has threads, each read saved, but blocks for all multiprocessors."""
    x = _power_of_two(rows, THREADS)
    while x > 32 and _up(rows, x) * _up(terms, THREADS) < FILLED:
        x //= 2
    return x


def pair_splits(rows: int, terms: int) -> int:
    """Parts of the terms of pairwise sums: blocks to fill the device, a tile or more each."""
    wanted = _up(BLOCKS, _up(rows, _rows_of_block(rows, terms)))
    return min(_up(terms, THREADS), wanted, SPLITS)


def pair_entries(rows: int, terms: int, outer: int, of_rows: int, of_terms: int) -> int:
    """Entries that pairwise sums read of so many arrays of the rows, and of the terms.

    Those of the terms are read once by each block, ``rows`` times along rows.
    """
    blocks, splits, _ = pairs(rows, terms, outer).blocks
    return outer * (splits * rows * of_rows + blocks * terms * of_terms)


def squares(order: int) -> Geometry:
    """Tiles of 32 by 32 entries of a square matrix."""
    count = _up(order, 32)
    return Geometry((count, count, 1), (32, THREADS // 32, 1))


def panels(batch: int, rows: int, columns: int) -> Geometry:
    """Tiles of a product, for each of a batch."""
    side = TILE // EACH
    blocks = _up(columns, TILE) * _up(rows, TILE), 1, min(max(batch, 1), HIGHEST)
    return Geometry(blocks, (side, side, 1))


def single() -> Geometry:
    """A single thread."""
    return Geometry((1, 1, 1), (1, 1, 1))


def splits(width: int, height: int) -> int:
    """Parts that the height of a column is cut into: enough blocks to fill the device."""
    x = _power_of_two(width, THREADS)
    wanted = _up(2 * BLOCKS, _up(width, x))
    return min(_up(height, 8 * (THREADS // x)), wanted, SPLITS)


_RULES = (
    flat, fours, tiles, line, parts, rows, columns, pairs, all_pairs, squares, panels, single
)  # fmt: skip
RULES: dict[str, Callable[..., Geometry]] = {rule.__name__: rule for rule in _RULES}
COUNTS: dict[str, Callable[..., int]] = {
    "splits": splits,
    "pair_splits": pair_splits,
    "pair_entries": pair_entries,
}


def grid_rule(name: str) -> Callable[..., Geometry]:
    """The rule for a grid of this name."""
    return RULES[name]


def count_rule(name: str) -> Callable[..., int]:
    """The rule for a number of this name."""
    return COUNTS[name]
