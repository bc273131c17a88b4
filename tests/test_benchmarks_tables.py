"""Tables in parts: stored part by part, gone on with, refused where rows are not comparable."""

from __future__ import annotations

import json

import pytest

from benchmarks import __main__ as command
from benchmarks import goals, tables
from benchmarks.__main__ import main
from benchmarks.measuring import machine
from benchmarks.rows import Row

PROBLEMS = ("ridge regression", "quadratic form")


@pytest.fixture
def suite(monkeypatch):
    """A suite of two problems in place of the models, and the list of what it has measured."""
    measured = []

    class Suite:
        DEFAULT = True

        @staticmethod
        def parts(options):
            return [name for name in PROBLEMS if options.wants(name)]

        @staticmethod
        def run(part, options):
            measured.append(part)
            for size in (10, 100):
                seconds = {"ours numpy": 1e-3, "JAX": 1e-3 * size}
                row = Row("models", part, size, "float64", seconds, result="Hessian")
                row.own, row.fraction = "ours numpy", 0.5
                yield goals.judge(row)

    monkeypatch.setattr(command, "all_suites", lambda: {"models": Suite})
    return measured


def table_of(path, *more):
    main(["--suite", "models", "--json", str(path), *more])
    return json.loads(path.read_text())


def test_a_table_in_parts_is_that_of_one_run(suite, tmp_path, capsys):
    whole = table_of(tmp_path / "whole.json")
    printed = capsys.readouterr().out
    parts = tmp_path / "parts.json"
    first = table_of(parts, "--resume", "--problem", PROBLEMS[1])
    assert [row["problem"] for row in first["rows"]] == [PROBLEMS[1]] * 2
    found = table_of(parts, "--resume")
    assert suite == [*PROBLEMS, *reversed(PROBLEMS)]
    assert found["parts"].keys() == whole["parts"].keys() == {f"models: {p}" for p in PROBLEMS}
    for name in ("rows", "summary"):
        assert sorted(found[name], key=str) == sorted(whole[name], key=str)
    last = capsys.readouterr().out
    assert printed.rpartition("geometric mean over")[2].splitlines()[-1] in last


def test_what_is_stored_is_judged_by_the_reasons_of_today(suite, tmp_path, monkeypatch):
    path = tmp_path / "table.json"
    table_of(path)
    monkeypatch.setattr(goals, "reasons", lambda: [{"problem": PROBLEMS[0], "text": "found now"}])
    found = table_of(path, "--resume")
    assert len(suite) == 2
    assert [row.get("reason", "") for row in found["rows"]] == ["found now"] * 2 + [""] * 2


def test_an_interrupted_run_leaves_whole_problems(suite, tmp_path, monkeypatch):
    path = tmp_path / "table.json"
    run = command.all_suites()["models"].run

    def interrupted(part, options):
        yield from run(part, options)
        if part == PROBLEMS[1]:
            raise KeyboardInterrupt

    monkeypatch.setattr(command.all_suites()["models"], "run", staticmethod(interrupted))
    with pytest.raises(KeyboardInterrupt):
        table_of(path)
    found = json.loads(path.read_text())
    assert [row["problem"] for row in found["rows"]] == [PROBLEMS[0]] * 2
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--seconds", "7"], r"seconds 0\.3 there, 7\.0 here"),
        (["--peer", "JAX"], r"peers \[\] there, \['JAX'\] here"),
        (["--target", "numpy"], "targets .* there, .*'numpy'.* here"),
    ],
)
def test_rows_with_other_options_are_refused(suite, tmp_path, more, text):
    table_of(tmp_path / "table.json")
    with pytest.raises(SystemExit, match=text):
        table_of(tmp_path / "table.json", "--resume", *more)


def test_rows_of_another_machine_or_code_are_refused(suite, tmp_path, monkeypatch):
    path = tmp_path / "table.json"
    table_of(path)
    monkeypatch.setattr(tables, "machine", lambda: machine() | {"numpy": "0.1"})
    monkeypatch.setattr(tables, "code_digest", lambda: "another")
    with pytest.raises(SystemExit, match=r"table\.json holds .*numpy .* 0\.1 here; code \w+ there"):
        table_of(path, "--resume")


def test_a_file_that_is_no_table_in_parts_is_refused(suite, tmp_path):
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"machine": machine(), "rows": []}))
    with pytest.raises(SystemExit, match="code None there"):
        table_of(path, "--resume")


def test_without_a_file_there_is_nothing_to_go_on_with(suite, capsys):
    with pytest.raises(SystemExit):
        main(["--resume"])
    assert "name it by --json FILE" in capsys.readouterr().err


def test_the_digest_is_of_sources_that_exist():
    assert all((tables.Path(tables.__file__).parent.parent / name).exists() for name in tables.CODE)
    assert len(tables.code_digest()) == 16
