"""``python -m benchmarks.on_device``: every model on the GPU of this machine, in under ten minutes.

Each model has a process and a time limit of its own; whatever happens to it is the text of a row,
and the others go on. Rows are stored after every model, with the machine and the versions, in
``benchmarks/results/<device>.json``. Kernels are compiled before, on all cores
(:mod:`.device_warmup`), and kept on disk. Where there is no GPU the command ends with what is
missing, and stores nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from time import monotonic
from typing import Any

from backends.cuda import cuda_device
from backends.cuda.errors import CudaError

from .modelling import all_models
from .rows import Row, write_json

FOLDER = Path(__file__).parent / "results"
#: What the results are mostly asked for, the others after them.
FIRST = ("margin loss", "logistic regression", "matrix factorization", "quadratic form")
#: Seconds for compiling, after which no model is begun, and that one may take.
COMPILE, ALL, EACH = 120.0, 540.0, 60.0
#: JAX would take three quarters of the memory, from us and from later processes.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

#: ``child(name, seconds)``: the command whose lines are the rows of a model.
Command = Callable[[str, float], list[str]]


def child(name: str, seconds: float) -> list[str]:
    """The process of one model."""
    return [sys.executable, "-m", "benchmarks.device_rows", name, str(seconds)]


def warmup(name: str, capability: tuple[int, int]) -> list[str]:
    """The process that compiles the kernels of one model."""
    return [sys.executable, "-m", "benchmarks.device_warmup", name, *map(str, capability)]


def compiled(names: Sequence[str], capability: tuple[int, int]) -> None:
    """Compile the kernels of all models at once, as far as the time for it goes."""
    end = monotonic() + COMPILE

    def compile_one(name: str) -> None:
        lines(warmup(name, capability), max(end - monotonic(), 1.0))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, names))


def lines(command: Sequence[str], limit: float) -> tuple[list[Any], str]:
    """What a process printed, each line read as JSON, and why there is no more, "" if it ended."""
    why = ""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **ENVIRONMENT},
    ) as process:  # fmt: skip
        try:
            printed, said = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, said = process.communicate()
            why = f"stopped after {limit:.0f} s"
    if process.returncode and not why:
        last = [line for line in said.splitlines() if line.strip()][-1:]
        why = f"the process ended with {process.returncode}: {''.join(last)[:200]}"
    whole = printed[: printed.rfind("\n") + 1].splitlines()
    return [json.loads(line) for line in whole if line.startswith("{")], why


def rows(
    names: Sequence[str], seconds: float, command: Command, limit: float = ALL
) -> Iterator[list[Row]]:
    """The rows of each model; one row with the reason stands for what is missing of it."""
    end = monotonic() + limit
    for name in names:
        left = end - monotonic()
        found: list[Any] = []
        why = f"not begun: {limit:.0f} s were spent on others, run again for it alone"
        if left > 0:
            found, why = lines(command(name, seconds), min(EACH, left + 10))
        own = [Row(**row) for row in found]
        if why:
            own.append(
                Row("models", name, "-", "-", {}, left_out={"ours cuda": why}, own="ours cuda")
            )
        yield own


def results(name: str) -> Path:
    """Where the rows of a GPU are kept.

    >>> results("NVIDIA H200").name
    'nvidia-h200.json'
    """
    return FOLDER / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"


def stored(path: Path, names: Sequence[str]) -> list[Row]:
    """The rows of an earlier run, but for the models that are measured now."""
    if not path.exists():
        return []
    known = {field.name for field in fields(Row)}
    earlier = json.loads(path.read_text())["rows"]
    return [
        Row(**{key: value for key, value in row.items() if key in known})
        for row in earlier
        if row["problem"] not in names
    ]


def ordered(names: Sequence[str]) -> list[str]:
    """The models that are asked for, those of :data:`FIRST` first."""
    wanted = names or list(all_models())
    return sorted(wanted, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and store; the exit status is 1 without a GPU, and for a wrong result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.on_device", description=__doc__)
    parser.add_argument("--problem", action="append", metavar="NAME", help="only this one")
    parser.add_argument("--seconds", type=float, default=0.1, help="of measuring for each row")
    given = parser.parse_args(arguments)
    try:
        device = cuda_device.open_device()
    except CudaError as error:
        print(f"nothing was measured: {error}", file=sys.stderr)
        return 1
    path, names = results(device.name), ordered(given.problem or ())
    found = stored(path, names)
    facts, why = lines(child("machine", given.seconds), EACH)
    about = facts[0] if facts else {"name": device.name, "not measured": why}
    for key, value in about.items():
        print(f"{key}: {value}")
    start = monotonic()
    compiled(names, device.capability)
    print(f"kernels were compiled in {monotonic() - start:.0f} s", flush=True)
    for own in rows(names, given.seconds, child, ALL - (monotonic() - start)):
        for row in own:
            left_out = "".join(f"  {name}: {why}" for name, why in row.left_out.items())
            print(f"  {row.problem}, {row}{left_out}", flush=True)
        found += own
        write_json(found, path, {"device": about})
    print(f"\n{len(found)} rows in {path}")
    return int(any(row.wrong() for row in found))


if __name__ == "__main__":
    sys.exit(main())
