"""What cannot be traced is refused by name, with operands and their shapes and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import tensorcalc as tc
from tensorcalc.errors import ShapeError, TraceError
from tensorcalc.numpy_protocol import special

X, W, x, k, b = tc.variables("X: 4 5, W: 4 3, x: 5, k: integer, b: 5")

#: A call, its error, and pieces of the message.
REFUSALS: dict[str, tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = {
    "unknown function, near names": (
        lambda: np.nancumprod(X),
        TraceError,
        ("np.nancumprod cannot be traced", "np.cumprod", "outside"),
    ),
    "unknown function, remedy": (
        lambda: np.linalg.qr(X),
        TraceError,
        ("np.linalg.qr", "np.linalg.cholesky(a.T @ a, upper=True)"),
    ),
    "option by name": (
        lambda: np.quantile(X, 0.5, method="lower"),
        TraceError,
        ("np.quantile with method= cannot be traced", "q, axis, keepdims"),
    ),
    "option by position": (lambda: np.mean(X, 0, np.float32), TraceError, ("np.mean with dtype=",)),
    "option out": (lambda: np.sum(X, out=np.zeros(())), TraceError, ("with out=",)),
    "axis": (lambda: np.sum(X, axis=2), ShapeError, ("axis 2", "2 axes", "0 to 1")),
    "axis twice": (lambda: np.sum(X, axis=(0, -2)), ShapeError, ("twice", "(0, -2)")),
    "axis of a scalar": (lambda: np.sum(k, axis=0), ShapeError, ("a scalar has no axes",)),
    "reshape": (
        lambda: X.reshape(3, 7),
        ShapeError,
        ("shape (4, 5) to (3, 7)", "20 entries do not fill 21", "X, shape (4, 5)"),
    ),
    "reshape in another order": (
        lambda: X.ravel(order="K"),
        TraceError,
        ("order='K'", "how an array lies in memory", "order='F' column by column"),
    ),
    "reshape with an open size": (
        lambda: X.reshape(3, -1),
        ShapeError,
        ("shape (4, 5) to (3, 6)",),
    ),
    "matmul": (lambda: X @ W, ShapeError, ("X, shape (4, 5)", "W, shape (4, 3)", "= 5", "= 4")),
    "dot": (
        lambda: np.dot(X, W),
        ShapeError,
        (
            "dot: axis 1 of operand 0 has size 5",
            "axis 0 of operand 1 has size 4",
            "W, shape (4, 3)",
        ),
    ),
    "einsum label": (lambda: np.einsum("ij,kj->ik", X, W), ShapeError, ("'j'", "= 5", "= 3")),
    "einsum ranks": (lambda: np.einsum("ijk->i", X), ShapeError, ("3 labels for 2 axes",)),
    "einsum letters": (lambda: np.einsum("i?->i", X), ShapeError, ("'?'", "letters")),
    "einsum output": (lambda: np.einsum("ij->k", X), ShapeError, ("'k'",)),
    "concatenate": (
        lambda: np.concatenate([X, W]),
        ShapeError,
        ("along axis 0", "X, shape (4, 5)", "W, shape (4, 3)"),
    ),
    "broadcast": (lambda: X + W, ShapeError, ("extents 5 and 3",)),
    "inv": (lambda: np.linalg.inv(X), ShapeError, ("inv", "not square", "X, shape (4, 5)")),
    "det of a vector": (lambda: np.linalg.det(x), ShapeError, ("fewer than two axes",)),
    "solve": (lambda: np.linalg.solve(X @ X.T, x), ShapeError, ("rows", "x, shape (5,)")),
    "norm": (lambda: np.linalg.norm(X, 3), TraceError, ("ord=3", "fro", "nuc")),
    "svd": (lambda: np.linalg.svd(X), TraceError, ("full_matrices=False",)),
    "index out of range": (lambda: X[4], ShapeError, ("index 4 of axis 0, whose size is 4",)),
    "index array out of range": (lambda: X[:, [0, 5]], ShapeError, ("from 0 to 5", "size 5")),
    "too many indices": (lambda: x[0, 1], ShapeError, ("2 indices for 1 axes",)),
    "traced mask": (
        lambda: x[x > 0],
        TraceError,
        ("known only at run time", "x, shape (5,)", "np.where(mask, x, 0)"),
    ),
    "index that is no integer": (lambda: x[b[0]], TraceError, ("need not be an integer", "b[")),
    "index by floats": (lambda: x[np.array([0.5])], TraceError, ("float64",)),
    "slice by an expression": (lambda: x[: k + 1], TraceError, ("slice bound is an expression",)),
    "where with one argument": (lambda: np.where(x > 0), TraceError, ("run time",)),
    "nonzero": (lambda: np.nonzero(x), TraceError, ("np.where(condition, a, b)",)),
    "assignment": (
        lambda: x.__setitem__(0, 1.0),
        TraceError,
        ("immutable", "np.where", "index: 0"),
    ),
    "item": (x.item, TraceError, ("the method item", "x, shape (5,)")),
    "fill": (lambda: x.fill(0), TraceError, ("np.full_like",)),
    "branch": (lambda: bool(x[0] > 0), TraceError, ("np.where(condition, a, b)",)),
    "float": (lambda: float(x[0]), TraceError, ("instead of math, float() or int()",)),
    "array of expressions": (
        lambda: np.array([x[0], x[1]]),
        TraceError,
        ("an array of numbers is asked for", "np.stack"),
    ),
    "astype": (lambda: x.astype(int), TraceError, ("astype(int64)", "np.floor")),
    "complex numbers": (lambda: x * np.array([1j] * 5), TraceError, ("complex128", "real")),
    "scipy logsumexp": (
        lambda: scipy.special.logsumexp(x),
        TraceError,
        ("scipy's logsumexp takes numbers only; use tensorcalc.logsumexp",),
    ),
    "scipy softmax": (lambda: scipy.special.softmax(x), TraceError, ("use tensorcalc.softmax",)),
    "one_hot": (lambda: special.one_hot(x, 3), TraceError, ("need not be an integer",)),
    "window": (
        lambda: np.lib.stride_tricks.sliding_window_view(x, 6),
        ShapeError,
        ("a window of 6 entries on an axis of size 5",),
    ),
    "pad": (lambda: np.pad(x, 9, mode="reflect"), ShapeError, ("(9, 9)", "size 5")),
    "pad mode": (lambda: np.pad(x, 1, mode="mean"), TraceError, ("mode='mean'", "edge, reflect")),
    "split": (lambda: np.split(x, 2), ShapeError, ("split of 5 entries into 2", "np.array_split")),
    "squeeze": (lambda: X.squeeze(0), ShapeError, ("axis 0, whose size is 4",)),
    "unknown attribute": (lambda: x.summ, AttributeError, ("'summ'", "sum")),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals_name_what_and_why_and_the_remedy(refusal: Any) -> None:
    call, error, pieces = refusal
    with pytest.raises(error) as caught:
        call()
    for piece in pieces:
        assert piece in str(caught.value)


def test_numbers_give_numbers_of_their_precision() -> None:
    values = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    found = special.softmax(values, axis=1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, scipy.special.softmax(values, axis=1), rtol=1e-6)
    assert special.logsumexp([1000.0, 1000.0]) == pytest.approx(1000 + np.log(2))


def test_norm_at_zero_has_the_gradient_asked_for() -> None:
    zero = np.zeros(5)
    assert not tc.evaluate(tc.gradient(np.linalg.norm(x), x), x=zero).any()
    assert (tc.evaluate(tc.gradient(special.norm(x, at_zero=0.5), x), x=zero) == 0.5).all()


def test_negative_positions_known_at_run_time_count_from_the_end() -> None:
    index = tc.variables("i: 3 integer")
    found = tc.evaluate(x[index], x=np.arange(5.0), i=np.array([-1, 0, 2]))
    np.testing.assert_array_equal(found, [4.0, 0.0, 2.0])


def test_filling_an_array_names_the_remedy_as_its_cause() -> None:
    with pytest.raises(ValueError, match="setting an array element") as caught:
        np.zeros(2)[0] = x[0]
    assert "np.stack" in str(caught.value.__cause__)
