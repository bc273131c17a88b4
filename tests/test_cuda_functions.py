"""Functions that CUDA kernels call, run on the host: the same Python, compiled by numba for it."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

from backends.cuda.device_angles import PI, Language, angle_functions

numba = pytest.importorskip("numba", reason="numba, an optional extra, is not installed")


def functions() -> dict[str, Any]:
    """sin, cos and tan in float32 for the host."""
    device = numba.njit

    @device
    def fma(a, b, c):
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))

    def lookup(first: Any, second: Any) -> Any:
        @device
        def entry(place):
            return first[place], second[place]

        return entry

    return angle_functions(Language(device, lookup, fma, math))


def angles() -> Any:
    """Small, moderate and huge angles, and those next to multiples of pi/2."""
    rng = np.random.default_rng(0)
    huge = np.exp(rng.uniform(np.log(6e4), np.log(3.4e38), 2000))
    near = np.float32(np.arange(1, 1000) * math.pi / 2)
    edges = [0, -0.0, 1e-40, 65536, 65537, -65537, np.finfo(np.float32).max]
    parts = [rng.uniform(-4, 4, 1000), rng.uniform(-7e4, 7e4, 1000), huge, -huge, near, edges]
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize(("name", "ulps"), [("sin", 2), ("cos", 2), ("tan", 3)])
def test_angles_in_float32_are_as_good_as_cudas_own(name: str, ulps: int) -> None:
    function, exact = functions()[name], getattr(mpmath, name)
    with mpmath.workprec(300):
        for x in angles():
            expected = exact(mpmath.mpf(float(x)))
            unit = float(np.spacing(np.abs(np.float32(float(expected)))))
            assert abs(function(x) - expected) <= ulps * unit, x


def test_angles_without_a_value_are_nan() -> None:
    for function in functions().values():
        for x in (np.inf, -np.inf, np.nan):
            assert np.isnan(function(np.float32(x)))


def test_pi_has_the_digits_that_the_greatest_angle_needs() -> None:
    with mpmath.workdps(100):
        assert int(mpmath.floor(mpmath.pi * mpmath.mpf(10) ** 90)) == PI
