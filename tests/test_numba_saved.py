"""What ``save`` writes for the numba target runs without this library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import backends
import tensorcalc as tc
from backends.standalone import bundled

pytest.importorskip("numba", reason="numba, an optional extra, is not installed")

SCRIPT = """
import sys, numpy as np
import saved
given, wanted = np.load("given.npz"), np.load("wanted.npz")
found = saved.f(given["X"], given["y"], given["w"])
for a, b in zip(found, wanted.values()):
    np.testing.assert_allclose(a, b, rtol=1e-12)
own = [name for name in sys.modules if name.startswith(("backends", "tensorcalc", "autodiff"))]
assert not own, own
print("agrees")
"""


def test_a_saved_function_runs_without_this_library(tmp_path: Path) -> None:
    X, y, w = tc.variables("X: m n, y: m, w: n")
    loss = np.sum(np.log1p(np.exp(-y * (X @ w))))
    roots = [loss, tc.gradient(loss, w), tc.hessian(loss, w), np.max(y)]
    function = backends.compile(roots, "numba", variables=(X, y, w))
    rng = np.random.default_rng(0)
    arrays = {"X": rng.normal(size=(40, 10)), "y": rng.normal(size=40), "w": rng.normal(size=10)}
    np.savez(tmp_path / "wanted.npz", *function(**arrays))
    np.savez(tmp_path / "given.npz", **arrays)
    function.save(tmp_path / "saved.py")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "agrees\n", done.stderr


def test_names_of_modules_do_not_clash_and_imports_of_the_library_are_gone() -> None:
    text = bundled("import backends.vector_math as vm\n\n\ndef g(x):\n    return vm.exp(x)\n")
    assert "return exponential_exp(x)" in text
    nodes = list(ast.walk(ast.parse(text)))
    modules = [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
    modules += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    assert "numba" in modules and not any(m.startswith("backends") for m in modules)
