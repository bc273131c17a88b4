"""Modules of modules: sequences, lists, residual and parallel branches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from . import functional
from .module import Module


class Identity(Module):
    """Its input; arguments are accepted and ignored.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.Identity()(np.ones(2)).shape
    (2,)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return input


class ModuleList(Module):
    """Modules by position.

    >>> import numpy as np, autodiff as ad
    >>> layers = ad.nn.ModuleList([ad.nn.Linear(2, 2), ad.nn.Tanh()])
    >>> len(layers), len(list(layers.parameters()))
    (2, 2)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._count = 0
        self.extend(modules)

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end. Raises TypeError for what is no module, as a class of them."""
        _check_module(self, module)
        setattr(self, str(self._count), module)
        self._count += 1
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return (vars(self)[str(k)] for k in range(self._count))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return (
                type(self)(*list(self)[index])
                if isinstance(self, Sequential)
                else type(self)(list(self)[index])
            )
        return vars(self)[str(range(self._count)[index])]


def _check_module(owner: Module, module: Any) -> None:
    if not isinstance(module, Module):
        is_class = isinstance(module, type) and issubclass(module, Module)
        given = f"the class {module.__name__}" if is_class else repr(module)
        name = module.__name__ if is_class else "nn.Tanh"
        raise TypeError(
            f"{type(owner).__name__} takes modules, not {given}\n"
            f"  hint: create one, {name}(); a function goes into the forward of a module"
        )


class Sequential(ModuleList):
    """Modules one after the other.

    >>> Sequential(Identity(), Identity())(3)
    3
    """

    def __init__(self, *modules: Any) -> None:
        if len(modules) == 1 and isinstance(modules[0], dict):
            self._names = list(modules[0])
            for name, module in modules[0].items():
                _check_module(self, module)
                setattr(self, name, module)
            self._count = len(self._names)
        else:
            super().__init__(modules)

    _names: list[str] | None = None

    def __iter__(self) -> Iterator[Any]:
        if self._names is None:
            return super().__iter__()
        return (vars(self)[name] for name in self._names)

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        for module in self:
            input = module(input)
        return input


class Residual(Module):
    """``shortcut(x) + body(x)``; the shortcut is the identity unless given.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.Residual(ad.nn.Identity())(np.ones(2))
    array([2., 2.])
    """

    def __init__(self, *body: Module, shortcut: Module | None = None) -> None:
        self.body = body[0] if len(body) == 1 else Sequential(*body)
        self.shortcut = shortcut

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        skipped = input if self.shortcut is None else self.shortcut(input)
        return skipped + self.body(input)


class Concat(Module):
    """Branches applied to one input and joined along an axis, as in Inception blocks.

    >>> import numpy as np, autodiff as ad
    >>> layer = ad.nn.Concat(ad.nn.Identity(), ad.nn.Tanh())
    >>> layer(np.ones((2, 3))).shape
    (2, 6)
    """

    def __init__(self, *branches: Module, dim: int = 1) -> None:
        self.branches = ModuleList(branches)
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return np.concatenate([branch(input) for branch in self.branches], axis=self.dim)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"dim={self.dim}"


class Flatten(Module):
    """Axes ``start_dim`` to ``end_dim`` joined into one.

    >>> import numpy as np, autodiff as ad
    >>> ad.nn.Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        return functional.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
