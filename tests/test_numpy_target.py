"""The NumPy target against the oracle: every kind of step, every size, both precisions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import backends
import tensorcalc as tc
from tensorcalc.applications import apply
from tensorcalc.extents import symbol
from tensorcalc.nodes import Constant, Delta, Node, Variable, free_variables, ones, postorder
from tensorcalc.oracle import _value as oracle_value
from tensorcalc.products import kronecker, product, transpose
from tensorcalc.sums import add

from .examples import EXAMPLES

L, M, N, K = map(symbol, "lmnk")
A = Variable("A", (M, N))
B = Variable("B", (N, K))
S = Variable("S", (N, N))
T3 = Variable("T3", (M, N, K))
x = Variable("x", (N,))
y = Variable("y", (M,))
z = Variable("z", (N,))
c = Variable("c", ())
X1 = Variable("X1", (7,))
K1 = Variable("K1", (3,))
X2 = Variable("X2", (2, 7))
PICK = Variable("pick", (L,), ("integer",))
ROWS = Variable("rows", (M,), ("integer",))
MASK = Variable("mask", (M, N), ("boolean",))


def one_hot(index: Node, depth: Any) -> Node:
    """``out[..., k] = (index[...] == k)``."""
    return apply("one_hot", index, depth=depth)


def affine(coefficients: Any, offset: Any, extents: Any) -> Node:
    """A raw delta: ``sum(coefficients * indices) + offset = 0``."""
    return Delta(((tuple(coefficients), offset),), tuple(extents))


def convolution(stride: int, dilation: int, pad: int) -> Node:
    """``out[y] = X1[stride*y + dilation*u - pad] K1[u]``."""
    size = (7 + 2 * pad - dilation * 2 - 1) // stride + 1
    row = affine((1, -stride, -dilation), pad, (7, size, 3))
    return product((X1, K1, row), ("h", "u", "hyu"), "y")


def shifted(node: Node, size: Any, step: Any, offset: Any) -> Node:
    """``out[i] = node[step*i + offset]``, zero outside."""
    return product((node, affine((1, -step), -offset, (node.extents[0], size))), ("h", "hi"), "i")


#: Expressions by name; each is compared with the oracle, and so is its derivative by ``wrt``.
CASES: dict[str, tuple[Node, Variable]] = {
    "matrix_vector": (A @ x, x),
    "transposed_vector": (y @ A, A),
    "matrix_matrix": (A @ B, A),
    "outer": (product((x, y), "ij", "ij"), x),
    "outer_of_three": (product((x, y, z), "ijk", "kij"), y),
    "trace": (product((S,), ("ii",), ""), S),
    "diagonal": (product((S,), ("ii",), "i"), S),
    "transpose": (transpose(A, (1, 0)), A),
    "transpose_of_three": (transpose(T3, (2, 0, 1)), T3),
    "sum_of_axis": (product((T3,), ("ijk",), "ik"), T3),
    "frobenius": (product((A, A), ("ij", "ij"), ""), A),
    "trace_of_product": (product((S, S), ("ij", "ji"), ""), S),
    "batched": (product((T3, T3), ("bij", "bkj"), "bik"), T3),
    "batched_vector": (product((T3, A), ("bij", "bi"), "bj"), T3),
    "batched_inner": (product((A, A), ("bi", "bi"), "b"), A),
    "two_contracted": (product((T3, B), ("ijk", "jk"), "i"), B),
    "contracted_to_four": (product((T3, B), ("ijk", "jl"), "kil"), B),
    "chain_of_four": (product((A, B, B, x), ("ij", "jk", "lk", "l"), "i"), x),
    "chain_of_six": (product((S, S, S, S, x, z), ("ij", "jk", "kl", "lm", "m", "i"), ""), x),
    "weighted_gram": (product((A, np.exp(y), A), ("si", "s", "sj"), "ij"), A),
    "gram_of_any_sign": (product((A, np.sin(y), A), ("si", "s", "sj"), "ij"), y),
    "scaled_gram": (product((Constant(-3), A, A), ("", "si", "sj"), "ij"), A),
    "squared_weights": (product((A, y, y, A), ("si", "s", "s", "sj"), "ij"), y),
    "scalar_times": (2 * c * x, c),
    "scalar": (c * c + 3, c),
    "number": (product((x,), "i", "") * 0 + 4, x),
    "quotient": (x / (1 + z * z), z),
    "difference": (x - z - 1, x),
    "negative": (-x, x),
    "nested": (np.exp(-np.tanh(x) * z) + np.sin(x) / z, x),
    "shared": (np.exp(x) * np.exp(x + z) + np.exp(x), x),
    "powers": (x**3 + x**-2 + x**0.5 + x**-1, x),
    "softmax": (apply("softmax", A), A),
    "logsumexp": (apply("logsumexp", A), A),
    "inverse": (apply("inv", S), S),
    "inverse_times": (product((apply("inv", S), x), ("ij", "j"), "i"), x),
    "logdet": (apply("logdet", S), S),
    "identity": (kronecker((N,)) * c, c),
    "kronecker_block": (product((kronecker((M,)), S), ("ik", "jl"), "ijkl"), S),
    "diagonal_matrix": (product((kronecker((N,)), x), ("ij", "i"), "ij"), x),
    "diagonal_plus_outer": (
        add(
            product((kronecker((N,)), x), ("ij", "i"), "ij"),
            product((Constant(-1), x, z), ("", "i", "j"), "ij"),
        ),
        x,
    ),
    "two_diagonals": (
        add(
            product((kronecker((N,)), x), ("ij", "i"), "ij"),
            product((kronecker((N,)), np.exp(z)), ("ij", "i"), "ij"),
        ),
        z,
    ),
    "masked_block": (product((kronecker((M,)), T3), ("ik", "ijl"), "ijkl"), T3),
    "broadcast": (product((x, ones((M,))), "ij", "ji"), x),
    "broadcast_scalar": (product((c, ones((M,)), ones((N,))), ("", "i", "j"), "ij"), c),
    "ones": (product((ones((M,)), ones((N,)), c), ("i", "j", ""), "ij"), c),
    "size_times": (product((x, ones((M,))), "ij", "i"), x),
    "select": (product((A, np.greater(A, 0.9)), ("ij", "ij"), "ij"), A),
    "select_and_sum": (product((A, np.greater(A, 0.9)), ("ij", "ij"), "i"), A),
    "select_rows": (product((A, np.greater(y, 0.9), x), ("ij", "i", "j"), ""), A),
    "select_by_wider": (product((np.greater(A, 0.9), x), ("ij", "j"), "i"), x),
    "masked_variable": (product((MASK, A, B), ("ij", "ij", "jk"), "ik"), A),
    "where": (np.where(x > 1, x * x, -x), x),
    "count": (product((np.greater(x, 0.9), c), ("i", ""), ""), c),
    "superdiagonal": (product((affine((1, -1), 1, (N, N)), c), ("ij", ""), "ij"), c),
    "shift_matrix_times": (product((affine((1, -1), 1, (N, N)), x), ("ij", "j"), "i"), x),
    "lower_triangle": (product((S, affine((1, -1, -1), 0, (N, N, N))), ("ij", "ijt"), "ij"), S),
    "cumulative": (product((x, affine((1, -1, -1), 0, (N, N, N))), ("j", "ijt"), "i"), x),
    "head": (shifted(X1, 3, 1, 0), X1),
    "head_of_matrix": (
        product(
            (X2, affine((1, -1), 0, (7, 2)), affine((1, -1), 0, (2, 1))), ("ij", "jk", "il"), "lk"
        ),
        X2,
    ),
    "slice": (shifted(X1, 3, 1, 2), X1),
    "slice_with_step": (shifted(X1, 3, 2, 1), X1),
    "flip": (shifted(X1, 7, -1, 6), X1),
    "flip_of_any_size": (shifted(x, N, -1, N - 1), x),
    "pad": (shifted(X1, 11, 1, -2), X1),
    "crop_and_pad": (shifted(X1, 7, 1, 3), X1),
    "one_entry": (product((X2, affine((1,), -3, (7,))), ("ij", "j"), "i"), X2),
    "convolution": (convolution(1, 1, 0), X1),
    "padded_convolution": (convolution(1, 1, 2), K1),
    "strided_convolution": (convolution(2, 1, 1), X1),
    "strided_convolution_by_kernel": (convolution(2, 1, 1), K1),
    "dilated_convolution": (convolution(1, 2, 1), X1),
    "strided_dilated_convolution": (convolution(2, 2, 2), X1),
    "windows": (product((X1, affine((1, -2, -1), 0, (7, 3, 3))), ("h", "hyu"), "yu"), X1),
    "flatten": (product((A, affine((1, -N, -1), 0, (M * N, M, N))), ("ij", "fij"), "f"), A),
    "flatten_transposed": (
        product((A, affine((1, -M, -1), 0, (M * N, N, M))), ("ij", "fji"), "f"),
        A,
    ),
    "unflatten": (
        product(
            (Variable("f", (M * N,)), affine((1, -N, -1), 0, (M * N, M, N))), ("f", "fij"), "ij"
        ),
        Variable("f", (M * N,)),
    ),
    "gather_rows": (product((S, one_hot(PICK, N)), ("kj", "ik"), "ij"), S),
    "gather_columns": (product((A, one_hot(PICK, N)), ("jk", "ik"), "ji"), A),
    "gather_along": (product((A, one_hot(ROWS, N)), ("ik", "ik"), "i"), A),
    "gather_and_contract": (product((S, one_hot(PICK, N), x), ("kj", "ik", "j"), "i"), S),
    "gather_vector": (np.exp(product((x, one_hot(PICK, N)), ("k", "ik"), "i")), x),
    "one_hot": (product((one_hot(PICK, N), c), ("ik", ""), "ik"), c),
    "bincount": (product((one_hot(ROWS, N), y), ("ik", "i"), "k"), y),
    "concatenate": (
        add(
            product((x, affine((1, -1), 0, (N, N + M))), ("i", "if"), "f"),
            product((y, affine((1, 1 * 0 - 1), N, (M, N + M))), ("i", "if"), "f"),
        ),
        x,
    ),
}

SIZES = [
    {"l": 2, "m": 4, "n": 3, "k": 2},
    {"l": 1, "m": 1, "n": 1, "k": 1},
    {"l": 3, "m": 2, "n": 5, "k": 3},
]


def reference(expression: Node, arrays: dict[str, Any], sizes: dict[str, int]) -> Any:
    """The oracle's value, with sizes that the expression's own variables need not give."""
    values: dict[Node, Any] = {v: arrays[v.name] for v in free_variables(expression)}
    for node in postorder(expression):
        if node not in values:
            values[node] = oracle_value(node, values, sizes)
    return values[expression]


def arguments(name: str, sizes: dict[str, int], dtype: Any = float) -> dict[str, Any]:
    """Random arrays for all variables of a case, and the sizes that no variable gives."""
    roots, function = compiled(name)
    arrays = random_arrays([*roots, CASES[name][1]], sizes, dtype)
    return {**arrays, **{symbol: sizes[symbol] for symbol in function.symbols}}


def random_arrays(roots: list[Node], sizes: dict[str, int], dtype: Any = float) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    arrays = {}
    for variable in free_variables(*roots):
        shape = [tc.extents.evaluate(extent, sizes) for extent in variable.extents]
        array = rng.random(shape) + 0.5
        if variable is S:
            array = array + 3 * np.eye(shape[0])
        if "integer" in variable.flags:
            arrays[variable.name] = rng.integers(-sizes["n"], sizes["n"], shape)
            continue
        arrays[variable.name] = array > 1 if "boolean" in variable.flags else array.astype(dtype)
    return arrays


def roots_of(name: str) -> list[Node]:
    expression, wrt = CASES[name]
    return [expression, tc.derivative(expression, wrt)]


def compiled(name: str) -> tuple[list[Node], Any]:
    """Value and derivative, and the function of all variables that computes them."""
    roots = roots_of(name)
    return roots, backends.compile(roots, variables=free_variables(*roots, CASES[name][1]))


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_agree_with_the_oracle_at_every_size(name: str) -> None:
    roots, function = compiled(name)
    for sizes in SIZES:
        arrays = arguments(name, sizes)
        kept = {key: np.copy(array) for key, array in arrays.items()}
        for root, found in zip(roots, function(**arrays), strict=True):
            expected = reference(root, arrays, sizes)
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
            assert np.shape(found) == np.shape(expected)
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, kept[key])


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_example_and_its_derivatives_together(example: Any) -> None:
    variables = example.declared()
    tower = [example.expression()]
    for _ in range(min(example.order, 2)):
        tower.append(tc.derivative(tower[-1], variables[0]))
    function = backends.compile(tower, variables=variables, real=True)
    imports = re.findall(r"^(?:import|from) .*", function.source, re.MULTILINE)
    assert set(imports) <= {"import numpy as np", "from scipy import special"}
    for seed in range(2):
        values = example.values(seed)
        for order, found in enumerate(function(**values)):
            wanted = example.evaluate(tower[order], seed)
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * _scale(wanted))


def _scale(array: Any) -> float:
    return 1 + float(np.max(np.abs(array), initial=0, where=np.isfinite(array)))


@pytest.mark.parametrize(
    "formula",
    [
        lambda x, y: np.sum(np.hypot(x, x[::-1] + 0.1) * x),
        lambda x, y: np.sum(np.exp(x) * np.exp(x)[::-1] * x[::-1] + np.exp(x)),
        lambda x, y: np.sum((np.sin(x) + np.sin(x)[::-1]) ** 2 * np.tanh(x[::-1] * y)),
        lambda x, y: np.sum(np.cos(x) * y + (np.cos(x) * y)[::-1] ** 3),
    ],
)
def test_memory_is_not_overwritten_while_a_view_of_it_is_needed(formula: Any) -> None:
    loss = formula(x, z)
    tower = [loss, tc.gradient(loss, x), tc.hessian(loss, x)]
    arrays = random_arrays([x, z], SIZES[2])
    results = backends.compile(tower, variables=(x, z))(**arrays)
    for found, expression in zip(results, tower, strict=True):
        wanted = reference(expression, arrays, SIZES[2])
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name: str) -> None:
    roots, function = compiled(name)
    arrays = arguments(name, SIZES[0], np.float32)
    for root, found in zip(roots, function(**arrays), strict=True):
        assert found.dtype in (np.float32, bool)
        np.testing.assert_allclose(found, reference(root, arrays, SIZES[0]), rtol=3e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_results_own_their_memory(name: str) -> None:
    _, function = compiled(name)
    arrays = arguments(name, SIZES[0])
    results = function(**arrays)
    for k, result in enumerate(results):
        assert isinstance(result, np.ndarray if np.ndim(result) else np.generic)
        others = [*arrays.values(), *results[:k]]
        assert not any(np.may_share_memory(result, other) for other in others)
        if np.ndim(result):
            result[...] = 1.0


@pytest.mark.parametrize(
    "name",
    ["matrix_vector", "weighted_gram", "frobenius", "diagonal_plus_outer", "select_and_sum"],
)
def test_axes_of_size_zero(name: str) -> None:
    roots, function = compiled(name)
    sizes = {"l": 2, "m": 0, "n": 0, "k": 2}
    arrays = arguments(name, sizes)
    for root, found in zip(roots, function(**arrays), strict=True):
        np.testing.assert_array_equal(found, reference(root, arrays, sizes))


def test_source_stays_standalone_after_a_call_with_large_arrays(tmp_path):
    """Large results come from a pool, but the text that is shown and saved allocates by itself."""
    U, V = tc.variables("U: m k, V: n k")
    function = backends.compile(tc.hessian(np.sum((U @ V.T) ** 2), U), variables=[U, V])
    arrays = {"U": np.ones((100, 5)), "V": np.ones((40, 5))}
    first, second = function(**arrays), function(**arrays)
    assert first.nbytes >= 2**20 and not np.shares_memory(first, second)
    first[...] = 7
    del first
    np.testing.assert_array_equal(function(**arrays), second)
    path = tmp_path / "saved.py"
    function.save(path)
    namespace = {}
    exec(path.read_text(), namespace)
    np.testing.assert_array_equal(namespace["f"](**arrays), second)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_choice_between_two_integers_is_an_array_of_real_numbers(dtype):
    x = tc.variables("x: m n")
    weights = np.where(np.any(x > 0, axis=1), 1.0, 2.0)
    hessian = tc.hessian(np.sum(np.sin(weights * np.sum(x, axis=1) ** 2)), x)
    values = (np.arange(12.0).reshape(3, 4) - 5).astype(dtype)
    found = backends.compile(hessian)(x=values)
    assert found.dtype == dtype
    expected = tc.evaluate(hessian, x=values.astype(np.float64))
    assert np.allclose(found, expected, rtol=1e-3 if dtype == np.float32 else 1e-12)
