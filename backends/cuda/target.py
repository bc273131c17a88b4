"""The CUDA target: NumPy arrays in and out, or arrays on the device in and out.

What plans and runs is imported with the first function for this target.

>>> import tensorcalc as tc, backends
>>> x, y = tc.variables("x: n, y: n")
>>> f = backends.compile(x * y, target="cuda")
>>> print(f.source[f.source.index("def f("):])
def f(x, y):
    # arguments: x[n], y[n]
    # t1[n] = [i] (x[i] * y[i])
    entries[flat(n)](t1, x, y, n)
    return t1
<BLANKLINE>
"""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..binding import as_arrays, conversions, precision, sizes_of
from ..compiled import Code, CompiledFunction, TargetError, Variant
from ..lowering import Lowered
from ..numpy_writer import NumpyWriter
from .arrays import dtype_of, is_on_device
from .plan import Plan

#: Options of a call besides its arguments, unless arguments have these names.
OPTIONS = ("stream", "out")


def _module(name: str) -> Any:
    """A module of this package, loaded with the first function for this target.

    ``import backends`` would otherwise take a seventh longer for those who have no GPU.
    """
    return importlib.import_module(f"{__package__}.{name}")


class Described(NamedTuple):
    """What a call is planned by: an array on the device without its entries."""

    shape: tuple[int, ...]
    dtype: Any

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)


class CudaVariant(Variant):
    """The launch plans for one order of contractions."""

    def __init__(self, lowered: Lowered, template: str) -> None:
        self.program, self.choices = lowered
        self.template = template
        writer = NumpyWriter(self.program, "f", template)
        writer.source()
        self.symbols = writer.open_symbols
        self.plans = [_module("lowering").plan_of(self.program)]
        self.pack = _packing(template, len(self.program.outputs))

    def plan(self, sizes: Mapping[str, int]) -> Plan:
        """A plan that is good for these sizes."""
        suitable = next((plan for plan in self.plans if plan.suits(sizes)), None)
        if suitable is None:
            suitable = _module("lowering").plan_of(self.program, sizes)
            self.plans.insert(0, suitable)
        return suitable

    def code(self, pooled: bool = False) -> Code:
        """The plan as text; it runs on a device only, so there is no function of its own."""
        return Code(_module("source").source_of(self.plans[0]), self.pack, self.symbols)


def _packing(template: str, count: int) -> Callable[..., Any]:
    """The nesting of the results as a function of them."""
    names = [f"r{k}" for k in range(count)]
    text = f"def pack({', '.join(names)}):\n    return {template.format(*names)}\n"
    namespace: dict[str, Any] = {}
    exec(builtins.compile(text, "<tensorcalc>", "exec"), namespace)  # noqa: S102
    return namespace["pack"]


class CudaFunction(CompiledFunction):
    """A compiled function that runs on a GPU.

    With NumPy arrays alone the results are NumPy arrays. With an array on the device among the
    arguments (of CuPy, torch, JAX, numba, or :class:`.arrays.DeviceArray`) they are
    :class:`.arrays.DeviceArray`, and the call returns before they are there, unless the program
    has factorizations or indices to check. ``f(..., stream=s)`` runs on a stream of another
    library (its number, or a stream of CuPy, torch or cuda.core); otherwise on one of our own,
    after what the arguments' producers have queued. ``f(..., out=a)`` writes into arrays. A NumPy
    array in pinned memory beside arrays on the device is read until the results are there.

    The first call raises CudaError if something is missing on this machine.
    """

    variant_class = CudaVariant
    _variants: list[Any]

    @staticmethod
    def written(function: Callable[..., Any], arguments: Sequence[Any], out: Any) -> Any:
        """A call with ``out=``: arrays on the host or on the device, as the results are."""
        return function(*arguments, out=out)

    def slowly(self, given: Mapping[str, Any]) -> Any:
        """A call with options, or with a signature that was not met before."""
        own = {*self._argument_names()}
        options = {name: given[name] for name in OPTIONS if name in given and name not in own}
        given = {name: value for name, value in given.items() if name not in options}
        function, arguments = self._prepared_for(given)
        return function(*arguments, **options)

    def save(self, path: Any) -> None:
        """Refused: kernels and calls of libraries are no file to import."""
        raise TargetError(
            "a program for CUDA cannot be saved as a file",
            [],
            "compile it with target='numpy' and save that, or print f.source",
        )

    def _arrays(self, values: Sequence[Any]) -> list[Any]:
        """Arrays on the device as they are, everything else as NumPy arrays."""
        on_device = [is_on_device(value) for value in values]
        if not any(on_device):
            return as_arrays(self.variables, values)
        rest = [(v, x) for v, x, d in zip(self.variables, values, on_device, strict=True) if not d]
        hosted = iter(as_arrays([v for v, _ in rest], [x for _, x in rest]))
        arrays = [x if d else next(hosted) for x, d in zip(values, on_device, strict=True)]
        numbers = [isinstance(v, (float, int)) and not isinstance(v, np.generic) for v in values]
        pairs = zip(_described(arrays), numbers, strict=True)
        common = precision([array for array, is_number in pairs if not is_number])
        return [a.astype(common) if n else a for a, n in zip(arrays, numbers, strict=True)]

    def _planned(self, arrays: Sequence[Any], given: Mapping[str, int]) -> Callable[..., Any]:
        described = _described(arrays)
        sizes = sizes_of(self.variables, described, given)
        self._choose_variant(sizes)
        variant: CudaVariant = self._variants[0]
        conversions(self.variables, described)
        real = [not v.flags & {"integer", "boolean"} for v in self.variables]
        floats = [a for a, is_real in zip(described, real, strict=True) if is_real]
        kind = "float32" if precision(floats) == "float32" else "float64"
        calls = _module("calls")
        signature = calls.Signature(variant.plan(sizes), sizes, kind, self.variables, variant.pack)
        return calls.Caller(signature, [isinstance(array, np.ndarray) for array in arrays])


def _described(arrays: Sequence[Any]) -> list[Any]:
    return [
        a if isinstance(a, np.ndarray) else Described(tuple(a.shape), dtype_of(a)) for a in arrays
    ]
