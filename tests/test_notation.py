"""Declarations of variables, and index notation in Python."""

import re
import subprocess
import sys

import numpy as np
import pytest

import tensorcalc as tc
from tensorcalc.errors import NotationError, ParseError, ShapeError
from tensorcalc.extents import symbol

X, w, y, A, x = tc.variables("X: m n, w: n, y: m, A: n n, x: n")
i, j, k = tc.indices("i j k")


def test_one_declared_variable_is_the_node_itself():
    assert tc.variables("x: n") is x


def test_several_declared_variables_are_a_tuple():
    assert [v.name for v in tc.variables("X: m n, w: n")] == ["X", "w"]


def test_the_same_word_is_the_same_extent():
    assert X.shape[1] is w.shape[0] is symbol("n")


def test_numbers_and_polynomials_are_extents():
    kernel = tc.variables("K: 3 2*n+1")
    assert kernel.shape[0] == 3
    assert kernel.shape[1] is 2 * symbol("n") + 1


def test_a_name_alone_is_a_scalar():
    c, d = tc.variables("c, d: positive")
    assert c.shape == d.shape == ()
    assert d.flags == {"positive"}


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("A: n n symmetric", {"symmetric"}),
        ("A: n n psd", {"psd"}),
        ("s: n positive", {"positive"}),
        ("s: n integer nonnegative", {"integer", "nonnegative"}),
        ("b: n boolean", {"boolean"}),
        ("p: n in [0, 1]", {"nonnegative", "in [0, 1]"}),
        ("p: n in (0, 1]", {"positive", "in (0, 1]"}),
        ("p: n in [-1, 1]", {"in [-1, 1]"}),
    ],
)
def test_flags_follow_the_axes(text, flags):
    assert tc.variables(text).flags == flags


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (
            "A: m n symmetric",
            ShapeError,
            ["two equal last axes", "shape (m, n)", '"A: n n symmetric"'],
        ),
        ("A: n n symetric", ParseError, ["unknown flag 'symetric'", "symmetric, psd"]),
        ("A: positive n", ParseError, ["unknown flag 'n'", "axes first"]),
        ("2x: n", ParseError, ["'2x' is not a name"]),
        ("x: n, x: m", ParseError, ["declared twice: x"]),
        ("", ParseError, ["no variable is declared"]),
        ("x: n*", ParseError, ["'n*' is not the size of an axis"]),
        ("p: n in [a, 1]", ParseError, ["no numbers as bounds"]),
    ],
)
def test_a_wrong_declaration_says_what_is_wrong(text, error, says):
    with pytest.raises(error) as caught:
        tc.variables(text)
    assert all(part in str(caught.value) for part in says)


@pytest.mark.parametrize(
    ("indexed", "node"),
    [
        (lambda: X[i, j] * w[j], lambda: X @ w),
        (lambda: w[j] * X[i, j], lambda: X @ w),
        (lambda: X[i, j], lambda: X),
        (lambda: X[j, i], lambda: X.T),
        (lambda: A[i, i], lambda: np.trace(A)),
        (lambda: A[i, i][i], lambda: np.diagonal(A)),
        (lambda: x[i] * x[i], lambda: x @ x),
        (lambda: (x[i] * w[i])[i], lambda: x * w),
        (lambda: (x[i] * w[i] + x[i])[i], lambda: x * w + x),
        (lambda: X[i, j][i], lambda: X.sum(1)),
        (lambda: (X[i, j] * w[j])[i], lambda: X @ w),
        (lambda: x[i] * y[j], lambda: np.outer(x, y)),
        (lambda: (x[i] * y[j])[j, i], lambda: np.outer(y, x)),
        (lambda: np.exp(-X[i, j] * w[j]) + y[i], lambda: np.exp(-(X @ w)) + y),
        (lambda: 1 + x[i] ** 2, lambda: 1 + x**2),
        (lambda: (X[i, j] / w[j])[i, j], lambda: X / w),
        (lambda: -A[i, j] + A[j, i], lambda: A.T - A),
        (lambda: np.maximum(x[i], 0), lambda: np.maximum(x, 0)),
        (lambda: abs(x[i]), lambda: np.abs(x)),
        (lambda: x[i] > 0, lambda: x > 0),
        (lambda: A[i, 0], lambda: A[:, 0]),
        (lambda: 2 * A[i, j] * x[j] / 3, lambda: 2 * (A @ x) / 3),
    ],
)
def test_index_notation_is_the_node_that_numpy_gives(indexed, node):
    result = tc.tensor(indexed())
    values = {
        "X": np.arange(6.0).reshape(2, 3) + 1,
        "A": np.arange(9.0).reshape(3, 3),
        "y": np.ones(2),
    }
    values |= {"w": np.array([2.0, -1, 3]), "x": np.array([1.0, 2, -3])}
    used = {v.name: values[v.name] for v in tc.free_variables(result)}
    np.testing.assert_allclose(tc.evaluate(result, **used), tc.evaluate(node(), **used), rtol=1e-14)
    assert result.shape == node().shape


def test_a_product_does_not_depend_on_the_order_of_its_factors():
    assert tc.tensor(x[j] * y[i]) is tc.tensor(y[i] * x[j])


def test_the_order_of_axes_can_be_given():
    assert tc.tensor(X[i, j], "j i") is X.T
    assert tc.tensor(X[i, j] * w[j], "i") is X @ w


def test_a_product_squared_does_not_mix_its_indices():
    r = X[i, j] * w[j]
    assert tc.gradient(r * r, w) is tc.gradient(np.sum((X @ w) ** 2), w)


def test_index_notation_is_an_expression_wherever_one_is_asked_for():
    loss = x[i] * A[i, j] * x[j]
    assert tc.gradient(loss, x) is tc.gradient(x @ A @ x, x)
    assert tc.hessian(loss, x) is tc.hessian(x @ A @ x, x)
    assert tc.derivative(X[i, j] * w[j], w) is X
    assert np.sum(X[i, j] * w[j]) is np.sum(X @ w)
    assert (X[i, j] * w[j]) @ X is (X @ w) @ X
    assert tc.evaluate(loss, x=[1.0, 2.0], A=np.eye(2)) == 5.0
    assert tc.free_variables(loss) == (x, A) or tc.free_variables(loss) == (A, x)


@pytest.mark.parametrize(
    ("indexed", "says"),
    [
        (lambda: X[i], "1 indices for 2 axes"),
        (lambda: x[i] + y[j], "a term with indices [j] is added to one with [i]"),
        (
            lambda: (x[i] * y[j])[i, k],
            "[i,k] was asked for, but 'k' is not one of its free indices",
        ),
        (lambda: x[i] * x, "needs as many indices"),
    ],
)
def test_wrong_indices_are_refused(indexed, says):
    with pytest.raises((NotationError, ParseError)) as caught:
        tc.tensor(indexed())
    assert says in str(caught.value)


def test_names_and_slices_do_not_mix():
    with pytest.raises(NotationError, match="not by both"):
        X[i, :]


def test_indices_are_names():
    assert tc.indices("i").name == "i"
    with pytest.raises(ParseError, match="'2' is not the name of an index"):
        tc.indices("i 2")


@pytest.mark.parametrize(
    "function",
    [tc.simplify, tc.to_matrix, tc.to_latex, tc.to_dot, tc.to_sympy, tc.structure, tc.diagonal,
     tc.trace, tc.free_variables, tc.node_count],
)  # fmt: skip
def test_what_takes_expressions_takes_index_notation(function):
    X = tc.variables("X: m n")
    i, j, k = tc.indices("i j k")
    assert str(function(X[k, i] * X[k, j])) == str(function(X.T @ X))


def test_a_restriction_in_index_notation_is_the_diagonal():
    X, w = tc.variables("X: m n, w: n")
    H = tc.hessian(np.sum(np.exp(X @ w)), w)
    (i,) = [tc.indices("i")]
    assert tc.simplify(H[i, i][i]) is tc.diagonal(H)


def test_arrays_met_in_an_expression_are_named_in_their_order():
    x, first, second = tc.variables("x: 2"), np.array([1.0, 2.0]), np.array([3.0, 4.0])
    names = [str(np.sum(x * array)) for array in (first, second, first)]
    numbers = [int(re.search(r"array_(\d+)", name).group(1)) for name in names]
    assert numbers[0] == numbers[2] == numbers[1] - 1


def test_digests_are_the_same_in_every_process():
    code = (
        "import numpy as np, tensorcalc as tc; pad = [np.ones(k) for k in range({})];"
        "x = tc.variables('x: 2 2'); print((x @ np.array([[1.0, 2], [3, 4]]) @ x).digest.hex())"
    )
    found = {
        subprocess.check_output([sys.executable, "-c", code.format(k)], text=True) for k in (1, 500)
    }
    assert len(found) == 1
