"""Modules found by what they offer: suites, models and contestants need no list of themselves."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType


def modules(package: ModuleType, contract: tuple[str, ...]) -> Iterator[ModuleType]:
    """The modules of a package, in order of name.

    Raises TypeError for a module that lacks a name of the contract.
    """
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        missing = [name for name in contract if not hasattr(module, name)]
        if missing:
            raise TypeError(
                f"{module.__name__} has no {', '.join(missing)}; "
                f"modules of {package.__name__} offer {', '.join(contract)}"
            )
        yield module
