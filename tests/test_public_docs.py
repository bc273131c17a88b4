"""Every public name says what it is, shows it in an example that runs, and names its errors."""

from __future__ import annotations

import ast
import doctest
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import autodiff as ad
import backends
import tensorcalc as tc

PLACES = {
    "tc": tc,
    "backends": backends,
    "ad": ad,
    "ad.nn": ad.nn,
    "ad.optim": ad.optim,
    "ad.losses": ad.losses,
    "ad.init": ad.init,
}
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def public() -> Iterator[tuple[str, Any]]:
    """Functions and classes by name; those of one name in two places once."""
    seen: set[int] = set()
    for place, module in PLACES.items():
        names = getattr(module, "__all__", None) or vars(module)
        for name in names:
            thing = getattr(module, name)
            own = str(getattr(thing, "__module__", "")).split(".")[0] in (
                "tensorcalc",
                "backends",
                "autodiff",
            )
            if isinstance(thing, ModuleType) or name.startswith("_") or not own:
                continue
            if id(thing) not in seen:
                seen.add(id(thing))
                yield f"{place}.{name}", thing


NAMES = dict(public())


def test_there_are_many_public_names() -> None:
    assert len(NAMES) > 200


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_an_example_that_runs_as_printed(name: str) -> None:
    text = inspect.getdoc(inspect.unwrap(NAMES[name])) or ""
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert test.examples, f"{name} has no example"
    scope = vars(inspect.getmodule(inspect.unwrap(NAMES[name])))
    test.globs = {**scope, "__name__": "example"}
    lines: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=lines.append)
    assert not result.failed, "".join(lines)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_that_raises_says_so(name: str) -> None:
    thing = inspect.unwrap(NAMES[name])
    said = inspect.getdoc(thing) or ""
    for function, text in raising(thing):
        assert "aises" in said + text, f"{name}: {function} raises, but no docstring says what"


def raising(thing: Any) -> Iterator[tuple[str, str]]:
    """Functions of the source that have a ``raise`` of their own, with their docstrings."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError):  # made by a function: no source of its own
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("__getattr"):
            errors = [ast.unparse(part.exc) for part in ast.walk(node) if _has_error(part)]
            if any(not error.startswith("Stopped") for error in errors):
                yield node.name, ast.get_docstring(node) or ""


def _has_error(part: ast.AST) -> bool:
    """Whether a statement raises a new error; ``Stopped`` ends a loop and never leaves it."""
    return isinstance(part, ast.Raise) and part.exc is not None
