"""``python -m benchmarks``: Hessians on real data against JAX, and what derivation costs.

Every contestant is checked before it is timed. ``--suite`` chooses among the suites.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from . import derivation, hessians
from .measuring import machine
from .peers import load_jax
from .rows import Row, plot, write_json

SUITES = {"hessians": hessians.run, "derivation": derivation.run}

#: Suites whose rows are of several problems under one heading.
NAMED = ("overhead", "first", "import")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suites; the exit status is 1 if a target was missed and that was asked for."""
    options = _parser().parse_args(arguments)
    show = tqdm.write
    show("  ".join(f"{name}: {value}" for name, value in machine().items()))
    if load_jax() is None:
        show("JAX is not installed: there is no peer, only our times (pip install jax)")
    rows: list[Row] = []
    with tqdm(unit=" rows", leave=False, disable=not sys.stderr.isatty()) as progress:
        for suite in options.suite or SUITES:
            for row in SUITES[suite](options.seconds, options.quick, show):
                rows.append(row)
                show(f"  {row.problem + ',' if row.suite in NAMED else ''} {row}")
                progress.update()
    _summary(rows)
    if options.json:
        write_json(rows, options.json)
    if options.plot:
        plot(rows, options.plot)
    return int(options.strict and any(row.misses() for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--suite", action="append", choices=tuple(SUITES), help="default: all")
    parser.add_argument("--quick", action="store_true", help="leave out what takes long")
    parser.add_argument("--seconds", type=float, default=0.5, help="of measuring for each row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store the rows")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios, a PNG")
    parser.add_argument("--strict", action="store_true", help="fail if a target is missed")
    return parser


def _summary(rows: Sequence[Row]) -> None:
    missed = [(row, text) for row in rows for text in row.misses()]
    targets = sum(row.target_count() for row in rows)
    print(f"\n{targets - len(missed)} of {targets} targets met")
    for row, text in missed:
        print(f"  {row.problem}, size {row.size}, {row.dtype}: {text}")


if __name__ == "__main__":
    sys.exit(main())
