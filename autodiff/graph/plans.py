"""From a call to what it runs: operations traced once per kind of call, plans once per shape.

Level 1, asked at every call: the exact key (function, shapes and dtypes of arrays, constants,
which arguments want gradients) gives a :class:`Plan`, whose compiled functions are bound.
Level 2, asked where level 1 has nothing: the key without sizes gives an :class:`Operation`,
unless a guard of its trace does not hold for the new sizes; a new batch size traces nothing.

Numbers among the arguments are constants of the trace, with two exceptions. Positions in an index
are sizes, so that ``x[t]`` in a loop over ``t`` is one operation. A float argument that took more
than FLOAT_LIMIT values becomes a variable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any, NamedTuple

import numpy as np

from tensorcalc.errors import TensorcalcError, TraceError
from tensorcalc.nodes import Apply, Node
from tensorcalc.products import is_boolean

from .. import pytrees
from ..arguments import Arguments, arguments_of, leaf_names
from ..running import may_alias
from ..tracing import Trace, run_symbolically, trace_key
from .modes import extend
from .operations import Operation, Program, Pullback, Recording
from .placement import ARRAYS, beside, target_of

#: Values of a float argument after which it is no constant any more.
FLOAT_LIMIT = 8
#: Plans kept; a program that makes more kinds of calls than this starts over.
PLAN_LIMIT = 8192


class Step(int):
    """The step of a slice, which is a constant, unlike its bounds."""


class Slice(NamedTuple):
    """A slice as a container of leaves, so that its bounds can be sizes."""

    start: Any
    stop: Any
    step: Any


def indexed(x: Any, *items: Any) -> Any:
    """``x[items]``; slices are given as :class:`Slice`."""
    return x[tuple([slice(*item) if isinstance(item, Slice) else item for item in items])]


class Plan:
    """An operation bound to shapes and dtypes.

    ``leaves`` are arrays for all its inputs, of which calls give those that are not ``filled``;
    ``wanted`` are the inputs that get adjoints, as positions among all inputs.
    """

    __slots__ = (
        "_pullbacks",
        "dtypes",
        "filled",
        "forward",
        "name",
        "nest",
        "operation",
        "program",
        "recording",
        "results",
        "saved",
        "sizes",
        "tracked",
        "wanted",
    )

    def __init__(
        self,
        operation: Operation,
        leaves: Sequence[Any],
        wanted: Sequence[int],
        sizes: Mapping[str, int],
        filled: Sequence[tuple[int, Any]] = (),
        nest: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        self.operation, self.name, self.sizes = operation, operation.name, sizes
        self.wanted, self.nest = tuple(wanted), nest
        bound = [(len(leaves) + k, array) for k, array in enumerate(operation.bound.values())]
        self.filled = [*filled, *bound]
        self.recording: Recording | None = operation.recording(self.wanted) if wanted else None
        #: Dtypes of the inputs that get adjoints.
        self.dtypes = [leaves[k].dtype for k in self.wanted]
        self.results = len(operation.results)
        #: Which results have a place in the graph.
        self.tracked = _tracked(self.recording)
        #: What the pullback reads: positions among all inputs, then results, then kept nodes.
        self.saved: list[int] = []
        if self.recording is not None and any(self.tracked):
            reads = self.recording.reads
            inputs = len(operation.variables)
            self.saved = [k for k, variable in enumerate(operation.variables) if variable in reads]
            self.saved += [
                inputs + k for k, stand_in in self.recording.stand_ins.items() if stand_in in reads
            ]
            self.program: Program = self.recording.forward
        else:
            self.program = operation.forward
        self.forward = _reading(self.program, [*leaves, *operation.bound.values()], sizes)
        self._pullbacks: dict[tuple[int, ...], BoundPullback] = {}

    def completed(self, arrays: Sequence[Any]) -> list[Any]:
        """The arrays of a call with those that it does not give."""
        complete = list(arrays)
        for place, array in self.filled:
            complete.insert(place, array)
        return complete

    def pullback(self, given: tuple[int, ...]) -> BoundPullback:
        """The pullback where only the results ``given`` have adjoints."""
        found = self._pullbacks.get(given)
        if found is None:
            found = self._pullbacks[given] = BoundPullback(self, given)
        return found


def _reading(
    program: Program, arrays: Sequence[Any], sizes: Mapping[str, int]
) -> Callable[..., Any]:
    """The program's function of all inputs, whether it reads them or not."""
    reads = program.reads
    given = [arrays[k] for k in reads]
    if target_of(given) != target_of(arrays):  # the program reads none of those on a device
        function = program.elsewhere("numpy").bind(given, sizes)
        like = next(k for k, array in enumerate(arrays) if target_of([array]) == "cuda")
        return lambda *inputs: [
            beside(inputs[like], result) for result in function(*[inputs[k] for k in reads])
        ]
    function = program.bind(given, sizes)
    if reads == list(range(len(arrays))):
        return function
    return lambda *inputs: function(*[inputs[k] for k in reads])


def _tracked(recording: Recording | None) -> list[bool]:
    if recording is None:
        return []
    return [is_real(result) for result in recording.results]


def is_real(node: Node) -> bool:
    """Whether the entries are real numbers, not truth values or positions."""
    return not is_boolean(node) and not (
        isinstance(node, Apply) and node.operation.result == "integer"
    )


class BoundPullback:
    """A pullback of a plan; its function is bound to the arrays of its first call."""

    __slots__ = ("_function", "_reads", "_sizes", "owned", "pullback", "reads", "routes")

    def __init__(self, plan: Plan, given: tuple[int, ...]) -> None:
        assert plan.recording is not None
        self.pullback: Pullback = plan.recording.pullback(given)
        inputs = len(plan.operation.variables)
        positions = [*self.pullback.read_inputs, *(inputs + k for k in self.pullback.read_results)]
        #: Which of the saved arrays follow the seeds as inputs of the pullback.
        self.reads = [plan.saved.index(position) for position in positions]
        self.routes = self.pullback.routes
        self._sizes = plan.sizes
        self._function: Callable[..., Any] | None = None
        alias = may_alias(self.pullback.computed)
        #: Whether an adjoint is an array of its own, which nobody else holds.
        self.owned = [
            not seed and not alias[k] and self.routes.count((seed, k)) == 1
            for seed, k in self.routes
        ]

    def __call__(self, seeds: Sequence[Any], saved: Sequence[Any]) -> list[Any]:
        """The adjoint of every wanted input."""
        if not self.pullback.computed:
            return [seeds[k] for _, k in self.routes]
        arrays = [*seeds, *[saved[k] for k in self.reads]]
        if self._function is None:
            self._function = _reading(self.pullback.program, arrays, self._sizes)
        results = self._function(*arrays)
        return [seeds[k] if seed else results[k] for seed, k in self.routes]


# -- level 2 --------------------------------------------------------------------------------------
class Family:
    """Calls of one function for one target that differ in the sizes and values of arrays only."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.operations: dict[Any, list[tuple[Trace, Operation]]] = {}

    def find(self, function: Callable[..., Any], call: _Call, name: str) -> tuple[Trace, Operation]:
        """The operation that fits the call; traces ``function`` if there is none."""
        arguments = arguments_of(call.traced, {})
        known = self.operations.setdefault(trace_key(arguments), [])
        for trace, operation in known:
            if trace.fits(arguments.leaves):
                return trace, operation
        traced = call.function(function)
        trace = run_symbolically(traced, arguments, getattr(function, "named", {}), name)
        operation = Operation(name, *_described(trace, name), trace.bound, self.target)
        known.append((trace, operation))
        return trace, operation


_families: dict[Any, Family] = {}
_floats: dict[Any, set[Any]] = {}
#: Level 1.
plans_by_key: dict[Any, Plan] = {}


def clear_caches() -> None:
    """Forget all plans and operations, so that everything is traced again."""
    _families.clear()
    _floats.clear()
    plans_by_key.clear()


class _Call:
    """Leaves of a call sorted into what is traced and what is constant."""

    def __init__(
        self, leaves: Sequence[Any], definition: Any, names: list[str], sizes: bool
    ) -> None:
        self.definition, self.leaves = definition, list(leaves)
        self.positions: list[int] = []
        self.traced: list[Any] = []
        #: Places, among the traced leaves, of sizes and floats that calls do not give as arrays.
        self.filled: list[tuple[int, Any]] = []
        self.sizes: set[int] = set()
        self.names = names
        for k, leaf in enumerate(leaves):
            if isinstance(leaf, ARRAYS):
                self._trace(k, leaf)
            elif sizes and type(leaf) is int and leaf > 1:
                self.sizes.add(k)
                self._fill(k, np.broadcast_to(np.zeros(()), (leaf,)))

    def _trace(self, k: int, leaf: Any) -> None:
        self.positions.append(k)
        self.traced.append(leaf)

    def _fill(self, k: int, array: Any) -> None:
        self.filled.append((len(self.traced), array))
        self._trace(k, array)

    def promote_floats(self, dtype: Any) -> None:
        """Treat float constants as variables."""
        constants, self.positions, self.traced, self.filled = self.leaves, [], [], []
        self.__init__(  # type: ignore[misc]
            [np.asarray(x, dtype) if type(x) is float else x for x in constants],
            self.definition,
            self.names,
            bool(self.sizes),
        )
        self.filled += [
            (k, a) for k, a in enumerate(self.traced) if type(constants[self.positions[k]]) is float
        ]
        self.filled.sort(key=lambda item: item[0])

    def static(self) -> tuple[Any, ...]:
        """What is constant, as part of a key."""
        traced = set(self.positions)
        return tuple(
            [
                ("size" if k in self.sizes else "array") if k in traced else (type(leaf), leaf)
                for k, leaf in enumerate(self.leaves)
            ]
        )

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function`` of the traced leaves alone."""
        template, definition = self.leaves, self.definition
        positions, sizes = self.positions, self.sizes

        def traced(*values: Any) -> Any:
            leaves = list(template)
            for k, value in zip(positions, values, strict=True):
                leaves[k] = value.extents[0] if k in sizes else value
            args, kwargs = pytrees.unflatten(definition, leaves)
            return function(*args, **kwargs)

        parameters = [Parameter(self.names[k], Parameter.POSITIONAL_ONLY) for k in positions]
        traced.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return traced


def make_plan(
    function: Callable[..., Any],
    leaves: Sequence[Any],
    definition: Any,
    wanted: Sequence[int],
) -> Plan:
    """A plan for a call with these leaves, of which ``wanted`` (by position) get adjoints."""
    name = getattr(function, "__name__", type(function).__name__)
    call = _Call(leaves, definition, _names(function, leaves, definition), function is indexed)
    target = target_of(leaves)
    key = (function, definition, call.static(), target)
    try:
        hash(key)
    except TypeError as error:
        raise _unhashable(name, leaves) from error
    if any(type(leaf) is float for leaf in leaves):
        structure = (function, definition)
        values = _floats.setdefault(structure, set())
        values.add(key)
        if len(values) > FLOAT_LIMIT:
            call.promote_floats(np.result_type(*[a for a in call.traced if a.dtype.kind == "f"]))
            key = (function, definition, call.static(), target)
    if key not in _families:
        _families[key] = Family(target)
    try:
        trace, operation = _families[key].find(function, call, name)
    except (TensorcalcError, ValueError, TypeError) as error:
        extend(error, [_call_text(name, leaves)])
        raise
    places = [call.positions.index(k) for k in wanted]
    sizes = trace.sizes_for(call.traced)
    return Plan(operation, call.traced, places, sizes, call.filled, _nesting(trace))


def _names(function: Callable[..., Any], leaves: Sequence[Any], definition: Any) -> list[str]:
    positional, keywords = definition[2]
    whole = Arguments(list(leaves), positional[2], keywords)
    return leaf_names(function, whole)


def _described(trace: Trace, name: str) -> tuple[list[Any], list[Node]]:
    for leaf in trace.outputs:
        if not isinstance(leaf, Node):
            raise TraceError(
                f"{name} returned a {type(leaf).__name__}, which is no number or array",
                [f"returned: {leaf!r:.60}"],
                "return arrays, nested in tuples, lists and dicts at will",
            )
    return [v for v in trace.variables if v is not None], list(trace.outputs)


def _nesting(trace: Trace) -> Callable[[list[Any]], Any] | None:
    definition = trace.definition
    if definition == pytrees.LEAF:
        return None
    return lambda results: pytrees.unflatten(definition, results)


def _unhashable(name: str, leaves: Sequence[Any]) -> TraceError:
    wrong = [leaf for leaf in leaves if type(leaf).__hash__ is None]
    return TraceError(
        f"{name}: an argument is neither an array nor a constant",
        [f"argument: {leaf!r:.60} of type {type(leaf).__name__}" for leaf in wrong],
        "pass arrays, numbers, strings, and tuples, lists or dicts of them",
    )


def _call_text(name: str, leaves: Sequence[Any]) -> str:
    shapes = [f"{a.dtype}{list(a.shape)}" if isinstance(a, ARRAYS) else repr(a) for a in leaves]
    return f"in {name}({', '.join(shapes)})"
