"""What is missing for the CUDA target is said with the command that installs it."""

from __future__ import annotations

import gc
import re
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backends.compiled import TargetError
from backends.cuda import compile as compiling
from backends.cuda import cuda_device, errors, loading
from backends.cuda.actions import Buffer, Copy, Factorization, Gemm, Matrix
from backends.cuda.cuda_device import CudaDevice
from backends.cuda.library_kernels import IDENTITY
from backends.cuda.plan import Plan
from backends.cuda.task import Task

from .cuda_support import fake_nvidia
from .cuda_support.fake_nvidia import FakeDevice, Graph, Noted, modules

SETUP = Path(__file__).parents[1] / "setup.cfg"
INSTALL = f'pip install "{SETUP.parent}[cuda]"'


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    """A machine where everything is installed; nothing computes."""
    noted = Noted()
    install(monkeypatch, modules(noted))
    monkeypatch.setattr(
        cuda_device, "cubin", lambda kernel, *_: SimpleNamespace(entry=kernel.name, image=b"")
    )
    monkeypatch.setattr(cuda_device, "_LOADED", {})
    return noted


def install(monkeypatch: pytest.MonkeyPatch, installed: dict[str, Any]) -> None:
    """Make ``installed`` the only modules of NVIDIA there are."""

    def module(name: str) -> Any:
        if name not in installed:
            raise ImportError(f"No module named {name!r}")
        return installed[name]

    monkeypatch.setattr(loading, "module", module)
    forget_devices()


def forget_devices() -> None:
    cuda_device.check_driver.cache_clear()
    cuda_device._opened.cache_clear()


@pytest.fixture(autouse=True)
def forget() -> Any:
    yield
    forget_devices()


def message(kind: type[Exception] = TargetError) -> str:
    with pytest.raises(kind) as caught:
        cuda_device.open_device()
    return str(caught.value)


# -- what is missing ------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [loading.DRIVER, loading.CORE])
def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rest = {key: module for key, module in modules(Noted()).items() if key != name}
    install(monkeypatch, rest)
    assert message() == (
        f"target 'cuda' needs the package {loading.PACKAGES[name]}\n"
        f"  No module named '{name}'\n"
        f"  hint: {INSTALL}"
    )


def test_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> Any:
        raise RuntimeError('"cuda" is an NVIDIA driver library\nand more')

    installed = modules(Noted())
    installed[loading.DRIVER] = SimpleNamespace(cuDriverGetVersion=no_driver)
    install(monkeypatch, installed)
    assert message() == (
        "target 'cuda' found no CUDA driver\n"
        '  "cuda" is an NVIDIA driver library\n'
        "  hint: install NVIDIA's driver 580 or newer (Ubuntu: sudo apt install "
        "nvidia-driver-580) until nvidia-smi lists a GPU; in a container pass --gpus all"
    )


def test_old_driver_is_told_by_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, modules(Noted(), version=12080))
    text = message()
    assert text.startswith(
        "the CUDA driver is too old: it supports CUDA 12.8, but the kernels are made for CUDA 13.0"
    )
    assert "nvidia-driver-580" in text


def test_driver_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, modules(Noted(), init=100))
    text = message()
    assert text.startswith("target 'cuda' found no GPU\n  the CUDA driver says CUDA_ERROR_OF_THE")
    assert "CUDA_VISIBLE_DEVICES" in text
    install(monkeypatch, modules(Noted(), count=0))
    assert "there are 0 devices" in message()


def test_old_gpu_is_told_by_its_capability(monkeypatch: pytest.MonkeyPatch, noted: Noted) -> None:
    monkeypatch.setattr(FakeDevice, "capability", (7, 0))
    assert message() == (
        "NVIDIA of the test has compute capability 7.0, but CUDA 13 needs 7.5 or newer\n"
        "  hint: use target='numba' on this machine"
    )


@pytest.mark.parametrize(
    "module, name, package",
    [(loading.CUBLAS, "cuBLAS", "cublas"), (loading.CUSOLVER, "cuSOLVER", "cusolver")],
)
def test_missing_library(
    monkeypatch: pytest.MonkeyPatch, noted: Noted, module: str, name: str, package: str
) -> None:
    def not_found() -> int:
        raise RuntimeError(f"failed to load lib{package}.so")

    installed = modules(noted)
    installed[module] = SimpleNamespace(create=not_found)
    install(monkeypatch, installed)
    device = CudaDevice(0, None)
    call = device.blas if module == loading.CUBLAS else device.solver
    monkeypatch.setattr(FakeDevice, "memory", 1 << 30)  # so that it is not memory that lacks
    with pytest.raises(TargetError) as caught:
        call("dgemm_64")
    assert str(caught.value) == (
        f"target 'cuda' needs {name} for this program\n"
        f"  RuntimeError: failed to load lib{package}.so\n"
        f'  hint: {INSTALL}, or pip install "nvidia-{package}>=12"'
    )
    install(monkeypatch, {key: value for key, value in installed.items() if key != module})
    with pytest.raises(TargetError, match="needs the package nvmath-python"):
        call("dgemm_64")


def test_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is that of :mod:`backends.cuda.compile`; it holds for the target as it is."""
    monkeypatch.setitem(__import__("sys").modules, "numba_cuda", None)
    compiling.available.cache_clear()
    try:
        with pytest.raises(TargetError) as caught:
            compiling.available()
    finally:
        compiling.available.cache_clear()
    assert INSTALL in str(caught.value)
    assert "numba-cuda" in str(caught.value)


def test_libraries_that_do_not_belong_together_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A PTX that the linker refuses, as that of a libnvvm newer than nvJitLink."""

    def refused(*_: Any) -> Any:
        raise RuntimeError("ERROR 4 in nvJitLinkAddData: Unsupported .version 9.4")

    monkeypatch.setattr(compiling, "_directory", lambda: tmp_path)
    monkeypatch.setattr(compiling, "ptx_of", lambda *_: ".version 9.4")
    monkeypatch.setattr(compiling, "linked", refused)
    with pytest.raises(TargetError) as caught:
        compiling.cubin(IDENTITY, "float32")
    lines = str(caught.value).split("\n")
    assert lines[0] == "kernel identity could not be compiled for compute capability 9.0"
    assert lines[1] == "  RuntimeError: ERROR 4 in nvJitLinkAddData: Unsupported .version 9.4"
    assert re.match(r"  found: numba [\d.]+, numba-cuda .*, nvidia-nvvm .*, numpy [\d.]+", lines[2])
    assert lines[3] == f"  hint: install the versions that belong together: {INSTALL}"
    assert not list(tmp_path.iterdir())


def test_full_device_says_how_much_is_free(noted: Noted) -> None:
    device = CudaDevice(0, None)
    with pytest.raises(MemoryError) as caught:
        device.allocate(3 * 10**9)
    assert str(caught.value).split("\n")[:3] == [
        "the device has no 3.0 GB of memory left",
        "  wanted: 3.0 GB",
        "  free: 500.0 MB of 8.0 GB",
    ]
    assert "the stream is waited for" in noted.calls  # what was given back is free only then


def test_handle_of_a_library_takes_no_memory_from_the_program_that_runs(
    noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = CudaDevice(0, None)
    scratch = device.scratch(1000, 0)
    monkeypatch.setattr(cuda_device, "BLAS_WORKSPACE", 3 * 10**9)
    with pytest.raises(MemoryError, match=r"the device has no 3\.0 GB of memory"):
        device.blas("dgemm_64")
    assert device.scratch(1000, 0) == scratch


def test_errors_of_the_driver_are_raised_by_name() -> None:
    with pytest.raises(TargetError, match="the CUDA driver reports CUDA_ERROR_OF_THE_TEST"):
        errors.checked((fake_nvidia.Status(700),))
    assert errors.checked((0, 5)) == 5
    assert errors.checked((0, 5, 6)) == (5, 6)


def test_extra_installs_what_the_messages_name() -> None:
    """The ``cuda`` extra has a pinned version of every package that a message names."""
    setup = ConfigParser()
    setup.read(SETUP)
    lines = setup["options.extras_require"]["cuda"].strip().split("\n")
    pinned = {re.split(r"[\[=<>]", line)[0]: line for line in lines}
    for package in {*loading.PACKAGES.values(), "numba-cuda", "numba", "cuda-toolkit"}:
        assert re.search(r"==\d|<\d", pinned[package]), package
    for library in ("cublas", "cusolver", "nvvm", "nvrtc"):
        assert library in pinned["cuda-toolkit"]


# -- the sequence of calls ------------------------------------------------------------------------
def plan() -> Plan:
    a = Buffer("A", (2, 2), role="argument")
    middle, out = Buffer("t", (2, 2)), Buffer("r", (2, 2), role="result")
    product = Gemm(Matrix(out, 2), Matrix(middle, 2), Matrix(a, 2), 2, 2, 2)
    return Plan([a], [out], [Copy(middle, a), product])


@pytest.fixture
def device(noted: Noted, monkeypatch: pytest.MonkeyPatch) -> CudaDevice:
    monkeypatch.setattr(FakeDevice, "memory", 1 << 30)
    return cuda_device.open_device()


def test_program_is_recorded_once_and_replayed(noted: Noted, device: CudaDevice) -> None:
    task = Task(plan(), {}, "float64", device, [True])
    task.run([np.eye(2)])
    first = noted.taken()
    assert first[-8:] == [
        "cuMemcpyDtoDAsync", "allocate 33554432", "create cublas", "cublas set_stream 101",
        "cublas set_workspace", "cublas dgemm_64", "cuMemcpyDtoHAsync", "the stream is waited for",
    ]  # fmt: skip
    task.run([np.eye(2)])
    assert noted.taken() == [
        "cuMemcpyHtoDAsync",
        "cublas set_stream 900", "cublas set_workspace", "begin building",
        "cuMemcpyDtoDAsync", "cublas dgemm_64",
        "end building", "cublas set_stream 101", "cublas set_workspace", "instantiate",
        "launch graph on the stream",
        "cuMemcpyDtoHAsync", "the stream is waited for",
    ]  # fmt: skip
    task.run([np.eye(2)])
    assert noted.taken() == [
        "cuMemcpyHtoDAsync", "launch graph on the stream",
        "cuMemcpyDtoHAsync", "the stream is waited for",
    ]  # fmt: skip


def test_graph_that_cannot_be_updated_is_made_anew(
    noted: Noted, device: CudaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = device.record(lambda: None)
    noted.taken()
    graph.update(lambda: None)
    assert noted.taken() == ["begin building", "end building", "update graph"]
    monkeypatch.setattr(Graph, "refusal", RuntimeError("Graph update failed: topology changed"))
    graph.update(lambda: None)
    assert noted.taken() == ["begin building", "end building", "update graph", "instantiate"]
    monkeypatch.setattr(Graph, "refusal", RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS"))
    with pytest.raises(RuntimeError, match="ILLEGAL"):
        graph.update(lambda: None)


def test_recording_ends_when_a_command_fails(noted: Noted, device: CudaDevice) -> None:
    def failing() -> None:
        raise KeyError("x")

    noted.taken()
    with pytest.raises(KeyError):
        device.record(failing)
    assert noted.taken() == ["begin building", "end building"]
    device.copy(1, 2, 3)
    device.launch("kernel", (1, 1, 1), (1, 1, 1), ())
    assert noted.taken()[-1] == "launch kernel on the stream"


def test_kernel_is_loaded_once_for_all_streams(noted: Noted, device: CudaDevice) -> None:
    other = cuda_device.open_device(0, 55)
    assert other is not device and other is cuda_device.open_device(0, 55)
    assert device.kernel(IDENTITY, "float64") == other.kernel(IDENTITY, "float64") == "identity"
    assert [call for call in noted.taken() if call.startswith("load")] == ["load identity"]
    device.kernel(IDENTITY, "float32")
    assert noted.taken() == ["load identity"]


@pytest.mark.parametrize(
    "number, name",
    [(0, "the legacy stream"), (1, "the legacy stream"), (2, "the thread's stream"),
     (55, "stream 55")],
)  # fmt: skip
def test_streams_of_others_are_waited_for_by_their_number(
    noted: Noted, device: CudaDevice, number: int, name: str
) -> None:
    noted.taken()
    device.wait_for(number)
    device.release_to(number)
    assert noted.taken() == [f"the stream waits for {name}", f"{name} waits for the stream"]


def test_default_stream_is_launched_into_but_never_recorded(noted: Noted) -> None:
    device = cuda_device.open_device(0, 0)
    graph = device.record(lambda: device.copy(1, 2, 3))
    graph.launch()
    assert noted.taken()[-5:] == [
        "begin building", "cuMemcpyDtoDAsync", "end building", "instantiate",
        "launch graph on the legacy stream",
    ]  # fmt: skip


def test_handles_are_given_back_with_the_last_use_of_a_stream(noted: Noted) -> None:
    device = CudaDevice(0, 55)
    device.solver_parameters()
    noted.taken()
    del device
    gc.collect()
    assert noted.taken() == ["cusolver destroy_params", "cusolver destroy"]


def test_default_streams_have_one_device_each(noted: Noted) -> None:
    opened = cuda_device.open_device
    assert opened() is opened(0) is opened(0, None)
    assert opened(0, 0) is opened(0, 1) is not opened(0, 2)


def test_factorizations_are_called_between_graphs(noted: Noted, device: CudaDevice) -> None:
    a = Buffer("A", (70, 70), role="argument")
    out = Buffer("r", (70, 70), role="result")
    action = Factorization("lu", a, (("inverse", out),), 70, 70)
    task = Task(Plan([a], [out], [action]), {}, "float64", device, [True])
    for _ in range(3):
        noted.taken()
        task.run([np.eye(70)])
    assert noted.taken() == [
        "cuMemcpyHtoDAsync", "launch graph on the stream",  # a copy and the identity
        "cusolver dgetrf", "cusolver dgetrs",
        "cuMemcpyDtoHAsync", "cuMemcpyDtoHAsync", "the stream is waited for",
    ]  # fmt: skip


def test_default_streams_of_threads_have_scratch_memory_of_their_own(noted: Noted) -> None:
    """They have one number, ``cudaStreamPerThread``, but are as many streams as threads."""
    own = cuda_device.open_device(0, cuda_device.PER_THREAD)
    assert cuda_device.open_device(0, cuda_device.PER_THREAD) is own
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(cuda_device.open_device, 0, cuda_device.PER_THREAD).result()
        shared = pool.submit(cuda_device.open_device, 0, 0).result()
    assert other is not own and shared is cuda_device.open_device(0, cuda_device.LEGACY)
