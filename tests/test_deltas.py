"""Affine deltas: what selects, composes and splits, always against the dense oracle."""

import itertools

import numpy as np
import pytest

import tensorcalc as tc
from tensorcalc.derivatives import derivative
from tensorcalc.extents import symbol
from tensorcalc.nodes import Constant, Delta, Product, Variable, extent_scalar, ones
from tensorcalc.oracle import evaluate
from tensorcalc.products import broadcast, kronecker, product, transpose

n, m, k = symbol("n"), symbol("m"), symbol("k")
x = Variable("x", (n,))
X = Variable("X", (n, m))


def shifted(size, out, offset, step=1):
    """``out[y] = in[step*y + offset]`` as a delta over (in, out)."""
    return Delta((((1, -step), -offset),), (size, out))


def test_kronecker_delta_selects():
    assert product((X, kronecker((n,))), ("ij", "ik"), "kj") is X
    assert product((X, kronecker((m,))), ("ij", "jk"), "ik") is X


def test_trace_of_identity_is_its_extent():
    assert product((kronecker((n,)),), ("ii",), "") is extent_scalar(n)
    assert product((kronecker((3,)),), ("ii",), "") is Constant(3)


def test_summed_ones_count():
    assert product((x, ones((4,))), ("i", "j"), "i") is product((Constant(4), x), ("", "i"), "i")


def test_contradicting_rows_are_zero():
    third = Delta((((1,), -3),), (n,))
    fourth = Delta((((1,), -4),), (n,))
    assert product((x, third, fourth), ("i", "i", "i"), "") is Constant(0)


def test_slices_of_slices_compose():
    once = product((x, shifted(n, n - 1, 1)), ("i", "iy"), "y")
    twice = product((once, shifted(n - 1, n - 2, 1)), ("i", "iy"), "y")
    assert twice is product((x, shifted(n, n - 2, 2)), ("i", "iy"), "y")


def test_flip_of_flip_is_the_identity():
    flip = Delta((((1, 1), 1 - n),), (n, n))
    once = product((x, flip), ("i", "ij"), "j")
    assert product((once, flip), ("i", "ij"), "j") is x


def test_padding_then_cutting_is_the_identity():
    pad = Delta((((1, -1), 2),), (n, n + 4))
    padded = product((x, pad), ("i", "ij"), "j")
    assert product((padded, shifted(n + 4, n, 2)), ("i", "ij"), "j") is x


def test_unravel_of_ravel_is_the_identity():
    flat = Delta((((1, -m, -1), 0),), (n * m, n, m))
    ravelled = product((X, flat), ("ij", "kij"), "k")
    assert product((ravelled, flat), ("k", "kij"), "ij") is X


def test_cut_that_may_leave_its_range_is_kept():
    pad = Delta((((1, -1), 0),), (n, n + 1))  # x, then a zero
    padded = product((x, pad), ("i", "ij"), "j")
    last = Delta((((1,), -n),), (n + 1,))
    value = product((padded, last), ("i", "i"), "")
    assert evaluate(value, x=[1.0, 2.0]) == 0


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), list(itertools.product((1, 2), (0, 1), (1, 2)))
)
def test_convolution_and_its_derivatives_match_loops(stride, padding, dilation):
    h, u = 7, 3
    y = (h + 2 * padding - dilation * (u - 1) - 1) // stride + 1
    signal, kernel = Variable("signal", (h,)), Variable("kernel", (u,))
    window = Delta((((1, -stride, -dilation), padding),), (h, y, u))
    out = product((signal, kernel, window), ("h", "u", "hyu"), "y")
    rng = np.random.default_rng(0)
    s, w = rng.normal(size=h), rng.normal(size=u)
    padded = np.pad(s, padding)
    expected = [sum(padded[stride * a + dilation * b] * w[b] for b in range(u)) for a in range(y)]
    np.testing.assert_allclose(evaluate(out, signal=s, kernel=w), expected)
    jacobian = evaluate(derivative(out, kernel), signal=s)
    np.testing.assert_allclose(jacobian @ w, expected)
    assert derivative(derivative(out, kernel), signal) is transpose(window, (1, 2, 0))


def test_lower_triangle_by_a_summed_slack():
    slack = Delta((((1, -1, -1), 0),), (n, n, n))
    A = Variable("A", (n, n))
    lower = product((A, slack), ("ij", "ijt"), "ij")
    value = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(evaluate(lower, A=value), np.tril(value))


def test_masks_select_infinities_away():
    mask = Variable("mask", (n,), ["boolean"])
    value = evaluate(product((mask, x), ("i", "i"), "i"), mask=[True, False], x=[1.0, np.inf])
    np.testing.assert_array_equal(value, [1.0, 0.0])


def test_views_are_inlined_and_contractions_are_not():
    w = Variable("w", (m,))
    Xw = product((X, w), ("ij", "j"), "i")
    outer = product((Xw, x), ("i", "i"), "i")
    assert isinstance(outer, Product) and any(o is Xw for o in outer.operands)
    column = broadcast(x, (0,), (n, m))
    assert set(product((X, column), ("ij", "ij"), "ij").operands) == {X, x}


def test_axis_of_size_one_is_a_broadcast():
    x, y = tc.variables("x: m 4, y: m")
    column = x[:, 2:3]
    assert np.sum(np.exp(column) * y[:, None]) is np.sum(np.exp(x[:, 2]) * y)
    assert np.exp(column) + y[:, None] is (np.exp(x[:, 2]) + y)[:, None]


def test_a_row_splits_where_a_label_counts_in_both_digits():
    """``(δ[i,j] C[k,l]).reshape(N, N)``: the label ``i`` of the diagonal is in rows and columns."""
    C = Variable("C", (m, m))
    tensor = product((kronecker((n,)), C), ("ij", "kl"), "ikjl")
    matrix = np.reshape(tensor, (n * m, n * m))
    rows = [
        row for operand in matrix.operands if isinstance(operand, Delta) for row in operand.rows
    ]
    assert len(rows) == 2 and all(len(coefficients) == 3 for coefficients, _ in rows)
    data = np.arange(4.0).reshape(2, 2)
    found = evaluate(matrix, C=data, n=3)
    np.testing.assert_array_equal(found, np.kron(np.eye(3), data))
