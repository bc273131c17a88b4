"""The numba target: fused loops compiled for this processor, kept on disk between processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensorcalc.extents import evaluate

from .binding import conversions, precision, sizes_of
from .compiled import Code, CompiledFunction, TargetError, Variant, converting
from .disk_cache import loaded
from .lowering import Lowered
from .memory import check_memory
from .numba_writer import NumbaWriter, prepared
from .program import Program
from .steps import Nest

#: Operations of a loop nest from which several cores are worth waking.
PARALLEL_FROM = 200_000

#: Parallel kernels run one at a time: they use all cores, and not every threading layer of numba
#: allows more.
_CORES = threading.Lock()


def available() -> None:
    """Raise TargetError unless numba can be imported."""
    try:
        import numba  # noqa: F401
    except ImportError as missing:
        raise TargetError(
            "target 'numba' needs numba", [str(missing)], "pip install numba"
        ) from None


class NumbaVariant(Variant):
    """The code for one order of contractions: one text per precision, for one core or several."""

    def __init__(self, lowered: Lowered, template: str) -> None:
        program, self.choices = lowered
        self.program = prepared(program)
        self.template = template
        self.texts: dict[tuple[str, bool], Code] = {}
        self.last = "float64", False
        self.symbols = self._writer(*self.last)[1]

    def _writer(self, dtype: str, parallel: bool) -> tuple[str, list[str]]:
        writer = NumbaWriter(self.program, self.template, dtype, parallel)
        return writer.source(), writer.open_symbols

    def code(self, pooled: bool = False) -> Code:
        """The text and the function of the signature planned last."""
        if self.last not in self.texts:
            source, symbols = self._writer(*self.last)
            function = loaded(source).f
            self.texts[self.last] = Code(source, function, symbols)
        return self.texts[self.last]


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
        sizes = sizes_of(self.variables, arrays, given)
        self._choose_variant(sizes)
        variant: NumbaVariant = self._variants[0]
        dtypes = conversions(self.variables, arrays)
        floats = [a for v, a in zip(self.variables, arrays, strict=True) if _is_real(v)]
        dtype = "float32" if precision(floats) == "float32" else "float64"
        check_memory(variant.program, sizes, 4 if dtype == "float32" else 8, self.result_names)
        variant.last = dtype, largest_nest(variant.program, sizes) >= PARALLEL_FROM
        function = variant.code().function
        if variant.last[1]:
            function = _one_at_a_time(function)
        return converting(function, dtypes) if any(dtypes) else function


def largest_nest(program: Program, sizes: Mapping[str, int]) -> int:
    """Operations of the largest loop nest."""
    return max((_work(step, sizes) for step in program.steps if isinstance(step, Nest)), default=0)


def _work(step: Nest, sizes: Mapping[str, int]) -> int:
    total = step.term.size() + 1
    for label in (*step.output, *step.reduced):
        total *= evaluate(step.sizes[label], sizes)
    return total


def _is_real(variable: Any) -> bool:
    return not variable.flags & {"integer", "boolean"}


def _one_at_a_time(function: Callable[..., Any]) -> Callable[..., Any]:
    def locked(*arguments: Any) -> Any:
        with _CORES:
            return function(*arguments)

    return locked
