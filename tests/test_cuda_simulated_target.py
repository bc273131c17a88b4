"""``target="cuda"`` from end to end without a GPU, in processes with numba's simulator."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(
    find_spec("numba_cuda") is None, reason="numba-cuda, of the optional extra cuda, is missing"
)
@pytest.mark.parametrize("name", ["simulated_target", "simulated_graph"])
def test_on_a_simulated_device(name: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, str(HERE / "cuda_support" / f"{name}.py")],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
