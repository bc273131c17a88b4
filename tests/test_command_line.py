"""The command ``tensorcalc``, run as its users do."""

import subprocess
import sys

import numpy as np
import pytest

from autodiff.command_line import main

LEAST_SQUARES = ["norm2(X*w - y)^2", "X: m n, w: n, y: m", "--wrt", "w", "--order", "2"]


def run(capsys, *arguments):
    """Exit status, standard output and standard error."""
    status = main(arguments)
    return (status, *capsys.readouterr())


def test_formulas_are_shown_in_index_and_matrix_notation(capsys):
    status, out, _ = run(capsys, *LEAST_SQUARES)
    assert status == 0
    assert "gradient by w, shape (n,)" in out
    assert "Hessian by w, shape (n, n)" in out
    assert "2*X'*X" in out.replace(" ", "")


def test_a_formula_without_matrix_notation_says_so(capsys):
    status, out, _ = run(capsys, "sum(exp(x))", "x: n", "--order", "3")
    assert status == 0
    assert "third derivative by x, shape (n, n, n)" in out
    assert "matrix  none:" in out


def test_latex(capsys):
    status, out, _ = run(capsys, *LEAST_SQUARES, "--latex")
    assert status == 0
    assert len(out.splitlines()) >= 3
    assert r"X^{\top}" in out or r"X^\top" in out


def test_matrix_notation_alone(capsys):
    status, out, _ = run(capsys, "x'*A*x", "A: n n symmetric, x: n", "--wrt", "x", "--matrix")
    assert status == 0
    assert [line.replace(" ", "") for line in out.splitlines()] == ["x'*A*x", "2*A*x"]


def test_code_runs_with_numpy_alone(capsys):
    status, out, _ = run(capsys, *LEAST_SQUARES, "--code", "numpy")
    assert status == 0
    assert "tensorcalc" not in out
    namespace = {}
    exec(out, namespace)
    rng = np.random.default_rng(0)
    X, w, y = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=4)
    value, gradient, hessian = namespace["f"](X, w, y)
    np.testing.assert_allclose(value, np.sum((X @ w - y) ** 2))
    np.testing.assert_allclose(gradient, 2 * X.T @ (X @ w - y))
    np.testing.assert_allclose(hessian, 2 * X.T @ X)


@pytest.mark.parametrize(
    ("formula", "variables", "wrt"),
    [
        (LEAST_SQUARES[0], LEAST_SQUARES[1], "w"),
        ("sum(log(vector(1) + exp(-y.*(X*w))))", "X: m n, w: n, y: m", "w"),
        ("logdet(A)", "A: n n psd", "A"),
        ("sum(x.*log(x))", "x: n positive", "x"),
        ("sum(log(x))", "x: n", "x"),
        ("inv(A)*b", "A: n n, b: n", "A"),
    ],
)
def test_check_agrees_with_finite_differences(capsys, formula, variables, wrt):
    status, out, _ = run(capsys, formula, variables, "--wrt", wrt, "--order", "2", "--check")
    assert status == 0
    assert out.count("agrees") == 2


def test_check_notices_a_wrong_derivative(capsys, monkeypatch):
    import autodiff.command_line as command

    right = command._derivatives
    monkeypatch.setattr(
        command, "_derivatives", lambda *args: [(tower := right(*args))[0], 1.001 * tower[1]]
    )
    status, out, _ = run(capsys, "sum(exp(x))", "x: n", "--check")
    assert status == 1
    assert "DISAGREES" in out


def test_bench_has_a_row_for_each_order_and_size(capsys, monkeypatch):
    monkeypatch.setattr("autodiff.command_line.BENCH_SECONDS", 0.001)
    monkeypatch.setattr("autodiff.command_line.BENCH_SIZES", (2, 3))
    status, out, _ = run(capsys, *LEAST_SQUARES, "--bench")
    assert status == 0
    assert len(out.splitlines()) == 1 + 3 * 2
    assert out.count("GFLOP/s") == 6


def test_unknown_names_are_refused_with_what_is_declared(capsys):
    status, out, err = run(capsys, "sum(x)", "x: n, y: n", "--wrt", "z")
    assert (status, out) == (2, "")
    assert "'z' is not declared" in err
    assert "declared: x, y" in err


def test_a_mistake_in_the_formula_is_shown_with_a_caret(capsys):
    status, _, err = run(capsys, "norm2(X*w - ", "X: m n, w: n", "--wrt", "w")
    assert status == 2
    assert "norm2(X*w - " in err
    assert "^" in err


def test_text_is_never_run_as_code(capsys, tmp_path):
    target = tmp_path / "made"
    text = f"__import__('pathlib').Path('{target}').touch()"
    assert run(capsys, text, "x: n")[0] == 2
    assert not target.exists()


def test_the_command_is_a_module_too():
    command = [sys.executable, "-m", "autodiff.command_line", "x'*x", "x: n"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "gradient by x" in done.stdout
