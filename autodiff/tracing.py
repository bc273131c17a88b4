"""Tracing: a Python function run once on variables with symbolic extents.

The real sizes of the first call are at hand while the function runs. What Python asks about an
extent is answered from them and kept as a guard; calls that fit the guards share the trace, others
trace again. Two symbols that were asked to be equal become one.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tensorcalc import extents as ex
from tensorcalc.errors import TraceError
from tensorcalc.nodes import Node, Variable
from tensorcalc.numpy_protocol.convert import array_variable, as_node
from tensorcalc.substitution import replace_extents, replace_in_variable, solved

from . import pytrees
from .arguments import ARRAYS, Arguments, arguments_of, is_traced, kind_of, leaf_names, unique_name
from .pytrees import Definition
from .random_numbers import without_random_numbers
from .undispatched import taking_expressions
from .user_code import located
from .watching import Watch

#: Traces kept per function; the one used longest ago goes first.
TRACE_LIMIT = 64
#: Where plans keep the guarded call of the one used last, which most calls use again.
LAST = "last"

_FLAGS = {"f": (), "b": ("boolean",), "i": ("integer",), "u": ("integer",)}
_depth: ContextVar[int] = ContextVar("depth", default=0)


@dataclass(eq=False)
class Trace:
    """What one run of the function gave: its outputs as expressions of its arguments."""

    arguments: Arguments
    #: A variable per leaf of the arguments; None for constants.
    variables: list[Variable | None]
    #: Leaves of the result: expressions, or whatever else the function returned.
    outputs: list[Any]
    definition: Definition
    #: Arrays met on the way, by the variable that stands for them.
    bound: dict[Variable, Any] = field(default_factory=dict)
    guards: ex.Guards = field(default_factory=lambda: ex.Guards({}))
    #: Symbol of each axis as first given out: (leaf, axis, symbol); and sizes that never change.
    symbols: list[tuple[int, int, str]] = field(default_factory=list)

    def sizes_for(self, leaves: Sequence[Any]) -> dict[str, int]:
        """The sizes of the symbols for other arguments of the same ranks."""
        sizes = dict(self.guards.sizes)
        for leaf, axis, name in self.symbols:
            sizes[name] = leaves[leaf].shape[axis]
        return sizes

    def fits(self, leaves: Sequence[Any]) -> bool:
        """Whether every guard holds for these arguments."""
        return ex.hold(self.guards, self.sizes_for(leaves))

    def shape_of(self, node: Node) -> tuple[int, ...]:
        """The shape of an expression for the sizes that were traced."""
        return tuple(ex.evaluate(extent, self.guards.sizes) for extent in node.extents)

    @property
    def inputs(self) -> list[Variable]:
        """All variables: those of the arguments, then those of arrays met on the way."""
        return [v for v in self.variables if v is not None] + list(self.bound)


class Tracer:
    """Traces of one function by key, shared by all transforms of it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = _weak_reference(function)
        self._traces: OrderedDict[Any, list[Trace]] = OrderedDict()
        self._watch: Watch | None = None
        self.name = getattr(function, "__name__", type(function).__name__)
        #: How often the function has been run symbolically.
        self.count = 0
        #: What calls with given shapes and dtypes do, by transform; dropped with the traces.
        self._plans: dict[Any, dict[Any, Any]] = {}

    def plans(self, transform: Any) -> dict[Any, Any]:
        """The plans of one transform of the function, shared by all its instances."""
        return self._plans.setdefault(transform, {})

    def last(self, transform: Any) -> Any:
        """The guarded call of the plan that the transform used last, if it is still valid."""
        watch = self._watch
        if watch is not None and not watch.same():
            self.refresh()
        plans = self._plans.get(transform)
        return None if plans is None else plans.get(LAST)

    def refresh(self) -> None:
        """Drop all traces and plans if something that the function reads was rebound."""
        watch = self._watch
        if watch is not None and not watch.same() and watch.changed():
            self._traces.clear()
            for plans in self._plans.values():
                plans.clear()
            self._watch = None

    def trace(self, function: Callable[..., Any], arguments: Arguments) -> Trace:
        """The trace that fits the arguments; runs ``function`` if there is none."""
        self.refresh()
        if self._watch is None:
            self._watch = Watch(function)
        key = trace_key(arguments)
        known = self._traces.setdefault(key, [])
        self._traces.move_to_end(key)
        for trace in known:
            if trace.fits(arguments.leaves):
                return trace
        with without_random_numbers(self.name, self._watch.values()):
            trace = run_symbolically(function, arguments, self._watch.named, self.name)
        self.count += 1
        known.append(trace)
        self._evict()
        return trace

    def _evict(self) -> None:
        while sum(map(len, self._traces.values())) > TRACE_LIMIT:
            oldest = next(iter(self._traces.values()))
            oldest.pop(0)
            if not oldest:
                self._traces.popitem(last=False)


def _weak_reference(function: Callable[..., Any]) -> Any:
    try:
        return weakref.ref(function)
    except TypeError:
        return lambda: function


_tracers: weakref.WeakKeyDictionary[Any, Tracer] = weakref.WeakKeyDictionary()
#: Tracers by the id of their function, while it lives: a look-up that hashes and compares nothing.
_by_id: dict[int, tuple[weakref.ref[Any], Tracer]] = {}


def tracer_of(function: Callable[..., Any]) -> Tracer:
    """The one tracer of a function; transforms made one after another share its traces."""
    number = id(function)
    known = _by_id.get(number)
    if known is not None and known[0]() is function:
        return known[1]
    try:
        tracer = _tracers.get(function)
        if tracer is None:
            tracer = _tracers[function] = Tracer(function)
        _by_id[number] = weakref.ref(function, lambda _: _by_id.pop(number, None)), tracer
        return tracer
    except TypeError:  # not hashable or not weakly referable: nothing to share by
        return Tracer(function)


def trace_key(arguments: Arguments) -> Any:
    """Nesting, ranks, axes of size 0 or 1, kinds of dtype, and constants."""
    count = arguments.positional_leaves
    return arguments.definition, tuple(
        _leaf_key(leaf, k >= count) for k, leaf in enumerate(arguments.leaves)
    )


def _leaf_key(leaf: Any, by_keyword: bool) -> Any:
    if not is_traced(leaf, by_keyword):
        return type(leaf), leaf
    if isinstance(leaf, ARRAYS):
        return leaf.dtype.kind, tuple([size if size < 2 else None for size in leaf.shape])
    return "f", ()


# -- running the function -------------------------------------------------------------------------
def run_symbolically(
    function: Callable[..., Any], arguments: Arguments, names: dict[int, str], what: str
) -> Trace:
    """Run ``function`` on variables; equal symbols of the result are one symbol."""
    return _run(function, arguments, names, what, {})


def run_at_sizes(
    function: Callable[..., Any], arguments: Arguments, names: dict[int, str], what: str
) -> Trace:
    """Run ``function`` on variables whose extents are the sizes of the arguments at hand."""
    return _run(function, arguments, names, what, None)


def _run(
    function: Callable[..., Any],
    arguments: Arguments,
    names: dict[int, str],
    what: str,
    sizes: dict[str, int] | None,
) -> Trace:
    labels = leaf_names(function, arguments)
    trace = Trace(arguments, [], [], pytrees.LEAF)
    count = arguments.positional_leaves
    for k, leaf in enumerate(arguments.leaves):
        traced = is_traced(leaf, k >= count)
        trace.variables.append(_variable(leaf, labels[k], sizes) if traced else None)
    trace.symbols = [
        (k, axis, name)
        for k, variable in enumerate(trace.variables)
        if variable is not None
        for axis, extent in enumerate(variable.extents)
        if (name := ex.symbol_name(extent)) is not None
    ]
    binder = _Binder(trace, names, set(labels), sizes)
    known = {} if sizes is None else sizes
    with (
        ex.assuming(known) as trace.guards,
        located(what, known),
        _binding(binder),
        taking_expressions(),
    ):
        run_on(function, trace, trace.variables)
    _unify(trace)
    pairs = zip(arguments.leaves, trace.variables, strict=True)
    constants = [leaf if variable is None else None for leaf, variable in pairs]
    trace.arguments = replace(arguments, leaves=constants)  # arrays of one call are not kept alive
    return trace


def run_on(function: Callable[..., Any], trace: Trace, values: Sequence[Any]) -> None:
    """Call ``function`` with nodes for its traced leaves and keep what it returns."""
    leaves = [
        leaf if value is None else value
        for leaf, value in zip(trace.arguments.leaves, values, strict=True)
    ]
    args, kwargs = pytrees.unflatten(trace.arguments.definition, leaves)
    outputs, trace.definition = pytrees.flatten(function(*args, **(kwargs or {})))
    trace.outputs = [_output(leaf) for leaf in outputs]


def _output(leaf: Any) -> Any:
    numeric = isinstance(leaf, (Node, ex.Extent, float, int, np.ndarray, np.generic))
    return as_node(leaf) if numeric or hasattr(leaf, "__array__") else leaf


def _variable(leaf: Any, name: str, sizes: dict[str, int] | None) -> Variable:
    kind = kind_of(leaf)
    if kind not in _FLAGS:
        raise TraceError(
            f"argument {name} of dtype {leaf.dtype} cannot be differentiated or traced",
            hint="pass arrays of real numbers, integers or booleans",
        )
    shape = np.shape(leaf)
    return Variable(name, shape if sizes is None else _fresh_extents(shape, sizes), _FLAGS[kind])


def _fresh_extents(shape: Sequence[int], sizes: dict[str, int]) -> tuple[Any, ...]:
    """A new symbol per axis; axes of size 0 and 1 are numbers, since they broadcast or vanish."""
    result: list[Any] = []
    for size in shape:
        if size < 2:
            result.append(size)
        else:
            name = f"n{len(sizes)}"
            sizes[name] = size
            result.append(ex.symbol(name))
    return tuple(result)


class _Binder:
    """Gives variables to arrays met on the way: closures, globals, literals."""

    def __init__(
        self, trace: Trace, names: dict[int, str], taken: set[str], sizes: dict[str, int] | None
    ) -> None:
        self._trace, self._names, self._taken, self._sizes = trace, names, taken, sizes
        self._known: dict[int, Variable] = {}
        self._held: list[Any] = []

    def __call__(self, array: Any) -> Node:
        if id(array) not in self._known:
            self._held.append(array)  # so its id stays its own
            name = unique_name(self._names.get(id(array), f"c{len(self._known)}"), self._taken)
            variable = _variable(array, name, self._sizes)
            self._known[id(array)] = variable
            self._trace.bound[variable] = np.asarray(array)
        return self._known[id(array)]


@contextmanager
def _binding(binder: _Binder) -> Any:
    token = array_variable.set(binder)
    try:
        yield
    finally:
        array_variable.reset(token)


def _unify(trace: Trace) -> None:
    """Solve the equations among extents that were answered with yes.

    A bound that is met exactly, as by the last slice of an axis, is an equation as well: the slices
    are then known to lie inside the axis, and are views of it.
    """
    guards = trace.guards
    for relation, *sides in [*guards.answers]:
        left, right = (ex.evaluate(side, guards.sizes) for side in sides)
        if relation == "<=" and left == right:
            guards.ask("==", *sides)
    equations = [
        (left, right)
        for (relation, left, right), answer in trace.guards.answers.items()
        if relation == "==" and answer
    ]
    replacements = solved(equations, trace.guards.sizes)
    if not replacements:
        return
    for name, value in replacements.items():
        if isinstance(value, int):  # an equation that could not be solved has pinned the symbol
            trace.guards.answers["==", ex.symbol(name), value] = True
    nodes = [leaf for leaf in trace.outputs if isinstance(leaf, Node)]
    new = replace_extents(nodes, replacements)
    trace.outputs = [new[x] if isinstance(x, Node) else x for x in trace.outputs]
    trace.variables = [
        None if v is None else replace_in_variable(v, replacements) for v in trace.variables
    ]
    trace.bound = {replace_in_variable(v, replacements): a for v, a in trace.bound.items()}


# -- a function met while another is traced -------------------------------------------------------
def run_on_nodes(
    function: Callable[..., Any], arguments: Arguments
) -> tuple[Trace, dict[Node, Node]]:
    """Trace ``function`` at arguments that are expressions themselves.

    Returns the trace over fresh variables, and the expressions that these stand for.
    """
    depth = _depth.get() + 1
    token = _depth.set(depth)
    try:
        trace = Trace(arguments, [], [], pytrees.LEAF)
        actual: dict[Node, Node] = {}
        count = arguments.positional_leaves
        for k, leaf in enumerate(arguments.leaves):
            variable = None
            if is_traced(leaf, k >= count):
                node = as_node(leaf)
                variable = Variable(f"at{depth}_{k}", node.extents, _flags_of(leaf))
                actual[variable] = node
            trace.variables.append(variable)
        run_on(function, trace, trace.variables)
    finally:
        _depth.reset(token)
    return trace, actual


def _flags_of(leaf: Any) -> Any:
    if isinstance(leaf, Variable):
        return leaf.flags
    return () if isinstance(leaf, Node) else _FLAGS[kind_of(leaf)]


__all__ = [
    "Arguments",
    "Trace",
    "Tracer",
    "arguments_of",
    "leaf_names",
    "run_at_sizes",
    "run_on_nodes",
    "run_symbolically",
    "trace_key",
    "tracer_of",
    "unique_name",
]
