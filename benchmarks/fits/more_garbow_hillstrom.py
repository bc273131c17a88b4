"""Test functions of More, Garbow, Hillstrom, *Testing unconstrained optimization software* (1981).

All 35, each with residuals in NumPy code, the standard start and the published minima of the sum of
squares; those are printed with six digits, the others are what SciPy's MINPACK reaches from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad

from . import more_garbow_hillstrom_data as observed


class Function(NamedTuple):
    """Residuals, the start and the values of known (also local) minima."""

    residuals: Callable[[Any], Any]
    start: tuple[float, ...]
    minima: tuple[float, ...]


def rosenbrock(x: Any) -> Any:
    """(1)."""
    return np.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def freudenstein_roth(x: Any) -> Any:
    """(2)."""
    return np.stack(
        [
            -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1],
            -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1],
        ]
    )


def powell_badly_scaled(x: Any) -> Any:
    """(3)."""
    return np.stack([1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001])


def brown_badly_scaled(x: Any) -> Any:
    """(4)."""
    return np.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def beale(x: Any) -> Any:
    """(5)."""
    i = np.arange(1.0, 4.0)
    return np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** i)


def jennrich_sampson(x: Any) -> Any:
    """(6), m = 10."""
    i = np.arange(1.0, 11.0)
    return 2 + 2 * i - np.exp(i * x[0]) - np.exp(i * x[1])


def helical_valley(x: Any) -> Any:
    """(7)."""
    angle = np.arctan2(x[1], x[0]) / (2 * np.pi)
    radius = np.sqrt(x[0] ** 2 + x[1] ** 2)
    return np.stack([10 * (x[2] - 10 * angle), 10 * (radius - 1), x[2]])


def bard(x: Any) -> Any:
    """(8)."""
    u = np.arange(1.0, 16.0)
    v = 16 - u
    return observed.BARD - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


def gaussian(x: Any) -> Any:
    """(9)."""
    t = (8 - np.arange(1.0, 16.0)) / 2
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - observed.GAUSSIAN


def meyer(x: Any) -> Any:
    """(10)."""
    t = 45 + 5 * np.arange(1.0, 17.0)
    return x[0] * np.exp(x[1] / (t + x[2])) - observed.MEYER


def gulf(x: Any) -> Any:
    """(11), m = 99; as printed the difference is a product, whose minimum is another one."""
    t = np.arange(1.0, 100.0) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return np.exp(-(np.abs(y - x[1]) ** x[2]) / x[0]) - t


def box_three_dimensional(x: Any) -> Any:
    """(12), m = 10."""
    t = np.arange(1.0, 11.0) / 10
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def powell_singular(x: Any) -> Any:
    """(13)."""
    return np.stack(
        [
            x[0] + 10 * x[1],
            np.sqrt(5) * (x[2] - x[3]),
            (x[1] - 2 * x[2]) ** 2,
            np.sqrt(10) * (x[0] - x[3]) ** 2,
        ]
    )


def wood(x: Any) -> Any:
    """(14)."""
    return np.stack(
        [
            10 * (x[1] - x[0] ** 2),
            1 - x[0],
            np.sqrt(90) * (x[3] - x[2] ** 2),
            1 - x[2],
            np.sqrt(10) * (x[1] + x[3] - 2),
            (x[1] - x[3]) / np.sqrt(10),
        ]
    )


def kowalik_osborne(x: Any) -> Any:
    """(15)."""
    y, u = observed.KOWALIK_OSBORNE
    return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x: Any) -> Any:
    """(16), m = 20."""
    t = np.arange(1.0, 21.0) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


def osborne_one(x: Any) -> Any:
    """(17)."""
    t = 10 * np.arange(33.0)
    return observed.OSBORNE_ONE - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def biggs(x: Any) -> Any:
    """(18), m = 13."""
    t = np.arange(1.0, 14.0) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y


def osborne_two(x: Any) -> Any:
    """(19)."""
    t = np.arange(65.0) / 10
    peaks = [x[k] * np.exp(-((t - x[k + 7]) ** 2) * x[k + 4]) for k in (1, 2, 3)]
    return observed.OSBORNE_TWO - (x[0] * np.exp(-t * x[4]) + sum(peaks))


def trigonometric(x: Any) -> Any:
    """(26)."""
    n = len(x)
    i = np.arange(1.0, n + 1)
    return n - np.sum(np.cos(x)) + i * (1 - np.cos(x)) - np.sin(x)


def brown_almost_linear(x: Any) -> Any:
    """(27)."""
    n = len(x)
    return np.concatenate([x[:-1] + np.sum(x) - (n + 1), np.stack([np.prod(x) - 1])])


def broyden_tridiagonal(x: Any) -> Any:
    """(30)."""
    padded = np.concatenate([np.zeros(1), x, np.zeros(1)])
    return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1


def variably_dimensioned(x: Any) -> Any:
    """(25)."""
    weighted = np.sum(np.arange(1.0, len(x) + 1) * (x - 1))
    return np.concatenate([x - 1, np.stack([weighted, weighted**2])])


def watson(x: Any) -> Any:
    """(20)."""
    t = np.arange(1.0, 30.0) / 29
    powers = np.arange(0.0, len(x))
    slopes = (powers[1:] * t[:, None] ** (powers[1:] - 1)) @ x[1:]
    values = (t[:, None] ** powers) @ x
    return np.concatenate([slopes - values**2 - 1, np.stack([x[0], x[1] - x[0] ** 2 - 1])])


def extended_rosenbrock(x: Any) -> Any:
    """(21)."""
    return np.concatenate([10 * (x[1::2] - x[::2] ** 2), 1 - x[::2]])


def extended_powell(x: Any) -> Any:
    """(22)."""
    a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
    linear = [a + 10 * b, np.sqrt(5) * (c - d)]
    return np.concatenate([*linear, (b - 2 * c) ** 2, np.sqrt(10) * (a - d) ** 2])


def penalty_one(x: Any) -> Any:
    """(23)."""
    return np.concatenate([np.sqrt(1e-5) * (x - 1), np.stack([np.sum(x**2) - 0.25])])


def penalty_two(x: Any) -> Any:
    """(24)."""
    n, a = len(x), np.sqrt(1e-5)
    i = np.arange(2.0, n + 1)
    raised = np.exp(x / 10)
    pairs = raised[1:] + raised[:-1] - (np.exp(i / 10) + np.exp((i - 1) / 10))
    whole = np.sum(np.arange(n, 0.0, -1) * x**2) - 1
    ends = np.stack([x[0] - 0.2]), np.stack([whole])
    return np.concatenate([ends[0], a * pairs, a * (raised[1:] - np.exp(-0.1)), ends[1]])


def discrete_boundary_value(x: Any) -> Any:
    """(28)."""
    n = len(x)
    h = 1 / (n + 1)
    t = np.arange(1.0, n + 1) * h
    padded = np.concatenate([np.zeros(1), x, np.zeros(1)])
    return 2 * x - padded[:-2] - padded[2:] + h**2 * (x + t + 1) ** 3 / 2


def discrete_integral_equation(x: Any) -> Any:
    """(29)."""
    n = len(x)
    h = 1 / (n + 1)
    t = np.arange(1.0, n + 1) * h
    kernel = np.minimum(t[:, None], t) * (1 - np.maximum(t[:, None], t))
    return x + h * (kernel @ (x + t + 1) ** 3) / 2


def broyden_banded(x: Any) -> Any:
    """(31)."""
    n = len(x)
    offset = np.arange(n) - np.arange(n)[:, None]
    near = (offset >= -5) & (offset <= 1) & (offset != 0)
    return x * (2 + 5 * x**2) + 1 - near @ (x * (1 + x))


def linear_full_rank(x: Any) -> Any:
    """(32), m = 10."""
    total = 2 * np.sum(x) / 10
    return np.concatenate([x - total - 1, np.zeros(5) - total - 1])


def linear_rank_one(x: Any) -> Any:
    """(33), m = 10."""
    return np.arange(1.0, 11.0) * np.sum(np.arange(1.0, len(x) + 1) * x) - 1


def linear_rank_one_with_zeros(x: Any) -> Any:
    """(34), m = 10."""
    i = np.concatenate([np.zeros(1), np.arange(1.0, 9.0), np.zeros(1)])
    return i * np.sum(np.arange(2.0, len(x)) * x[1:-1]) - 1


def chebyquad(x: Any) -> Any:
    """(35): means of shifted Chebyshev polynomials against their integrals over [0, 1]."""
    shifted = 2 * x - 1
    before, polynomial = np.ones(len(x)), shifted
    residuals = []
    for i in range(1, len(x) + 1):
        residuals.append(np.mean(polynomial) + (0 if i % 2 else 1 / (i**2 - 1)))
        before, polynomial = polynomial, 2 * shifted * polynomial - before
    return np.stack(residuals)


_GRID = np.arange(1.0, 11.0) / 11
FUNCTIONS: dict[str, Function] = {
    "Rosenbrock": Function(rosenbrock, (-1.2, 1), (0,)),
    "Freudenstein and Roth": Function(freudenstein_roth, (0.5, -2), (0, 48.98425368)),
    "Powell badly scaled": Function(powell_badly_scaled, (0, 1), (0,)),
    "Brown badly scaled": Function(brown_badly_scaled, (1, 1), (0,)),
    "Beale": Function(beale, (1, 1), (0,)),
    "Jennrich and Sampson": Function(jennrich_sampson, (0.3, 0.4), (124.3621824,)),
    "helical valley": Function(helical_valley, (-1, 0, 0), (0,)),
    "Bard": Function(bard, (1, 1, 1), (8.214877307e-3, 17.42869333)),
    "Gaussian": Function(gaussian, (0.4, 1, 0), (1.127932770e-8,)),
    "Meyer": Function(meyer, (0.02, 4000, 250), (87.94585517,)),
    "Gulf research and development": Function(gulf, (5, 2.5, 0.15), (0,)),
    "box three-dimensional": Function(box_three_dimensional, (0, 10, 20), (0,)),
    "Powell singular": Function(powell_singular, (3, -1, 0, 1), (0,)),
    "Wood": Function(wood, (-3, -1, -3, -1), (0,)),
    "Kowalik and Osborne": Function(kowalik_osborne, (0.25, 0.39, 0.415, 0.39), (3.075056039e-4,)),
    "Brown and Dennis": Function(brown_dennis, (25, 5, -5, -1), (85822.20163,)),
    "Osborne 1": Function(osborne_one, (0.5, 1.5, -1, 0.01, 0.02), (5.464894697e-5,)),
    "Biggs EXP6": Function(biggs, (1, 2, 1, 1, 1, 1), (0, 5.655649926e-3)),
    "Osborne 2": Function(
        osborne_two, (1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5), (4.013773629e-2,)
    ),
    "variably dimensioned": Function(
        variably_dimensioned, tuple(1 - k / 10 for k in range(1, 11)), (0,)
    ),
    "trigonometric": Function(trigonometric, (0.1,) * 10, (0, 2.795061e-5)),
    "Brown almost linear": Function(brown_almost_linear, (0.5,) * 10, (0, 1)),
    "Broyden tridiagonal": Function(broyden_tridiagonal, (-1,) * 10, (0,)),
    "Watson": Function(watson, (0,) * 6, (2.287670053e-3,)),
    "extended Rosenbrock": Function(extended_rosenbrock, (-1.2, 1) * 5, (0,)),
    "extended Powell": Function(extended_powell, (3, -1, 0, 1) * 3, (0,)),
    "penalty I": Function(penalty_one, tuple(range(1, 11)), (7.087651467e-5,)),
    "penalty II": Function(penalty_two, (0.5,) * 10, (2.936605374e-4,)),
    "discrete boundary value": Function(discrete_boundary_value, tuple(_GRID * (_GRID - 1)), (0,)),
    "discrete integral equation": Function(
        discrete_integral_equation, tuple(_GRID * (_GRID - 1)), (0,)
    ),
    "Broyden banded": Function(broyden_banded, (-1,) * 10, (0,)),
    "linear, full rank": Function(linear_full_rank, (1,) * 5, (5,)),
    "linear, rank one": Function(linear_rank_one, (1,) * 5, (15 / 7,)),
    "linear, rank one with zeros": Function(linear_rank_one_with_zeros, (1,) * 5, (62 / 17,)),
    "Chebyquad": Function(chebyquad, tuple(np.arange(1.0, 9.0) / 9), (3.516873726e-3,)),
}


def fit(name: str, method: str = "levenberg-marquardt", **options: Any) -> Any:
    """A minimum of half the sum of squares, by methods for least squares or for any function."""
    each = FUNCTIONS[name]
    problem = ad.objective(each.residuals, np.array(each.start, float))
    if method not in ("levenberg-marquardt", "gauss-newton"):
        problem = ad.objective(_half_squares(each.residuals), np.array(each.start, float))
    return problem.minimize(method, **options)


def _half_squares(residuals: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: np.sum(residuals(x) ** 2) / 2


def distance(result: Any, name: str) -> float:
    """How far the sum of squares is from the nearest published minimum, relative to 1 + it."""
    reached = 2 * result.fun
    return min(abs(reached - value) / max(value, 1.0) for value in FUNCTIONS[name].minima)
