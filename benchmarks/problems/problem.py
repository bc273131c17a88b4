"""What a problem is: a function in plain NumPy, its inputs, our side and the peers'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import autodiff as ad
import tensorcalc as tc
from tensorcalc.nodes import Node

Arrays = tuple[Any, ...]
#: The size that stands for the real data set.
DATA = "data"


class Problem:
    """A loss whose Hessian by its first argument is wanted.

    Subclasses give :meth:`function`, :meth:`make` and :meth:`data`, and the formula that a person
    would type in :meth:`by_hand`.
    """

    #: What the rows of the tables call it.
    name: str
    #: Declarations as for ``tc.variables``, in the order of the function's arguments.
    variables: str
    #: What the real data are.
    source: str
    sizes: tuple[int, ...] = (10, 100, 1000)
    #: Least wanted ratio peer / ours by size, where one was set.
    targets: Mapping[int, float] = {}
    #: The same for the Hessian as an operator that stores its cores only.
    structured_targets: Mapping[int, float] = {}

    def function(self, np: Any) -> Callable[..., Any]:
        """The loss, in the spelling that NumPy and ``jax.numpy`` share."""
        raise AssertionError(f"{type(self).__name__} gives no function")

    def make(self, size: int, dtype: Any) -> Arrays:
        """Random arguments of a size."""
        raise AssertionError(f"{type(self).__name__} makes no arguments")

    def data(self, dtype: Any) -> Arrays:
        """Arguments from the real data set."""
        raise AssertionError(f"{type(self).__name__} has no data")

    def by_hand(self, *arrays: Any) -> Any:
        """The result by the formula that a person would type in NumPy."""
        raise AssertionError(f"{type(self).__name__} has no formula")

    def arguments(self, size: int | str, dtype: Any) -> Arrays:
        """Arguments of a size, or the data set's; :data:`DATA` is the size of that."""
        made = self.data(dtype) if isinstance(size, str) else self.make(size, dtype)
        return tuple(np.ascontiguousarray(array, dtype) for array in made)

    def ours(self) -> Callable[..., Any]:
        """Our side, as a user calls it; a new function at every call of this."""
        return ad.hessian(self.function(np))

    def structured(self) -> Callable[..., Any]:
        """Our side where the Hessian is not made dense; a new function at every call of this."""
        return ad.hessian(self.function(np), structured=True)

    def jax(self, jax: Any) -> Callable[..., Any]:
        """JAX's side, not yet jitted."""
        return jax.hessian(self.function(jax.numpy))

    def formulas(self) -> dict[str, Node]:
        """The function, its gradient and its Hessian as expressions."""
        variables = tc.variables(self.variables)
        variables = variables if isinstance(variables, tuple) else (variables,)
        loss = self.function(np)(*variables)
        gradient, hessian = tc.gradient(loss, variables[0]), tc.hessian(loss, variables[0])
        return {"function": tc.simplify(loss), "gradient": gradient, "Hessian": hessian}


def generator(size: int) -> np.random.Generator:
    """The same random numbers for the same size."""
    return np.random.default_rng(size)
