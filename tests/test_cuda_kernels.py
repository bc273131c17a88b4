"""Kernels of the CUDA target, made and compiled without a GPU for compute capability 9.0.

Every kernel of the examples that are taken (value, gradient and Hessian; both precisions; for tiny
and for large sizes) compiles to PTX and links to a cubin. A run takes every 16th example, about 100
kernels; ``TENSORCALC_CUDA_EVERY=1`` takes all of them, about 900 (20 minutes on one core; machine
code is kept on disk, so a second run takes seconds).
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import backends
import tensorcalc as tc
from backends.cuda.actions import Count, Gemm, HostCall, Launch
from backends.cuda.grids import RULES, splits
from backends.cuda.plan import Plan
from backends.cuda.source import kernel_names, source_of
from backends.cuda.terms import spelling
from tensorcalc.applications import apply
from tensorcalc.table import TABLE

from .cuda_plans import main_shapes, planned, taken, tower

NEEDED = ("numba_cuda", "cuda.core", "cuda.bindings.nvvm", "cuda.bindings.nvjitlink")
#: Registers of a thread, at most: two blocks of 256 threads on a multiprocessor at once.
REGISTERS = 128
#: CUDA's float64 functions with a stack of their own, which the linker counts as spills: angles
#: beyond 105615, which gamma functions need too, are reduced there.
STACKED = re.compile(r"\b(sin|cos|tan|gamma|lgamma)\(")
STACK = 160


def missing() -> str:
    """What is not installed of what compiles kernels, "" if all is."""
    for module in NEEDED:
        try:
            found = find_spec(module)
        except ImportError:
            found = None
        if found is None:
            return f"{module}, of the optional extra cuda, is not installed"
    from backends.compiled import TargetError
    from backends.cuda.compile import available

    try:
        available()
    except TargetError as error:
        return str(error)
    return ""


compiles = pytest.mark.skipif(bool(missing()), reason=missing() or "everything is installed")


def check(plan: Plan) -> dict[str, int]:
    """Compile and link the kernels of a plan; the greatest number of registers by their names."""
    from backends.cuda.compile import cubin

    most = {kernel.name: 0 for kernel in plan.kernels}
    for kernel in plan.kernels:
        for precision in ("float64", "float32"):
            compiled = cubin(kernel, precision)
            stacked = precision == "float64" and STACKED.search(kernel.text)
            assert compiled.image[:4] == b"\x7fELF"
            assert compiled.registers <= REGISTERS, kernel.text
            assert compiled.spills <= (STACK if stacked else 0), kernel.text
            assert compiled.doubles == 0 or precision == "float64", kernel.text
            most[kernel.name] = max(most[kernel.name], compiled.registers)
    return most


@compiles
@pytest.mark.parametrize("example", taken(16, 5), ids=str)
def test_kernels_of_examples_link_without_spills_or_float64_in_float32(example: Any) -> None:
    roots = tower(example)
    for sizes in (example.sizes(), {}):
        plan, _ = planned(roots, sizes, example.declared())
        check(plan)


@compiles
@pytest.mark.parametrize("name", list(main_shapes()))
def test_kernels_of_the_main_shapes_need_few_registers(name: str) -> None:
    plan, _ = planned(*main_shapes()[name])
    registers = check(plan)
    registers.pop("panels", None)  # whose threads each have four sums and two places to read from
    assert max(registers.values()) <= 64  # four blocks of 256 threads on a multiprocessor at once


def tiles(orders: str) -> Any:
    """The plan of a product with elementwise steps before and after, its factors in some order."""
    left, right = orders.split()
    A, B, d, c = tc.variables(f"A: {' '.join(left)}, B: {' '.join(right)}, d: k, c: n")
    product = np.tanh(tc.einsum(f"{left},k,{right}->mn", A, d, B) + c)
    return planned(product, {"m": 100, "n": 90, "k": 80})[0]


@compiles
@pytest.mark.parametrize("orders", ["mk kn", "mk nk", "km kn", "km nk"])
def test_products_in_tiles_keep_their_factors_in_shared_memory(orders: str) -> None:
    from backends.cuda.compile import ptx_of

    plan = tiles(orders)
    assert check(plan).keys() == {"panels"}
    for precision, suffix in (("float64", "f64"), ("float32", "f32")):
        ptx = ptx_of(plan.kernels[-1], precision)
        body = ptx[ptx.index(".entry") :]
        assert len(re.findall(rf"\bst\.shared(\.\w+)*\.{suffix}|\bst\.shared\.b\d+", body)) >= 2
        assert len(re.findall(rf"\bld\.shared(\.\w+)*\.{suffix}|\bld\.shared\.b\d+", body)) >= 4
        assert f"fma.rn.{suffix}" in body and "bar.sync" in body


@compiles
def test_sums_of_a_block_pass_through_shuffles_of_its_warps() -> None:
    from backends.cuda.compile import ptx_of

    X = tc.variables("X: m n")
    for root in (np.sum(np.exp(X)), np.sum(np.exp(X), axis=1)):
        (kernel,) = planned(root, {"m": 10**4, "n": 10**4})[0].kernels
        assert ptx_of(kernel, "float32").count("shfl.sync.bfly") >= 5


ELEMENTWISE = [
    operation
    for operation in TABLE.values()
    if operation.is_elementwise and spelling(operation, operation.test_params)
]


def applied(operations: list[Any], size: str) -> list[Any]:
    """Each operation on vectors of its own."""
    roots = []
    for k, operation in enumerate(operations):
        names = [f"x{k}_{j}" for j in range(operation.arity)]
        operands = [tc.variables(f"{name}: {size}") for name in names]
        roots.append(apply(operation.name, *operands, **operation.test_params))
    return roots


@compiles
def test_every_elementwise_row_compiles() -> None:
    for start in range(0, len(ELEMENTWISE), 8):
        together = sum(1.0 * root for root in applied(ELEMENTWISE[start : start + 8], "n"))
        plan, _ = planned(np.sum(together))
        check(plan)


@compiles
def test_every_row_operation_compiles() -> None:
    from backends.cuda.row_operations import BODIES

    for name in BODIES:
        operation = TABLE[name]
        core = "m n" if name.startswith("frobenius") else "n"
        x = tc.variables(f"x: b {core}{' boolean' if name in ('any', 'all') else ''}")
        plan, _ = planned(apply(name, x, **operation.test_params))
        assert any(kernel.name == f"row_{name}" for kernel in plan.kernels)
        check(plan)


@compiles
def test_equal_kernels_are_one_cubin_and_the_entry_is_named_by_hash() -> None:
    from backends.cuda.compile import cubin, ptx_of

    x, y = tc.variables("x: n, y: m")
    (first,), (second,) = (planned(np.exp(-v))[0].kernels for v in (x, y))
    assert first == second
    compiled = cubin(first, "float32")
    assert f".entry {compiled.entry}(" in ptx_of(first, "float32")
    assert compiled.entry.startswith("entries_") and compiled.entry.encode() in compiled.image
    assert cubin(first, "float64").entry != compiled.entry
    assert cubin(first, "float32") == compiled


# -- plans, which need nothing installed ----------------------------------------------------------
def actions(roots: Any, sizes: Any = None) -> list[Any]:
    return planned(roots, sizes)[0].actions


def test_a_sum_is_one_launch() -> None:
    (launch,) = actions(*main_shapes()["sum of log1p(exp)"])
    assert launch.kernel.name == "everything"
    assert launch.grid.at({"n": 4_000_000}) == ((1024, 1, 1), (256, 1, 1))
    assert launch.grid.at({"n": 10}) == ((1, 1, 1), (256, 1, 1))


def test_a_gram_matrix_is_syrk_and_a_mirror() -> None:
    X, s = tc.variables("X: m n, s: m")
    found = actions(X.T @ (s[:, None] ** 2 * X), {"m": 2000, "n": 1000})
    gemm = next(action for action in found if isinstance(action, Gemm))
    assert gemm.symmetric and gemm.left.transposed and found[-1].kernel.name == "mirror"


def test_small_products_are_kernels_and_large_ones_are_calls() -> None:
    A, B = tc.variables("A: m k, B: k n")
    small = {"m": 4, "k": 3, "n": 5}
    large = {"m": 400, "k": 300, "n": 500}
    assert [type(action) for action in actions(A @ B, small)] == [Launch]
    plan, _ = planned(A @ B, large)
    assert [type(action) for action in plan.actions] == [Gemm]
    assert plan.suits({"m": 401, "k": 300, "n": 500}) and not plan.suits(small)


def test_middling_products_are_tiles_that_take_their_neighbours_along() -> None:
    (launch,) = tiles("km nk").actions
    assert launch.kernel.name == "panels" and launch.grid.at({"m": 100, "n": 90}).blocks == (
        12,
        1,
        1,
    )
    A, B = tc.variables("A: m k, B: m k")
    sizes = {"m": 100, "k": 100}
    both = actions(A @ A.T + B @ B.T, sizes)  # the sum goes with the second
    assert [launch.kernel.name for launch in both] == ["panels", "panels"]
    (kept, launch) = actions([np.exp(A), np.exp(A) @ A.T], sizes)  # a result is not computed twice
    assert (kept.kernel.name, launch.kernel.name) == ("entries", "panels")
    plan, _ = planned(A @ A.T, sizes)
    assert plan.suits(sizes) and not plan.suits({"m": 1000, "k": 100})


def test_a_multiple_of_a_product_is_one_call_with_a_factor() -> None:
    A, B = tc.variables("A: m k, B: k n")
    large = {"m": 400, "k": 300, "n": 500}
    (gemm,) = actions(-2 * (A @ B).T, large)
    assert isinstance(gemm, Gemm) and gemm.alpha == -2


def test_a_transposed_product_is_the_product_of_the_transposed() -> None:
    A, B = tc.variables("A: m k, B: k n")
    (gemm,) = actions((A @ B).T, {"m": 400, "k": 300, "n": 500})
    assert isinstance(gemm, Gemm) and gemm.left.transposed and gemm.right.transposed


def test_a_structured_hessian_is_filled_and_its_core_written() -> None:
    found = actions(*main_shapes()["matrix factorization"])
    fill, insertion = found[-2:]
    assert type(fill).__name__ == "Fill" and insertion.kernel.name == "insertion"
    assert "out[((i0 * n0 + i1) * n1 + i0) * n0 + i2] = " in insertion.kernel.text


def test_results_of_one_decomposition_are_one_action() -> None:
    (A,) = (tc.variables("A: n n"),)
    found = actions([np.linalg.inv(A), np.linalg.slogdet(A)[1]])
    (factorization,) = (a for a in found if type(a).__name__ == "Factorization")
    assert [name for name, _ in factorization.results] == ["inverse", "logdet"]


def test_memory_of_the_workspace_is_used_again() -> None:
    x = tc.variables("x: n")
    chain = x
    for _ in range(6):
        chain = np.exp(np.cumprod(chain))
    plan, _ = planned(np.sum(chain), {"n": 1_000_000})
    layout = plan.layout({"n": 1_000_000}, "float32")
    made = [buffer for buffer in layout.offsets if buffer.extents and len(buffer.extents) == 1]
    assert len(made) >= 12 and layout.nbytes < 2 * 4_000_256 + 20_000


@pytest.mark.parametrize("rule", sorted(RULES))
def test_grids_stay_within_what_a_device_takes(rule: str) -> None:
    arity = RULES[rule].__code__.co_argcount
    for size in (0, 1, 31, 32, 33, 1000, 70_000, 10**7):
        for other in (1, 5, 10**6):
            arguments = (size, other, 3)[:arity]
            blocks, threads = RULES[rule](*arguments)
            assert 1 <= np.prod(threads) <= 1024 and threads[2] <= 64
            assert all(b >= 1 for b in blocks) and blocks[0] < 2**31
            assert max(blocks[1:]) <= 65535 or rule == "squares"


def test_counts_of_parts_are_arguments() -> None:
    x, A = tc.variables("x: m, A: m n")
    *_, first, second = actions(x @ A, {"m": 10**6, "n": 100})
    assert second.sizes[-1] == Count("splits", second.sizes[-1].extents)
    assert second.numbers({"m": 10**6, "n": 100})[-1] == splits(100, 10**6)
    assert first.grid.at({"m": 10**6, "n": 100}).blocks[1] == splits(100, 10**6)


def test_what_only_scipy_has_runs_on_the_host_and_the_text_says_so() -> None:
    x = tc.variables("x: n")
    plan, _ = planned(np.sum(apply("ive", x, order=1)))
    assert not plan.on_device and isinstance(plan.actions[0], HostCall)
    assert "ive(x, order=1)  # on the host" in source_of(plan)


def test_text_shows_kernels_and_the_host_in_turn() -> None:
    roots, sizes = main_shapes()["logistic regression"]
    plan, _ = planned(roots, sizes)
    text = source_of(plan)
    assert "    # t1[m] = contract ij,j->i of X, w\n    rows[rows(m, n)](t1, X, w, n, m)" in text
    assert "@ " in text and "# syrk n, n, m" in text
    names = list(kernel_names(plan).values())
    assert len(set(names)) == len(names) and all(f"def {name}(" in text for name in names)


def test_source_of_the_target_needs_no_gpu() -> None:
    x = tc.variables("x: n")
    function = backends.compile(np.sum(np.sin(x)), "cuda")
    assert "grid_sum(out, parts, counter, total)" in function.source


def test_the_command_line_prints_kernels_and_calls_without_a_gpu(capsys: Any) -> None:
    from autodiff.command_line import main

    declared = "X: m n, w: n, y: m"
    assert main(["norm2(X*w - y)^2", declared, "--wrt", "w", "--order", "2", "--code", "cuda"]) == 0
    printed = capsys.readouterr().out
    assert "panels[panels(1, n, n)](" in printed and "s00 *= real(2.0)" in printed
