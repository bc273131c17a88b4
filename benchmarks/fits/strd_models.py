"""Models of those NIST datasets whose data are stored in ``strd_data.json``.

Source: National Institute of Standards and Technology, *Statistical Reference Datasets*, nonlinear
regression: models as they are printed with the data, parameters ``b1, b2, ...`` counted from 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def chwirut(b: Any, x: Any) -> Any:
    """Ultrasonic response over distance."""
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def gauss(b: Any, x: Any) -> Any:
    """Two bells on a decaying baseline."""
    bells = b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2)
    bells = bells + b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    return b[0] * np.exp(-b[1] * x) + bells


def lanczos(b: Any, x: Any) -> Any:
    """A sum of three exponentials."""
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def quadratics(b: Any, x: Any) -> Any:
    """A ratio of quadratics (Kirby2)."""
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def cubics(b: Any, x: Any) -> Any:
    """A ratio of cubics (Hahn1, Thurber)."""
    above = b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3
    return above / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def nelson(b: Any, x: Any) -> Any:
    """The logarithm of the breakdown voltage over time and temperature."""
    return b[0] - b[1] * x[0] * np.exp(-b[2] * x[1])


def roszman(b: Any, x: Any) -> Any:
    """Quantum defects over the energy."""
    return b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi


def enso(b: Any, x: Any) -> Any:
    """Three cycles of air pressure, one of them of twelve months."""
    cycles = b[1] * np.cos(2 * np.pi * x / 12) + b[2] * np.sin(2 * np.pi * x / 12)
    cycles = cycles + b[4] * np.cos(2 * np.pi * x / b[3]) + b[5] * np.sin(2 * np.pi * x / b[3])
    cycles = cycles + b[7] * np.cos(2 * np.pi * x / b[6]) + b[8] * np.sin(2 * np.pi * x / b[6])
    return b[0] + cycles


def eckerle(b: Any, x: Any) -> Any:
    """A bell over wavelengths."""
    return b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2)


def bennett(b: Any, x: Any) -> Any:
    """Magnetisation over the logarithm of time."""
    return b[0] * (b[1] + x) ** (-1 / b[2])


MODELS: dict[str, Callable[[Any, Any], Any]] = {
    "Chwirut1": chwirut,
    "Chwirut2": chwirut,
    "Gauss1": gauss,
    "Gauss2": gauss,
    "Gauss3": gauss,
    "Lanczos1": lanczos,
    "Lanczos2": lanczos,
    "Lanczos3": lanczos,
    "Kirby2": quadratics,
    "Hahn1": cubics,
    "Thurber": cubics,
    "Nelson": nelson,
    "Roszman1": roszman,
    "ENSO": enso,
    "Eckerle4": eckerle,
    "Bennett5": bennett,
}


def stored() -> dict[str, dict[str, Any]]:
    """What is stored of each dataset, with arrays and the model."""
    text = (Path(__file__).parent / "strd_data.json").read_text()
    found = json.loads(text)
    for name, each in found.items():
        x, y = np.array(each["x"]), np.array(each["y"])
        each |= {"x": x[0] if len(x) == 1 else x, "y": np.log(y) if name == "Nelson" else y}
        each["starts"] = tuple(map(tuple, each["starts"]))
        each["model"] = MODELS[name]
    return dict(found)
