"""Expressions as text: exact formulas, and texts that read back as the expression they show."""

import subprocess
import sys

import numpy as np
import pytest

import tensorcalc as tc
from tensorcalc.errors import NotationError

from .examples import EXAMPLES

DECLARED = (
    "X: m n, w: n, y: m, A: n n, B: n n, x: n, U: m k, V: n k, T: m n, c, S: n n symmetric, "
    "p: n positive, theta: 3, K: b i j"
)
X, w, y, A, B, x, U, V, T, c, S, p, theta, K = tc.variables(DECLARED)
LOGISTIC = np.sum(np.log1p(np.exp(-y * (X @ w))))
FACTORIZATION = np.sum((T - U @ V.T) ** 2)
LEAST_SQUARES = np.sum((X @ w - y) ** 2)
LOGSUMEXP = np.log(np.sum(np.exp(x)))
LOGDET = np.log(np.linalg.det(A))
QUADRATIC = x @ A @ x

#: Expression, index text, matrix text.
FAMOUS = {
    "quadratic form": (tc.gradient(QUADRATIC, x), "(A[i,j] + A[j,i])*x[j]", "(A + A')*x"),
    "Hessian of it": (tc.hessian(QUADRATIC, x), "A[i,j] + A[j,i]", "A + A'"),
    "symmetric": (tc.gradient(x @ S @ x, x), "2*S[i,j]*x[j]", "2*S*x"),
    "logistic": (LOGISTIC, "sum[i](softplus(-y[i]*(X[i,j]*w[j])))", "sum(softplus(-y .* (X*w)))"),
    "factorization": (FACTORIZATION, "sum[i,j]((U[i,k]*V[j,k] - T[i,j])^2)", "sum((U*V' - T).^2)"),
    "gradient of it": (
        tc.gradient(FACTORIZATION, U),
        "2*(U[i,l]*V[k,l] - T[i,k])*V[k,j]",
        "2*(U*V' - T)*V",
    ),
    "Hessian of factorization": (
        tc.hessian(FACTORIZATION, U),
        "2*V[a,j]*V[a,l]*δ[i,k] where i: m",
        "2*(eye(m) ⊗ (V'*V))",
    ),
    "logsumexp": (
        tc.hessian(LOGSUMEXP, x),
        "[i,j] -> softmax(x)[i]*δ[i,j] - softmax(x)[i]*softmax(x)[j]",
        "diag(softmax(x)) - softmax(x)*softmax(x)'",
    ),
    "logdet": (tc.gradient(LOGDET, A), "inv(A)[j,i]", "inv(A)'"),
    "least squares": (
        tc.gradient(LEAST_SQUARES, w),
        "2*X[j,i]*(X[j,k]*w[k] - y[j])",
        "2*X'*(X*w - y)",
    ),
    "Hessian of least squares": (tc.hessian(LEAST_SQUARES, w), "2*X[k,i]*X[k,j]", "2*X'*X"),
    "inverse": (
        tc.gradient(np.trace(np.linalg.inv(A) @ B), A),
        "-inv(A)[k,i]*B[l,k]*inv(A)[j,l]",
        "-inv(A)'*B'*inv(A)'",
    ),
    "bilinear": (y @ X @ x, None, "y'*X*x"),
    "sums as factors": ((c + c**2) * (1 - np.tanh(c)), None, "(1 - tanh(c))*(c + c^2)"),
    "powers of scalars": (c * (x @ x) ** 2 * np.tanh(c) ** 3, None, "c*tanh(c)^3*(x'*x)^2"),
    "function of differences": (
        np.tanh(x[:, None] - x),
        "tanh(x[i]*1[j] - x[j]*1[i])",
        "tanh(x*vector(1)' - vector(1)*x')",
    ),
    "squares of a diagonal": (
        np.einsum("ii,ii->", A @ B, A @ B),
        "([j,k] -> A[j,l]*B[l,k])[i,i]*([j,k] -> A[j,l]*B[l,k])[i,i]",
        None,
    ),
    "outer": (tc.gradient(y @ X @ x, X), "y[i]*x[j]", "y*x'"),
    "trace": (np.trace(A @ B), "A[i,j]*B[j,i]", "tr(A*B)"),
    "unit": (tc.hessian(x @ x, x), "2*δ[i,j] where i: n", "2*eye(n)"),
    "ridge": (tc.hessian(LEAST_SQUARES / 2 + c / 2 * w @ w, w), None, "X'*X + c*eye"),
    "elementwise": (tc.simplify(x * w / p**2), "[i] -> w[i]*x[i]/p[i]^2", "w .* x ./ p.^2"),
    "difference": (x - w, "x[i] - w[i]", "x - w"),
    "minus a difference": (-(x - w), "w[i] - x[i]", "w - x"),
    "a third": (x / 3, "x[i]/3", "x/3"),
    "one minus": (1 - np.tanh(x) ** 2, "1 - tanh(x[i])^2", "1 - tanh(x).^2"),
    "root": (x**0.5, "sqrt(x[i])", "sqrt(x)"),
    "reciprocal": (1 / x, "1/x[i]", "1 ./ x"),
    "zero": (0 * x, "0[i] where i: n", "vector(0, n)"),
    "row sums": (X.sum(1), "sum[j](X[i,j])", "X*vector(1)"),
    "mean": (X.mean(0), "sum[j](X[j,i])/m", "X'*vector(1)/m"),
    "extent": (x.size * x, "n*x[i]", "n*x"),
    "scaled": (2 * (A @ x) / 3, "2*A[i,j]*x[j]/3", "2*A*x/3"),
    "diagonal": (np.diag(x) @ A, "[i,j] -> x[i]*A[i,j]", "diag(x)*A"),
    "Kronecker": (np.kron(A, B), None, "A ⊗ B"),
    "comparison": (np.where(x > 0, x, w), "where(x[i] > 0, x[i], w[i])", "where((x > 0), x, w)"),
    "position": (theta[1] * x, "theta[1]*x[i]", None),
    "batch": (tc.parse("logsumexp[j](K[b,i,j])", (K,)), "logsumexp[k](K[i,j,k])", None),
}


@pytest.mark.parametrize("name", [n for n, row in FAMOUS.items() if row[1]])
def test_index_text_is_what_a_careful_author_writes(name):
    expression, text, _ = FAMOUS[name]
    assert str(expression) == text


@pytest.mark.parametrize("name", [n for n, row in FAMOUS.items() if row[2]])
def test_matrix_text_is_what_a_careful_author_writes(name):
    expression, _, text = FAMOUS[name]
    assert tc.to_matrix(expression) == text


def expressions():
    """More than sixty expressions."""
    yield from (expression for expression, *_ in FAMOUS.values())
    yield from (LOGISTIC, LEAST_SQUARES, LOGSUMEXP, LOGDET, QUADRATIC)
    yield from (c * x, c * x @ w, np.exp(np.tanh(A @ B).T @ A), X[1:], X[::2], X.sum(), -x / 2)
    yield from (
        np.sin(c) * c**2,
        np.linalg.inv(A) @ x,
        np.outer(x, w),
        np.maximum(x, w),
        (X * X).sum(1),
    )
    yield from (
        np.sqrt(x @ x),
        x / np.sqrt(x @ x),
        np.trace(np.linalg.inv(A)),
        A.T @ np.exp(A.T + B),
    )
    yield from (
        np.exp(A.T + B).T,
        np.tanh(np.tanh(X @ A) @ B),
        x**-2.5,
        (A @ x) * (B @ x),
        1e-5 * x,
    )
    yield from (
        np.concatenate([x, w]),
        x[::-1],
        np.linalg.inv(A + B),
        np.linalg.det(A @ B) * x,
        0.1 * x,
    )
    yield from (np.exp(X).sum(0), np.cumsum(x), np.max(X, 1), np.where(x > w, x, 0), X / y[:, None])
    yield from (X + y[:, None], np.log(x) * c, np.kron(A, B) @ np.kron(x, w), x - np.mean(x), 3 - x)


ALL = list(expressions())


def test_there_are_more_than_sixty_expressions():
    assert len(ALL) > 60


def read_back(text, expression):
    variables = {v.name: v for v in tc.free_variables(expression)} | {
        v.name: v for v in tc.variables(DECLARED)
    }
    return tc.parse(text, variables.values())


@pytest.mark.parametrize("expression", ALL, ids=str)
def test_index_text_reads_back_as_the_same_node(expression):
    assert read_back(str(expression), expression) is expression


@pytest.mark.parametrize("expression", [e for e in ALL if e.ndim < 2], ids=str)
def test_index_text_of_derivatives_reads_back_as_the_same_node(expression):
    for variable in real_variables(expression):
        derivative = tc.derivative(expression, variable)
        assert read_back(str(derivative), derivative) is derivative


@pytest.mark.parametrize("expression", [e for e in ALL if e.ndim == 0], ids=str)
def test_index_text_of_hessians_reads_back_as_the_same_node(expression):
    for variable in tc.free_variables(expression):
        hessian = tc.hessian(expression, variable)
        assert read_back(str(hessian), hessian) is hessian


def same_value(left, right, example):
    values = {**example.values(), **example.sizes()}
    a, b = tc.evaluate(left, **values), tc.evaluate(right, **values)
    return np.allclose(np.reshape(a, np.shape(b)), b, rtol=1e-9, atol=1e-11, equal_nan=True)


def real_variables(expression):
    variables = tc.free_variables(expression)
    return [v for v in variables if not v.flags & {"integer", "boolean"}]


def with_derivatives(example):
    expression = example.expression()
    yield expression
    for variable in real_variables(expression)[:1]:
        derivative = tc.derivative(expression, variable)
        yield derivative
        if not expression.ndim:
            yield tc.derivative(derivative, variable)


def declared(example, expression):
    names = example.declared()
    known = names.values() if isinstance(names, dict) else names
    return tuple(dict.fromkeys((*tc.free_variables(expression), *known)))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_index_text_of_every_example_reads_back(example):
    for expression in with_derivatives(example):
        again = tc.parse(str(expression), declared(example, expression))
        assert again is expression or same_value(again, expression, example)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_matrix_text_of_every_example_reads_back(example):
    for expression in with_derivatives(example):
        try:
            text = tc.to_matrix(expression)
        except NotationError as error:
            assert str(expression) in str(error)
            continue
        again = tc.parse(text, declared(example, expression))
        equal = again is expression or tc.simplify(again) is tc.simplify(expression)
        assert equal or same_value(expression, again, example)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (X[1:], "a shift or a reshape of axes"),
        (tc.hessian(LOGDET, A), "order four that is no Kronecker product"),
        (K, "a tensor of order 3"),
        (tc.hessian(np.sum(np.exp(X)), X), "order four that is no Kronecker product"),
        (tc.parse("A[i,l]*B[j,l]*S[k,l]", (A, B, S)), "a tensor of order 3"),
        (tc.parse("sum[l](A[i,l]*B[j,l]*S[k,l]*x[i]*x[j]*x[k])", (A, B, S, x)), None),
    ],
    ids=str,
)
def test_where_no_matrix_notation_exists_the_error_shows_the_index_form(expression, reason):
    if reason is None:
        assert tc.to_matrix(expression) == "sum((A'*x) .* (B'*x) .* (S*x))" or "'" in tc.to_matrix(
            expression
        )
        return
    with pytest.raises(NotationError) as caught:
        tc.to_matrix(expression)
    assert f"index form: {expression}" in str(caught.value)
    assert reason in str(caught.value)


def test_a_hessian_with_respect_to_a_matrix_acts_on_row_major_vecs():
    hessian = tc.hessian(FACTORIZATION, U)
    matrix = tc.parse(tc.to_matrix(hessian), DECLARED)
    value = np.random.default_rng(0).normal(size=(4, 2))
    dense = tc.evaluate(hessian, V=value, m=3)
    np.testing.assert_allclose(tc.evaluate(matrix, V=value, m=3), dense.reshape(6, 6))


def chain(length):
    expression = x
    for _ in range(length):
        expression = np.sin(expression) * x
    return expression


def test_a_chain_of_a_thousand_nodes_prints_and_reads_back():
    expression = chain(1000)
    assert read_back(str(expression), expression) is expression
    assert read_back(tc.to_matrix(expression), expression) is expression
    assert tc.to_latex(expression).count(r"\sin") == 1000


def test_shared_subexpressions_are_named_once():
    expression = x
    for _ in range(40):
        expression = expression + np.sin(expression)
    text = str(expression)
    assert len(text) < 1500
    assert read_back(text, expression) is expression


def test_names_of_indices_avoid_sizes_in_deltas():
    i_extent = tc.variables("q: i")
    text = str(np.concatenate([i_extent, i_extent]))
    assert tc.parse(text, (i_extent,)) is np.concatenate([i_extent, i_extent])


@pytest.mark.parametrize(
    ("expression", "latex"),
    [
        (tc.gradient(QUADRATIC, x), r"\left(A + A^{\top}\right) x"),
        (tc.hessian(FACTORIZATION, U), r"2 \left(I_{m} \otimes \left(V^{\top} V\right)\right)"),
        (tc.gradient(LOGDET, A), r"A^{-\top}"),
        (theta[1] * x / c, r"\frac{\theta_{1} x_{i}}{c}"),
        (x / w, r"x \oslash w"),
    ],
)
def test_latex_is_the_typeset_formula(expression, latex):
    assert tc.to_latex(expression) == latex


def test_a_transposed_fraction_stands_in_parentheses():
    slope = tc.hessian(np.linalg.norm(x - w), x)
    assert r"\left(\frac{x - w}{\left\|x - w\right\|}\right)^{\top}" in tc.to_latex(slope)


def test_a_step_at_zero_is_written_with_one_operand():
    slope = tc.gradient(np.sum(np.maximum(x, 0) ** 2), x)
    assert r"\operatorname{step}(x)" in tc.to_latex(slope)


def test_latex_in_index_notation():
    assert tc.to_latex(X @ w, "index") == "X_{i j} w_{j}"
    assert tc.to_latex(tc.hessian(LOGDET, A)).startswith("-")
    with pytest.raises(NotationError):
        tc.to_latex(tc.hessian(LOGDET, A), "matrix")
    with pytest.raises(NotationError, match="unknown notation 'words'"):
        tc.to_latex(x, "words")


def test_jupyter_shows_latex():
    assert (A @ x)._repr_latex_() == r"$\displaystyle A x$"


def without_cases(latex):
    """mathtext knows no environments: the pieces of a case distinction side by side."""
    for word in (r"\begin{cases}", r"\end{cases}", r"\text{otherwise}", r"\\", " & "):
        latex = latex.replace(word, " ")
    return latex


@pytest.mark.parametrize("notation", ["auto", "index"])
def test_latex_of_every_example_renders(notation):
    mathtext = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    step = 3 if notation == "index" else 1  # mathtext is slow
    for example in EXAMPLES[::step]:
        for expression in [*with_derivatives(example)][:2]:
            mathtext.parse(f"${without_cases(tc.to_latex(expression, notation))}$")
    for expression in ALL:
        mathtext.parse(f"${without_cases(tc.to_latex(expression, notation))}$")


def test_dot_names_every_node_and_edge():
    text = tc.to_dot(tc.gradient(QUADRATIC, x))
    assert text.startswith("digraph expression {")
    assert text.endswith("}")
    assert text.count("->") - text.count(" -> i\\n") - text.count(" -> ij\\n") >= 4
    assert '[label="x\\n(n)", shape=box' in text
    assert 'label="+\\n(n, n)", shape=circle' in text


def test_sympy_agrees_with_the_oracle():
    sympy = pytest.importorskip("sympy")
    expression = tc.gradient(np.sum(np.exp(A @ x)) + c * (x @ x), x)
    entry = tc.to_sympy(expression)
    values = {"A": np.array([[0.1, 0.4], [-0.3, 0.2]]), "x": np.array([0.5, -1.0]), "c": 2.0}
    entries = {
        sympy.IndexedBase(name)[index]: values[name][index]
        for name in ("A", "x")
        for index in np.ndindex(values[name].shape)
    }
    result = []
    for position in range(2):
        one = entry.subs({sympy.Symbol("n"): 2}).subs(sympy.Symbol("i"), position).doit()
        result.append(float(one.subs(entries).subs(sympy.Symbol("c"), 2.0)))
    np.testing.assert_allclose(result, tc.evaluate(expression, **values), rtol=1e-12)


def test_sympy_texts():
    assert str(tc.to_sympy(A @ x)) == "Sum(A[i, j]*x[j], (j, 0, n - 1))"
    assert str(tc.to_sympy(x / 3)) == "x[i]/3"
    assert str(tc.to_sympy(np.where(x > 0, x, c))) == "Piecewise((x[i], x[i] > 0), (c, True))"
    assert str(tc.to_sympy(np.linalg.inv(A))) == "inv(A, i, j)"
    assert "KroneckerDelta(i, j)" in str(tc.to_sympy(tc.hessian(x @ x, x)))
    with pytest.raises(NotationError, match="SymPy has no function for"):
        tc.to_sympy(np.remainder(x, w))


def test_import_loads_neither_sympy_nor_matplotlib():
    names = "sympy", "matplotlib", "numba", "jax"
    code = f"import sys, tensorcalc; print([m for m in {names} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_slice_of_a_power_in_a_product_parses_back_to_the_same_node():
    X, Z = tc.variables("X: m n, Z: n m")
    rotated = (X**2).T @ Z.sum(0)
    expression = np.concatenate([rotated[1:], rotated[:1]])
    for node in (expression, tc.simplify(expression)):
        assert tc.parse(str(node), "X: m n, Z: n m") is node


def test_power_of_a_sum_merges_with_the_sum():
    X = tc.variables("X: m n")
    total = X.sum(0)
    derivative = tc.derivative(np.log1p((total**2) ** 2), X)
    assert "sum[l](X[l,i])^3" in str(derivative)
    assert tc.parse(str(derivative), "X: m n") is derivative
