"""``python -m benchmarks``: Hessians on real data against JAX, and what derivation costs.

Every contestant is checked before it is timed. ``--suite models`` times every loss of
``benchmarks/models`` by every target of ours and every peer that is installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from tqdm import tqdm

from backends import TARGETS

from . import goals, suites
from .discovery import modules
from .measuring import machine
from .options import Options
from .peers import load_jax
from .plotting import plot
from .rows import Row, write_json

#: Suites whose rows are of several problems under one heading.
NAMED = ("overhead", "first", "import", "start")


@lru_cache(maxsize=1)
def all_suites() -> dict[str, ModuleType]:
    """The suites by name."""
    found = modules(suites, ("DEFAULT", "run"))
    return {module.__name__.rpartition(".")[2]: module for module in found}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suites; the exit status is 1 for a wrong result, and for a missed target if asked."""
    given = _parser().parse_args(arguments)
    show = tqdm.write
    show("  ".join(f"{name}: {value}" for name, value in machine().items()))
    if load_jax() is None:
        show("JAX is not installed: there is no peer, only our times (pip install jax)")
    options = Options(
        seconds=given.seconds,
        quick=given.quick,
        show=show,
        targets=given.target or Options.targets,
        problems=given.problem or (),
        peers=given.peer or (),
        memory=given.memory,
    )
    if "cuda" in options.targets:
        show(f"GPU: {_gpu()}")
    rows = _rows(given.suite or [name for name, s in all_suites().items() if s.DEFAULT], options)
    _summary(rows)
    if given.json:
        write_json(rows, given.json, goals.stored(rows))
    if given.plot:
        plot(rows, given.plot)
    wrong = any(row.wrong() for row in rows)
    return int(wrong or (given.strict and any(row.misses() for row in rows)))


def _gpu() -> str:
    """The GPU's name; where there is none the command ends and says what is missing."""
    from backends.cuda.cuda_device import open_device
    from backends.cuda.errors import CudaError

    try:
        return open_device().name
    except CudaError as error:
        sys.exit(str(error))


def _rows(names: Sequence[str], options: Options) -> list[Row]:
    """The rows of the suites in the order of their names in the command's help."""
    rows: list[Row] = []
    with tqdm(unit=" rows", leave=False, disable=not sys.stderr.isatty()) as progress:
        for suite in sorted(names, key=list(all_suites()).index, reverse=True):
            for row in all_suites()[suite].run(options):
                rows.append(row)
                named = f"{row.problem}," if row.suite in NAMED else ""
                options.show(f"  {named} {row}")
                progress.update()
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    default = ", ".join(name for name, suite in all_suites().items() if suite.DEFAULT)
    add = parser.add_argument
    add("--suite", action="append", choices=tuple(all_suites()), help=f"default: {default}")
    add("--target", action="append", choices=tuple(TARGETS), help="ours; default: numpy, numba")
    add("--problem", action="append", metavar="NAME", help="only this one; repeat for more")
    add("--peer", action="append", metavar="NAME", help="only this one; repeat for more")
    add("--quick", action="store_true", help="leave out what takes long")
    add("--memory", action="store_true", help="measure peaks of memory at the largest sizes")
    add("--seconds", type=float, default=Options.seconds, help="of measuring for each row")
    add("--json", type=Path, metavar="FILE", help="store the rows")
    add("--plot", type=Path, metavar="FILE", help="draw the ratios, a PNG")
    add("--strict", action="store_true", help="fail if a target is missed")
    return parser


def _summary(rows: Sequence[Row]) -> None:
    missed = [(row, text) for row in rows for text in row.misses()]
    targets = sum(row.target_count() for row in rows)
    print(f"\n{targets - len(missed)} of {targets} targets met")
    for row, text in missed:
        what = f"{row.problem}, {row.result}" if row.result else row.problem
        print(f"  {what}, size {row.size}, {row.dtype}: {text}{_because(row)}")
    lines = list(goals.summary(rows))
    if lines:
        print("\npeer / ours: geometric mean over sizes, least")
    print(*lines, *goals.overall(rows), sep="\n")


def _because(row: Row) -> str:
    return f" ({row.reason})" if row.reason else ""


if __name__ == "__main__":
    sys.exit(main())
