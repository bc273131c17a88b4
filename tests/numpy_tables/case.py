"""One row of the tables of NumPy functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Case(NamedTuple):
    """A function of arrays whose axes are named by letters or numbers."""

    name: str
    function: Callable[..., Any]
    shapes: tuple[str, ...] = ("m n",)
    pins: bool = False
    smooth: bool = True
    domain: str = "real"


def case(name: str, function: Callable[..., Any], *shapes: str, **options: Any) -> Case:
    return Case(name, function, shapes or ("m n",), **options)
