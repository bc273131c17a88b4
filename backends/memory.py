"""Refusing, before anything runs, what would not fit in memory."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorcalc.errors import TensorcalcError
from tensorcalc.extents import evaluate, symbols_of

from .liveness import peak
from .program import Program
from .steps import Input, Insert, Reshape, Step, Value, View, shares_memory

#: Values below this many bytes are not worth asking the system.
UNQUESTIONED = 2**30


class SizeError(TensorcalcError, MemoryError):
    """A result or an intermediate that would not fit in memory."""


def check_memory(
    program: Program, sizes: Mapping[str, int], item: int, names: Sequence[str]
) -> None:
    """Raise SizeError if the values that live at once need more memory than there is.

    ``names`` are the results'.
    """
    together = peak(program, lambda value: bytes_of(value, sizes, item))
    if together < UNQUESTIONED or together <= available():
        return
    largest, step = _largest(program, sizes, item)
    assert step is not None
    if largest <= available():
        what = f"the intermediate results that live at once need {text(together)}"
        shape = "the largest has shape"
    else:
        name = _named_results(program, names).get(step.value, "an intermediate result")
        what = f"{name} needs {text(largest)}{_where(step.value, sizes)}"
        shape = "shape"
    raise SizeError(
        f"{what}; {_remedy(step, sizes, item)}",
        [
            f"{shape}: ({', '.join(map(str, step.value.extents))})",
            f"available: {text(available())}",
        ],
    )


def _where(value: Value, sizes: Mapping[str, int]) -> str:
    """The sizes that a shape is of."""
    symbols = sorted(set().union(*(symbols_of(extent) for extent in value.extents)))
    where = ", ".join(f"{name} = {sizes[name]:,}" for name in symbols)
    return f" ({where})" if where else ""


def _named_results(program: Program, names: Sequence[str]) -> dict[Value, str]:
    """Names of the results, and of what they are views of."""
    found = dict(zip(program.outputs, names, strict=True))
    for step in reversed(program.steps):
        if isinstance(step, (Reshape, View)) and step.value in found:
            for operand in step.operands():
                found.setdefault(operand, found[step.value])
    return found


def _largest(program: Program, sizes: Mapping[str, int], item: int) -> tuple[int, Step | None]:
    found: tuple[int, Step | None] = (0, None)
    for step in program.steps:
        if isinstance(step, Input) or shares_memory(step):
            continue
        needed = bytes_of(step.value, sizes, item)
        if needed > found[0]:
            found = needed, step
    return found


def largest_value(program: Program, sizes: Mapping[str, int], item: int) -> int:
    """Bytes of the largest array that a call makes."""
    return _largest(program, sizes, item)[0]


def bytes_of(value: Value, sizes: Mapping[str, int], item: int) -> int:
    """Memory of a value."""
    return item * math.prod(evaluate(extent, sizes) for extent in value.extents)


def _remedy(step: Step, sizes: Mapping[str, int], item: int) -> str:
    if isinstance(step, Insert) and step.base is None:
        core = text(bytes_of(step.core, sizes, item))
        return f"use structured=True ({core}) or hvp"
    return "use hvp, or smaller batches"


def available() -> int:
    """Bytes that can still be allocated without swapping; all there are if the system is silent.

    Linux says it in a file that macOS and Windows lack, or a container may not read.
    """
    try:
        report = Path("/proc/meminfo").read_text()
    except (FileNotFoundError, PermissionError):
        return _physical()
    found = re.search(r"^MemAvailable:\s*(\d+) kB$", report, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else _physical()


def _physical() -> int:
    """Bytes of the machine; where it does not say, no limit, so that nothing is refused."""
    names: Any = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" in names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2**63


def text(size: int) -> str:
    """A number of bytes in decimal units.

    >>> text(45_100_000_000), text(1_200_000)
    ('45.1 GB', '1.2 MB')
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
