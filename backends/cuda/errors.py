"""What is missing for the CUDA target, and the command that installs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorcalc.errors import TensorcalcError

from ..compiled import TargetError
from ..memory import text
from .loading import PACKAGES

_FOLDER = Path(__file__).parents[2]
#: What pip installs: the folder with the sources if this is run from there.
_SOURCE = str(_FOLDER) if (_FOLDER / "setup.cfg").exists() else "tensorcalc"
#: Installs every package that the target needs, in versions that were tried together.
INSTALL = f'pip install "{_SOURCE}[cuda]"'
#: What the driver must support, as the driver counts: 1000 * major + 10 * minor.
OLDEST_DRIVER = 13000
#: The first driver for Linux that supports it.
DRIVER_PACKAGE = "580"
#: What CUDA 13 compiles for: Turing and later.
OLDEST_CAPABILITY = (7, 5)

DRIVER_HINT = (
    f"install NVIDIA's driver {DRIVER_PACKAGE} or newer (Ubuntu: sudo apt install "
    f"nvidia-driver-{DRIVER_PACKAGE}) until nvidia-smi lists a GPU; in a container pass --gpus all"
)


class CudaError(TargetError):
    """The CUDA target cannot run here: the message says what is missing."""


class DeviceMemoryError(TensorcalcError, MemoryError):
    """The device has not enough free memory."""


def missing_package(name: str, error: Exception) -> CudaError:
    """A module of :mod:`.loading` that cannot be imported."""
    return CudaError(
        f"target 'cuda' needs the package {PACKAGES.get(name, name)}", [str(error)], INSTALL
    )


def missing_library(name: str, package: str, error: Exception) -> CudaError:
    """cuBLAS or cuSOLVER cannot be loaded or started."""
    return CudaError(
        f"target 'cuda' needs {name} for this program",
        [f"{type(error).__name__}: {error}"],
        f'{INSTALL}, or pip install "nvidia-{package}>=12"',
    )


def missing_driver(error: Exception) -> CudaError:
    """There is no libcuda."""
    return CudaError("target 'cuda' found no CUDA driver", [_first_line(error)], DRIVER_HINT)


def missing_device(reason: str) -> CudaError:
    """The driver is there, but shows no GPU."""
    return CudaError(
        "target 'cuda' found no GPU",
        [f"the CUDA driver says {reason}"],
        "nvidia-smi must list a GPU and CUDA_VISIBLE_DEVICES must not hide it; "
        "in a container pass --gpus all",
    )


def old_driver(version: int) -> CudaError:
    """The driver cannot load what this toolkit makes."""
    return CudaError(
        f"the CUDA driver is too old: it supports CUDA {_version(version)}, but the kernels are "
        f"made for CUDA {_version(OLDEST_DRIVER)}",
        [f"driver: CUDA {_version(version)}", f"needed: CUDA {_version(OLDEST_DRIVER)} or newer"],
        DRIVER_HINT,
    )


def old_device(name: str, capability: tuple[int, int]) -> CudaError:
    """The toolkit does not compile for this GPU any more."""
    major, minor = OLDEST_CAPABILITY
    return CudaError(
        f"{name} has compute capability {capability[0]}.{capability[1]}, but CUDA 13 needs "
        f"{major}.{minor} or newer",
        [],
        "use target='numba' on this machine",
    )


def no_memory(wanted: int, free: int, total: int) -> DeviceMemoryError:
    """An allocation that failed."""
    return DeviceMemoryError(
        f"the device has no {text(wanted)} of memory left",
        [f"wanted: {text(wanted)}", f"free: {text(free)} of {text(total)}"],
        "release arrays that are not needed, use structured=True or hvp, or smaller batches",
    )


def checked(result: Any) -> Any:
    """The values of a call of the driver, ``(status, *values)``; one value comes by itself.

    Raises CudaError with the driver's name of the error.
    """
    status, *values = result
    if int(status) != 0:
        raise CudaError(f"the CUDA driver reports {getattr(status, 'name', status)}")
    return values[0] if len(values) == 1 else tuple(values)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of a CUDA library says that memory ran out."""
    return "OUT_OF_MEMORY" in str(error) or "ALLOC_FAILED" in str(error)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
