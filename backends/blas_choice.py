"""Which BLAS compiled loops call, and whether it knows this processor.

NumPy's own OpenBLAS is loaded already: calling it keeps one pool of threads and spares the import
of SciPy. OpenBLAS picks its kernels when it is loaded, by a list of processors known at the time;
one that is newer may be taken for an old one without AVX-512, at half the speed. What is loaded
already cannot be changed, but SciPy brings a copy of its own, which is then loaded with the
environment variable ``OPENBLAS_CORETYPE`` set and called instead.
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

#: What OpenBLAS calls its kernels for AVX-512, and what a processor must have for them.
WIDE = "SkylakeX"
WIDE_FLAGS = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})
#: Kernels without AVX-512 that a processor with it has been given.
NARROW = frozenset({"Prescott", "Core2", "Nehalem", "Sandybridge", "Haswell", "Zen", "Excavator"})
VARIABLE = "OPENBLAS_CORETYPE"


def processor_flags() -> frozenset[str]:
    """What the processor has, as Linux on x86 tells; empty elsewhere."""
    try:
        with open("/proc/cpuinfo") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(flags.partition(":")[2].split())


def mistaken(core: str, flags: frozenset[str]) -> bool:
    """Whether kernels called ``core`` leave AVX-512 unused."""
    return core in NARROW and flags >= WIDE_FLAGS


class Library:
    """An OpenBLAS that a module of NumPy is linked to."""

    def __init__(self, path: str) -> None:
        self.handle = ctypes.CDLL(path)

    def symbol(self, *names: str) -> Any:
        """The first of the names that there is; None if there is none."""
        found = (getattr(self.handle, name, None) for name in names)
        return next((each for each in found if each is not None), None)

    def core(self) -> str:
        """The processor that the library was made for; "" if it is no OpenBLAS."""
        get = self.symbol(
            *(f"{p}openblas_get_corename{s}" for p in ("scipy_", "") for s in ("64_", ""))
        )
        if get is None:
            return ""
        get.restype = ctypes.c_char_p
        return get().decode()

    def address(self, routine: str) -> int | None:
        """Where a routine with integers of 64 bits starts."""
        function = self.symbol(f"scipy_{routine}_64_", f"{routine}_64_")
        return ctypes.cast(function, ctypes.c_void_p).value if function is not None else None


@lru_cache(maxsize=1)
def numpys() -> Library:
    """The library of :mod:`numpy.linalg`."""
    from numpy.linalg import _umath_linalg

    return Library(_umath_linalg.__file__)


def address(routine: str) -> int:
    """Where a routine of BLAS starts, of a library that knows this processor if there is one.

    Its integers may have 32 or 64 bits: a pointer to one of 64 does for both, since x86 and ARM
    store the low half first.
    """
    found = None if is_mistaken() else numpys().address(routine)
    return found if found is not None else _scipys(routine)


@lru_cache(maxsize=1)
def is_mistaken() -> bool:
    """Whether NumPy's library takes the processor for one without AVX-512; warns once if so."""
    core = numpys().core()
    if not mistaken(core, processor_flags()):
        return False
    warnings.warn(
        f"NumPy's OpenBLAS takes this processor for a {core}, which has no AVX-512: its matrix"
        f" products take up to twice as long. Compiled loops use SciPy's copy instead; with"
        f" {VARIABLE}={WIDE} in the environment before Python starts, NumPy is as fast",
        RuntimeWarning,
        stacklevel=2,
    )
    return True


def _scipys(routine: str) -> int:
    from numba.extending import get_cython_function_address

    with _wide_kernels():
        return get_cython_function_address("scipy.linalg.cython_blas", routine)


@contextmanager
def _wide_kernels() -> Iterator[None]:
    """A library that is loaded inside uses AVX-512 if the processor has it."""
    wanted = processor_flags() >= WIDE_FLAGS and VARIABLE not in os.environ
    if wanted:
        os.environ[VARIABLE] = WIDE
    try:
        yield
    finally:
        if wanted:
            del os.environ[VARIABLE]


def loaded_copies() -> list[str]:
    """Paths of every OpenBLAS in this process, for reports; empty where that cannot be told."""
    if not sys.platform.startswith("linux"):
        return []
    maps = Path("/proc/self/maps").read_text().split()
    return sorted({path for path in maps if "openblas" in path and path.startswith("/")})
