"""The benchmark of the GPU: its processes and what is stored, without one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest

from backends.cuda import compile as compiling
from backends.cuda import cuda_device
from backends.cuda.errors import missing_device
from benchmarks import device_warmup, on_device
from benchmarks.modelling import all_models, model_named

from .test_cuda_kernels import compiles

ROW = {"suite": "models", "problem": "a", "size": 10, "dtype": "float64"}
GOOD = f"print({json.dumps(json.dumps(ROW | {'seconds': {'ours cuda': 1e-5}}))}, flush=True)"
SCRIPTS = {
    "good": f"{GOOD}\n{GOOD}",
    "crashing": f"{GOOD}\nraise RuntimeError('CUDA_ERROR_ILLEGAL_ADDRESS')",
    "killed": "import os; os.kill(os.getpid(), 9)",
}
HANGING = f"""import pathlib, sys, time
{GOOD}
print('half a li', end='', flush=True)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)"""


def script(name: str, _: Any) -> list[str]:
    return [sys.executable, "-c", SCRIPTS[name]]


def test_a_model_that_fails_is_a_row_with_the_reason() -> None:
    good, crashing, killed = on_device.rows(list(SCRIPTS), 0.1, script)
    assert [len(rows) for rows in (good, crashing, killed)] == [2, 2, 1]
    reasons = [rows[-1].left_out.get("ours cuda", "") for rows in (good, crashing, killed)]
    assert reasons == [
        "",
        "the process ended with 1: RuntimeError: CUDA_ERROR_ILLEGAL_ADDRESS",
        "the process ended with -9: ",
    ]


def test_a_model_that_hangs_is_stopped_and_keeps_its_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = tmp_path / "printed"

    class OutOfTime(subprocess.Popen):
        """Its time is up when it has printed, however long that takes."""

        def communicate(self, *given: Any, timeout: float | None = None) -> Any:
            if timeout is None:
                return super().communicate(*given)
            while self.poll() is None and not printed.exists():
                sleep(0.01)
            raise subprocess.TimeoutExpired(self.args, timeout)

    monkeypatch.setattr(on_device.subprocess, "Popen", OutOfTime)
    command = [sys.executable, "-c", HANGING, str(printed)]
    ((row, stopped),) = on_device.rows(["hanging"], 0.1, lambda *_: command)
    assert (row.problem, stopped.problem) == ("a", "hanging")
    assert stopped.left_out == {"ours cuda": f"stopped after {on_device.EACH:.0f} s"}


def test_models_that_there_is_no_time_for_are_rows_too() -> None:
    ((row,),) = on_device.rows(["good"], 0.1, script, limit=0.0)
    assert "not begun" in row.left_out["ours cuda"] and "not computed: not begun" in str(
        row.misses()
    )


def test_every_model_is_measured_and_the_main_ones_first() -> None:
    names = on_device.ordered(())
    assert sorted(names) == sorted(all_models()) and tuple(names[:4]) == on_device.FIRST


def test_without_a_gpu_nothing_is_stored_and_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def open_device() -> Any:
        raise missing_device("that there are 0 devices")

    monkeypatch.setattr(cuda_device, "open_device", open_device)
    monkeypatch.setattr(on_device, "write_json", pytest.fail)
    assert on_device.main([]) == 1
    said = capsys.readouterr().err
    assert said.startswith("nothing was measured: target 'cuda' found no GPU")
    assert "nvidia-smi must list a GPU" in said


def test_rows_are_stored_with_the_device_after_every_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    SCRIPTS["machine"] = 'print(\'{"name": "NVIDIA of the test", "numba-cuda": "0.30.4"}\')'
    device = SimpleNamespace(name="NVIDIA Test 1", capability=(9, 0))
    monkeypatch.setattr(cuda_device, "open_device", lambda: device)
    monkeypatch.setattr(on_device, "warmup", script)
    monkeypatch.setattr(on_device, "FOLDER", tmp_path)
    monkeypatch.setattr(on_device, "child", script)
    assert on_device.main(["--problem", "good", "--problem", "crashing"]) == 0
    stored = json.loads((tmp_path / "nvidia-test-1.json").read_text())
    assert stored["device"]["numba-cuda"] == "0.30.4" and "numpy" in stored["machine"]
    assert [row["problem"] for row in stored["rows"]] == ["a", "a", "a", "crashing"]
    assert on_device.main(["--problem", "crashing"]) == 0  # the others' rows stay
    stored = json.loads((tmp_path / "nvidia-test-1.json").read_text())
    assert [row["problem"] for row in stored["rows"]] == ["a", "a", "a", "a", "crashing"]


@compiles
def test_kernels_of_a_model_are_compiled_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cuda_device, "open_device", cuda_device.open_device)  # put back afterwards
    monkeypatch.setattr(compiling, "_directory", lambda: tmp_path)
    monkeypatch.setattr(device_warmup, "calls", lambda _: [("value and gradient", 10, "float32")])
    assert device_warmup.warm(model_named("Rosenbrock"), (9, 0)) == []
    assert len(list(tmp_path.glob("*.cubin"))) > 0
