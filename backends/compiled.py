"""Compiled functions: one call per signature is checked and planned, the others only run."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tensorcalc.errors import TensorcalcError
from tensorcalc.extents import evaluate
from tensorcalc.nodes import Node, Variable, as_expression

from .binding import MISSING, argument_names, as_arrays, check_names, conversions, sizes_of
from .buffers import SMALLEST, BufferPool
from .frugal_order import frugal
from .lowering import Lowered, lower
from .memory import UNQUESTIONED, check_memory, largest_value
from .numpy_writer import NumpyWriter
from .output_arrays import written
from .prefix_sums import prefix_sums
from .program import Program
from .signed_grams import signed_grams
from .step_costs import Cost, cost

#: Signatures remembered per function; beyond it all are forgotten.
SIGNATURES = 4096


class TargetError(TensorcalcError, ValueError):
    """A target that does not exist, or cannot be used here.

    >>> import tensorcalc as tc, backends
    >>> try:
    ...     backends.compile(tc.variables("x: n"), target="abacus")
    ... except backends.TargetError as error:
    ...     print(str(error).splitlines()[0])
    target 'abacus' is not available
    """


class Variant:
    """The code for one order of contractions."""

    def __init__(self, lowered: Lowered, template: str) -> None:
        program, self.choices = lowered
        self.program = self.prepared(program)
        self.template = template
        self.pool = BufferPool()
        self.codes: dict[bool, Code] = {}
        self.donated: frozenset[Variable] = frozenset()
        self.in_loops = False
        self.symbols = self.code(pooled=False).symbols

    def prepared(self, program: Program) -> Program:
        """The steps as the target wants them."""
        return prefix_sums(signed_grams(program))

    def suits(self, sizes: Mapping[str, int]) -> bool:
        """Whether no other order of contractions is better for these sizes."""
        return all(choice.holds(sizes) for choice in self.choices)

    def code(self, pooled: bool) -> Code:
        """The text and the function; ``pooled`` if large arrays come from the pool."""
        if pooled not in self.codes:
            donated = self.donated if pooled else frozenset()
            in_loops = pooled and self.in_loops
            program = frugal(self.program) if pooled else self.program
            writer = NumpyWriter(program, "f", self.template, pooled, donated, in_loops)
            source = writer.source()
            namespace: dict[str, Any] = {}
            exec(builtins.compile(source, "<tensorcalc>", "exec"), namespace)  # noqa: S102
            namespace |= {"empty": self.pool.empty, "zeros": self.pool.zeros, **writer.loops}
            self.codes[pooled] = Code(source, namespace["f"], writer.open_symbols)
        return self.codes[pooled]


class Code(NamedTuple):
    """A text, what it defines, and the extents that are arguments of it."""

    source: str
    function: Callable[..., Any]
    symbols: list[str]


class CompiledFunction:
    """What :func:`compile` returns: call it with arrays by name.

    ``source`` is the text that runs, ``program`` its steps, both of the variant chosen last.
    Results of a megabyte and more reuse memory of earlier ones that nobody holds any more; with
    ``out=``, arrays nested as the results are, results come in these.

    >>> import numpy as np, tensorcalc as tc, backends
    >>> x = tc.variables("x: n")
    >>> f = backends.compile({"square": x @ x, "twice": 2 * x})
    >>> f(x=np.array([1.0, 2.0]))
    {'square': np.float64(5.0), 'twice': array([2., 4.])}
    >>> f.names, f.target
    (['x'], 'numpy')

    A call raises UnknownNameError for a name that is missing or unknown, ShapeError for arrays that
    do not fit, SizeError for results that would not fit into memory.
    """

    variant_class = Variant
    #: ``written(function, arguments, out)``: a call with ``out=``.
    written: Callable[..., Any] = staticmethod(written)

    def __init__(
        self,
        roots: list[Node],
        template: str,
        variables: tuple[Variable, ...],
        target: str,
        real: bool,
        sizes: Mapping[str, int],
    ) -> None:
        self.roots = roots
        self.variables = variables
        self.target = target
        self.names = argument_names(variables)
        self.known: dict[Any, Callable[..., Any]] = {}
        self.result_names = [f"result {k}" for k in range(len(roots))]
        self._template = template
        self._real = real
        self._variants = [self._variant(sizes)]
        self._pooled = False

    def _variant(self, sizes: Mapping[str, int]) -> Variant:
        lowered = lower(self.roots, self.variables, sizes, self._real)
        return self.variant_class(lowered, self._template)

    @property
    def program(self) -> Program:
        """The steps."""
        return self._variants[0].program

    @property
    def source(self) -> str:
        """Readable Python that needs NumPy, and SciPy where an operation does."""
        return self._variants[0].code(pooled=False).source

    @property
    def symbols(self) -> list[str]:
        """Extents that are arguments, since no array has them."""
        return self._variants[0].symbols

    def __call__(self, **arrays: Any) -> Any:
        """The values of the expressions; replaced by a method with the function's arguments."""
        return self.slowly(arrays)

    def call(self, *arrays: Any) -> Any:
        """Like a call by name, with the arguments in the order of ``variables``."""
        return self.slowly(dict(zip(self._argument_names(), arrays, strict=True)))

    def prepared(self, *arrays: Any) -> Callable[..., Any]:
        """The plain function for arguments of these shapes and dtypes, checked once and for all.

        Raises what a call raises.
        """
        return self._prepared_for(dict(zip(self._argument_names(), arrays, strict=True)))[0]

    def donate(self, variables: Iterable[Variable]) -> None:
        """Let calls with large arrays overwrite these arguments, as far as the target can.

        To be called before the function is; results may be the arguments' arrays, which must lie
        in memory in the order of their axes.
        """
        for variant in self._variants:
            variant.donated = frozenset(variables)

    def run_in_loops(self) -> None:
        """Let calls with large arrays run elementwise steps as loops that numba compiles.

        To be called before the function is; for the numpy target, where numba is installed.
        """
        for variant in self._variants:
            variant.in_loops = True

    def release(self) -> None:
        """Give back the memory that later results would reuse."""
        for variant in self._variants:
            variant.pool.release()

    def slowly(self, given: Mapping[str, Any]) -> Any:
        """A call whose signature was not met before, or whose arguments are no arrays."""
        given = dict(given)
        out = None if "out" in self._argument_names() else given.pop("out", None)
        function, arguments = self._prepared_for(given)
        return function(*arguments) if out is None else self.written(function, arguments, out)

    def _argument_names(self) -> list[str]:
        return [*(variable.name for variable in self.variables), *self.symbols]

    def _prepared_for(self, given: Mapping[str, Any]) -> tuple[Callable[..., Any], list[Any]]:
        given = {name: value for name, value in given.items() if value is not MISSING}
        check_names(list(given), self.variables, self.symbols)
        values = [given.get(variable.name, variable.value) for variable in self.variables]
        arrays = self._arrays(values)
        sizes = {name: given[name] for name in self.symbols}
        key = (
            *(array.shape for array in arrays),
            *(array.dtype for array in arrays),
            *(type(array) for array in arrays),
            *sizes.values(),
        )
        if key not in self.known:
            if len(self.known) >= SIGNATURES:
                self.known.clear()
            self.known[key] = self._planned(arrays, sizes)
        return self.known[key], [*arrays, *sizes.values()]

    def _arrays(self, values: Sequence[Any]) -> list[Any]:
        return as_arrays(self.variables, values)

    def _planned(self, arrays: Sequence[Any], given: Mapping[str, int]) -> Callable[..., Any]:
        """The function for a new signature, checked and with the conversions it needs."""
        sizes = sizes_of(self.variables, arrays, given)
        self._choose_variant(sizes)
        dtypes = conversions(self.variables, arrays)
        item = max([array.dtype.itemsize for array in arrays], default=8)
        if sizes and largest_value(self.program, sizes, item) >= UNQUESTIONED:
            self._shrink(sizes, item)
        check_memory(self.program, sizes, item, self.result_names)
        self._pooled = largest_value(self.program, sizes, item) >= SMALLEST
        function = self._variants[0].code(self._pooled).function
        return converting(function, dtypes) if any(dtypes) else function

    def _choose_variant(self, sizes: Mapping[str, int]) -> None:
        """Put the variant for these sizes first; make it if there is none."""
        suitable = next((v for v in self._variants if v.suits(sizes)), None)
        chosen = suitable or self._variant(sizes)
        self._variants = [chosen, *(v for v in self._variants if v is not chosen)]

    def _shrink(self, sizes: Mapping[str, int], item: int) -> None:
        """Put a variant first whose views were chosen at these sizes, if its arrays are smaller."""
        made = self._variant(sizes)
        if largest_value(made.program, sizes, item) < largest_value(self.program, sizes, item):
            self._variants.insert(0, made)

    def cost(self, **arguments: Any) -> Cost:
        """Operations and bytes of a call with these arguments."""
        check_names(list(arguments), self.variables, self.symbols)
        values = [arguments.get(variable.name, variable.value) for variable in self.variables]
        given = {name: arguments[name] for name in self.symbols}
        sizes = sizes_of(self.variables, as_arrays(self.variables, values), given)
        costs = [cost(step) for step in self.program.steps]
        return Cost(
            sum(evaluate(each.flops, sizes) for each in costs),
            sum(evaluate(each.bytes, sizes) for each in costs),
        )

    def save(self, path: str | Path) -> None:
        """Write :attr:`source` to a file that does not need this library."""
        Path(path).write_text(self.source)


def converting(function: Callable[..., Any], dtypes: Sequence[Any]) -> Callable[..., Any]:
    """``function`` of arguments converted to ``dtypes``, None for those that stay."""

    def converted(*arguments: Any) -> Any:
        rest = arguments[len(dtypes) :]
        arrays = [
            array if dtype is None else np.asarray(array, dtype)
            for array, dtype in zip(arguments, dtypes, strict=False)
        ]
        return function(*arrays, *rest)

    return converted


# -- calls without overhead -----------------------------------------------------------------------
def specialised(function: CompiledFunction) -> CompiledFunction:
    """Give the function a class whose methods have its own arguments."""
    parameters = (*function.names, *function.symbols)
    defaults = [variable.value for variable in function.variables]
    namespace: dict[str, Any] = {"missing": MISSING, "known": function.known}
    namespace["written"] = function.written
    namespace["originals"] = [*(v.name for v in function.variables), *function.symbols]
    namespace.update(
        {f"default_{name}": value for name, value in zip(function.names, defaults, strict=True)}
    )
    has_default = tuple(value is not None for value in defaults)
    exec(_methods(parameters, len(function.names), has_default), namespace)  # noqa: S102
    methods = {name: namespace[name] for name in ("__call__", "call")}
    methods["__doc__"] = CompiledFunction.__doc__
    function.__class__ = type("CompiledFunction", (type(function),), methods)
    return function


@lru_cache(maxsize=256)
def _methods(parameters: tuple[str, ...], arrays: int, has_default: tuple[bool, ...]) -> Any:
    """``__call__`` and ``call`` for these arguments.

    The look-up costs a few hundred nanoseconds, less than any check of names and shapes would.
    """
    names = parameters[:arrays]
    key = [*(f"{n}.shape" for n in names), *(f"{n}.dtype" for n in names)]
    key += [*(f"{n}.__class__" for n in names), *parameters[arrays:]]
    look_up = f"known[{', '.join(key)},]" if key else "known[()]"
    defaults = [
        f"{name}=default_{name}" if k < arrays and has_default[k] else f"{name}=missing"
        for k, name in enumerate(parameters)
    ]
    arguments = ", ".join(parameters)
    body = (
        "    try:\n"
        f"        run = {look_up}\n"
        "    except (KeyError, AttributeError, TypeError):\n"
        "        run = None\n"
        "    if run is not None and others.keys() == {'out'} and others['out'] is not None:\n"
        f"        return written(run, ({arguments},), others['out'])\n"
        "    if run is None or others:\n"
        f"        return self.slowly({{**dict(zip(originals, ({arguments},))), **others}})\n"
        f"    return run({arguments})\n"
    ).replace("(,)", "()")
    star = ["*"] if defaults else []
    text = (
        f"def __call__({', '.join(['self', *star, *defaults])}, **others):\n{body}"
        f"def call({', '.join(['self', *defaults])}, **others):\n{body}"
    )
    return builtins.compile(text, "<tensorcalc arguments>", "exec")


class Results:
    """Expressions in a nesting of lists, tuples and dicts, and what to call each."""

    def __init__(self) -> None:
        self.roots: list[Node] = []
        self.names: list[str] = []

    def template(self, expressions: Any, name: str) -> str:
        """The returned expression with ``{k}`` for the k-th root."""
        expressions = as_expression(expressions)
        if isinstance(expressions, Node):
            self.roots.append(expressions)
            self.names.append(name)
            return f"{{{len(self.roots) - 1}}}"
        if isinstance(expressions, Mapping):
            pairs = [(k, self.template(each, str(k))) for k, each in expressions.items()]
            return "{{" + ", ".join(f"{key!r}: {text}" for key, text in pairs) + "}}"
        items = [self.template(each, f"result {k}") for k, each in enumerate(expressions)]
        if isinstance(expressions, list):
            return f"[{', '.join(items)}]"
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
