"""What the planner shares: factors of sums, halves of Gram matrices, factorizations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize

import autodiff as ad
import backends
import tensorcalc as tc
from backends.hoisting import hoisted
from backends.step_costs import cost
from backends.steps import Call, Contract, Input, Nest
from tensorcalc.extents import evaluate
from tensorcalc.nodes import Product

TARGETS = ("numpy", "numba")
RNG = np.random.default_rng(5)


def agrees(expression, arrays, target, **tolerance):
    """The compiled function, whose result is the oracle's."""
    function = backends.compile(expression, target)
    wanted = tc.evaluate(expression, **arrays)
    np.testing.assert_allclose(
        function(**arrays), wanted, **{"rtol": 1e-9, "atol": 1e-9, **tolerance}
    )
    return function


def largest(function):
    """Entries of the largest value between arguments and results, for n = 50 and k = 3."""
    sizes = {"n": 50, "k": 3}
    steps = [s for s in function.program.steps if s.value not in function.program.outputs]
    return max(evaluate(math.prod(s.value.extents), sizes) for s in steps)


# -- factors of sums ------------------------------------------------------------------------------
def test_a_factor_that_alone_has_an_axis_leaves_the_sum():
    x, u, A = tc.variables("x: n, u: m, A: m m")
    total = tc.einsum("i,j->ij", x, np.sin(u)) + tc.einsum("i,jk,k->ij", x, A, np.cos(u))
    (taken,) = hoisted([total])
    assert isinstance(taken, Product)
    assert {operand.ndim for operand in taken.operands} == {1}


def test_a_sum_whose_terms_share_no_such_factor_stays():
    x, u = tc.variables("x: n, u: n")
    total = tc.einsum("i,j->ij", x, np.sin(u)) + tc.einsum("i,j->ij", np.sin(u), x)
    assert hoisted([total]) == [total]


def test_the_adjoint_of_a_layer_is_contracted_once():
    """``t (1 - t^2)`` times the windows, not ``t`` and ``t^3`` times them."""

    def loss(kernels, images):
        windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
        return np.sum(np.tanh(np.einsum("bchwuv,ocuv->bohw", windows, kernels)) ** 2)

    arrays = RNG.normal(size=(2, 2, 3, 3)), RNG.normal(size=(2, 2, 5, 6))
    assert ad.check(loss, *arrays, order=1).largest_error < 1e-6
    function = ad.grad(loss, target="numpy").plan(arrays, {}).derived.compiled
    assert sum(isinstance(step, Contract) for step in function.program.steps) == 2


def test_derivatives_by_rows_that_are_treated_one_by_one_are_one_block_for_each():
    """Nothing of ``n n`` entries exists before the dense result."""
    X, W = tc.variables("X: n k, W: k k")
    angle = np.sqrt(np.sum(X**2, axis=1) + 1)
    turned = np.sin(angle)[:, None] * (X @ W) + X / angle[:, None]
    loss = np.sum(np.exp(-np.sum(turned**2, axis=1)) * turned[:, 0])
    arrays = {"X": RNG.normal(size=(4, 3)), "W": RNG.normal(size=(3, 3))}
    function = agrees(tc.hessian(loss, X), arrays, "numpy")
    assert largest(function) < 50 * 50


def test_a_common_diagonal_is_written_once():
    x, y = tc.variables("x: n, y: n")
    H = tc.hessian(np.sum(np.sin(x) * np.exp(x * y)), x)
    arrays = {"x": RNG.normal(size=5), "y": RNG.normal(size=5)}
    function = agrees(H, arrays, "numpy")
    assert largest(function) == 50


@pytest.mark.parametrize("target", TARGETS)
def test_a_band_is_contracted_diagonal_by_diagonal(target):
    """The band itself, ``n n`` entries, is never stored."""
    x, W = tc.variables("x: n, W: n k")
    H = tc.hessian(np.sum((x[1:] - x[:-1] ** 2) ** 2), x)
    product = np.sum(np.sin(H @ W), axis=1)
    arrays = {"x": RNG.normal(size=6), "W": RNG.normal(size=(6, 3))}
    assert largest(agrees(product, arrays, target)) < 50 * 50


def test_a_sum_that_fills_its_array_is_contracted_as_a_whole():
    """Two blocks side by side times a matrix: one product."""
    a, b, W = tc.variables("a: n, b: n, W: k 2*n")
    both = np.concatenate([np.sin(a), np.cos(b)])
    arrays = {"a": RNG.normal(size=4), "b": RNG.normal(size=4), "W": RNG.normal(size=(3, 8))}
    function = agrees(W @ both, arrays, "numpy")
    assert sum(isinstance(step, Contract) for step in function.program.steps) == 1


# -- Gram matrices --------------------------------------------------------------------------------
@pytest.mark.parametrize("target", TARGETS)
def test_factors_in_pairs_are_one_matrix_by_itself(target):
    """The Hessian of softmax regression: one syrk of ``p[s,c] X[s,i]``, no product per pair."""
    X, p = tc.variables("X: s n, p: s c")
    gram = tc.einsum("sc,si,sd,sj->icjd", p, X, p, X)
    arrays = {"X": RNG.normal(size=(30, 6)), "p": RNG.random(size=(30, 4))}
    function = agrees(gram, arrays, target)
    (product,) = [s for s in function.program.steps if isinstance(s, Contract)]
    assert product.left is product.right


def test_factors_in_pairs_are_contracted_one_by_one_where_that_is_less():
    """``(a'a)[i,j] b[c] b[d]``: what is not summed over need not be squared."""
    a, b = tc.variables("a: s n, b: s c")
    few = tc.einsum("sc,si,sd,sj->icjd", b, a, b, a)
    function = backends.compile(few)
    small = {"a": RNG.normal(size=(2, 5)), "b": RNG.normal(size=(2, 4))}
    np.testing.assert_allclose(function(**small), tc.evaluate(few, **small), rtol=1e-9)
    large = {"a": RNG.normal(size=(400, 5)), "b": RNG.normal(size=(400, 4))}
    np.testing.assert_allclose(function(**large), tc.evaluate(few, **large), rtol=1e-9)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(0, 3), (30, 5), (40, 520)])
def test_weights_of_any_sign_are_taken_by_syrk(target, shape):
    """``X' diag(d) X``: rows with negative weights apart."""
    X, d = tc.variables("X: m n, d: m")
    weighted = tc.einsum("mi,m,mj->ij", X, d**3 - d, X)
    arrays = {"X": RNG.normal(size=shape), "d": RNG.normal(size=shape[0])}
    function = agrees(weighted, arrays, target)
    assert names_of_calls(function) == ["signed_gram"]


def test_weights_that_are_not_numbers_stay_so():
    X, d = tc.variables("X: m n, d: m")
    function = backends.compile(tc.einsum("mi,m,mj->ij", X, d, X))
    found = function(X=np.ones((4, 520)), d=np.full(4, np.nan))
    assert np.isnan(found).all()


# -- factorizations -------------------------------------------------------------------------------
ASKED = ("inv(A)", "logdet(A)", "det(A)", "inv(A)*b", "inv(A')*b", "inv(A)*B", "inv(A')")


def asked(*texts):
    """Expressions of one matrix and two right sides."""
    return [tc.parse(text, "A: n n, b: n, B: n k") for text in texts]


def names_of_calls(function):
    """Calls of the program, in order."""
    return [step.name for step in function.program.steps if isinstance(step, Call)]


@pytest.mark.parametrize("n", [0, 1, 4, 70])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_all_that_is_asked_of_a_matrix_takes_one_factorization(n, precision):
    function = backends.compile(asked(*ASKED), "numba")
    A = (RNG.normal(size=(n, n)) + 3 * np.eye(n)).astype(precision)
    b, B = RNG.normal(size=n).astype(precision), RNG.normal(size=(n, 3)).astype(precision)
    found = function(A=A, b=b, B=B)
    inverse, (_, logdet) = np.linalg.inv(A), np.linalg.slogdet(A)
    det = np.linalg.det(A)
    wanted = [inverse, logdet, det, inverse @ b, inverse.T @ b, inverse @ B, inverse.T]
    close = {"rtol": 1e-9, "atol": 1e-9} if precision == "float64" else {"rtol": 2e-3, "atol": 1e-3}
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, **close)
        assert np.asarray(one).dtype == precision
    assert names_of_calls(function).count("factors") == 1


def test_solves_with_a_matrix_and_its_transpose_share_its_factors():
    function = backends.compile(asked("inv(A)*b", "inv(A')*b", "inv(A)*B"), "numba")
    arrays = {"A": RNG.normal(size=(5, 5)), "b": RNG.normal(size=5), "B": RNG.normal(size=(5, 2))}
    found = function(**arrays)
    A, b, B = arrays.values()
    wanted = np.linalg.solve(A, b), np.linalg.solve(A.T, b), np.linalg.solve(A, B)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other)
    assert names_of_calls(function) == [
        "factors",
        "solve_from_factors",
        "solve_transposed_from_factors",
        "solve_from_factors",
    ]


def test_a_singular_matrix_has_a_determinant_and_no_inverse():
    function = backends.compile(asked("logdet(A)", "det(A)", "inv(A)"), "numba")
    with pytest.raises(np.linalg.LinAlgError, match=r"[Ss]ingular"):
        function(A=np.ones((3, 3)))
    # A factorization serves an inverse first of all; without one, nothing is refused.
    without = backends.compile(asked("logdet(A)", "det(A)"), "numba")
    assert [float(x) for x in without(A=np.zeros((2, 2)))] == [-np.inf, 0.0]


def test_a_single_inverse_needs_no_factors_apart():
    assert names_of_calls(backends.compile(asked("inv(A)"), "numba")) == ["inv"]


def test_numpy_has_no_step_that_needs_more_than_numpy():
    function = backends.compile(asked("inv(A)", "logdet(A)", "inv(A)*b"))
    assert names_of_calls(function) == ["inv", "logdet"]
    assert "scipy" not in function.source


def test_summed_labels_of_terms_with_a_delta_in_common():
    X, x, y = tc.variables("X: m n, x: n, y: m")
    moment = X.T @ y
    rolled = np.concatenate([moment[1:], moment[:1]]) * (y @ (X @ x))
    roots = [rolled, tc.derivative(rolled, X)]
    rng = np.random.default_rng(0)
    values = {"X": rng.normal(size=(3, 4)), "x": rng.normal(size=4), "y": rng.normal(size=3)}
    for root, found in zip(roots, backends.compile(roots)(**values), strict=True):
        np.testing.assert_allclose(found, tc.evaluate(root, **values), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_a_sum_of_stored_matrices_is_not_formed_for_a_vector(target):
    A, x = tc.variables("A: n n, x: n")
    quadratic = x @ A @ x
    arrays = {"A": RNG.normal(size=(5, 5)), "x": RNG.normal(size=5)}
    slope = agrees(tc.gradient(quadratic, x), arrays, target)
    assert all(step.value.ndim < 2 or isinstance(step, Input) for step in slope.program.steps)
    both = [tc.gradient(quadratic, x), tc.hessian(quadratic, x)]
    value, hessian = backends.compile(both, target)(**arrays)
    np.testing.assert_allclose(value, hessian @ arrays["x"])


@pytest.mark.parametrize("target", ["numpy", "numba", "jax"])
@pytest.mark.parametrize("axis", [0, 1])
def test_cumulative_sums_take_one_pass(axis, target):
    A = tc.variables("A: m n")
    loss = np.sum(np.cumsum(A, axis=axis) ** 4)
    function = backends.compile([loss, tc.gradient(loss, A)], target=target)
    values = np.random.default_rng(axis).normal(size=(4, 5)).astype(np.float32)
    found, slope = function(A=values)
    steps = function.program.steps
    assert all(step.value.ndim < 3 and step.value.kind == "real" for step in steps)
    assert [step.name for step in steps if isinstance(step, Call)] == ["prefix_sum"] * 2
    sums = np.cumsum(values, axis=axis, dtype=np.float64)
    np.testing.assert_allclose(found, np.sum(sums**4), rtol=1e-5)
    wanted = np.flip(np.cumsum(np.flip(4 * sums**3, axis), axis=axis), axis)
    np.testing.assert_allclose(slope, wanted, rtol=1e-4, atol=1e-4)


def test_a_cumulative_sum_weighted_and_summed_takes_one_pass():
    w, v = tc.variables("w: n, v: n")
    function = backends.compile(np.sum(np.cumsum(w > 0) * v))
    assert all(step.value.ndim < 2 for step in function.program.steps)
    values = np.random.default_rng(0).normal(size=(2, 6))
    found = function(w=values[0], v=values[1])
    np.testing.assert_allclose(found, np.sum(np.cumsum(values[0] > 0) * values[1]))


def test_a_sum_up_to_each_entry_holds_for_long_vectors():
    w, n = tc.variables("w: n"), 200_000
    gradient = tc.gradient(np.sum(np.cumsum(w) ** 2), w)
    slope = backends.compile(gradient)(w=np.ones(n))
    np.testing.assert_allclose(slope[[0, -1]], [n * (n + 1.0), 2.0 * n])


@pytest.mark.parametrize("weight", ["number", "scalar"])
def test_a_multiple_of_diagonals_multiplies_the_diagonals_alone(weight):
    x, c = tc.variables("x: n, c: ")
    diagonals = tc.hessian(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), x)
    function = backends.compile({"number": 2, "scalar": c}[weight] * diagonals)
    assert not any(isinstance(s, Nest) and s.value.ndim == 2 for s in function.program.steps)
    values = {"x": np.random.default_rng(0).normal(size=5), "c": 3.0}
    found = function(**{variable.name: values[variable.name] for variable in function.variables})
    factor = {"number": 2, "scalar": 3.0}[weight]
    np.testing.assert_allclose(found, factor * backends.compile(diagonals)(x=values["x"]))


def test_parts_of_products_are_made_once():
    A, B, X = tc.variables("A: n n, B: n n, X: n n")
    traces = [tc.einsum("ij,jk,kl,li->", p, X, q, X) for p, q in ((A, A), (A, B), (B, B))]
    function = backends.compile(traces)
    steps = function.program.steps
    assert sum(isinstance(s, Contract) and s.value.ndim == 2 for s in steps) == 2  # A X and B X
    a, b, x = np.random.default_rng(0).normal(size=(3, 4, 4))
    wanted = [np.trace(p @ x @ q @ x) for p, q in ((a, a), (a, b), (b, b))]
    np.testing.assert_allclose(function(A=a, B=b, X=x), wanted)


def test_a_product_and_its_transpose_are_one_contraction():
    A, B, C = tc.variables("A: m k, B: n k, C: n k")
    function = backends.compile([np.tanh(A @ B.T) @ C, np.exp(B @ A.T) @ A])
    steps = function.program.steps
    assert sum(isinstance(step, Contract) for step in steps) == 3  # A B' once
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 5)), rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    found = function(A=a, B=b, C=c)
    np.testing.assert_allclose(found[0], np.tanh(a @ b.T) @ c)
    np.testing.assert_allclose(found[1], np.exp(b @ a.T) @ a)


@pytest.mark.parametrize("mode", ["same", "valid", "full"])
def test_the_gradient_of_filters_after_filters_applies_them_one_by_one(mode):
    """Every filter costs its taps times the length, however many there are."""
    x, c = tc.variables("x: 40, c: 3")

    def filtered(x, c, count):
        for _ in range(count):
            x = np.tanh(np.convolve(x, c, mode))
        return np.sum(x**2)

    for parameter in (x, c):
        gradients = [tc.gradient(filtered(x, c, count), parameter) for count in (2, 4)]
        two, four = (
            sum(cost(step).flops for step in backends.compile(g).program.steps) for g in gradients
        )
        assert four < 3 * two
    points, taps = np.random.default_rng(0).normal(size=40), np.array([0.5, -0.3, 0.4])
    found = backends.compile(tc.gradient(filtered(x, c, 3), x))(x=points, c=taps)
    wanted = scipy.optimize.approx_fprime(points, lambda p: filtered(p, taps, 3), 1e-6)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
