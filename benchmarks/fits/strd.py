"""Nonlinear least squares of NIST's Statistical Reference Datasets, with certified values.

Source: National Institute of Standards and Technology, *Statistical Reference Datasets*, nonlinear
regression, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml: data, starting values and
certified parameters and residual sums of squares. The levels of difficulty are NIST's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad

from .strd_models import stored


class Dataset(NamedTuple):
    """One problem: data, model, two starts, certified parameters and sum of squares."""

    level: str
    x: Any
    y: Any
    model: Callable[[Any, Any], Any]
    starts: tuple[tuple[float, ...], tuple[float, ...]]
    certified: tuple[float, ...]
    sum_of_squares: float
    #: Certified standard deviations of the parameters, where they are stored.
    deviations: tuple[float, ...] = ()


def _numbers(text: str) -> Any:
    return np.array(text.split(), dtype=float)


MISRA_X = _numbers(
    "77.6 114.9 141.1 190.8 239.9 289.0 332.8 378.4 434.8 477.3 536.8 593.1 689.1 760.0"
)
MISRA_Y = _numbers(
    "10.07 14.73 17.94 23.93 29.61 35.18 40.02 44.82 50.76 55.05 61.01 66.40 75.47 81.78"
)

DATASETS: dict[str, Dataset] = {
    "Misra1a": Dataset(
        "lower",
        MISRA_X,
        MISRA_Y,
        lambda b, x: b[0] * (1 - np.exp(-b[1] * x)),
        ((500, 1e-4), (250, 5e-4)),
        (2.3894212918e02, 5.5015643181e-04),
        1.2455138894e-01,
    ),
    "Misra1b": Dataset(
        "lower",
        MISRA_X,
        MISRA_Y,
        lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
        ((500, 1e-4), (300, 2e-4)),
        (3.3799746163e02, 3.9039091287e-04),
        7.5464681533e-02,
    ),
    "Misra1c": Dataset(
        "average",
        MISRA_X,
        MISRA_Y,
        lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
        ((500, 1e-4), (600, 2e-4)),
        (6.3642725809e02, 2.0813627256e-04),
        4.0966836971e-02,
    ),
    "Misra1d": Dataset(
        "average",
        MISRA_X,
        MISRA_Y,
        lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
        ((500, 1e-4), (450, 3e-4)),
        (4.3736970754e02, 3.0227324449e-04),
        5.6419295283e-02,
    ),
    "DanWood": Dataset(
        "lower",
        _numbers("1.309 1.471 1.490 1.565 1.611 1.680"),
        _numbers("2.138 3.421 3.597 4.340 4.882 5.660"),
        lambda b, x: b[0] * x ** b[1],
        ((1, 5), (0.7, 4)),
        (7.6886226176e-01, 3.8604055871e00),
        4.3173084083e-03,
    ),
    "MGH09": Dataset(
        "higher",
        _numbers("4 2 1 0.5 0.25 0.167 0.125 0.1 0.0833 0.0714 0.0625"),
        _numbers("0.1957 0.1947 0.1735 0.1600 0.0844 0.0627 0.0456 0.0342 0.0323 0.0235 0.0246"),
        lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
        ((25, 39, 41.5, 39), (0.25, 0.39, 0.415, 0.39)),
        (1.9280693458e-01, 1.9128232873e-01, 1.2305650693e-01, 1.3606233068e-01),
        3.0750560385e-04,
    ),
    "MGH10": Dataset(
        "higher",
        np.arange(50.0, 126.0, 5.0),
        _numbers(
            "34780 28610 23650 19630 16370 13720 11540 9744 8261 7030 6005 5147 4427 3820 3307 2872"
        ),
        lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
        ((2, 400_000, 25_000), (0.02, 4000, 250)),
        (5.6096364710e-03, 6.1813463463e03, 3.4522363462e02),
        8.7945855171e01,
    ),
    "MGH17": Dataset(
        "average",
        np.arange(0.0, 321.0, 10.0),
        _numbers(
            "0.844 0.908 0.932 0.936 0.925 0.908 0.881 0.850 0.818 0.784 0.751"
            " 0.718 0.685 0.658 0.628 0.603 0.580 0.558 0.538 0.522 0.506 0.490"
            " 0.478 0.467 0.457 0.448 0.438 0.431 0.424 0.420 0.414 0.411 0.406"
        ),
        lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
        ((50, 150, -100, 1, 2), (0.5, 1.5, -1, 0.01, 0.02)),
        (3.7541005211e-01, 1.9358469127e00, -1.4646871366e00, 1.2867534640e-02, 2.2122699662e-02),
        5.4648946975e-05,
    ),
    "BoxBOD": Dataset(
        "higher",
        _numbers("1 2 3 5 7 10"),
        _numbers("109 149 149 191 213 224"),
        lambda b, x: b[0] * (1 - np.exp(-b[1] * x)),
        ((1, 1), (100, 0.75)),
        (2.1380940889e02, 5.4723748542e-01),
        1.1680088766e03,
    ),
    "Rat42": Dataset(
        "higher",
        _numbers("9 14 21 28 42 57 63 70 79"),
        _numbers("8.930 10.800 18.590 22.330 39.350 56.110 61.730 64.620 67.080"),
        lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)),
        ((100, 1, 0.1), (75, 2.5, 0.07)),
        (7.2462237576e01, 2.6180768402e00, 6.7359200066e-02),
        8.0565229338e00,
    ),
    "Rat43": Dataset(
        "higher",
        np.arange(1.0, 16.0),
        _numbers(
            "16.08 33.83 65.80 97.20 191.55 326.20 386.87 520.53"
            " 590.03 651.92 724.93 699.56 689.96 637.56 717.41"
        ),
        lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3]),
        ((100, 10, 1, 1), (700, 5, 0.75, 1.3)),
        (6.9964151270e02, 5.2771253025e00, 7.5962938329e-01, 1.2792483859e00),
        8.7864049080e03,
    ),
}

DATASETS |= {name: Dataset(**each) for name, each in stored().items()}


def fit(name: str, start: int = 1, method: str = "levenberg-marquardt", **options: Any) -> Any:
    """The parameters of a dataset, from NIST's start 0 (far) or 1 (near)."""
    each = DATASETS[name]

    def residuals(b: Any, x: Any, y: Any) -> Any:
        return each.model(b, x) - y

    problem = ad.objective(residuals, np.array(each.starts[start], float), each.x, each.y)
    return problem.minimize(method, **{"gtol": 1e-13, **options})


def digits(result: Any, name: str) -> float:
    """The least number of correct significant digits of the parameters (NIST's LRE, at most 11)."""
    certified = np.array(DATASETS[name].certified)
    error = np.max(np.abs(result.x - certified) / np.abs(certified))
    return float(min(11.0, -np.log10(max(error, 1e-16))))
