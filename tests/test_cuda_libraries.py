"""Calls of cuBLAS and cuSOLVER on a simulated device: LAPACK behind the libraries' arguments."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from backends.cuda import factorizations, library_kernels
from backends.cuda.actions import Buffer, Copy, Factorization, Fill, Gemm, HostCall, Matrix
from backends.cuda.loading import CUBLAS, CUSOLVER
from backends.cuda.plan import Plan
from backends.cuda.simulated_device import SimulatedDevice, SimulationError
from backends.cuda.simulated_libraries import InvalidValue
from backends.cuda.task import Task
from tensorcalc.table import TABLE

from .cuda_support.twins import twin

RNG = np.random.default_rng(5)
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


def new_device() -> Any:
    """The device of these tests; ``test_cuda_device`` runs them on a real one."""
    return SimulatedDevice(kernels=twin)


def is_poisoned() -> bool:
    """Whether memory that nobody has written is NaN."""
    return isinstance(new_device(), SimulatedDevice)


def run(plan: Plan, *arrays: Any, precision: str = "float64") -> list[Any]:
    plan.verify()
    task = Task(plan, {}, precision, new_device(), [True] * len(arrays))
    return task.run(arrays)


def argument(array: Any, name: str) -> Buffer:
    return Buffer(name, array.shape, role="argument")


# -- products -------------------------------------------------------------------------------------
def memory_of(matrices: Any, transposed: bool, gap: int, offset: int) -> tuple[Any, dict[str, Any]]:
    """A flat array that holds a batch of matrices with gaps, and the fields of its Matrix."""
    batch, rows, columns = matrices.shape
    lines, width = (columns, rows) if transposed else (rows, columns)
    leading = width + gap
    stride = lines * leading + 3 * gap
    flat = np.full(offset + batch * stride, np.nan)
    for b in range(batch):
        lined = matrices[b].T if transposed else matrices[b]
        for i in range(lines):
            start = offset + b * stride + i * leading
            flat[start : start + width] = lined[i]
    return flat, {
        "leading": leading, "stride": stride, "transposed": transposed, "offset": offset
    }  # fmt: skip


def read(flat: Any, batch: int, rows: int, columns: int, fields: dict[str, Any]) -> Any:
    steps = (1, fields["leading"]) if fields["transposed"] else (fields["leading"], 1)
    item = flat.itemsize
    strides = (item * fields["stride"], item * steps[0], item * steps[1])
    start = flat[fields["offset"] :]
    return np.lib.stride_tricks.as_strided(start, (batch, rows, columns), strides)


SHAPES = [(3, 4, 5, 1), (1, 4, 5, 1), (3, 1, 5, 1), (1, 1, 5, 1), (3, 4, 1, 1), (2, 3, 4, 3)]


@pytest.mark.parametrize("flags", range(8))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_gemm_reads_and_writes_every_layout(
    flags: int, shape: tuple[int, int, int, int], precision: str
) -> None:
    rows, columns, inner, batch = shape
    left, right = RNG.normal(size=(batch, rows, inner)), RNG.normal(size=(batch, inner, columns))
    gap = 2
    a, of_a = memory_of(left, bool(flags & 1), gap, 1)
    b, of_b = memory_of(right, bool(flags & 2), gap, 2)
    c, of_c = memory_of(np.zeros((batch, rows, columns)), bool(flags & 4), gap, 3)
    arguments = argument(a, "a"), argument(b, "b")
    out = Buffer("c", c.shape, role="result")
    gemm = Gemm(
        Matrix(out, **of_c), Matrix(arguments[0], **of_a), Matrix(arguments[1], **of_b),
        rows, columns, inner, batch, alpha=-0.5,
    )  # fmt: skip
    (found,) = run(Plan([*arguments], [out], [gemm]), a, b, precision=precision)
    product = read(found, batch, rows, columns, of_c)
    np.testing.assert_allclose(product, -0.5 * left @ right, atol=10 * TOLERANCE[precision])
    if is_poisoned():  # the gaps are left alone
        assert np.isnan(found).sum() == found.size - product.size


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("transposed_out", [False, True])
def test_syrk_writes_the_upper_triangle(transposed: bool, transposed_out: bool) -> None:
    left = RNG.normal(size=(1, 4, 3))
    a, of_a = memory_of(left, transposed, 1, 0)
    c, of_c = memory_of(np.zeros((1, 4, 4)), transposed_out, 0, 0)
    buffer, out = argument(a, "a"), Buffer("c", c.shape, role="result")
    matrix = Matrix(buffer, **of_a)
    flipped = matrix._replace(transposed=not transposed)
    gemm = Gemm(Matrix(out, **of_c), matrix, flipped, 4, 4, 3, symmetric=True, alpha=3.0)
    (found,) = run(Plan([buffer], [out], [gemm]), a)
    square = read(found, 1, 4, 4, of_c)[0]
    upper = np.triu(np.ones((4, 4), bool))
    np.testing.assert_allclose(square[upper], 3 * (left[0] @ left[0].T)[upper], rtol=1e-12)
    assert not is_poisoned() or np.isnan(square[~upper]).all()


@pytest.mark.parametrize("shape", [(3, 4, 0, 1), (0, 4, 2, 1), (2, 2, 0, 3)], ids=str)
def test_empty_sums_are_zero(shape: tuple[int, int, int, int]) -> None:
    rows, columns, inner, batch = shape
    a, b = np.ones((batch, rows, inner)), np.ones((batch, inner, columns))
    arguments = argument(a, "a"), argument(b, "b")
    out = Buffer("c", (batch, rows, columns), role="result")
    gemm = Gemm(
        Matrix(out, columns, rows * columns), Matrix(arguments[0], inner, rows * inner),
        Matrix(arguments[1], columns, inner * columns), rows, columns, inner, batch,
    )  # fmt: skip
    (found,) = run(Plan([*arguments], [out], [gemm]), a, b)
    np.testing.assert_array_equal(found, a @ b)


def test_product_outside_its_memory_is_refused() -> None:
    """The simulated device sees what a GPU would not."""
    a = np.ones((3, 3))
    buffer, out = argument(a, "a"), Buffer("c", (3, 3), role="result")
    gemm = Gemm(Matrix(out, 3), Matrix(buffer, 3), Matrix(buffer, 3, offset=2), 3, 3, 3)
    device = SimulatedDevice(kernels=twin)
    memory = [device.allocate(72), device.allocate(72)]
    task = Task(Plan([buffer], [out], [gemm]), {}, "float64", device, [False])
    with pytest.raises(SimulationError, match="only 56 are"):
        for run in task.replays:
            run.run(device, (0, 0, *(each.address for each in memory)))
        device.finish()


# -- factorizations -------------------------------------------------------------------------------
def factorized(
    kind: str, a: Any, names: list[str], right: Any = None, precision: str = "float64"
) -> Any:
    batch, (rows, columns) = a.shape[:-2], a.shape[-2:]
    k = min(rows, columns)
    shapes: dict[str, tuple[int, ...]] = {
        "inverse": (rows, columns), "det": (), "logdet": (), "sign": (), "factor": (rows, rows),
        "values": (rows,), "vectors": (rows, rows), "u": (rows, k), "s": (k,), "vt": (k, columns),
        "solution": () if right is None else right.shape[-2:] if right.ndim > 1 else right.shape,
    }  # fmt: skip
    source = argument(a, "a")
    results = [(name, Buffer(name, (*batch, *shapes[name]), role="result")) for name in names]
    side = None if right is None else argument(right, "b")
    action = Factorization(
        kind, source, tuple(results), rows, columns, int(np.prod(batch)), side,  # type: ignore[arg-type]
        1 if right is None or right.ndim == 1 else right.shape[-1],
    )  # fmt: skip
    arguments = [source] if side is None else [source, side]
    plan = Plan(arguments, [buffer for _, buffer in results], [action])
    arrays = [a] if right is None else [a, right]
    return run(plan, *arrays, precision=precision)


SIZES = [((), 3), ((), 40), ((), 70), ((3,), 4), ((2,), 40)]


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("batch, n", SIZES, ids=str)
def test_lu_gives_inverse_and_determinants(
    batch: tuple[int, ...], n: int, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factorizations, "BATCHED_MANY", 20)  # beyond it one by one
    a = RNG.normal(size=(*batch, n, n)) / np.sqrt(n) + 2 * np.eye(n)
    names = ["inverse", "det", "logdet", "sign"]
    found = factorized("lu", a, names, precision=precision)
    sign, logdet = np.linalg.slogdet(a)
    wanted = [np.linalg.inv(a), np.linalg.det(a), logdet, sign]
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(
            mine,
            theirs,
            rtol=50 * TOLERANCE[precision],
            atol=1e-4 if precision == "float32" else 1e-11,
        )


@pytest.mark.parametrize("n", [5, 70])
@pytest.mark.parametrize("columns", [None, 1, 3])
def test_lu_solves(n: int, columns: int | None) -> None:
    a = RNG.normal(size=(n, n)) + n * np.eye(n)
    right = RNG.normal(size=n if columns is None else (n, columns))
    (found,) = factorized("lu", a, ["solution"], right)
    np.testing.assert_allclose(found, np.linalg.solve(a, right), rtol=1e-9, atol=1e-12)


def test_determinants_count_the_swaps_of_rows() -> None:
    a = np.array([[[0.0, 2.0], [3.0, 0.0]], [[1.0, 2.0], [2.0, 4.0]], [[2.0, 0.0], [0.0, 5.0]]])
    det, sign, logdet = factorized("lu", a, ["det", "sign", "logdet"])
    np.testing.assert_allclose(det, [-6, 0, 10], atol=1e-15)
    np.testing.assert_array_equal(sign, [-1, 0, 1])
    np.testing.assert_allclose(logdet, [np.log(6), -np.inf, np.log(10)])


@pytest.mark.parametrize("n", [2, 70])
def test_singular_matrices_have_no_inverse(n: int) -> None:
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        factorized("lu", np.zeros((n, n)), ["inverse"])


@pytest.mark.parametrize("batch", [(), (3,)])
def test_cholesky_is_lower_with_zeros_above(batch: tuple[int, ...]) -> None:
    root = RNG.normal(size=(*batch, 5, 5))
    a = root @ np.swapaxes(root, -1, -2) + np.eye(5)
    skew = RNG.normal(size=a.shape)
    skew = skew - np.swapaxes(skew, -1, -2)  # the symmetric part counts
    (found,) = factorized("cholesky", a + skew, ["factor"])
    np.testing.assert_allclose(found, np.linalg.cholesky(a), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("batch", [(), (3,)])
def test_cholesky_of_an_indefinite_matrix_is_an_error(batch: tuple[int, ...]) -> None:
    a = np.broadcast_to(np.diag([1.0, -1.0]), (*batch, 2, 2)).copy()
    with pytest.raises(np.linalg.LinAlgError, match="Matrix is not positive definite"):
        factorized("cholesky", a, ["factor"])


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_eigenvectors_stand_in_columns(batch: tuple[int, ...], precision: str) -> None:
    a = RNG.normal(size=(*batch, 5, 5))
    symmetric = (a + np.swapaxes(a, -1, -2)) / 2
    values, vectors = factorized("eigh", a, ["values", "vectors"], precision=precision)
    tolerance = 20 * TOLERANCE[precision]
    np.testing.assert_allclose(values, np.linalg.eigvalsh(symmetric), atol=tolerance)
    np.testing.assert_allclose(symmetric @ vectors, vectors * values[..., None, :], atol=tolerance)


def test_eigenvalues_alone() -> None:
    a = np.diag([3.0, 1.0, 2.0])
    (values,) = factorized("eigh", a, ["values"])
    np.testing.assert_allclose(values, [1, 2, 3])


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 5, 3), (2, 3, 5)], ids=str)
def test_singular_values_and_vectors(shape: tuple[int, ...]) -> None:
    a = RNG.normal(size=shape)
    u, s, vt = factorized("svd", a, ["u", "s", "vt"])
    np.testing.assert_allclose(s, np.linalg.svd(a, compute_uv=False), rtol=1e-12)
    np.testing.assert_allclose((u * s[..., None, :]) @ vt, a, atol=1e-12)
    np.testing.assert_allclose(
        np.swapaxes(u, -1, -2) @ u,
        np.broadcast_to(np.eye(s.shape[-1]), (*shape[:-2], s.shape[-1], s.shape[-1])),
        atol=1e-12,
    )


@pytest.mark.parametrize("name", ["u", "s", "vt"])
@pytest.mark.parametrize("shape", [(5, 3), (3, 5)], ids=str)
def test_one_result_of_the_svd(name: str, shape: tuple[int, int]) -> None:
    a = RNG.normal(size=shape)
    (found,) = factorized("svd", a, [name])
    wanted = dict(zip(["u", "s", "vt"], np.linalg.svd(a, full_matrices=False), strict=True))[name]
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=1e-12)


def test_two_factorizations_share_scratch_memory_but_not_their_checks() -> None:
    a = RNG.normal(size=(70, 70)) + 70 * np.eye(70)
    source = argument(a, "a")
    results = [Buffer(name, shape, role="result") for name, shape in (("i", (70, 70)), ("d", ()))]
    actions = [
        Factorization("lu", source, (("inverse", results[0]),), 70, 70),
        Factorization("lu", source, (("det", results[1]),), 70, 70),
    ]
    inverse, det = run(Plan([source], results, actions), a)
    np.testing.assert_allclose(inverse @ a, np.eye(70), atol=1e-12)
    np.testing.assert_allclose(det, np.linalg.det(a))


def test_wide_matrices_never_reach_gesvd() -> None:
    with pytest.raises(InvalidValue, match="wide"):
        SimulatedDevice().solver("dgesvd_buffer_size", 3, 5)


# -- the rest -------------------------------------------------------------------------------------
def test_host_calls_run_between_the_others() -> None:
    a = RNG.normal(size=(3, 3)) / 4
    source = argument(a, "a")
    middle, out = Buffer("t", (3, 3)), Buffer("r", (3, 3), role="result")
    actions = [HostCall(TABLE["expm"], (source,), middle), Copy(out, middle)]
    (found,) = run(Plan([source], [out], actions), a)
    np.testing.assert_allclose(found, TABLE["expm"].reference(a), rtol=1e-14)


@pytest.mark.parametrize("number", [0.0, 2.5])
def test_fill(number: float) -> None:
    out = Buffer("r", (3,), role="result")
    (found,) = run(Plan([], [out], [Fill(out, number)]))
    np.testing.assert_array_equal(found, [number] * 3)


@pytest.mark.parametrize("number", [0.1, np.inf, -np.inf, np.nan, 3])
def test_fill_says_every_number_in_its_text(number: float) -> None:
    text = library_kernels.fill(number, "real").text
    line = next(line for line in text.split("\n") if "out[k]" in line)
    said = line.split("real(")[1].rstrip(")").replace("math.", "")
    np.testing.assert_equal(float(said), float(number))
    assert "out[k] = 1" in library_kernels.fill(True, "boolean").text


# -- the installed bindings -----------------------------------------------------------------------
@pytest.mark.skipif(find_spec("nvmath") is None, reason="nvmath-python is not installed")
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_calls_have_the_arguments_of_the_installed_bindings(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and numbers of arguments, as the docstrings of nvmath's functions say them."""
    called: set[tuple[str, str, int]] = set()
    for library in ("blas", "solver"):
        monkeypatch.setattr(SimulatedDevice, library, _noting(library, called))
    monkeypatch.setattr(factorizations, "BATCHED_MANY", 20)
    square = np.eye(5) + 0.1
    for a in (square, np.stack([square, square]), np.eye(70), np.stack([np.eye(30)] * 2)):
        factorized("lu", a, ["inverse", "det"], precision=precision)
        factorized("cholesky", a, ["factor"], precision=precision)
        factorized("eigh", a, ["values"], precision=precision)
        factorized("svd", a, ["s"], precision=precision)
    for n in (3, 70):
        factorized("lu", np.eye(n), ["solution"], np.ones(n), precision=precision)
    for shape in SHAPES:
        test_gemm_reads_and_writes_every_layout(0, shape, precision)
    test_syrk_writes_the_upper_triangle(False, False)
    assert len(called) > 15
    for library, name, count in called:
        assert count == _arguments_of_binding(library, name), name


def _noting(library: str, called: set[tuple[str, str, int]]) -> Any:
    original = getattr(SimulatedDevice, library)

    def call(self: Any, name: str, *arguments: Any) -> Any:
        called.add((library, name, len(arguments)))
        return original(self, name, *arguments)

    return call


def _arguments_of_binding(library: str, name: str) -> int:
    """Number of arguments after the handle."""
    module = import_module(CUBLAS if library == "blas" else CUSOLVER)
    signature = getattr(module, name).__doc__.split("\n")[0]
    assert signature.startswith(f"{name}(intptr_t handle, "), signature
    return signature.split(")")[0].count(",")
