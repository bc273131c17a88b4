"""The models of the benchmarks: results of ours and of the peers, rows, goals and memory."""

from __future__ import annotations

import json
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import benchmarks
from autodiff.tracing import arguments_of, tracer_of
from benchmarks import calling, goals, limits, memory, patience, profiling, trials
from benchmarks.__main__ import all_suites, main
from benchmarks.discovery import modules
from benchmarks.modelling import RESULTS, all_models, model_named
from benchmarks.options import Options
from benchmarks.ours import fresh_loss, ours, own_name, structured
from benchmarks.rows import Row
from benchmarks.suites.models import contestant, run
from tensorcalc import evaluate

#: Whose derivatives take long to derive; their Hessians are checked by the command itself.
LONG = ("bundle adjustment", "LSTM cell", "attention")
QUICK = [name for name in all_models() if name not in LONG]


def ridge_alone():
    """Options for the least of a run."""
    quiet = {"show": lambda text: None, "targets": ["numpy"], "peers": ["JAX"]}
    return Options(0.0, True, problems=["ridge regression"], **quiet)


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch):
    """What the machine can do is measured on next to nothing."""
    monkeypatch.setattr(limits, "GEMM", 100)
    monkeypatch.setattr(limits, "COPY", 2**20)
    limits.limits.cache_clear()
    yield
    limits.limits.cache_clear()


@pytest.mark.parametrize("name", list(all_models()))
def test_a_model_is_one_expression_of_its_arguments(name):
    """Its value by the oracle, by our target and by NumPy itself."""
    model = model_named(name)
    arguments = model.arguments(model.module.SIZES[0], "float64")
    loss = fresh_loss(model)
    trace = tracer_of(loss).trace(loss, arguments_of(arguments, {}))
    given = dict(zip((v.name for v in trace.inputs), arguments, strict=True))
    wanted = loss(*arguments)
    np.testing.assert_allclose(evaluate(trace.outputs[0], **given), wanted, rtol=1e-10)
    np.testing.assert_allclose(contestant(model, "value", arguments, "ours numpy")(), wanted)


@pytest.mark.parametrize("name", QUICK)
def test_results_agree_with_jax_in_float64(name):
    model = model_named(name)
    for result in ("value and gradient", "Hessian"):
        arguments = model.arguments(model.sizes(result)[0], "float64")
        found = contestant(model, result, arguments, "JAX")()
        each = found if isinstance(found, tuple) else (found,)
        own = contestant(model, result, arguments, "ours numpy")()
        calling.check_all(f"{name}, {result}", own, tuple(map(np.asarray, each)))


@pytest.mark.parametrize("peer", [m.NAME for m in modules(benchmarks.contestants, ())])
@pytest.mark.parametrize("result", RESULTS)
def test_a_peer_that_is_installed_agrees(peer, result):
    if peer not in calling.peers():
        pytest.skip(f"{peer} is not installed")
    model = model_named("ridge regression")
    arguments = model.arguments(10, "float64")
    try:
        call = contestant(model, result, arguments, peer)
    except calling.Refused as refused:
        assert peer == "tensorgrad" and "solve" in str(refused)
        return
    wanted = ours(model, result, arguments, model.direction(arguments), "numpy")()
    each = wanted if isinstance(wanted, tuple) else (wanted,)
    calling.check_all(f"{peer}, {result}", call(), tuple(map(np.asarray, each)))


def test_a_structured_hessian_is_the_dense_one_and_a_dense_one_is_refused():
    model = model_named("matrix factorization")
    arguments = model.arguments(10, "float64")
    operator = structured(model, "Hessian", arguments, "numpy")()
    dense = contestant(model, "Hessian", arguments, "ours numpy")()
    calling.check("structured", operator.todense(), dense.reshape(50, 50))
    step = structured(model, "Newton step", arguments, "numpy")()
    calling.check_all("step", step, (contestant(model, "Newton step", arguments, "ours numpy")(),))
    quadratic = model_named("quadratic form")
    with pytest.raises(calling.Refused, match="no structure"):
        structured(quadratic, "Hessian", quadratic.arguments(10, "float64"), "numpy")


def test_a_suite_run_checks_times_and_judges():
    options = ridge_alone()
    rows = list(run("ridge regression", options))
    assert [row.result for row in rows] == [
        "value",
        "value and gradient",
        "Hessian",
        "Hessian, structured",
        "Hessian product",
        "Newton step",
        "Newton step, structured",
    ]
    hessian = rows[2]
    assert {"ours numpy", "ours numpy structured", "JAX"} == hessian.seconds.keys()
    assert hessian.first.keys() == hessian.seconds.keys()
    assert hessian.targets == {"JAX": 5.0, "torch.func": 20.0}
    assert hessian.fraction > 0 and not hessian.contraction  # a load may fall on either timing
    assert rows[3].own == "ours numpy structured" and rows[3].fraction is None
    lines = list(goals.summary(rows))
    assert [(line.result, line.peer) for line in lines] == [
        ("Hessian", "JAX"),
        ("value and gradient", "JAX"),
        ("value", "JAX"),
        ("size 10, all results", "JAX"),
    ]
    ratios = [r.ratios()["JAX"] for r in rows if r.own == "ours numpy"]
    assert lines[-1].mean == goals.geometric_mean(ratios) and lines[-1].least == min(ratios)
    small = next(text for text in goals.overall(rows) if "size 10, any result" in text)
    assert f"geometric mean {lines[-1].mean:9.2f}" in small


def test_a_wrong_contestant_is_not_timed_and_fails_the_command(monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.suites.models.ours", lambda *_: lambda: np.float64(0.0))
    row = next(run("ridge regression", ridge_alone()))
    assert row.wrong() == ["ours numpy"] and row.seconds.keys() == {"JAX"}
    assert "ours numpy wrong: ridge regression, ours numpy, value, size 10, float64" in str(row)
    arguments = ["--suite", "models", "--quick", "--seconds", "0", "--target", "numpy"]
    assert main([*arguments, "--problem", "quadratic form", "--peer", "JAX"]) == 1


def test_what_we_refuse_stays_in_the_table(monkeypatch):
    def refused(*_):
        raise calling.Refused("too hard")

    monkeypatch.setattr("benchmarks.suites.models.ours", refused)
    options = ridge_alone()
    row = next(run("ridge regression", options))
    assert row.left_out == {"ours numpy": "too hard"}
    assert row.misses() == ["not computed: too hard"]
    assert "MISSED: not computed" in str(row)


def test_who_took_too_long_is_left_out_of_the_rows_that_follow():
    model, slow = model_named("kernel density"), patience.Patience()
    slow.began("JAX", 10, patience.FIRST + 1)
    with pytest.raises(calling.Refused, match=r"its first call took 41 s at size 10"):
        slow.check(model, "Hessian", 100, "float64", "JAX")
    slow.called("torch.func", 100, patience.LATER + 1)
    with pytest.raises(calling.Refused, match=r"a call took 3 s at size 100"):
        slow.check(model, "Hessian", 1000, "float64", "torch.func")
    slow.called("ours numpy", 100, 1e-5)
    slow.check(model, "Hessian", 1000, "float64", "ours numpy")


@pytest.mark.parametrize("why", ["", "no result after 40 s"])
def test_who_may_take_too_long_is_tried_in_a_process_of_its_own(why):
    tried = []
    trials = lambda *about: tried.append(about) or why  # noqa: E731
    model, own = model_named("kernel density"), patience.Patience(trials)
    own.called("JAX", 100, 0.01)
    for _ in range(2):
        if why:
            with pytest.raises(calling.Refused, match="no result after 40 s at size 1000"):
                own.check(model, "Hessian", 1000, "float64", "JAX")
        else:
            own.check(model, "Hessian", 1000, "float64", "JAX")
    assert tried == [("kernel density", "Hessian", 1000, "float64", "JAX")]


@pytest.mark.parametrize("name", ["ours numba", "ours numpy structured"])
def test_ours_is_tried_where_the_formula_took_long_to_derive(name):
    own = patience.Patience(lambda *_: "no result after 40 s")
    model = model_named("kernel density")
    own.check(model, "Hessian", 10, "float64", name)
    own.began("ours numpy", 10, 1.0)
    own.check(model, "Hessian", 10, "float64", "JAX")
    with pytest.raises(calling.Refused, match="no result after 40 s at size 10"):
        own.check(model, "Hessian", 10, "float64", name)


def test_who_was_too_slow_for_a_part_is_not_tried_for_the_whole():
    model, hessian = model_named("kernel density"), patience.Patience()
    hessian.called("torch.func", 100, patience.LATER + 1)
    newton = patience.Patience(part=hessian)
    newton.check(model, "Newton step", 10, "float64", "torch.func")
    with pytest.raises(calling.Refused, match=r"a call took 3 s at size 100"):
        newton.check(model, "Newton step", 100, "float64", "torch.func")
    hessian.check(model, "Hessian", 10, "float64", "torch.func")


def test_a_trial_says_why_there_is_no_result(monkeypatch):
    about = "quadratic form", "value", 10, "float64"
    tried = trials.Trials(lasting=True)
    try:
        assert tried(*about, "ours numpy") == ""
        process = tried._process
        assert "abacus" in tried(*about, "ours abacus")
        assert tried._process is process and process.poll() is None
        monkeypatch.setattr(trials, "TRIAL", 0.0)
        assert tried(*about, "JAX") == "no result after 0 s"
        assert process.poll() is not None
        monkeypatch.setattr(trials, "TRIAL", 40.0)
        assert tried("no such problem", *about[1:], "ours numpy") == "its process ended with 1"
    finally:
        tried.end()


def test_goals_are_those_of_the_row():
    def row(problem, result, size, own="ours numpy"):
        return Row("models", problem, size, "float64", {}, result=result, own=own)

    assert goals.row_goals(row("p", "Hessian", 100)) == {"JAX": 1}
    assert goals.row_goals(row("p", "value and gradient", 100)) == {"JAX": 0.95}
    assert goals.row_goals(row("p", "value", 10)) == {"JAX": 5.0, "torch.func": 20.0}
    assert goals.row_goals(row("p", "value", 100)) == {"JAX": 0.95}
    operator = row("p", "Hessian, structured", 10, own_name("numpy", "structured"))
    assert goals.row_goals(operator) == {} and not goals.is_small(operator)
    assert goals.row_goals(row("margin loss", "value", 4_000_000))["JAX"] == 1.5
    name = own_name("numpy", "structured")
    assert goals.row_goals(row("matrix factorization", "Hessian, structured", 200, name)) == {
        "JAX": 1000.0
    }


def test_reasons_are_of_problems_and_results_that_exist():
    for entry in goals.reasons():
        assert entry.get("problem", "margin loss") in all_models()
        assert entry.get("result", "value").split(",")[0] in RESULTS
        assert len(entry["text"]) > 20


def test_a_summary_line_says_what_was_wanted_and_why_it_was_missed():
    row = Row("models", "p", 100, "float64", {"ours numpy": 1.0, "JAX": 4.0})
    row.reason = "copies"
    other = Row("models", "p", 1000, "float64", {"ours numpy": 1.0, "JAX": 9.0})
    for each in (row, other):
        each.result, each.own = "Hessian", "ours numpy"
    (line,) = goals.summary([row, other])
    assert line.mean == pytest.approx(6) and line.least == 4 and not line.met
    assert "MISSED (wanted 10, never under 1); copies" in str(line)


def test_modules_without_the_contract_are_named(tmp_path, monkeypatch):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "__init__.py").write_text("")
    (tmp_path / "odd" / "half.py").write_text("NAME = 'half'\n")
    monkeypatch.syspath_prepend(tmp_path)
    import odd

    with pytest.raises(TypeError, match=r"odd.half has no loss; .* offer NAME, loss"):
        list(modules(odd, ("NAME", "loss")))


def test_peers_that_are_missing_are_named(monkeypatch):
    ghost = SimpleNamespace(NAME="ghost", PACKAGE="no_such_package", contestant=None)
    monkeypatch.setattr(calling, "modules", lambda *_: iter([ghost]))
    calling.missing_peers.cache_clear()
    try:
        assert calling.missing_peers() == {"ghost": "no_such_package"}
    finally:
        calling.missing_peers.cache_clear()


def test_the_work_of_a_gram_matrix_counts_one_triangle():
    model = model_named("ridge regression")
    arguments = model.arguments(100, "float64")
    from benchmarks.ours import least_work

    H = contestant(model, "Hessian", arguments, "ours numpy")()
    least = least_work(model, "Hessian", arguments, H)
    assert least.flops == 200 * 100**2
    assert least.bytes == sum(a.nbytes for a in arguments) + H.nbytes
    assert least.seconds(limits.Limits(1e9, 1e12)) == pytest.approx(2e-3)
    assert least.is_large_contraction(limits.Limits(1e9, 1e12))
    assert not least.is_large_contraction(limits.Limits(1e9, 1e8))


def test_memory_is_that_of_a_call():
    bytes_taken = memory.peak("matrix factorization", "Hessian", 100, "float64", "ours numpy")
    assert bytes_taken < 100 * 2**20
    assert memory._status("VmRSS") is None or memory._status("VmRSS") > 2**20


def test_the_command_knows_its_suites_and_stores_the_summary(tmp_path, capsys):
    assert {"hessians", "derivation", "models", "start"} <= all_suites().keys()
    assert all(isinstance(suite, ModuleType) for suite in all_suites().values())
    stored = tmp_path / "rows.json"
    arguments = ["--suite", "models", "--quick", "--seconds", "0", "--problem", "quadratic form"]
    arguments += ["--target", "numpy", "--peer", "JAX"]
    arguments += ["--json", str(stored), "--plot", str(tmp_path / "rows.png")]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "quadratic form" in out and "geometric mean" in out
    found = json.loads(stored.read_text())
    assert found["machine"]["numpy"] == np.__version__
    assert [line["problem"] for line in found["summary"]] == ["quadratic form"] * 4
    assert find_spec("torch") or found["machine"]["torch"] == "not installed"
    assert (tmp_path / "rows.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_gpu_the_command_says_what_is_missing(monkeypatch):
    from backends.cuda import cuda_device, errors

    def nothing(*_):
        raise errors.CudaError("target 'cuda' needs a GPU", [], "use target='numba'")

    monkeypatch.setattr(cuda_device, "open_device", nothing)
    with pytest.raises(SystemExit, match=r"(?s)needs a GPU.*target='numba'"):
        main(["--suite", "start", "--target", "cuda"])


def test_a_profile_has_the_operations_of_both_sides_and_every_line(capsys):
    profiling.report("ridge regression", "Hessian", 100)
    title, own, xla, total, *lines = capsys.readouterr().out.splitlines()
    assert title.startswith("ridge regression, Hessian, size 100")
    assert float(own.split()[1]) == pytest.approx(4, rel=0.1)
    assert float(xla.split()[1]) >= 4
    assert "in all" in total
    assert any(".dot(" in line for line in lines)


@pytest.mark.parametrize("name", QUICK)
def test_a_structured_hessian_keeps_single_precision(name):
    model = model_named(name)
    arguments = model.arguments(model.sizes("Hessian")[0], "float32")
    try:
        operator = structured(model, "Hessian", arguments, "numpy")()
    except calling.Refused:
        pytest.skip(f"the Hessian of {name} has no structure")
    vector = np.ones(operator.shape[0], np.float32)
    assert operator.dtype == operator.todense().dtype == operator.diagonal().dtype == np.float32
    assert (operator @ vector).dtype == np.float32
    shift = 1 - float(np.linalg.eigvalsh(operator.todense())[0])
    assert operator.solve(vector, damping=shift).dtype == np.float32
    assert operator.inverse_diagonal(damping=shift).dtype == np.float32
