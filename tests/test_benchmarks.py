"""The benchmarks: every contestant is right, a wrong one is refused, rows say what was missed."""

import json

import jax
import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.calling import check
from benchmarks.measuring import interleaved, machine
from benchmarks.parallel_cores import Timed, crossing
from benchmarks.plotting import plot
from benchmarks.problems import DATA, PROBLEMS, Problem
from benchmarks.rows import OURS, Row, time_text, write_json
from benchmarks.suites import derivation, hessians

every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)


@every_problem
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", [10, 13])
def test_our_side_is_right_in_both_precisions(problem, size, dtype):
    arrays = problem.arguments(size, dtype)
    check(problem.name, problem.ours()(*arrays), problem.by_hand(*arrays), hessians.TOLERANCES)


@every_problem
def test_jax_computes_the_same_from_the_same_function(problem):
    jax.config.update("jax_enable_x64", True)
    arrays = problem.arguments(10, "float64")
    found = jax.jit(problem.jax(jax))(*arrays)
    check(problem.name, found, problem.by_hand(*arrays), hessians.TOLERANCES)


@every_problem
def test_formulas_have_index_and_matrix_notation(problem):
    lines = list(hessians.formula_lines(problem))
    assert len(lines) == 6
    assert not any("none" in line for line in lines)


@every_problem
def test_real_data_agree_with_finite_differences(problem):
    assert "finite differences agree" in hessians.derivative_check(problem)
    assert problem.arguments(DATA, "float32")[0].dtype == np.float32


def test_a_wrong_contestant_is_refused():
    wanted = np.eye(3)
    with pytest.raises(AssertionError, match=r"ours: relative error 1\.0e-03"):
        check("ours", wanted * 1.001, wanted)
    with pytest.raises(AssertionError, match="float32"):
        check("ours", wanted.astype("float32"), wanted)


def test_a_problem_without_a_right_side_is_not_measured():
    class Wrong(type(PROBLEMS[0])):
        def by_hand(self, x, A):
            return A - A.T

    with pytest.raises(AssertionError, match="quadratic form, ours, size 10, float64"):
        hessians.measure(Wrong(), 10, "float64", 0.0)


def test_contestants_are_measured_in_turn():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    found = interleaved(calls, 0.0)
    assert set(found) == {"a", "b"}
    assert all(seconds > 0 for seconds in found.values())
    half = order[len(order) // 2 :]
    assert half.count("a") > 0 < half.count("b")


def test_rows_say_what_was_missed():
    row = Row("hessians", "p", 10, "float64", {OURS: 2e-3, "JAX": 3e-3}, {"JAX": 2.0}, 1e-3)
    assert row.ratios() == {"JAX": 1.5}
    assert row.misses() == ["JAX / ours 1.5, wanted 2", "2 ms, wanted 1 ms"]
    assert row.target_count() == 2
    met = Row("hessians", "p", 10, "float64", {OURS: 1e-3, "JAX": 3e-3}, {"JAX": 2.0})
    assert met.misses() == []
    assert str(met).endswith("met")
    met.first, met.memory = {"JAX": 0.25, OURS: 2e-3}, {OURS: 10**6, "JAX": 2 * 10**7}
    assert "first calls 2 ms / 250 ms  peaks 1 / 20 MB" in str(met)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.5 s"), (1.234e-3, "1.23 ms"), (5e-6, "5 µs"), (0.99994e-3, "1000 µs")],
)
def test_times_are_written_in_fitting_units(seconds, text):
    assert time_text(seconds) == text


def test_rows_are_stored_with_the_machine_and_drawn(tmp_path):
    rows = [
        Row("hessians", "p", size, dtype, {OURS: 1e-3, "JAX": 3e-3}, {})
        for size in (DATA, 10)
        for dtype in ("float64", "float32")
    ]
    write_json(rows, tmp_path / "rows.json")
    stored = json.loads((tmp_path / "rows.json").read_text())
    assert stored["machine"] == machine()
    assert [row["ratios"] for row in stored["rows"]] == [{"JAX": 3.0}] * 4
    plot(rows, tmp_path / "rows.png")
    assert (tmp_path / "rows.png").read_bytes().startswith(b"\x89PNG")


def test_derivation_of_a_chain_grows_linearly():
    """Nodes of the loss and of all gradients, by depth."""
    texts = []
    for depth in (5, 10, 15):
        derivation.chain(depth, texts.append)
    five, ten, fifteen = (int(text.split()[2]) for text in texts)
    assert fifteen - ten == ten - five


def test_the_command_runs_a_suite(capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.suites.derivation.PROBLEMS", PROBLEMS[:1])
    assert main(["--suite", "derivation", "--quick", "--seconds", "0"]) == 0
    out = capsys.readouterr().out
    assert "quadratic form" in out
    assert "targets met" in out


def test_every_problem_says_what_its_data_are():
    assert all(isinstance(p, Problem) and p.source and p.name for p in PROBLEMS)


def test_cores_are_woken_from_where_all_of_them_stay_ahead():
    rows = [Timed(10, 1, 5), Timed(20, 2, 1), Timed(40, 4, 5), Timed(80, 8, 4)]
    assert crossing(rows) == 80
    assert crossing(rows[1:2]) == 20
    assert crossing(rows[:3]) is None
