"""A plan of copies and products on a simulated device: no kernel has to run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends.cuda import cuda_device
from backends.cuda.actions import Buffer, Copy, Gemm, HostCall, Matrix
from backends.cuda.calls import Caller, Signature
from backends.cuda.plan import Plan
from backends.cuda.simulated_device import SimulatedDevice, ignored
from tensorcalc import variables
from tensorcalc.table import TABLE

N = 3
A, B = variables("A: n n, B: n n")


def product_plan(host_call: bool = False) -> Plan:
    """``A @ B`` by way of a copy of A, or of its exponential on the host; and A once more."""
    a, b = (Buffer(name, (N, N), role="argument") for name in "AB")
    copied, out, again = (
        Buffer("t", (N, N)),
        Buffer("r", (N, N), role="result"),
        Buffer("s", (N, N), role="result"),
    )
    first = HostCall(TABLE["expm"], (a,), copied) if host_call else Copy(copied, a)
    product = Gemm(Matrix(out, N), Matrix(copied, N), Matrix(b, N), N, N, N)
    return Plan([a, b], [out, again], [first, product, Copy(again, a)])


def caller(on_host: tuple[bool, bool], plan: Plan | None = None) -> Caller:
    def pack(*results: Any) -> Any:
        return results

    return Caller(Signature(plan or product_plan(), {}, "float64", (A, B), pack), on_host)


def device_of_calls(monkeypatch: pytest.MonkeyPatch) -> SimulatedDevice:
    """The device that calls run on; other streams of it are opened by their number."""
    device = SimulatedDevice(kernels=ignored)
    opened = {None: device}

    def open_device(ordinal: int, stream: int | None = None) -> SimulatedDevice:
        if stream not in opened:
            opened[stream] = SimulatedDevice(device.gpu, stream or 0, ignored)
        return opened[stream]

    monkeypatch.setattr(cuda_device, "open_device", open_device)
    return device


def numbers(seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, N)), rng.normal(size=(N, N))


def queued(device: SimulatedDevice) -> list[str]:
    """What was called since the last time."""
    log = [entry for entry in device.log if not entry.startswith("allocate")]
    device.log.clear()
    return log
