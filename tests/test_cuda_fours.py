"""Kernels whose threads take four entries at once: which nests, and 128 bits in the PTX."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tensorcalc as tc
from backends.cuda.actions import Launch
from backends.cuda.fours import ARRAYS, LIMIT

from .cuda_plans import planned
from .test_cuda_kernels import check, compiles

x, y, c = tc.variables("x: m n, y: m n, c:")
v, mask, index = tc.variables("v: n, mask: n boolean, index: n integer")

BY_FOUR: dict[str, Any] = {
    "a matrix as one axis": x * y + 1,
    "a number beside an array": c * v,
    "truth values": np.where(mask, v, 0.5),
    "whole numbers": v * index,
    "truth values as a result": v > c,
    "a sum": np.sum(np.log1p(np.exp(-x * y))),
    "a norm": np.sum(v**2),
}
chain = v
for _ in range(LIMIT):
    chain = np.tanh(chain + 1)
BY_ONE: dict[str, Any] = {
    "two orders of axes": x + tc.variables("z: n m").T,
    "one axis of two": x * v,
    "much work for each entry": chain,
    "a view": x[:, ::2] * 2,
    "many arrays": sum(tc.variables(", ".join(f"x{k}: n" for k in range(ARRAYS + 1)))),
    "no array": c * c,
}


def kernels(root: Any) -> list[Any]:
    plan, _ = planned(root)
    return [a.kernel for a in plan.actions if isinstance(a, Launch)]


@pytest.mark.parametrize("name", BY_FOUR)
def test_nests_over_one_axis_take_four_entries_at_once(name: str) -> None:
    (kernel,) = kernels(BY_FOUR[name])
    assert "load_four" in kernel.text
    assert ("store_four" in kernel.text) == (kernel.name == "entries")


@pytest.mark.parametrize("name", BY_ONE)
def test_others_take_one(name: str) -> None:
    assert not any("load_four" in kernel.text for kernel in kernels(BY_ONE[name]))


@compiles
@pytest.mark.parametrize("name", BY_FOUR)
def test_loads_and_stores_are_of_128_bits(name: str) -> None:
    from backends.cuda.compile import ptx_of

    plan, _ = planned(BY_FOUR[name])
    (kernel,) = plan.kernels
    for precision, wide in (("float32", "v4.f32"), ("float64", "v2.f64")):
        ptx = ptx_of(kernel, precision)
        reals = kernel.pointers.count("real")
        if kernel.name == "entries":
            stored = wide if kernel.pointers[0] == "real" else "v4.u8"
            assert f"st.global.{stored}" in ptx or "st.global.u32" in ptx
            reals -= kernel.pointers[0] == "real"
        if reals:
            assert f"ld.global.{wide}" in ptx
    assert max(check(plan).values()) <= 64  # four blocks of 256 threads on a multiprocessor at once


@compiles
def test_sums_keep_several_loads_in_flight() -> None:
    from backends.cuda.compile import ptx_of

    (kernel,) = kernels(np.sum(x * y))
    text = ptx_of(kernel, "float32")
    assert len(re.findall(r"ld\.global\.v4\.f32", text)) >= 8  # the loop is unrolled
    assert ".maxntid 256" in text
