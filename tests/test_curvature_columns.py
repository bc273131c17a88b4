"""What the table says of a row, its range, monotonicity and convexity, holds on samples."""

from fractions import Fraction

import numpy as np
import pytest

from tensorcalc.curvature import Interval
from tensorcalc.curvature.composition import WHOLE_LINE
from tensorcalc.table import TABLE


def test_intervals_round_outward():
    tenth, fifth = Interval(0.1, 0.1), Interval(0.2, 0.2)
    total = tenth + fifth
    exact = Fraction(0.1) + Fraction(0.2)
    assert Fraction(total.low) <= exact <= Fraction(total.high)
    assert total.low < total.high


def samples_of(row, rng):
    params = row.test_params
    operands = [
        rng.uniform(*domain, size=(6,) if cores else 40)
        for domain, cores in zip(row.domain, row.operand_cores, strict=True)
    ]
    if any(len(cores) == 2 for cores in row.operand_cores):
        operands = [rng.uniform(*domain, size=(4, 4)) for domain in row.domain]
    return operands, params


NUMERIC = [n for n, o in TABLE.items() if all(isinstance(d, tuple) for d in o.domain)]


@pytest.mark.parametrize("name", NUMERIC)
def test_columns_of_the_table_hold_on_samples(name):
    """Range, monotonicity and convexity of a row, as far as its columns say anything."""
    row = TABLE[name]
    rng = np.random.default_rng(0)
    low, high = row.value_range(**row.test_params)
    for _ in range(25):
        x, params = samples_of(row, rng)
        z, _ = samples_of(row, rng)
        fx, fz = row.reference(*x, **params), row.reference(*z, **params)
        assert np.all(np.asarray(fx, dtype=float) >= low - 1e-12)
        assert np.all(np.asarray(fx, dtype=float) <= high + 1e-12)
        if row.convexity:
            middle = row.reference(*[(i + j) / 2 for i, j in zip(x, z, strict=True)], **params)
            assert np.all(row.convexity * ((fx + fz) / 2 - middle) >= -1e-9)
        for k, direction in enumerate(row.monotone):
            if direction:
                larger = [np.maximum(i, j) if j is z[k] else i for i, j in zip(x, z, strict=True)]
                rise = np.asarray(row.reference(*larger, **params), dtype=float) - fx
                assert np.all(direction * rise >= -1e-12)


@pytest.mark.parametrize("name", sorted(WHOLE_LINE & TABLE.keys() - {"rel_entr"}))
def test_rows_convex_on_the_whole_line(name):
    row = TABLE[name]
    rng = np.random.default_rng(1)
    for _ in range(40):
        shape = (5,) if any(row.operand_cores) else ()
        shape = (3, 3) if any(len(cores) == 2 for cores in row.operand_cores) else shape
        x = [rng.normal(size=shape) * 3 for _ in range(row.arity)]
        z = [rng.normal(size=shape) * 3 for _ in range(row.arity)]
        fx, fz = row.reference(*x, **row.test_params), row.reference(*z, **row.test_params)
        middle = row.reference(*[(i + j) / 2 for i, j in zip(x, z, strict=True)], **row.test_params)
        tolerance = 1e-9 * (1 + abs(fx) + abs(fz))
        assert np.all(row.convexity * ((fx + fz) / 2 - middle) >= -tolerance)
