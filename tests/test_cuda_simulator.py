"""Launch plans of the CUDA target run in numba's simulator and agree with the oracle.

The simulator is chosen when numba is imported, so it has processes of its own. A run takes every
6th example with its gradient and Hessian; ``TENSORCALC_CUDA_EVERY=1`` takes all of them (4
minutes on one core).
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .cuda_plans import EVERY

ROOT = Path(__file__).parent.parent
CHECKS = (
    "reductions",
    "structures",
    "products",
    "pairs",
    "blocks",
    "rows",
    "elementwise",
    "special_functions",
)

pytestmark = pytest.mark.skipif(
    find_spec("numba_cuda") is None, reason="numba-cuda, of the optional extra cuda, is missing"
)


def simulate(*arguments: str) -> list[str]:
    """The lines that a check prints; fails with all of its output if it fails."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, "-m", "tests.cuda_simulation", *arguments]
    options = {"cwd": ROOT, "env": environment, "timeout": 600}
    run = subprocess.run(command, check=False, capture_output=True, text=True, **options)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    return run.stdout.splitlines()


@pytest.mark.parametrize("check", CHECKS)
def test_kernels_of_every_kind_agree_with_the_oracle(check: str) -> None:
    assert simulate(check)


@pytest.mark.parametrize("part", range(3))
def test_examples_and_their_derivatives_agree_with_the_oracle(part: int) -> None:
    every = 3 * (EVERY or 6)
    lines = simulate("examples", str(part * every // 3), str(every))
    assert len(lines) >= 221 // every
