"""Functions that NumPy spellings call, as source text: generated code carries those it needs.

Each keeps float32, warns of nothing and costs about what the naive formula costs. They take arrays
and NumPy scalars; functions that reduce do so along the last axis.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np

#: Source of each helper by name; it may use ``np`` and helpers above it.
HELPERS: dict[str, str] = {}


def helper(source: str) -> None:
    """Register a function given by its text."""
    source = source.strip() + "\n"
    match = re.match(r"def (\w+)", source)
    assert match is not None
    HELPERS[match.group(1)] = source


def required(code: str) -> dict[str, str]:
    """Helpers that ``code`` calls, those they call included, each after what it needs."""
    wanted = _called(code)
    for name in reversed(HELPERS):
        if name in wanted:
            wanted |= _called(HELPERS[name])
    return {name: source for name, source in HELPERS.items() if name in wanted}


def imports(code: str) -> list[str]:
    """Import statements that NumPy code with these spellings needs."""
    statements = ["import numpy as np"]
    if re.search(r"(?<![\w.])special\.", code):
        statements.append("from scipy import special")
    if re.search(r"(?<![\w.])linalg\.", code):
        statements.append("from scipy import linalg")
    return statements


def _called(code: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])([A-Za-z_]\w*)(?=\()", code)) & HELPERS.keys()


@lru_cache(maxsize=None)
def function(name: str) -> Any:
    """The helper as a Python function."""
    namespace: dict[str, Any] = {"np": np}
    for source in required(f"{name}()").values():
        exec(compile(source, f"<helper {name}>", "exec"), namespace)  # noqa: S102 - our own text
    return namespace[name]


helper("""
def power(x, exponent, at_zero):
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if exponent == -1:
            value = 1 / x
        elif exponent == -0.5:
            value = 1 / np.sqrt(x)
        else:
            value = np.power(x, exponent)
    greatest = np.finfo(value.dtype).max
    return np.where(x == 0, value.dtype.type(at_zero), np.clip(value, -greatest, greatest))
""")
helper("""
def expit(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))
""")
helper("""
def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
""")
helper("""
def log1mexp(x):
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.where(x > -0.6931471805599453, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))
""")
helper("""
def log_cosh(x):
    size = np.abs(x)
    small = np.log1p(2 * np.square(np.sinh(np.minimum(size, 1) / 2)))
    return np.where(size < 1, small, size + np.log1p(np.exp(-2 * size)) - 0.6931471805599453)
""")
helper("""
def bose(x):
    with np.errstate(divide="ignore", over="ignore"):
        return 1 / np.expm1(-x)
""")
helper("""
def log(x):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x)
""")
helper("""
def direction(x, y):
    scale = np.maximum(np.abs(x), np.abs(y))
    with np.errstate(invalid="ignore", divide="ignore"):
        a = np.where(np.isinf(scale), np.isinf(x) * np.sign(x), x / scale)
        b = np.where(np.isinf(scale), np.isinf(y) * np.sign(y), y / scale)
        return np.where(scale == 0, scale, a / np.hypot(a, b))
""")
helper("""
def logsumexp(x):
    peak = np.maximum.reduce(x, axis=-1, keepdims=True, initial=-np.inf)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if not np.isfinite(peak).all():
            peak = np.where(np.isfinite(peak), peak, 0)
        return np.log(np.add.reduce(np.exp(x - peak), axis=-1)) + peak[..., 0]
""")
helper("""
def softmax(x):
    peak = np.maximum.reduce(x, axis=-1, keepdims=True)
    if np.isfinite(peak).all():
        weights = np.exp(x - peak)
    else:
        with np.errstate(invalid="ignore"):
            weights = np.exp(np.where(x == peak, 0, x - peak))
    return weights / np.add.reduce(weights, axis=-1, keepdims=True)
""")
helper("""
def ndtr(x):
    # Press et al., Numerical Recipes, section 6.2: relative error 1e-6, for single precision.
    if x.dtype != np.float32 or x.size < 4096:
        from scipy import special

        return special.ndtr(x)
    flat, out = x.reshape(-1), np.empty(x.size, x.dtype)
    for start in range(0, x.size, 16384):
        z = flat[start : start + 16384]
        sign = np.copysign(np.float32(0.5), z)
        t = 1 / (1 + np.float32(0.35355339059327379) * np.abs(z))
        tail = 0.17087277 * t
        for c in (-0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418,
                  0.37409196, 1.00002368):
            tail += c
            tail *= t
        tail -= 1.26551223
        tail -= 0.5 * (z * z)
        np.exp(tail, out=tail)
        tail *= t
        tail *= sign
        np.subtract(sign + np.float32(0.5), tail, out=out[start : start + 16384])
    return out.reshape(x.shape)
""")
helper("""
def norm(x, axes):
    with np.errstate(over="ignore"):
        squares = np.add.reduce(x * x, axis=axes)
    low, high = (1e-30, 1e37) if x.dtype.itemsize == 4 else (1e-290, 1e300)
    if ((squares > low) & (squares < high)).all():
        return np.sqrt(squares)
    scale = np.maximum.reduce(np.abs(x), axis=axes, keepdims=True, initial=0)
    scale = np.where((scale == 0) | np.isinf(scale), 1, scale).astype(x.dtype)
    ratio = x / scale
    return np.sqrt(np.add.reduce(ratio * ratio, axis=axes)) * scale.reshape(squares.shape)
""")
helper("""
def normalize(x, axes, at_zero):
    scale = np.maximum.reduce(np.abs(x), axis=axes, keepdims=True, initial=0)
    infinite = np.isinf(scale)
    if infinite.any():
        x = np.where(infinite, np.isinf(x) * np.sign(x), x)
        scale = np.where(infinite, 1, scale)
    ratio = x / np.where(scale == 0, 1, scale).astype(x.dtype)
    length = np.sqrt(np.add.reduce(ratio * ratio, axis=axes, keepdims=True))
    unit = ratio / np.where(length == 0, 1, length)
    return np.where(length == 0, ratio.dtype.type(at_zero), unit)
""")
helper("""
def prod_others(x):
    out = np.ones_like(x)
    np.multiply.accumulate(x[..., :-1], axis=-1, out=out[..., 1:])
    out[..., :-1] *= np.multiply.accumulate(x[..., :0:-1], axis=-1)[..., ::-1]
    return out
""")
helper("""
def one_hot(index, size):
    index = np.asarray(index).astype(int)
    if index.size and not (-size <= index.min() and index.max() < size):
        raise IndexError(f"an index is out of range for an axis of size {size}")
    return (index % size)[..., None] == np.arange(size)
""")
helper("""
def argmax_mask(x):
    return np.argmax(x, axis=-1)[..., None] == np.arange(x.shape[-1])
""")
helper("""
def argmin_mask(x):
    return np.argmin(x, axis=-1)[..., None] == np.arange(x.shape[-1])
""")
helper("""
def sort_permutation(x):
    order = np.argsort(x, axis=-1, kind="stable")
    return order[..., None] == np.arange(x.shape[-1])
""")
helper("""
def symmetrized(a):
    return (a + np.swapaxes(a, -1, -2)) * 0.5
""")
helper("""
def adjugate(a):
    u, s, vt = np.linalg.svd(a)
    sign = np.linalg.det(u) * np.linalg.det(vt)
    scaled = np.swapaxes(vt, -1, -2) * (sign[..., None] * prod_others(s))[..., None, :]
    return scaled @ np.swapaxes(u, -1, -2)
""")
helper("""
def step(x, y):
    above = np.greater(x, y).astype(np.result_type(x, y, np.float32))
    return np.where(np.equal(x, y), above.dtype.type(0.5), above)
""")
helper("""
def xdivy(x, y):
    return x / np.where(x == 0, 1, y)
""")
