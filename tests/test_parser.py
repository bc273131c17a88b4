"""Formulas as text: meaning, equality with NumPy, and errors with a caret under the place."""

import numpy as np
import pytest

import tensorcalc as tc
from tensorcalc.errors import ParseError, ShapeError, UnknownNameError
from tensorcalc.parser.grammar import tokens

DECLARED = "X: m n, w: n, y: m, A: n n, B: n n, x: n, c, d: positive, S: n n symmetric, k: 1"
X, w, y, A, B, x, c, d, S, _k = tc.variables(DECLARED)
VALUES = {
    "X": np.arange(6.0).reshape(2, 3) / 5 - 0.4,
    "w": np.array([0.3, -1.2, 2.0]),
    "y": np.array([1.5, -0.5]),
    "A": np.array([[2.0, 0.3, -0.1], [0.2, 1.5, 0.4], [0.0, -0.6, 3.0]]),
    "B": np.array([[1.0, 2.0, 0.5], [-0.3, 0.7, 0.2], [0.9, 0.1, -1.0]]),
    "x": np.array([0.5, 1.5, -0.7]),
    "c": 1.3,
    "d": 0.6,
    "S": np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 3.0]]),
}
V = VALUES


def parse(text):
    return tc.parse(text, DECLARED)


def value(node):
    return tc.evaluate(node, **{v.name: VALUES[v.name] for v in tc.free_variables(node)}, n=3, m=2)


MATRIX_TEXTS = [
    ("X*w", lambda X, w: X @ w),
    ("X'*y", lambda X, y: X.T @ y),
    ("y'*X", lambda X, y: y @ X),
    ("y'*X*w", lambda X, y, w: y @ X @ w),
    ("x*w'", lambda x, w: np.outer(x, w)),
    ("x'*w", lambda x, w: x @ w),
    ("x .* w", lambda x, w: x * w),
    ("x ./ w", lambda x, w: x / w),
    ("x.^2", lambda x: x**2),
    ("2.^x", lambda x: 2.0**x),
    ("2*x/3 - w", lambda x, w: 2 * x / 3 - w),
    ("-x + 1", lambda x: 1 - x),
    ("c*x + d", lambda c, x, d: c * x + d),
    ("c^2*d/c", lambda c, d: c * d),
    ("2^3^2", lambda: 512.0),
    ("-c^2", lambda c: -(c**2)),
    ("A^2*x", lambda A, x: A @ A @ x),
    ("A^-1", lambda A: np.linalg.inv(A)),
    ("(A + A')*x", lambda A, x: (A + A.T) @ x),
    ("A .* B'", lambda A, B: A * B.T),
    ("sin(x) + cos(x) + tan(x)", lambda x: np.sin(x) + np.cos(x) + np.tan(x)),
    (
        "arcsin(x/3) + arccos(x/3) + arctan(x)",
        lambda x: np.arcsin(x / 3) + np.arccos(x / 3) + np.arctan(x),
    ),
    (
        "exp(x) + tanh(x) + abs(x) + sign(x)",
        lambda x: np.exp(x) + np.tanh(x) + np.abs(x) + np.sign(x),
    ),
    ("log(d) + relu(-c) + relu(c)", lambda d, c: np.log(d) + c),
    ("sqrt(d) + c", lambda d, c: np.sqrt(d) + c),
    ("sum(x)", lambda x: x.sum()),
    ("sum(X)", lambda X: X.sum()),
    ("norm1(x)", lambda x: np.abs(x).sum()),
    ("norm2(x)", lambda x: np.linalg.norm(x)),
    ("norm2(X*w - y)^2", lambda X, w, y: np.sum((X @ w - y) ** 2)),
    ("tr(A*B)", lambda A, B: np.trace(A @ B)),
    ("tr(A)", lambda A: np.trace(A)),
    ("det(A)", lambda A: np.linalg.det(A)),
    ("logdet(A)", lambda A: np.log(np.linalg.det(A))),
    ("inv(A)*x", lambda A, x: np.linalg.solve(A, x)),
    ("inv(A)'", lambda A: np.linalg.inv(A).T),
    ("adj(A)", lambda A: np.linalg.det(A) * np.linalg.inv(A)),
    ("diag(x)", lambda x: np.diag(x)),
    ("diag(A)", lambda A: np.diag(A)),
    ("diag(x)*A*diag(w)", lambda x, A, w: np.diag(x) @ A @ np.diag(w)),
    ("diag(A*B)", lambda A, B: np.diag(A @ B)),
    ("A ⊗ B", lambda A, B: np.kron(A, B)),
    ("(A ⊗ B)*(x ⊗ w)", lambda A, B, x, w: np.kron(A, B) @ np.kron(x, w)),
    ("x ⊗ w", lambda x, w: np.kron(x, w)),
    ("x' ⊗ w", lambda x, w: np.outer(w, x)),
    ("X*vector(1)", lambda X: X.sum(1)),
    ("vector(1)'*X", lambda X: X.sum(0)),
    ("x + vector(2)", lambda x: x + 2),
    ("A + matrix(3)", lambda A: A + 3),
    ("A + c*eye", lambda A, c: A + c * np.eye(3)),
    ("eye(n)*x", lambda x: x),
    ("inv(A + eye)*x", lambda A, x: np.linalg.solve(A + np.eye(3), x)),
    ("vector(1, n)", lambda: np.ones(3)),
    ("eye(n)", lambda: np.eye(3)),
    ("matrix(2, m, n)", lambda: np.full((2, 3), 2.0)),
    ("n*x/m", lambda x: 3 * x / 2),
    ("softmax(x)", lambda x: np.exp(x) / np.exp(x).sum()),
    ("logsumexp(X*w)", lambda X, w: np.log(np.exp(X @ w).sum())),
    ("logsumexp(X)", lambda X: np.log(np.exp(X).sum(1))),
    ("maximum(x, 0)", lambda x: np.maximum(x, 0)),
    ("where(x > 0, x, w)", lambda x, w: np.where(x > 0, x, w)),
    ("sum(log(1 + exp(-y .* (X*w))))", lambda X, y, w: np.log1p(np.exp(-y * (X @ w))).sum()),
    ("x'*S*x + t'*t where t = X'*y", lambda x, S, X, y: x @ S @ x + (X.T @ y) @ (X.T @ y)),
    ("x.^2'", lambda x: x**2),
]


@pytest.mark.parametrize(("text", "numpy"), MATRIX_TEXTS, ids=[t for t, _ in MATRIX_TEXTS])
def test_matrix_text_means_what_numpy_computes(text, numpy):
    names = numpy.__code__.co_varnames[: numpy.__code__.co_argcount]
    expected = numpy(*[VALUES[name] for name in names])
    np.testing.assert_allclose(value(parse(text)), expected, rtol=1e-12)


INDEX_TEXTS = [
    ("X[i,j]*w[j]", lambda: X @ w),
    ("w[j]*X[i,j]", lambda: X @ w),
    ("x[i]*A[i,j]*x[j]", lambda: tc.parse("x'*A*x", DECLARED)),
    ("A[j,i]", lambda: A.T),
    ("[j,i] -> X[i,j]", lambda: X.T),
    ("(X[i,j])[j,i]", lambda: X.T),
    ("A[i,i]", lambda: np.trace(A)),
    ("[i] -> A[i,i]", lambda: np.diagonal(A)),
    ("[i] -> x[i]*w[i]", lambda: x * w),
    ("sum[j](X[i,j])", lambda: X.sum(1)),
    ("softmax[i](x[i])", lambda: tc.parse("softmax(x)", DECLARED)),
    ("logsumexp[j](X[i,j])", lambda: tc.parse("logsumexp(X)", DECLARED)),
    ("inv(A)[i,j]*x[j]", lambda: np.linalg.inv(A) @ x),
    ("inv(A[a,b] + B[a,b])[i,j]", lambda: np.linalg.inv(A + B)),
    ("det([a,b] -> A[b,a])", lambda: np.linalg.det(A)),
    ("x[0]*w[i]", lambda: x[0] * w),
    ("t[i]*t[i] where t[i] = X[j,i]*y[j]", lambda: tc.parse("t'*t where t = X'*y", DECLARED)),
    ("2*δ[i,j] where i: n", lambda: tc.parse("2*eye(n)", DECLARED)),
    ("3[i] where i: n", lambda: tc.parse("vector(3, n)", DECLARED)),
    ("1 - x[i]", lambda: 1 - x),
]


@pytest.mark.parametrize(("text", "node"), INDEX_TEXTS, ids=[t for t, _ in INDEX_TEXTS])
def test_index_text_is_the_node_of_the_same_formula(text, node):
    assert parse(text) is node()


def test_strides_and_shifts_are_affine_deltas():
    signal, kernel = tc.variables("s: 7, q: 3")
    node = tc.parse("s[h]*q[u]*δ[h - 2*y - u] where y: 3", (signal, kernel))
    s, q = np.arange(7.0), np.array([1.0, -2.0, 0.5])
    expected = [sum(s[2 * y + u] * q[u] for u in range(3)) for y in range(3)]
    np.testing.assert_allclose(tc.evaluate(node, s=s, q=q), expected)


def test_both_notations_give_one_node():
    assert parse("X*w") is parse("X[i,j]*w[j]") is X @ w
    assert tc.parse("X*w", (X, w)) is X @ w


CARETS = [
    (
        "X*ww",
        UnknownNameError,
        "unknown name 'ww'",
        "  ^",
        ["near names: w", 'declare it, for example "ww: m n"'],
    ),
    ("X*w +", ParseError, "found the end of the text", "     ^", []),
    ("sin(x", ParseError, "expected ')'", "     ^", ["it closes the '(' at position 3"]),
    (
        "2 x",
        ParseError,
        "'x' follows an operand without an operator",
        "  ^",
        ["write * for a product"],
    ),
    ("X@w", ParseError, "unknown operator '@'", " ^", ["write * for a matrix product"]),
    ("x**2", ParseError, "unknown operator '**'", " ^", ["write ^ for a power"]),
    ("x $ w", ParseError, "unexpected character '$'", "  ^", []),
    ("X*w)", ParseError, "unexpected ')'", "   ^", []),
    (
        "x*w",
        ShapeError,
        "'*' between a column (n) and a column (n)",
        " ^",
        ["write x'*y for the inner product"],
    ),
    (
        "X*y",
        ShapeError,
        "between a matrix (m, n) and a column (m)",
        " ^",
        ["the sizes n and m must be equal"],
    ),
    (
        "X'*y + w'",
        ShapeError,
        "'+' between a column (n) and a row (n)",
        "     ^",
        ["transpose one of them"],
    ),
    ("A/x", ShapeError, "'/' between a matrix (n, n) and a column (n)", " ^", ["./"]),
    ("x^2", ShapeError, "'^' between a column (n) and a scalar", " ^", [".^"]),
    ("A^0.5", ParseError, "no integer", " ^", [".^"]),
    ("softmx(x)", UnknownNameError, "unknown function 'softmx'", "^", ["near names: softmax"]),
    (
        "1 + sin",
        UnknownNameError,
        "unknown name 'sin'",
        "    ^",
        ["sin is a function: write sin(...)"],
    ),
    ("1 + det(X)", ShapeError, "det of a matrix (m, n)", "    ^", ["square"]),
    ("2*eye", ParseError, "does not follow from the context", "  ^", ["eye(n)"]),
    ("sum(x, w)", ParseError, "sum takes one operand, not 2", "^", []),
    (
        "X[i,j]*w[k] + y[i]",
        ParseError,
        "indices [i] is added to one with [i,j,k]",
        " " * 14 + "^",
        [],
    ),
    ("2*X[i]", ParseError, "1 indices for 2 axes", "  ^", []),
    ("2*q[i]", UnknownNameError, "unknown name 'q'", "  ^", ['"q: m n"']),
    ("2*1[i]", ParseError, "the size of index 'i' is not known", "  ^", ["where i: n"]),
    ("x[i]*A", ParseError, "A has 2 axes and needs as many indices", "     ^", ["A[i,j]"]),
    ("x where", ParseError, "expected a name after 'where'", "       ^", []),
]


@pytest.mark.parametrize(
    ("text", "error", "message", "caret", "hints"), CARETS, ids=[c[0] for c in CARETS]
)
def test_an_error_shows_the_text_with_a_caret_under_the_place(text, error, message, caret, hints):
    with pytest.raises(error) as caught:
        parse(text)
    lines = str(caught.value).splitlines()
    assert message in lines[0]
    assert lines[1:3] == [f"  {text}", f"  {caret}"]
    for hint in hints:
        assert hint in "\n".join(lines[3:])


def test_the_caret_stands_in_the_line_of_the_error():
    with pytest.raises(ParseError) as caught:
        parse("x +\n  $ w")
    assert str(caught.value).splitlines()[1:3] == ["    $ w", "    ^"]


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_formula_is_refused(text):
    with pytest.raises(ParseError, match="the formula is empty"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["__import__('os')", "x.__class__", "lambda: 1", "x; w", "exec(x)"]
)
def test_text_is_never_code(text):
    with pytest.raises((ParseError, UnknownNameError)):
        parse(text)


def test_a_number_before_an_elementwise_operator_keeps_its_point_out():
    assert [token.text for token in tokens("2.*x")][:2] == ["2", ".*"]
    assert [token.text for token in tokens("2.5.*x")][:2] == ["2.5", ".*"]


def test_formulas_nested_too_deeply_are_refused_in_words():
    with pytest.raises(ParseError, match="nested too deeply"):
        parse("(" * 5000 + "c" + ")" * 5000)


def test_long_sums_and_products_are_no_problem():
    assert parse("+".join(["x"] * 3000)) is 3000 * x
    assert parse("*".join(["c"] * 40)) is c**40


def test_the_adjugate_of_a_singular_matrix_exists():
    parsed = tc.parse("adj(A)", "A: n n")
    assert parsed is tc.adjugate(tc.variables("A: n n"))
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(tc.evaluate(parsed, A=singular), [[4, -2], [-2, 1]], atol=1e-12)
