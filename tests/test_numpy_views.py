"""Views of views compose to the short expression, and ask no size that they need not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorcalc as tc
from tensorcalc.extents import assuming
from tensorcalc.nodes import Delta, Sum, postorder

X, A, x, y, z = tc.variables("X: m n, A: n n, x: n, y: n, z: m")
m, n = X.shape
windows = np.lib.stride_tricks.sliding_window_view

#: A view of a view, and what it is.
IDENTITIES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "reshape back": (lambda: X.reshape(-1).reshape(m, n), lambda: X),
    "reshape through an axis of size one": (lambda: X.reshape(-1, 1, n)[:, 0], lambda: X),
    "transpose twice": (lambda: X.T.T, lambda: X),
    "reverse twice": (lambda: x[::-1][::-1], lambda: x),
    "flip twice": (lambda: np.flip(np.flip(X)), lambda: X),
    "a turn and back": (lambda: np.rot90(np.rot90(X), -1), lambda: X),
    "first part of a concatenation": (lambda: np.concatenate([x, z])[:n], lambda: x),
    "last part of a concatenation": (lambda: np.concatenate([x, z])[n:], lambda: z),
    "part of a split": (lambda: np.split(np.concatenate([x, y]), 2)[1], lambda: y),
    "inside of a padding": (lambda: np.pad(x, 2)[2:-2], lambda: x),
    "inside of a repeated edge": (lambda: np.pad(x, 2, mode="edge")[2:-2], lambda: x),
    "diagonal of a diagonal matrix": (lambda: np.diag(np.diag(x)), lambda: x),
    "row of a stack": (lambda: np.stack([x, y])[1], lambda: y),
    "column of a stack": (lambda: np.stack([x, y], 1)[:, 0], lambda: x),
    "row of vstack": (lambda: np.vstack([x, y])[0], lambda: x),
    "first tile": (lambda: np.tile(x, 2)[:n], lambda: x),
    "every third of a repetition": (lambda: np.repeat(x, 3)[::3], lambda: x),
    "axis in and out": (lambda: np.squeeze(np.expand_dims(X, 1)), lambda: X),
    "slice of a slice": (lambda: x[1:][1:], lambda: x[2:]),
    "first entries of windows": (lambda: windows(x, 3)[:, 0], lambda: x[:-2]),
    "affine positions are a slice": (lambda: x[np.arange(3) * 2], lambda: x[:5:2]),
    "einsum diagonal": (lambda: np.einsum("ii->i", A), lambda: np.diagonal(A)),
    "triangle of a transpose": (lambda: np.triu(A.T), lambda: np.tril(A).T),
    "trace of an outer product": (lambda: np.trace(np.outer(x, x)), lambda: x @ x),
    "sum of a broadcast": (lambda: np.sum(np.broadcast_to(x, (4, n)), 0), lambda: 4 * x),
}


@pytest.mark.parametrize("views", IDENTITIES.values(), ids=IDENTITIES.keys())
def test_views_of_views_are_the_short_view(
    views: tuple[Callable[[], Any], Callable[[], Any]],
) -> None:
    with assuming({"m": 7, "n": 6}):
        assert views[0]() is views[1]()


#: Functions of ``x: n`` and ``X: m n`` that hold for all sizes, outside a trace as well.
FOR_ALL_SIZES: dict[str, Callable[[], Any]] = {
    "x[1:] - x[:-1]": lambda: x[1:] - x[:-1],
    "x[::2]": lambda: x[::2],
    "x[::-1]": lambda: x[::-1],
    "x[: n // 2]": lambda: x[: n // 2],
    "X[0], X[-1]": lambda: X[0] + X[-1],
    "mean": lambda: np.mean(X, axis=0),
    "reshape": lambda: X.reshape(n, -1),
    "pad": lambda: np.pad(x, (2, 1), mode="edge"),
    "roll": lambda: np.roll(x, 1),
    "cumsum": lambda: np.cumsum(x),
    "tril": lambda: np.tril(A, -1),
    "full convolution": lambda: np.convolve(x, z),
    "kron": lambda: np.kron(A, X),
    "median": lambda: np.median(x),
    "zeros_like": lambda: np.zeros_like(X),
}


@pytest.mark.parametrize("function", FOR_ALL_SIZES.values(), ids=FOR_ALL_SIZES.keys())
def test_what_fits_every_size_asks_for_none(function: Callable[[], Any]) -> None:
    outside = function()
    with assuming({"m": 3, "n": 3}) as guards:
        assert function() is outside
    assert not guards.answers


def test_python_numbers_made_of_sizes_pin_them() -> None:
    with assuming({"n": 6, "m": 7}) as guards:
        positions = np.arange(n)
        assert positions.dtype.kind == "i"
        assert positions.tolist() == [0, 1, 2, 3, 4, 5]
    assert ("==", n, 6) in guards.answers
    with assuming({"n": 6, "m": 7}) as guards:
        assert float(m / 2) == 3.5
    assert ("==", m, 7) in guards.answers


def test_a_slice_bound_that_fits_is_a_guard_and_no_pin() -> None:
    with assuming({"n": 6, "m": 7}) as guards:
        assert str(x[2:-2].shape[0]) == "n - 4"
    assert all(relation == "<=" for relation, _, _ in guards.answers)


def test_the_gradient_of_a_convolution_is_a_product_with_one_delta() -> None:
    a, v = tc.variables("a: n, v: k")
    gradient = tc.gradient(np.sum(np.convolve(a, v) ** 2), a)
    full = np.convolve(a, v)
    shifted = np.einsum(
        "i,u,iju->j", full, v, Delta((((1, -1, -1), 0),), (n + v.shape[0] - 1, n, v.shape[0]))
    )
    assert gradient is tc.simplify(2 * shifted)
    assert tc.node_count(gradient) == 5  # 2, a, v, one Delta and the product


def test_strided_windows_of_a_symbolic_axis_compose() -> None:
    k = 3
    with assuming({"n": 9, "m": 4}):
        every_other = windows(x, k)[::2]
        assert every_other.shape[0] is (n - 1) // 2
        assert every_other[:, 0] is x[: n - k + 1 : 2]


def test_a_diagonal_beside_the_main_one_is_taken_of_every_term_of_a_sum() -> None:
    B, b = tc.variables("B: n n, b: n")
    H = 2 * (B + B @ B.T) + np.outer(b, b)
    rng = np.random.default_rng(0)
    values = {"B": rng.normal(size=(4, 4)), "b": rng.normal(size=4)}
    whole = tc.evaluate(H, **values)
    for of in (np.diagonal, np.diag, np.trace):
        for offset in (-1, 0, 1):
            found = of(H, offset)
            assert all(node.ndim < 2 for node in postorder(found) if isinstance(node, Sum))
            np.testing.assert_allclose(tc.evaluate(found, **values), of(whole, offset))
