"""What may import what: packages in one direction, files only files before them."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Each package may import itself and those before it.
PACKAGES = ["tensorcalc", "backends", "autodiff"]
TOP = ["benchmarks", "tests"]
#: Libraries that are loaded on first use only, by the packages that may load them at all.
LAZY = {"numba", "jax", "sympy", "matplotlib", "sklearn", "torch", "cupy"}


def modules(package):
    """Dotted name of every module of a package, with its path."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name, path, everything):
    """Names of modules that a file imports when it is loaded."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in top_level(ast.parse(path.read_text()).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
            source = node.module or ""
            if node.level:
                source = f"{base}.{source}".rstrip(".")
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner in everything else source


def top_level(body):
    """Statements that run when a module is loaded, without those that only type checkers read."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from top_level([*node.body, *getattr(node, "orelse", [])])
        else:
            yield node


def graph(package):
    """For each module of a package the modules of this project that it imports."""
    everything = {}
    for each in [*PACKAGES, *TOP]:
        everything.update(modules(each))
    return {
        name: {other for other in imports(name, path, everything) if other in everything}
        for name, path in modules(package).items()
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_packages_before_it(package):
    allowed = set(PACKAGES[: PACKAGES.index(package) + 1])
    for name, others in graph(package).items():
        found = {other.partition(".")[0] for other in others}
        assert found <= allowed, f"{name} imports {found - allowed}"


@pytest.mark.parametrize("package", PACKAGES)
def test_files_of_a_package_can_be_put_in_order(package):
    """No cycle among its modules; a package's ``__init__`` comes after the files it gathers."""
    edges = {
        name: {other for other in others if other.startswith(package) and other != name}
        for name, others in graph(package).items()
    }
    try:
        tuple(TopologicalSorter(edges).static_order())
    except CycleError as error:
        raise AssertionError(" <- ".join(error.args[1])) from None


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_imports_its_own_project_inside_a_function(package):
    for name, path in modules(package).items():
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            for node in ast.walk(function):
                own = isinstance(node, ast.ImportFrom) and (
                    node.level or (node.module or "").partition(".")[0] in PACKAGES
                )
                assert not own, f"{name}.{function.name} imports {ast.unparse(node)}"


def loaded(statement):
    """Names of the modules in ``sys.modules`` of a new process after a statement."""
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_loads_no_optional_library(package):
    assert not loaded(f"import {package}") & LAZY


def test_a_hessian_loads_neither_scipy_nor_networks():
    names = loaded("import autodiff as ad; ad.hessian(lambda x: x**3)(1.0)")
    assert not names & {"scipy", "autodiff.structured.base", "autodiff.graph", "autodiff.nn"}


def test_no_pickle_is_read_and_no_text_of_a_user_is_evaluated():
    for package in PACKAGES:
        for name, path in modules(package).items():
            calls = [
                node.func.id
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            ]
            assert "eval" not in calls, name
            assert not {"pickle", "dill", "cloudpickle"} & {
                each.partition(".")[0] for each in imports(name, path, {})
            }, name
