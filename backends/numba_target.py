"""The numba target: fused loops compiled for this processor, kept on disk between processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from tensorcalc.extents import evaluate

from .binding import conversions, precision, sizes_of
from .buffers import SMALLEST, BufferPool
from .compiled import Code, CompiledFunction, TargetError, Variant, converting
from .disk_cache import loaded
from .lowering import Lowered
from .memory import bytes_of, check_memory
from .numba_calls import ROW_WISE
from .numba_writer import NumbaWriter, prepared
from .output_arrays import Result
from .program import Program
from .row_tiles import pairwise_values, tiled, without
from .standalone import bundled
from .steps import Nest

#: Operations of a loop nest from which several cores are worth waking: a millisecond of one, which
#: is more than ``python -m benchmarks.parallel_cores`` finds on an idle machine; where other
#: programs hold the other cores, a loop on all of them waits for those.
PARALLEL_FROM = 2_000_000

#: Parallel kernels run one at a time: they use all cores, and not every threading layer of numba
#: allows more.
_CORES = threading.Lock()


def available() -> None:
    """Raise TargetError unless numba can be imported."""
    if find_spec("numba") is None:
        raise TargetError("target 'numba' needs numba", [], "pip install numba")


class Recipe(NamedTuple):
    """What is left to do once the text is written; needs no symbols, so any thread may do it."""

    source: str
    parallel: bool
    dtypes: list[Any]
    pool: BufferPool | None
    results: list[Result]

    def function(self) -> Callable[..., Any]:
        """The function of arrays: loaded now, compiled when first called."""
        function = loaded(self.source).f
        if self.pool is not None:
            function = _with_pool(function, self.pool)
        if self.parallel:
            function = _one_at_a_time(function)
        if any(self.dtypes):
            function = converting(function, self.dtypes)
        return _with_results(function, self.results)


class NumbaVariant(Variant):
    """The code for one order of contractions: one text per precision, for one core or several."""

    def __init__(self, lowered: Lowered, template: str) -> None:
        program, self.choices = lowered
        self.program = prepared(program)
        self.template = template
        self.pool = BufferPool()
        self.texts: dict[Any, tuple[str, list[str]]] = {}
        self.last: tuple[str, bool, frozenset[str]] = "float64", False, frozenset()
        self.pairs = pairwise_values(self.program)
        self.tiling = tiled(self.program, ROW_WISE) if self.pairs else None
        self.symbols = self._written(*self.last).open_symbols

    def _written(self, dtype: str, parallel: bool, large: frozenset[str]) -> NumbaWriter:
        program, region = self.program, None
        if self.tiling is not None and not large.isdisjoint(v.name for v in self.tiling[1].made):
            program, region = self.tiling
        writer = NumbaWriter(program, self.template, dtype, parallel, large, region)
        self.texts[self.last] = writer.source(), writer.accepted
        return writer

    def stored(self) -> Program:
        """The steps whose values exist as a whole."""
        return without(self.tiling[0], self.tiling[1].inner()) if self.tiling else self.program

    def text(self, dtype: str, parallel: bool, large: frozenset[str]) -> tuple[str, list[str]]:
        """The module for a precision, for one core or several; ``large`` values use the pool.

        Then, for each result, the argument that takes an array for it, "" for none.
        """
        self.last = dtype, parallel, large
        if self.last not in self.texts:
            self._written(*self.last)
        return self.texts[self.last]

    def code(self, pooled: bool = False) -> Code:
        """The text and the function of the signature planned last."""
        source, _ = self.text(*self.last)
        return Code(source, _with_pool(loaded(source).f, self.pool), self.symbols)


class NumbaFunction(CompiledFunction):
    """A compiled function whose loops are machine code.

    The first call with arguments of a new dtype or memory order compiles, unless an earlier
    process has; ``source`` is the text, a module that needs this library for its elementary
    functions.

    Raises TargetError if numba is not installed.
    """

    variant_class = NumbaVariant
    _variants: list[Any]

    def __init__(self, *arguments: Any) -> None:
        available()
        super().__init__(*arguments)

    def _planned(self, arrays: Sequence[Any], given: Mapping[str, int]) -> Callable[..., Any]:
        return self.recipe(arrays, given).function()

    def save(self, path: str | Path) -> None:
        """Write :attr:`source` and the functions it calls to a file that needs no more than numba.

        The file is for the precision and the sizes (one core or several) of the last new call.
        """
        Path(path).write_text(bundled(self.source))

    def recipe(self, arrays: Sequence[Any], given: Mapping[str, int]) -> Recipe:
        """The text for arguments of these shapes and dtypes, and what remains to be done."""
        sizes = sizes_of(self.variables, arrays, given)
        self._choose_variant(sizes)
        variant: NumbaVariant = self._variants[0]
        dtypes = conversions(self.variables, arrays)
        floats = [a for v, a in zip(self.variables, arrays, strict=True) if _is_real(v)]
        dtype = "float32" if precision(floats) == "float32" else "float64"
        item = 4 if dtype == "float32" else 8
        check_memory(variant.stored(), sizes, item, self.result_names)
        parallel = largest_nest(variant.program, sizes) >= PARALLEL_FROM
        large = _large_values(variant.program, sizes, item)
        pool = variant.pool if large else None
        source, accepted = variant.text(dtype, parallel, large)
        results = _results(variant.program, sizes, dtype, accepted)
        return Recipe(source, parallel, dtypes, pool, results)


def largest_nest(program: Program, sizes: Mapping[str, int]) -> int:
    """Operations of the largest loop nest."""
    return max((_work(step, sizes) for step in program.steps if isinstance(step, Nest)), default=0)


def _work(step: Nest, sizes: Mapping[str, int]) -> int:
    total = step.term.size() + 1
    for label in (*step.output, *step.reduced):
        total *= evaluate(step.sizes[label], sizes)
    return total


def _large_values(program: Program, sizes: Mapping[str, int], item: int) -> frozenset[str]:
    """Names of values that are worth taking from a pool."""
    values = (step.value for step in program.steps)
    return frozenset(v.name for v in values if bytes_of(v, sizes, item) >= SMALLEST)


def _with_pool(function: Any, pool: BufferPool) -> Callable[..., Any]:
    """The function with its large arrays from a pool of its own; the module may be shared."""
    return _copied(function, {**function.__globals__, "empty": pool.empty})


def _results(
    program: Program, sizes: Mapping[str, int], dtype: str, accepted: Sequence[str]
) -> list[Result]:
    """What comes out, and which extra argument takes an array for it."""
    dtypes = {"real": dtype, "boolean": "bool", "integer": "int64"}
    names = [name for name in accepted if name]
    return [
        Result(
            tuple(evaluate(extent, sizes) for extent in value.extents),
            np.dtype(dtypes[value.kind]),
            names.index(name) if name else None,
        )
        for value, name in zip(program.outputs, accepted, strict=True)
    ]


def _with_results(function: Any, results: list[Result]) -> Callable[..., Any]:
    """The function with a note of its results; a module's own function is shared: a copy."""
    if type(function) is FunctionType and function.__name__ == "f":
        function = _copied(function, function.__globals__)
    function.results = results
    return function


def _copied(function: Any, names: dict[str, Any]) -> Any:
    return FunctionType(function.__code__, names, function.__name__, function.__defaults__)


def _is_real(variable: Any) -> bool:
    return not variable.flags & {"integer", "boolean"}


def _one_at_a_time(function: Callable[..., Any]) -> Callable[..., Any]:
    def locked(*arguments: Any) -> Any:
        with _CORES:
            return function(*arguments)

    return locked
