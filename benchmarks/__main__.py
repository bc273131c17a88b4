"""``python -m benchmarks``: Hessians on real data against JAX, and what derivation costs.

Every contestant is checked before it is timed. ``--suite models`` times every loss of
``benchmarks/models`` by every target of ours and every peer that is installed. With ``--json`` rows
are stored problem by problem, and ``--resume`` goes on with those that the file lacks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from types import ModuleType

from tqdm import tqdm

from backends import TARGETS

from . import goals, suites
from .calling import missing_peers
from .discovery import modules
from .measuring import machine
from .options import Options
from .peers import load_jax
from .plotting import plot
from .rows import Row
from .tables import Table

#: Suites of rows that are of several problems under one heading.
NAMED = ("overhead", "first", "import", "start")


@lru_cache(maxsize=1)
def all_suites() -> dict[str, ModuleType]:
    """The suites by name."""
    found = modules(suites, ("DEFAULT", "parts", "run"))
    return {module.__name__.rpartition(".")[2]: module for module in found}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suites; the exit status is 1 for a wrong result, and for a missed target if asked."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.resume and not given.json:
        parser.error("--resume goes on with the table of a file: name it by --json FILE")
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
    table = Table(given.json, options)
    if given.resume:
        table.resume()
    _measure(given.suite or [name for name, s in all_suites().items() if s.DEFAULT], options, table)
    _summary(table.rows)
    if given.plot:
        plot(table.rows, given.plot)
    wrong = any(row.wrong() for row in table.rows)
    return int(wrong or (given.strict and any(row.misses() for row in table.rows)))


def _gpu() -> str:
    """The GPU's name; where there is none the command ends and says what is missing."""
    from backends.cuda.cuda_device import open_device
    from backends.cuda.errors import CudaError

    try:
        return open_device().name
    except CudaError as error:
        sys.exit(str(error))


def _measure(names: Sequence[str], options: Options, table: Table) -> None:
    """Add what the table lacks of the suites, in the order of their names in the command's help."""
    if "models" in names:
        for name, package in missing_peers().items():
            options.show(f"{name} is not installed and takes no part (pip install {package})")
    suites_in_turn = sorted(set(names), key=list(all_suites()).index, reverse=True)
    found = [
        (suite, part) for suite in suites_in_turn for part in all_suites()[suite].parts(options)
    ]
    missing = [each for each in found if ": ".join(each) not in table.parts]
    shown = sys.stderr.isatty()
    with tqdm(total=len(missing), unit="problem", leave=False, disable=not shown) as progress:
        doing = replace(options, doing=progress.set_postfix_str)
        for suite, part in missing:
            start = perf_counter()
            rows = [*_shown(all_suites()[suite].run(part, doing), options)]
            table.add(f"{suite}: {part}", rows, perf_counter() - start)
            progress.update()
    table.write()  # with the summary and the reasons of today, also where no part was missing


def _shown(rows: Iterable[Row], options: Options) -> Iterator[Row]:
    """The rows, each printed as it comes."""
    for row in rows:
        named = f"{row.problem}," if row.suite in NAMED else ""
        options.show(f"  {named} {row}")
        yield row


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
    add("--json", type=Path, metavar="FILE", help="store the rows, part by part")
    add("--resume", action="store_true", help="measure only what the file of --json lacks")
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
