"""Plans: what a call of a transform does for arguments of given shapes and dtypes.

Everything that can be decided once per signature is decided here, so that a call picks arrays,
runs the compiled function and nests its results.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backends.cuda.arrays import ArrayOnDevice
from tensorcalc.nodes import Node, Variable

from . import pytrees
from .arguments import ARRAYS, arguments_of, is_traced, normal_leaf
from .direct_calls import direct, directed, guarded, key_of
from .pytrees import LEAF
from .rules import Outputs
from .running import Derived, may_alias
from .tracing import Trace


class Plan:
    """What a call does for arguments of given shapes and dtypes: pick, run, cast, nest."""

    def __init__(
        self,
        made: Derived,
        trace: Trace,
        outputs: Outputs,
        directions: Sequence[Variable | None],
        what: str,
        leaves: Sequence[Any],
        sizes: Mapping[str, int],
        shapes: Sequence[tuple[int, ...]],
    ) -> None:
        self.derived = made
        #: Sizes of the symbols, and shapes of the selected leaves. The leaves are those of the
        #: call: the trace may be of an earlier one with another precision.
        self.sizes, self.shapes = sizes, shapes
        definition = made.derivation.definition
        self.formulas = pytrees.unflatten(definition, made.formulas)
        self._run: Callable[..., Any] | None = None
        given = [*trace.variables, *(v for v in directions if v is not None)]
        self._positions = [k for k, variable in enumerate(given) if variable is not None]
        self._bound = list(trace.bound.values())
        self._numbers = _python_floats(leaves, self._positions)
        assemble = made.derivation.assemble
        build = None if assemble is None else _at_first(lambda: assemble(sizes, shapes))
        self._definition = definition
        self._plain = build is None and outputs.aux_definition is None
        self._nest = _nesting(what, definition, outputs, build)
        owners = [None if k is None else leaves[k] for k in made.derivation.dtypes]
        dtypes = [getattr(owner, "dtype", None) for owner in owners]
        dtypes += [None] * (len(made.formulas) - len(dtypes))
        ranks = [formula.ndim for formula in made.formulas]
        self._wanted = list(zip(ranks, may_alias(made.formulas), dtypes, strict=True))
        #: What a call does: as :meth:`_first` does, in fewer steps once there was a first.
        self.call: Callable[[Sequence[Any]], Any] = self._first
        self._guarded: Callable[..., Any] | None = None

    def guarded(self, *arguments: Sequence[Any]) -> Callable[..., Any]:
        """:func:`autodiff.direct_calls.guarded` of this plan; ``arguments`` are those of a call."""
        if self._guarded is None:
            self._guarded = guarded(self, *arguments)
        return self._guarded

    def __call__(self, leaves: Sequence[Any]) -> Any:
        """The result for these leaves of arguments, tangents and adjoints."""
        return self.call(leaves)

    def _first(self, leaves: Sequence[Any]) -> Any:
        arrays = [leaves[k] for k in self._positions]
        for k, dtype in self._numbers:
            arrays[k] = dtype.type(arrays[k])
        run = self.derived.compiled.prepared(*arrays, *self._bound)
        results = run(*arrays, *self._bound)
        finish = _finishing(results, self._wanted)
        self.call = self._direct(run, len(leaves), finish)
        for k, function in finish.items():
            results[k] = function(results[k])
        return self._nest(results)

    def _direct(
        self, run: Callable[..., Any], count: int, finish: dict[int, Callable[[Any], Any]]
    ) -> Callable[[Sequence[Any]], Any]:
        """Pick, run, finish and nest, as code for this plan."""
        casts = {f"cast{k}": dtype.type for k, dtype in self._numbers}
        names = casts | {f"bound{k}": value for k, value in enumerate(self._bound)}
        arguments = [f"leaves[{k}]" for k in self._positions]
        for k, _ in self._numbers:
            arguments[k] = f"cast{k}({arguments[k]})"
        arguments += [f"bound{k}" for k in range(len(self._bound))]
        if not names and self._positions == list(range(count)):
            arguments = ["*leaves"]
        found = direct(run, arguments, self._definition, names, finish) if self._plain else None
        if found is not None:
            return found
        items = "list", None, (LEAF,) * len(self._wanted)
        call, nest = direct(run, arguments, items, names, finish), self._nest
        assert call is not None  # a list has a spelling
        return lambda leaves: nest(call(leaves))


def _at_first(make: Callable[[], Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """The function that ``make`` gives, made when it is first called."""
    made = functools.cache(make)
    return lambda argument: made()(argument)


def _finishing(
    results: Sequence[Any], wanted: Sequence[tuple[int, bool, Any]]
) -> dict[int, Callable[[Any], Any]]:
    """What must be done to results; their types are those of every call of the same plan.

    Results on a device stay as they are: they are new, and of the call's precision.
    """
    steps: dict[int, Callable[[Any], Any]] = {}
    if any(isinstance(result, ArrayOnDevice) for result in results):
        return steps
    for k, (result, (rank, copied, dtype)) in enumerate(zip(results, wanted, strict=True)):
        if not rank:
            if not _is_scalar(dtype, result):
                steps[k] = functools.partial(_as_scalar, dtype)
        elif dtype is not None and result.dtype != dtype:
            steps[k] = operator.methodcaller("astype", dtype)
        elif copied:
            steps[k] = np.array
    return steps


def _is_scalar(dtype: Any, result: Any) -> bool:
    return isinstance(result, np.generic) and (dtype is None or result.dtype == dtype)


def _as_scalar(dtype: Any, result: Any) -> Any:
    return result if _is_scalar(dtype, result) else np.asarray(result, dtype)[()]


def _python_floats(leaves: Sequence[Any], positions: Sequence[int]) -> list[tuple[int, Any]]:
    """Where Python floats are passed, with the dtype of the arrays that they join."""
    own = [leaves[k] if k < len(leaves) else None for k in positions]
    arrays = [leaf.dtype for leaf in own if isinstance(leaf, ARRAYS)]
    real = [dtype for dtype in arrays if dtype.kind == "f"]
    dtype = np.result_type(*real) if real else np.dtype(float)
    return [(k, dtype) for k, leaf in enumerate(own) if type(leaf) is float]


def _nesting(
    what: str, definition: Any, outputs: Outputs, build: Callable[[list[Any]], Any] | None
) -> Callable[[list[Any]], Any]:
    """From a list of results to the nesting that the caller sees, or what ``build`` makes of it."""
    if outputs.aux_definition is None:
        if build is not None:
            return build
        if definition == LEAF:
            return lambda results: results[0]
        return lambda results: pytrees.unflatten(definition, results)
    aux_definition, aux = outputs.aux_definition, outputs.aux

    def nest(results: list[Any]) -> Any:
        remaining = iter(results)
        value = pytrees.unflatten(definition, remaining)
        if build is not None:
            value = build(list(value))
        leaves = [next(remaining) if isinstance(leaf, Node) else leaf for leaf in aux]
        return with_aux(what, value, pytrees.unflatten(aux_definition, leaves))

    return nest


def with_aux(what: str, value: Any, aux: Any) -> Any:
    """A result with the auxiliary one where JAX puts it."""
    if what == "value_and_grad":
        return (value[0], aux), value[1]
    return (*value, aux) if what == "jvp" else (value, aux)


# -- signatures ------------------------------------------------------------------------------------
def signature(args: Sequence[Any], kwargs: dict[str, Any], extra: Any) -> tuple[Any, Sequence[Any]]:
    """What a plan depends on: nesting, shapes, dtypes and constants; and the leaves."""
    if not kwargs and are_arrays(args):
        if extra is None:
            return key_of(len(args))(*args), args
        if type(extra) is tuple:
            absent = tuple([direction is None for direction in extra])
            if are_arrays([direction for direction in extra if direction is not None]):
                return directed(len(args), absent)(*args, *extra)
    key: list[Any] = []
    arguments = arguments_of(args, kwargs)
    end = len(arguments.leaves)
    extra_leaves, extra_definition = pytrees.flatten(extra)
    leaves = [*arguments.leaves, *map(normal_leaf, extra_leaves)]
    for k, leaf in enumerate(leaves):
        if isinstance(leaf, ARRAYS):
            key += type(leaf), leaf.shape, leaf.dtype
        elif is_traced(leaf, arguments.positional_leaves <= k < end):
            key.append(type(leaf))
        else:
            key += type(leaf), leaf
    return (arguments.definition, extra_definition, *key), leaves


def are_arrays(leaves: Sequence[Any]) -> bool:
    """Whether all are arrays of NumPy's own class."""
    return all(type(leaf) is np.ndarray for leaf in leaves)
