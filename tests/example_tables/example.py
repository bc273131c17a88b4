"""One row of the table of examples, and test values of the kinds that rows ask for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from zlib import crc32

import numpy
import scipy.special

import tensorcalc as tc
from tensorcalc.nodes import Node

#: What formulas take as ``np``: NumPy and, as ``np.special``, the special functions of SciPy.
NUMPY = SimpleNamespace(**{**vars(numpy), "special": scipy.special})

#: Size of each extent in tests; an extent that is not named here is 3.
SIZES = {"m": 4, "n": 3, "k": 2, "l": 2, "b": 2, "c": 2}


@dataclass(frozen=True, eq=False)
class Example:
    """An expression in plain NumPy, and what is known about its derivatives."""

    name: str
    #: As in ``tc.variables``; the first variable is the one that derivatives are taken by.
    variables: str
    #: ``formula(np, *variables)``, where ``np`` may be ``jax.numpy``.
    formula: Callable[..., object]
    #: The same in matrix notation, where that can say it.
    text: str = ""
    #: The derivative as others print it, in matrix notation; it must come out as this very node.
    derivative: str = ""
    #: The derivative of the derivative likewise.
    second: str = ""
    #: Class of test values by variable: see ``sample``. Declared flags say it for others.
    domain: Mapping[str, str] = field(default_factory=dict)
    #: Orders of derivatives that exist and stay small.
    order: int = 3
    #: Number of the equation in the Matrix Cookbook (version of November 15, 2012).
    cookbook: str = ""

    def __str__(self) -> str:
        return self.name

    def declared(self) -> tuple[Node, ...]:
        """The variables of the example."""
        variables = tc.variables(self.variables)
        return variables if isinstance(variables, tuple) else (variables,)

    def expression(self) -> Node:
        """The formula applied to the variables."""
        return self.formula(NUMPY, *self.declared())

    def sizes(self) -> dict[str, int]:
        """The number that each extent symbol is."""
        extents = [extent for variable in self.declared() for extent in variable.shape]
        return {str(extent): _size(extent) for extent in extents if not isinstance(extent, int)}

    def evaluate(self, expression: Node, seed: int = 0) -> numpy.ndarray:
        """The oracle's value of an expression in the variables of the example."""
        return tc.evaluate(expression, **{**self.sizes(), **self.values(seed)})

    def values(self, seed: int = 0) -> dict[str, numpy.ndarray]:
        """An array for each variable, the same in every process."""
        rng = numpy.random.default_rng([seed, crc32(self.name.encode())])
        return {
            variable.name: sample(self._kind(variable), tuple(map(_size, variable.shape)), rng)
            for variable in self.declared()
        }

    def _kind(self, variable: Node) -> str:
        flags = {"psd": "spd", "symmetric": "symmetric", "positive": "positive"}
        known = [kind for flag, kind in flags.items() if flag in variable.flags]
        return self.domain.get(variable.name, known[0] if known else "normal")


def _size(extent: object) -> int:
    return extent if isinstance(extent, int) else SIZES.get(str(extent), 3)


def _normal(rng, shape):
    return rng.normal(size=shape)


def _spd(rng, shape):
    root = rng.normal(size=shape)
    return root @ numpy.swapaxes(root, -1, -2) + 2 * numpy.eye(shape[-1])


def _symmetric(rng, shape):
    matrix = rng.normal(size=shape) + numpy.diag(3.0 * numpy.arange(shape[-1]))
    return matrix + numpy.swapaxes(matrix, -1, -2)


def _distances(points):
    return (points[:, None] - points) ** 2


def _distribution(rng, shape):
    weights = rng.uniform(0.5, 1.5, size=shape)
    return weights / weights.sum(axis=-1, keepdims=True)


KINDS = {
    "normal": _normal,
    "positive": lambda rng, shape: rng.uniform(0.5, 2.0, size=shape),
    "unit": lambda rng, shape: rng.uniform(0.1, 0.9, size=shape),
    "small": lambda rng, shape: 0.3 * rng.normal(size=shape),
    "above one": lambda rng, shape: rng.uniform(1.5, 3.0, size=shape),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], size=shape),
    "counts": lambda rng, shape: rng.integers(0, 5, size=shape).astype(float),
    "labels": lambda rng, shape: rng.integers(0, 2, size=shape),
    "zero or one": lambda rng, shape: rng.integers(0, 2, size=shape).astype(float),
    "distribution": _distribution,
    "spd": _spd,
    "symmetric": _symmetric,
    "unit symmetric": lambda rng, shape: _distances(rng.uniform(size=shape[-1])),
    "invertible": lambda rng, shape: rng.normal(size=shape) + 3 * numpy.eye(shape[-1]),
    "spread": lambda rng, shape: rng.permutation(numpy.prod(shape)).reshape(shape) - 2.3,
}


def sample(kind: str, shape: tuple[int, ...], rng: numpy.random.Generator) -> numpy.ndarray:
    """A random array of a kind of ``KINDS``."""
    return numpy.asarray(KINDS[kind](rng, shape))
