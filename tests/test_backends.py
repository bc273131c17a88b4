"""Compiled functions: calls, errors, limits, sharing, and what the generated source looks like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backends
import tensorcalc as tc
from backends import memory
from backends.binding import ArgumentError
from backends.memory import SizeError
from backends.program import Program, ProgramError
from backends.steps import Call, Contract, Input, Nest, Value, load
from tensorcalc.errors import ShapeError, UnknownNameError

X, w, y = tc.variables("X: m n, w: n, y: m")
A, x = tc.variables("A: n n, x: n")
U, V, T = tc.variables("U: m k, V: n k, T: m n")
LOGISTIC = np.sum(np.logaddexp(0, -y * (X @ w)))
FACTORIZATION = np.sum((T - U @ V.T) ** 2)
RNG = np.random.default_rng(3)
DATA = {"X": RNG.standard_normal((6, 3)), "w": RNG.standard_normal(3), "y": RNG.standard_normal(6)}


def steps_of(function: Any, kind: type) -> list[Any]:
    return [step for step in function.program.steps if isinstance(step, kind)]


# -- calls ----------------------------------------------------------------------------------------
def test_the_nesting_of_expressions_is_the_nesting_of_results() -> None:
    gradient = tc.gradient(LOGISTIC, w)
    function = backends.compile({"value": LOGISTIC, "rest": [gradient, (X @ w,)]})
    result = function(**DATA)
    assert list(result) == ["value", "rest"]
    assert isinstance(result["rest"], list) and isinstance(result["rest"][1], tuple)
    np.testing.assert_allclose(result["rest"][1][0], DATA["X"] @ DATA["w"])


def test_arguments_may_be_lists_and_numbers_and_integers() -> None:
    function = backends.compile(tc.nodes.Variable("c") * (A @ x))
    np.testing.assert_array_equal(function(A=[[1, 2], [3, 4]], x=[0, 1], c=3), [6.0, 12.0])
    single = function(A=np.ones((2, 2), np.float32), x=np.ones(2, np.float32), c=0.5)
    assert single.dtype == np.float32
    mixed = function(A=np.ones((2, 2), np.float32), x=np.ones(2), c=0.5)
    assert mixed.dtype == np.float64


def test_one_function_serves_all_sizes() -> None:
    function = backends.compile(tc.hessian(LOGISTIC, w), variables=(X, w, y))
    source = function.source
    for m, n in ((1, 1), (7, 2), (3, 5)):
        arrays = RNG.random((m, n)), RNG.random(n), RNG.random(m)
        assert function.call(*arrays).shape == (n, n)
    assert function.source == source


def test_a_prepared_function_is_the_plain_one() -> None:
    function = backends.compile(A @ x, variables=(A, x))
    run = function.prepared(np.eye(2), np.ones(2))
    np.testing.assert_array_equal(run(np.eye(2), np.array([2.0, 3.0])), [2.0, 3.0])


def test_bound_arrays_are_defaults() -> None:
    table = np.arange(4.0)
    function = backends.compile(tc.nodes.Variable("table", (4,), value=table) * 2)
    np.testing.assert_array_equal(function(), 2 * table)
    np.testing.assert_array_equal(function(table=np.ones(4)), np.full(4, 2.0))


def test_variables_left_out_of_the_list_are_added() -> None:
    met = np.array([1.0, 2.0])
    bound = tc.nodes.Variable("met", (2,), value=met)
    function = backends.compile(np.sum(x) * bound, variables=(x,))
    np.testing.assert_array_equal(function(x=np.ones(3)), 3 * met)


def test_arguments_that_no_result_reads_still_give_sizes() -> None:
    gradient = tc.gradient(np.sum(x), x)
    function = backends.compile(gradient, variables=(x,))
    np.testing.assert_array_equal(function(x=np.zeros(3)), np.ones(3))


def test_extents_that_no_argument_has_are_arguments() -> None:
    function = backends.compile(tc.hessian(FACTORIZATION, U))
    assert function(V=np.ones((3, 2)), m=4).shape == (4, 2, 4, 2)
    with pytest.raises(UnknownNameError, match="no argument has the extent m: pass the number"):
        function(V=np.ones((3, 2)))


def test_truth_comes_as_numbers_where_asked() -> None:
    step = np.greater(x, 0)
    assert backends.compile(step)(x=np.ones(2)).dtype == bool
    numbers = backends.compile(step, real=True)(x=np.ones(2, np.float32))
    np.testing.assert_array_equal(numbers, [1.0, 1.0])
    assert numbers.dtype == np.float32


# -- errors ---------------------------------------------------------------------------------------
def test_errors_name_what_is_wrong() -> None:
    function = backends.compile(X @ w)
    with pytest.raises(ShapeError, match=r"n = 4 from w, but here it is 3"):
        function(X=np.ones((2, 3)), w=np.ones(4))
    with pytest.raises(ShapeError, match=r"declared: X, shape \(m, n\)\n  given: shape \(3,\)"):
        function(X=np.ones(3), w=np.ones(3))
    with pytest.raises(UnknownNameError, match="no value for w"):
        function(X=np.ones((2, 3)))
    with pytest.raises(UnknownNameError, match=r"(?s)no argument W.*did you mean w"):
        function(X=np.ones((2, 3)), w=np.ones(3), W=1)
    with pytest.raises(ArgumentError, match="the argument w has dtype complex128"):
        function(X=np.ones((2, 3)), w=np.ones(3) * 1j)


def test_polynomial_extents_are_checked() -> None:
    n = tc.extents.symbol("n")
    double = tc.nodes.Variable("double", (2 * n,))
    function = backends.compile([np.sum(double), x], variables=(double, x))
    assert function(double=np.ones(4), x=np.ones(2))[0] == 4
    with pytest.raises(ShapeError, match=r"2\*n = 6, but here it is 4"):
        function(double=np.ones(4), x=np.ones(3))


def test_an_unknown_target_is_refused_by_name() -> None:
    with pytest.raises(backends.TargetError, match="'fortran' is not available"):
        backends.compile(x, target="fortran")


def test_a_hessian_that_does_not_fit_is_refused_with_the_remedy(monkeypatch: Any) -> None:
    monkeypatch.setattr("backends.memory.available", lambda: 8 * 10**9)
    function = backends.compile({"H": tc.hessian(FACTORIZATION, U)})
    with pytest.raises(SizeError) as refusal:
        function(V=np.ones((10, 5)), m=15_000)
    assert str(refusal.value).splitlines() == [
        "H needs 45.0 GB (k = 5, m = 15,000); use structured=True (200 bytes) or hvp",
        "  shape: (m, k, m, k)",
        "  available: 8.0 GB",
    ]


def test_arrays_that_fit_one_by_one_but_not_together_are_refused(monkeypatch: Any) -> None:
    monkeypatch.setattr("backends.memory.available", lambda: 12 * 10**9)
    A, B = tc.variables("A: n n, B: n n")
    function = backends.compile({"C": A @ B @ A @ B + B @ A})
    with pytest.raises(SizeError, match=r"that live at once need 15\.0 GB; use hvp, or smaller"):
        function(A=np.broadcast_to(1.0, (25_000,) * 2), B=np.broadcast_to(1.0, (25_000,) * 2))


def test_where_the_free_memory_is_not_told_all_of_it_counts(monkeypatch: Any) -> None:
    """As on macOS, which has no /proc."""
    monkeypatch.setattr("backends.memory.Path", lambda name: Path("nowhere" + name))
    assert memory.available() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


# -- sharing and shape of the code ----------------------------------------------------------------
def test_value_gradient_and_hessian_share() -> None:
    towers = [LOGISTIC, tc.gradient(LOGISTIC, w), tc.hessian(LOGISTIC, w)]
    function = backends.compile(towers)
    assert function.source.count("X.dot(w)") == 1
    assert len(steps_of(function, Contract)) == 3


def test_weighted_gram_matrices_are_one_array_times_itself() -> None:
    function = backends.compile(tc.hessian(LOGISTIC, w))
    (gram,) = [step for step in steps_of(function, Contract) if step.value.ndim == 2]
    assert gram.left is gram.right


def test_weights_of_open_sign_are_parted_by_their_sign() -> None:
    function = backends.compile(tc.hessian(np.sum(np.sin(X @ w)), w))
    (gram,) = steps_of(function, Call)
    assert gram.name == "signed_gram"
    assert [step.value.ndim for step in steps_of(function, Contract)] == [1]


def test_an_inverse_times_a_vector_is_a_solve() -> None:
    function = backends.compile(np.linalg.inv(A) @ x)
    assert "np.linalg.solve(A, x)" in function.source and "inv(" not in function.source


def test_decompositions_are_shared() -> None:
    values = backends.compile(list(np.linalg.slogdet(A)))
    assert values.source.count("slogdet") == 1


def test_structured_hessians_write_only_their_blocks() -> None:
    source = backends.compile(tc.hessian(FACTORIZATION, U), variables=(U, V, T)).source
    assert "np.zeros((m, k, m, k), dtype)" in source
    assert 'np.einsum("ijik->ijk", t2)[...] = t1' in source


def test_orders_of_contraction_follow_the_sizes() -> None:
    factors = tc.variables("P: m n, B: n k, C: k l")
    function = backends.compile(np.einsum("ij,jk,kl->il", *factors))
    sources = []
    for m, n, k, r in ((2, 50, 60, 70), (70, 60, 50, 2), (3, 50, 60, 70)):
        result = function(P=np.ones((m, n)), B=np.ones((n, k)), C=np.ones((k, r)))
        np.testing.assert_array_equal(result, np.full((m, r), n * k))
        sources.append(function.source)
    assert "P.dot(B)" in sources[0] and "B.dot(C)" in sources[1]
    assert sources[2] == sources[0]


def test_large_results_reuse_memory_that_nobody_holds() -> None:
    function = backends.compile(A.T + A)
    data = np.arange(400.0 * 400).reshape(400, 400)
    first = function(A=data)
    kept = first[3:5]
    second = function(A=2 * data)
    assert not np.may_share_memory(first, second)
    np.testing.assert_array_equal(kept, (data + data.T)[3:5])
    address = second.ctypes.data
    del second
    assert function(A=data).ctypes.data == address
    del first
    third, fourth = function(A=data), function(A=2 * data)
    assert not np.may_share_memory(kept, third) and not np.may_share_memory(kept, fourth)
    np.testing.assert_array_equal(kept, (data + data.T)[3:5])


def test_small_results_do_not_use_the_pool() -> None:
    function = backends.compile(A.T + A)
    function(A=np.eye(3))
    assert "empty" not in function.source


def test_means_of_nothing_are_nan_as_in_numpy() -> None:
    function = backends.compile(np.mean(x))
    with np.errstate(all="ignore"):
        assert np.isnan(function(x=np.ones(0)))


def test_powers_of_sizes_are_floats() -> None:
    assert backends.compile(np.sum(x) * np.mean(x) ** 3)(x=np.full(4, 2.0)) == 64


def test_a_solve_that_is_summed_over() -> None:
    expression = np.sum(np.linalg.inv(A).T @ x)
    data = {"A": np.array([[2.0, 1.0], [0.0, 4.0]]), "x": np.array([1.0, 3.0])}
    found = backends.compile(expression)(**data)
    np.testing.assert_allclose(found, tc.evaluate(expression, **data))


def test_masked_logarithms_do_not_warn() -> None:
    function = backends.compile(np.where(x > 0, np.log(x), 0))
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(function(x=np.array([0.0, 1.0])), [0.0, 0.0])


def test_a_long_chain_is_cut_into_nests() -> None:
    chain = x
    for _ in range(300):
        chain = np.sin(chain) * x
    found = backends.compile(chain)(x=np.array([1.0]))
    expected = np.array([1.0])
    for _ in range(300):
        expected = np.sin(expected)
    np.testing.assert_allclose(found, expected)


def test_names_that_are_no_python_names_are_mended() -> None:
    odd = tc.nodes.Variable("params['w']", (3,))
    power = tc.nodes.Variable("power", (3,))
    function = backends.compile(odd * power + power**2.5)
    result = function(**{"params['w']": np.ones(3), "power": np.ones(3)})
    np.testing.assert_array_equal(result, np.full(3, 2.0))


# -- source, program, cost ------------------------------------------------------------------------
def test_a_saved_function_runs_without_the_library(tmp_path: Path) -> None:
    function = backends.compile([LOGISTIC, tc.hessian(LOGISTIC, w)])
    function.save(tmp_path / "saved.py")
    names = ", ".join(variable.name for variable in function.variables)
    script = (
        "import sys, numpy as np; from saved import f\n"
        "X, w, y = np.eye(3), np.ones(3), np.ones(3)\n"
        f"value, hessian = f({names})\n"
        "assert hessian.shape == (3, 3) and abs(value - 3 * np.log1p(np.exp(-1))) < 1e-12\n"
        "assert not {'tensorcalc', 'backends', 'sympy', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, env={})


def test_the_program_prints_its_steps_and_costs() -> None:
    text = str(backends.compile(X @ w).program)
    assert "contract ij,j->i of X, w" in text
    assert "2*m*n flops, 8*m*n + 8*m + 8*n bytes" in text


def test_cost_is_evaluated_for_the_arrays_of_a_call() -> None:
    cost = backends.compile(X @ w).cost(X=np.ones((20, 10)), w=np.ones(10))
    assert (cost.flops, cost.bytes) == (400, 1840)


def test_symbolic_cost_is_a_polynomial_of_plain_symbols() -> None:
    import sympy

    m, n, k = sympy.symbols("m n k")
    assert tc.cost(X @ w).flops == 2 * m * n
    assert sympy.expand(tc.cost(X @ w).bytes - (8 * m * n + 8 * m + 8 * n)) == 0
    hessian = tc.hessian(FACTORIZATION, U)
    assert sympy.expand(tc.cost(hessian).flops - (2 * k**2 * n + k * n)) == 0
    assert tc.cost(hessian).bytes == 8 * m**2 * k**2 + 8 * n * k


def test_verify_finds_broken_programs() -> None:
    a, b = Value("a", (2,)), Value("b", (2,))
    step = Nest(b, load(a, (0,)), (0,), (), {0: 2})
    with pytest.raises(ProgramError, match="b reads a before it is made"):
        Program([step], [b]).verify()
    given = Input(a, tc.nodes.Variable("a", (2,)))
    with pytest.raises(ProgramError, match="b is assigned twice"):
        Program([given, step, step], [b]).verify()
    with pytest.raises(ProgramError, match="ranks do not fit"):
        Program([given, Nest(b, load(a, (0, 1)), (0,), (), {0: 2})], [b]).verify()
    with pytest.raises(ProgramError, match="output b is never made"):
        Program([given], [b]).verify()
