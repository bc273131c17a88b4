"""The one place where the CUDA libraries of Python are imported, on first use.

==================================  ===============================================================
module                              what for
==================================  ===============================================================
``cuda.bindings.driver``            the driver: version, copies, fills, free memory
``cuda.core``                       devices, streams, events, memory, kernels from cubins, graphs
``cuda.core.utils``                 views of arrays of other libraries
``nvmath.bindings.cublas``          products of large matrices
``nvmath.bindings.cusolverDn``      factorizations
==================================  ===============================================================
"""

from __future__ import annotations

import importlib
from types import ModuleType

DRIVER = "cuda.bindings.driver"
CORE = "cuda.core"
UTILS = "cuda.core.utils"
CUBLAS = "nvmath.bindings.cublas"
CUSOLVER = "nvmath.bindings.cusolverDn"

#: The package that each module comes with.
PACKAGES = {
    DRIVER: "cuda-bindings",
    CORE: "cuda-core",
    UTILS: "cuda-core",
    CUBLAS: "nvmath-python",
    CUSOLVER: "nvmath-python",
}


def module(name: str) -> ModuleType:
    """The module; ImportError if its package is not installed."""
    return importlib.import_module(name)
