"""Kernels to machine code without a GPU: numba to PTX, nvJitLink to a cubin, both kept on disk.

A cubin is named by the hash of the kernel's text, its precision, the compute capability and the
versions of all that makes it; its entry has the same name, so equal kernels are one file.

The text of a kernel is one Python function of pointers, then int64 sizes; ``boolean`` entries are
uint8, ``counter`` int32, ``integer`` int64. Its names are those of
:func:`.device_functions.namespace`: ``cuda``, ``math``, ``real``, ``uint8``, ``int64``, ``uint64``,
and what that module makes.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import json
import linecache
import os
import re
import tempfile
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from ..compiled import TargetError
from ..disk_cache import directory
from .actions import Kernel
from .errors import INSTALL

#: The compute capability that tests compile for: H100 and H200.
HOPPER = (9, 0)

#: What generated machine code depends on besides the kernel.
PACKAGES = ("numba", "numba-cuda", "nvidia-nvvm", "nvidia-nvjitlink")
MODULES = ("compile.py", "grids.py", "numba_cuda.py")
_HERE = Path(__file__).parent


class Compiled(NamedTuple):
    """A cubin, the name of its entry, and what the linker says of it."""

    entry: str
    image: bytes
    registers: int
    #: Bytes of registers that are kept in local memory for want of registers.
    spills: int
    #: Instructions of the PTX on float64.
    doubles: int


def device_module(name: str) -> Any:
    """A module of this package that imports numba.cuda, loaded when a kernel is first compiled."""
    return importlib.import_module(f"{__package__}.{name}")


def function_of(kernel: Kernel, precision: str) -> Any:
    """The Python function of a kernel's text."""
    names = dict(device_module("device_functions").namespace(precision))
    file = f"<{kernel.name} {_digest(kernel.text, precision)}>"
    exec(builtins.compile(kernel.text, file, "exec"), names)  # noqa: S102
    linecache.cache[file] = len(kernel.text), None, kernel.text.splitlines(True), file
    return names[kernel.name]


def ptx_of(kernel: Kernel, precision: str, cc: tuple[int, int] = HOPPER) -> str:
    """The kernel's PTX, its entry named by hash.

    Raises TargetError if numba-cuda or a library that it needs is not installed.
    """
    available()
    text = device_module("numba_cuda").ptx(kernel, function_of(kernel, precision), precision, cc)
    names = re.findall(r"\.entry\s+(\w+)", text)
    return text.replace(names[0], entry_of(kernel, precision, cc))


def cubin(kernel: Kernel, precision: str, cc: tuple[int, int] = HOPPER) -> Compiled:
    """The kernel's machine code; compiled once per machine.

    Raises TargetError if numba-cuda or a library that it needs is not installed.
    """
    entry = entry_of(kernel, precision, cc)
    path = _directory() / f"{entry}.cubin"
    facts = path.with_suffix(".json")
    if not (path.exists() and facts.exists()):
        ptx, image, log = _made(kernel, precision, cc)
        _write(path, image)
        _write(facts, json.dumps({**report(log), "doubles": ptx.count(".f64 \t")}).encode())
    return Compiled(entry, path.read_bytes(), **json.loads(facts.read_text()))


def _made(kernel: Kernel, precision: str, cc: tuple[int, int]) -> tuple[str, bytes, str]:
    """The PTX, the cubin and the linker's report.

    Raises TargetError, which names the versions: libraries that do not belong together fail here,
    such as a libnvvm whose PTX is newer than what the linker reads.
    """
    try:
        ptx = ptx_of(kernel, precision, cc)
        return ptx, *linked(ptx, cc)
    except TargetError:
        raise
    except Exception as error:
        found = ", ".join(f"{name} {_version(name)}" for name in (*PACKAGES, "cuda-core", "numpy"))
        raise TargetError(
            f"kernel {kernel.name} could not be compiled for compute capability {cc[0]}.{cc[1]}",
            [f"{type(error).__name__}: {str(error).strip()[:200]}", f"found: {found}"],
            f"install the versions that belong together: {INSTALL}",
        ) from error


def linked(ptx: str, cc: tuple[int, int]) -> tuple[bytes, str]:
    """The cubin of a PTX text, and the linker's report."""
    from cuda.core import Linker, LinkerOptions, ObjectCode

    options = LinkerOptions(arch=f"sm_{cc[0]}{cc[1]}", ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    image = linker.link("cubin").code
    return bytes(image), linker.get_info_log()


def report(log: str) -> dict[str, int]:
    """Registers per thread and bytes of spills from the linker's report."""
    registers = re.findall(r"Used (\d+) registers", log)
    spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", log)
    return {"registers": int(registers[0]), "spills": sum(map(int, spills))}


def entry_of(kernel: Kernel, precision: str, cc: tuple[int, int]) -> str:
    """The name of the compiled kernel: what it does, and a hash of all it depends on."""
    what = (kernel.text, kernel.pointers, kernel.sizes, kernel.threads, precision, cc, versions())
    return f"{kernel.name}_{_digest(*map(str, what))}"


@lru_cache(maxsize=1)
def versions() -> str:
    """Versions of what makes machine code, and a hash of the functions that kernels call."""
    digest = hashlib.sha256()
    for path in (*sorted(_HERE.glob("device_*.py")), *map(_HERE.joinpath, MODULES)):
        digest.update(path.read_bytes())
    found = [f"{name} {_version(name)}" for name in PACKAGES]
    return f"{', '.join(found)}, functions {digest.hexdigest()[:16]}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"  # from a CUDA toolkit that is no package


@lru_cache(maxsize=1)
def available() -> None:
    """Check that kernels can be compiled and linked.

    Raises TargetError, which names what is missing and the command that installs it.
    """
    try:
        import numba  # noqa: F401
        from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib
        from numba_cuda import __version__  # noqa: F401
    except ImportError as missing:
        raise TargetError(
            "target 'cuda' needs numba and numba-cuda", [str(missing)], INSTALL
        ) from None
    for library in ("nvvm", "nvrtc", "nvJitLink"):
        try:
            load_nvidia_dynamic_lib(library)
        except DynamicLibNotFoundError as missing:
            raise TargetError(
                f"target 'cuda' needs the library {library}", [str(missing)], INSTALL
            ) from None


def _directory() -> Path:
    path = directory() / "cuda"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _write(path: Path, content: bytes) -> None:
    """All of the file or none of it, whoever else writes it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
