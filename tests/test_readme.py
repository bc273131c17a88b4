"""The README's blocks run and print what they say; its commands and paths exist."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from autodiff.command_line import main
from tensorcalc.table import TABLE

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"\d\.\d(e[-+]\d+)")


@pytest.fixture
def table():
    """The operation table, restored after a test that adds rows."""
    rows = dict(TABLE)
    yield
    TABLE.clear()
    TABLE.update(rows)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_python_blocks_print_what_they_say(table):
    """All in one namespace, from top to bottom."""
    source = "\n".join(blocks("python"))
    test = doctest.DocTestParser().get_doctest(source, {}, "README.md", "README.md", 0)
    lines = []
    flags = doctest.IGNORE_EXCEPTION_DETAIL | doctest.NORMALIZE_WHITESPACE
    result = doctest.DocTestRunner(optionflags=flags).run(test, out=lines.append)
    assert result.attempted > 30
    assert not result.failed, "".join(lines)


def commands():
    """Each command of the console blocks with the lines that it prints."""
    for block in blocks("console"):
        for part in block.split("$ ")[1:]:
            command, _, output = part.partition("\n")
            yield command, output


@pytest.mark.parametrize(("command", "output"), list(commands()))
def test_console_blocks_print_what_they_say(command, output, capsys):
    """Relative errors differ among machines; everything else is the same."""
    program, *arguments = shlex.split(command)
    assert program == "tensorcalc"
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", output)


def test_there_are_two_commands_and_ci_runs_the_second():
    found = re.findall(r"^    (bash .*)$", TEXT, re.MULTILINE)
    assert [command.split()[2] for command in found] == ["bench", "test"]
    assert "bash \\.ci\\/env test" in (ROOT / ".ci" / "run").read_text()


def test_named_files_and_folders_exist():
    for name in re.findall(r"`([\w./]+(?:\.py|\.md|/))`", TEXT):
        found = [*ROOT.rglob(name.rstrip("/")), ROOT / name]
        assert any(path.exists() for path in found), name
    for target in re.findall(r"\]\(([\w./]+)\)", TEXT):
        assert (ROOT / target).exists(), target
