"""Rows of the operation table that work along the last axis, as kernels with a team for each row.

A team is a warp, or a block where rows are long; it goes over its row once for each quantity that
the result needs (greatest entry, sum, ...), from the first-level cache after the first time.
Sorting counts, for each entry, those that come before it: quadratic in the length of a row, but
the same in every run and stable.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from ..steps import Call
from .actions import Buffer, Grid, Kernel, Kind, Launch
from .grids import THREADS
from .nests import product_of

#: Lines for one row: ``start`` is its place in memory, ``n1`` its length.
_EXTREME = """\
peak = real({start})
for k in range(cuda.threadIdx.x, n1, cuda.blockDim.x):
    peak = {better}(peak, a[start + k])
peak = team_{best}(peak)
"""
_PEAK = _EXTREME.format(start="-math.inf", better="greater", best="greatest")
_LOW = _EXTREME.format(start="math.inf", better="smaller", best="smallest")
_EXPONENTIALS = """\
total = real(0)
for k in range(cuda.threadIdx.x, n1, cuda.blockDim.x):
    total += exp_below(a[start + k], peak)
total = team_sum(total)
"""
_LENGTH = """\
peak = real(0)
for k in range(cuda.threadIdx.x, n1, cuda.blockDim.x):
    peak = greater(peak, abs(a[start + k]))
peak = team_greatest(peak)
total = real(0)
for k in range(cuda.threadIdx.x, n1, cuda.blockDim.x):
    part = scaled(a[start + k], peak)
    total += part * part
root = math.sqrt(team_sum(total))
"""
_BEST = """\
value = a[start]
best = int64(0)
for k in range(cuda.threadIdx.x, n1, cuda.blockDim.x):
    if {comes}(a[start + k], k, value, best):
        value = a[start + k]
        best = int64(k)
best = team_{best}(value, best)
"""
_RANK = """\
for k in range(cuda.threadIdx.x, n1, cuda.blockDim.x):
    x = a[start + k]
    rank = int64(0)
    for other in range(n1):
        rank += int64(sorts_before(a[start + other], other, x, k))
"""
_ONE = """\
if cuda.threadIdx.x == 0:
    out[row] = {0}
"""
_EACH = """\
for k in range(cuda.threadIdx.x, n1, cuda.blockDim.x):
    out[start + k] = {0}
"""
_PREFIXES = """\
carry = real(0)
first = int64(0)
while first < n1:
    k = first + cuda.threadIdx.x
    x = a[start + k] if k < n1 else real(0)
    prefix, total = team_prefix(x)
    if k < n1:
        out[start + k] = carry + prefix
    carry += total
    first += cuda.blockDim.x
"""
_LOGIC = """\
found = real(0)
for k in range(cuda.threadIdx.x, n1, cuda.blockDim.x):
    found += real((a[start + k] != 0) == {0})
found = team_sum(found)
"""


def _best(comes: str, best: str) -> str:
    return _BEST.format(comes=comes, best=best)


BODIES = {
    "max": _PEAK + _ONE.format("peak"),
    "min": _LOW + _ONE.format("peak"),
    "logsumexp": _PEAK
    + _EXPONENTIALS
    + _ONE.format("peak + math.log(total) if abs(peak) < real(math.inf) else peak"),
    "softmax": _PEAK + _EXPONENTIALS + _EACH.format("exp_below(a[start + k], peak) / total"),
    "norm": _LENGTH + _ONE.format("peak * root if real(0) < peak < real(math.inf) else peak"),
    "normalize": _LENGTH
    + _EACH.format("scaled(a[start + k], peak) / root if peak != real(0) else real({at_zero})"),
    "prod": """\
total = real(1)
for k in range(cuda.threadIdx.x, n1, cuda.blockDim.x):
    total *= a[start + k]
total = team_product(total)
"""
    + _ONE.format("total"),
    "prod_others": """\
for k in range(cuda.threadIdx.x, n1, cuda.blockDim.x):
    total = real(1)
    for other in range(n1):
        if other != k:
            total *= a[start + other]
    out[start + k] = total
""",
    "cumprod": """\
if cuda.threadIdx.x == 0:
    total = real(1)
    for k in range(n1):
        total *= a[start + k]
        out[start + k] = total
""",
    "prefix_sum": _PREFIXES,
    "argmax": _best("is_above", "highest") + _ONE.format("best"),
    "argmin": _best("is_below", "lowest") + _ONE.format("best"),
    "argmax_mask": _best("is_above", "highest") + _EACH.format("uint8(k == best)"),
    "argmin_mask": _best("is_below", "lowest") + _EACH.format("uint8(k == best)"),
    "sort": _RANK + "    out[start + rank] = x\n",
    "argsort": _RANK + "    out[start + rank] = k\n",
    "sort_permutation": _RANK
    + """\
    for other in range(n1):
        out[(start + other) * n1 + k] = uint8(other == rank)
""",
    "any": _LOGIC.format(True) + _ONE.format("uint8(found > real(0))"),
    "all": _LOGIC.format(False) + _ONE.format("uint8(found == real(0))"),
}
BODIES["frobenius_norm"] = BODIES["norm"]
BODIES["frobenius_normalize"] = BODIES["normalize"]

_FRAME = '''\
def row_{name}(out, a, n0, n1):
    """{name} of rows, a team for each."""
    row = cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y
    while row < n0:
        start = row * n1
{body}        row += cuda.gridDim.x * cuda.blockDim.y
'''
_ONE_HOT = '''\
def one_hot(out, status, a, n0, n1):
    """A row of zeros with a one at each index."""
    k, row = cuda.grid(2)
    while row < n0:
        if k < n1:
            out[row * n1 + k] = uint8(place(int64(a[row]), n1, status) == k)
        row += cuda.gridDim.y * cuda.blockDim.y
'''


def row_operation(step: Call, source: Buffer, out: Buffer) -> Launch | None:
    """The launch for a step, None if the operation is no row operation."""
    if step.name not in BODIES:
        return None
    kind: Any = step.arguments[0].kind
    kernel = _kernel(step.name, dict(step.params), out.kind, kind)
    core = 2 if step.name.startswith("frobenius") else 1
    batch = product_of(step.arguments[0].extents[:-core])
    length = product_of(step.arguments[0].extents[-core:])
    return Launch(kernel, (out,), (source,), (batch, length), Grid("rows", (batch, length)))


def one_hot(step: Call, source: Buffer, out: Buffer, status: Buffer) -> Launch:
    """The launch for ``out[..., k] = [index[...] == k]``."""
    count, depth = product_of(step.arguments[0].extents), step.value.extents[-1]
    kernel = Kernel("one_hot", _ONE_HOT, ("boolean", "counter", source.kind), 2, THREADS)
    grid = Grid("tiles", (1, count, depth))
    return Launch(kernel, (out, status), (source,), (count, depth), grid)


def _kernel(name: str, params: Mapping[str, Any], out: Kind, source: Kind) -> Kernel:
    body = BODIES[name]
    for key, value in params.items():
        body = body.replace(f"{{{key}}}", repr(float(value)))
    text = _FRAME.format(name=name, body=textwrap.indent(body, " " * 8))
    return Kernel(f"row_{name}", text, (out, source), 2, THREADS)
