"""Kernels around the calls of cuBLAS and cuSOLVER, which know columns only and one triangle.

Each is a :class:`.actions.Kernel`, so it is compiled, cached and simulated like the generated ones.
Matrices are batches of dense row-major ones, ``[batch, rows, columns]``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .actions import Kernel, Kind
from .grids import THREADS, Geometry, flat

#: Blocks beyond which each takes several matrices.
MATRICES = 16384

_ENTRIES = """
    k = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    step = cuda.gridDim.x * cuda.blockDim.x
    while k < {count}:
{body}
        k += step
"""


def _over_entries(
    name: str, pointers: dict[str, Kind], sizes: tuple[str, ...], count: str, *lines: str
) -> Kernel:
    """A kernel that runs ``lines`` for every ``k`` below ``count``."""
    body = "\n".join(f"        {line}" for line in lines)
    head = f"def {name}({', '.join([*pointers, *sizes])}):"
    text = head + _ENTRIES.format(count=count, body=body)
    return Kernel(name, text, tuple(pointers.values()), len(sizes))


def _over_matrices(name: str, pointers: dict[str, Kind], *lines: str) -> Kernel:
    """A kernel that runs ``lines`` for every entry ``k`` of a batch of matrices."""
    return _over_entries(
        name,
        pointers,
        ("batch", "rows", "columns"),
        "batch * rows * columns",
        "row, column = k // columns % rows, k % columns",
        *lines,
    )


#: Where entry ``[b, j, i]`` is, if k is the place of ``[b, i, j]``.
_OTHER = "other = k // (rows * columns) * (rows * columns) + column * rows + row"

#: ``out[b, i, j] = (a[b, i, j] + a[b, j, i]) / 2``.
SYMMETRIZED = _over_matrices(
    "symmetrized", {"out": "real", "a": "real"}, _OTHER, "out[k] = (a[k] + a[other]) * real(0.5)"
)
#: ``out[b, j, i] = a[b, i, j]``.
TRANSPOSED = _over_matrices("transposed", {"out": "real", "a": "real"}, _OTHER, "out[other] = a[k]")
#: ``out[b, i, j] = 1 if i == j else 0``.
IDENTITY = _over_matrices(
    "identity", {"out": "real"}, "out[k] = real(1) if row == column else real(0)"
)
#: ``out[b, i, j] = 0`` for ``j > i``.
LOWER = _over_matrices("lower", {"out": "real"}, "if column > row:", "    out[k] = real(0)")
#: ``out[b] = first + b * step``: where the matrices of a batch begin.
ADDRESSES = _over_entries(
    "addresses",
    {"out": "integer"},
    ("count", "first", "distance"),
    "count",
    "out[k] = first + k * distance",
)

#: Determinant, logarithm of its absolute value, and sign, from LU factors and LAPACK's pivots
#: (counted from 1): ``det = prod(-1 if pivot[i] != i + 1) * prod(lu[i, i])``. A block each.
DETERMINANTS = Kernel(
    "determinants",
    """def determinants(det, logdet, sign, lu, pivots, batch, n):
    products = cuda.shared.array(256, real)
    logarithms = cuda.shared.array(256, real)
    signs = cuda.shared.array(256, real)
    thread = cuda.threadIdx.x
    matrix = cuda.blockIdx.x
    while matrix < batch:
        product = real(1)
        logarithm = real(0)
        direction = real(1)
        i = thread
        while i < n:
            entry = lu[(matrix * n + i) * n + i]
            if int64(pivots[matrix * n + i]) != i + 1:
                entry = -entry
            product *= entry
            logarithm += math.log(abs(entry))
            if entry < real(0):
                direction = -direction
            if entry == real(0):
                direction = real(0)
            if entry != entry:
                direction = entry
            i += 256
        products[thread] = product
        logarithms[thread] = logarithm
        signs[thread] = direction
        cuda.syncthreads()
        half = 128
        while half > 0:
            if thread < half:
                products[thread] *= products[thread + half]
                logarithms[thread] += logarithms[thread + half]
                signs[thread] *= signs[thread + half]
            cuda.syncthreads()
            half //= 2
        if thread == 0:
            det[matrix] = products[0]
            logdet[matrix] = logarithms[0]
            sign[matrix] = signs[0]
        cuda.syncthreads()
        matrix += cuda.gridDim.x
""",
    ("real", "real", "real", "real", "counter"),
    2,
)


@lru_cache(maxsize=256)
def fill(number: Any, kind: Kind) -> Kernel:
    """``out[k] = number``."""
    text = repr(float(number)) if kind == "real" else repr(int(number))
    text = text.replace("inf", "math.inf").replace("nan", "math.nan")
    line = f"out[k] = real({text})" if kind == "real" else f"out[k] = {text}"
    return _over_entries("fill", {"out": kind}, ("count",), "count", line)


@lru_cache(maxsize=16)
def converted(source: Kind, target: Kind) -> Kernel:
    """``out[k] = a[k]``, a number as another kind of number."""
    types = {"real": "real({})", "integer": "int64({})", "boolean": "uint8({} != 0)"}
    line = f"out[k] = {types[target].format('a[k]')}"
    return _over_entries("converted", {"out": target, "a": source}, ("count",), "count", line)


def geometry(kernel: Kernel, sizes: tuple[int, ...]) -> Geometry:
    """Blocks and threads for these integer arguments."""
    if kernel is DETERMINANTS:
        return Geometry((min(max(sizes[0], 1), MATRICES), 1, 1), (THREADS, 1, 1))
    if kernel is ADDRESSES or len(sizes) == 1:
        return flat(sizes[0])
    batch, rows, columns = sizes
    return flat(batch * rows * columns)


KERNELS: tuple[Kernel, ...] = (SYMMETRIZED, TRANSPOSED, IDENTITY, LOWER, ADDRESSES, DETERMINANTS)
KERNELS += fill(0.5, "real"), converted("real", "integer"), converted("integer", "real")
