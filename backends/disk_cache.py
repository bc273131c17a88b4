"""Generated modules as files, so that numba keeps their machine code between processes.

The file is named by the hash of its text, which begins with the versions of everything that the
machine code depends on: another version is another file. It lies in the user's cache directory
(``~/.cache/tensorcalc`` on Linux, ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows);
the environment variable ``TENSORCALC_CACHE_DIR`` moves it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
import tempfile
import threading
import warnings
from functools import lru_cache
from pathlib import Path
from types import ModuleType

_LOCK = threading.Lock()
_HERE = Path(__file__).parent


@lru_cache(maxsize=1)
def directory() -> Path:
    """Where generated modules lie; a temporary directory, with a warning, if none is writable."""
    moved = os.environ.get("TENSORCALC_CACHE_DIR")
    path = Path(moved) if moved else _conventional() / "tensorcalc"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        warnings.warn(
            f"compiled code is not kept: {error}; TENSORCALC_CACHE_DIR can name another place",
            RuntimeWarning,
            stacklevel=2,
        )
        return Path(tempfile.mkdtemp(prefix="tensorcalc"))


def _conventional() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@lru_cache(maxsize=1)
def versions() -> str:
    """What machine code depends on besides its own text, as a comment line."""
    # loads e-mail parsers and more: 30 ms that a process without numba code need not pay
    from importlib.metadata import version

    digest = hashlib.sha256()
    sources = [_HERE / f"numba_{name}.py" for name in ("blas", "matrices", "rows", "runtime")]
    sources += sorted((_HERE / "vector_math").glob("*.py"))
    for source in sources:
        digest.update(source.read_bytes())
    names = [f"{name} {version(name)}" for name in ("numba", "llvmlite", "numpy", "scipy")]
    names.append(f"Python {platform.python_version()}")
    return f"# {', '.join(names)}, functions {digest.hexdigest()[:16]}\n"


def loaded(source: str) -> ModuleType:
    """The module of a text; executed once per process, compiled once per machine."""
    text = versions() + source
    name = f"tensorcalc_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    with _LOCK:
        if name not in sys.modules:
            sys.modules[name] = _executed(name, _written(name, text))
        return sys.modules[name]


def _written(name: str, text: str) -> Path:
    """The file; left alone if it is there, since numba goes by the time it was written."""
    path = directory() / f"{name}.py"
    if not path.exists() or path.read_text() != text:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
    return path


def _executed(name: str, path: Path) -> ModuleType:
    """The module, registered before it runs: numba asks for it by name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
