"""Pairwise sums on the CUDA target: what they ask memory for, and what they keep of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

import tensorcalc as tc
from backends.cuda.actions import number
from backends.cuda.blocks import ENTRIES, Blocks
from backends.cuda.plan import Plan
from backends.cuda.simulated_device import SimulatedDevice, ignored
from backends.cuda.source import source_of
from backends.cuda.task import Task

from .cuda_plans import main_shapes, planned
from .test_cuda_kernels import actions, check, compiles


# -- through shared memory ------------------------------------------------------------------------
def pairwise() -> tuple[Plan, str]:
    """Two sums over the same pairs, and the loop over the terms of one tile in float32."""
    from backends.cuda.compile import ptx_of

    x, u, c = tc.variables("x: n, u: m, c: m")
    near = np.exp(-((x[:, None] - u) ** 2))
    plan, _ = planned([near @ c, np.sum(near * (x[:, None] - u), axis=1)], {"n": 500, "m": 500})
    ptx = ptx_of(plan.kernels[0], "float32")
    blocks = ptx[ptx.index(".entry") :].split("\n\n")
    return plan, max(blocks, key=lambda block: block.count("ex2"))


@compiles
def test_pairwise_sums_read_terms_from_shared_memory_and_rows_from_registers() -> None:
    plan, loop = pairwise()
    assert [kernel.name for kernel in plan.kernels] == ["pairs", "sum_of_few"]
    assert max(check(plan).values()) <= 48  # five blocks on a multiprocessor at once
    assert loop.count("ld.shared.f32") == 2 and loop.count("ex2.approx") == 1
    assert "ld.global" not in loop and "st." not in loop and ".f64" not in loop


def test_pairwise_sums_store_no_matrix() -> None:
    for name in ("pairwise sums", "all-pairs potential"):
        roots, sizes = main_shapes()[name]
        plan, _ = planned(roots, sizes)
        nbytes = plan.layout(sizes, "float64").nbytes
        sizes = {name: 100 * size for name, size in sizes.items()}
        assert nbytes <= 8 * 64 * 10_000
        assert plan.layout(sizes, "float64").nbytes <= 8 * 6 * 1_000_000


def test_pairwise_sums_ask_memory_for_every_term_once_a_block() -> None:
    x, u, c = tc.variables("x: n, u: m, c: m")
    root = np.exp(-((x[:, None] - u) ** 2)) @ c
    few, many = {"n": 8, "m": 10_000}, {"n": 10_000, "m": 10_000}
    (rows,), (pairs, _) = actions(root, few), actions(root, many)
    assert (rows.kernel.name, pairs.kernel.name) == ("rows", "pairs")
    assert number(rows.entries, many) == 10_000 * (1 + 2 * 10_000)
    blocks, splits, _ = pairs.grid.at(many).blocks
    assert (blocks, splits) == (40, 27)
    assert number(pairs.entries, many) == splits * 10_000 + 2 * blocks * 10_000
    written = splits * 10_000 * 2  # and read by the kernel that adds the parts
    assert number(rows.entries, many) > 120 * (number(pairs.entries, many) + written)
    assert not planned(root, few)[0].suits(many)


def test_sums_over_the_same_pairs_are_one_kernel() -> None:
    x, u, c = tc.variables("x: n, u: m, c: m")
    near = np.exp(-((x[:, None] - u) ** 2))
    sizes = {"n": 500, "m": 500}
    found = actions([near @ c, near @ (c * c)], sizes)
    assert [action.kernel.name for action in found] == ["pairs", "sum_of_few", "sum_of_few"]
    assert found[0].kernel.text.count("exp(") == 1
    density = np.sum(np.log(near @ c))  # its gradient needs the sums first
    found = actions([density, tc.gradient(density, c)], sizes)
    assert [action.kernel.name for action in found].count("pairs") == 2


# -- in blocks of rows ----------------------------------------------------------------------------
def points() -> list[Any]:
    """The log-likelihood of a kernel density in several dimensions, its gradient and product."""
    P, Q, v = tc.variables("P: n d, Q: m d, v: n d")
    far = np.sum((P[:, None, :] - Q[None]) ** 2, axis=-1)
    density = np.sum(np.log(np.sum(np.exp(-far), axis=1)))
    return [density, tc.gradient(density, P), tc.hvp(density, P, v)]


def test_pairwise_values_of_large_clouds_of_points_exist_for_a_block_of_rows() -> None:
    sizes, small = {"n": 100_000, "m": 100_000, "d": 3}, {"n": 1000, "m": 1000, "d": 3}
    plan, _ = planned(points(), sizes)
    (blocks,) = (action for action in plan.actions if isinstance(action, Blocks))
    assert not plan.suits(small) and planned(points(), small)[0].suits(small)
    assert not any(isinstance(a, Blocks) for a in planned(points(), small)[0].actions)
    starts = [start for start, _ in blocks.spans(sizes)]
    assert starts == list(range(0, 100_000, ENTRIES // 100_000))
    task = Task(plan, sizes, "float32", SimulatedDevice(kernels=ignored), [False] * 3)
    assert task.nbytes < 2**30 < 4 * 100_000**2
    text = source_of(plan)
    name = blocks.rows
    assert f"    for {name} in blocks(n):\n" in text
    assert f"        P_rows[{name}, d] = rows of P\n" in text


@compiles
def test_kernels_of_blocks_of_rows_compile() -> None:
    plan, _ = planned(points(), {"n": 100_000, "m": 100_000, "d": 3})
    assert {"row_softmax", "entries"} <= check(plan).keys()
