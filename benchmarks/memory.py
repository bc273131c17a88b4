"""Peaks of memory: each call in a process of its own, where nothing else has raised the peak.

``python -m benchmarks.memory PROBLEM RESULT SIZE DTYPE CONTESTANT`` prints by how many bytes the
peak of the resident size in a second call lies above the size before the first. Libraries have been
loaded and the smallest size has been computed by then; what compiling needs for a moment is not
counted, buffers that are kept for later calls are.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from .modelling import model_named
from .rows import Row

#: Bytes of a unit of ru_maxrss.
UNIT = 1 if sys.platform == "darwin" else 1024
TIMEOUT = 600


def peaks(row: Row) -> dict[str, int]:
    """The peak of every contestant that was timed."""
    what = (row.problem, row.result, str(row.size), row.dtype)
    found = {}
    for name in row.seconds:
        command = [sys.executable, "-m", "benchmarks.memory", *what, name]
        done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=TIMEOUT)
        found[name] = int(done.stdout.split()[-1])
    return found


def peak(problem: str, result: str, size: int, dtype: str, name: str) -> int:
    """Bytes that a call needs beside its arguments."""
    from .suites.models import contestant

    model = model_named(problem)
    small = model.arguments(model.sizes(result)[0], dtype)
    contestant(model, result, small, name)()
    arguments = model.arguments(size, dtype)
    before = _status("VmRSS")
    call = contestant(model, result, arguments, name)
    call()
    if before is None or not _reset():
        return _greatest()
    call()
    return max(0, (_status("VmHWM") or 0) - before)


def _greatest() -> int:
    """The peak of the whole process, where the system tells no more."""
    return UNIT * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(field: str) -> int | None:
    """A number of bytes from Linux's description of the process; other systems have none."""
    described = Path("/proc/self/status")
    lines = described.read_text().splitlines() if described.exists() else []
    found = [line.split() for line in lines if line.startswith(field + ":")]
    return 1024 * int(found[0][1]) if found else None


def _reset() -> bool:
    """Let the peak start again at what is resident now, where the system can and allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except (FileNotFoundError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    problem, result, size, dtype, name = sys.argv[1:]
    print(peak(problem, result, int(size), dtype, name))
