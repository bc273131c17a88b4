"""The JAX target on several devices and in several processes: data axes, rows of a Hessian."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("jax", reason="JAX, an optional extra, is not installed")

ROOT = Path(__file__).parent.parent
#: Seconds after which a process hangs, however busy the machine is.
LONG = 600

PROBLEM = """
import sys
import jax, numpy as np
import backends, tensorcalc as tc
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
jax.config.update("jax_enable_x64", True)
X, y, w = tc.variables("X: m n, y: m, w: n")
loss = np.sum(np.log1p(np.exp(-y * (X @ w))))
roots = [loss, tc.gradient(loss, w)]
rng = np.random.default_rng(0)
data = rng.normal(size=(64, 8)), rng.normal(size=64), rng.normal(size=8)
wanted = backends.compile(roots, variables=(X, y, w)).call(*data)
"""

DEVICES = (
    PROBLEM
    + """
assert len(jax.devices()) == 8
mesh = Mesh(np.array(jax.devices()), ("data",))
rows, everywhere = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
arrays = [jax.device_put(a, s) for a, s in zip(data, (rows, rows, everywhere))]
f = backends.compile(roots, "jax", variables=(X, y, w))
for a, b in zip(f.call(*arrays), wanted):
    np.testing.assert_allclose(a, b, rtol=1e-12)
text = jax.jit(f.function).lower(*arrays).compile().as_text()
assert "all-reduce" in text, text
assert "f64[8,8]" in text and "f64[64,8]" not in text, "every device holds all of the data"

H = backends.compile(tc.hessian(loss, w), "jax", variables=(X, y, w))
H_rows = jax.jit(H.function, out_shardings=rows)(*arrays)
assert {shard.data.shape for shard in H_rows.addressable_shards} == {(1, 8)}
expected = backends.compile(tc.hessian(loss, w), variables=(X, y, w)).call(*data)
np.testing.assert_allclose(H_rows, expected, rtol=1e-12)
print("ok")
"""
)

PROCESSES = (
    PROBLEM
    + """
number, address = int(sys.argv[1]), sys.argv[2]
jax.distributed.initialize(address, 2, number)
assert jax.process_count() == 2 and len(jax.devices()) == 2 * len(jax.local_devices())
mesh = Mesh(np.array(jax.devices()), ("data",))
mine = slice(32 * number, 32 * number + 32)
shardings = [NamedSharding(mesh, P("data"))] * 2 + [NamedSharding(mesh, P())]
local = data[0][mine], data[1][mine], data[2]
arrays = [jax.make_array_from_process_local_data(s, a) for s, a in zip(shardings, local)]
f = backends.compile(roots, "jax", variables=(X, y, w))
for a, b in zip(f.call(*arrays), wanted):
    np.testing.assert_allclose(a.addressable_data(0), b, rtol=1e-12)
print("ok")
"""
)


def environment(devices: int) -> dict[str, str]:
    """Variables of a new process with so many CPU devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    own = {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **own}


def test_the_data_axis_of_a_loss_and_rows_of_a_hessian_over_eight_devices() -> None:
    command = [sys.executable, "-c", DEVICES]
    done = subprocess.run(
        command, env=environment(8), capture_output=True, text=True, timeout=LONG, check=False
    )
    assert done.returncode == 0 and done.stdout.endswith("ok\n"), done.stderr


@pytest.fixture
def address() -> Iterator[str]:
    """A port of the loopback address that no other process is given, but that JAX can open."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{reserved.getsockname()[1]}"


def test_a_loss_over_two_processes(address: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESSES, str(number), address],
            env=environment(1),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    try:
        for process in processes:
            out, errors = process.communicate(timeout=LONG)
            assert process.returncode == 0 and out.endswith("ok\n"), errors
    finally:
        for process in processes:
            process.kill()


def test_the_script_of_the_readme_shows_the_collective_and_the_rows() -> None:
    (script,) = re.findall(r"```py\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    own = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    collectives, sharding = done.stdout.splitlines()
    assert "all-reduce(" in collectives and "f64[8]" in collectives
    assert "'data': 8" in sharding and sharding.endswith("(1, 8)")
