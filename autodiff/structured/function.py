"""Hessians of plain NumPy functions as structured operators."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import backends
from tensorcalc.errors import DerivativeError
from tensorcalc.nodes import Node
from tensorcalc.structure import BlockSystem, Structure, structure, structure_of_system

from .. import rules
from ..arguments import Arguments, arguments_of
from ..directions import check_real
from ..pytrees import tuple_of
from ..rules import Selection
from ..tracing import Trace, tracer_of
from .base import StructuredOperator
from .build import operator_at, system_at

#: Traces whose structure is kept.
KEPT = 64


@dataclass(frozen=True, eq=False)
class _Found:
    """What was derived from a trace: the structure, and the functions that compute its cores."""

    trace: Trace
    structure: Structure | BlockSystem
    functions: dict[tuple[Node, ...], Any]


class StructuredHessian:
    """The function ``args -> H`` with ``H`` an operator that stores the cores of its structure.

    Of one array the operator acts on that array, flattened; of several leaves on all of them, one
    after the other in the order of the nesting. Traced and derived once for all sizes.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        argnums: int | Sequence[int] = 0,
        target: str = "numpy",
    ) -> None:
        functools.update_wrapper(self, function, updated=())
        self._function, self.target = function, "numpy" if target == "auto" else target
        self._argnums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        self._tracer = tracer_of(function)
        self._found: OrderedDict[tuple[Any, ...], _Found] = OrderedDict()

    def __call__(self, *args: Any, **kwargs: Any) -> StructuredOperator:
        """The Hessian at ``args``. Raises DerivativeError if the function is not scalar."""
        arguments = arguments_of(args, kwargs)
        selection = self._selection(arguments)
        trace = self._tracer.trace(self._function, arguments)
        found = self._structure(trace, selection)
        sizes = trace.sizes_for(arguments.leaves)
        arrays = _arrays(trace, arguments)
        shapes = [np.shape(arguments.leaves[k]) for k in selection.leaves]
        compile = functools.partial(self._compiled, found)
        if isinstance(found.structure, BlockSystem):
            return system_at(found.structure, compile, arrays, shapes, sizes)
        return operator_at(found.structure, compile, arrays, shapes[0], sizes)

    def structure(self, *args: Any, **kwargs: Any) -> Structure | BlockSystem:
        """The structure alone; nothing is computed."""
        arguments = arguments_of(args, kwargs)
        trace = self._tracer.trace(self._function, arguments)
        return self._structure(trace, self._selection(arguments)).structure

    def _selection(self, arguments: Arguments) -> Selection:
        count = len(arguments.positional)
        for position in self._argnums:
            if not -count <= position < count:
                raise DerivativeError(
                    f"hessian with respect to argument {position} of a call with {count}",
                    hint="pass the argument by position, or change argnums",
                )
        chosen = [position % count for position in self._argnums]
        for position in chosen:
            check_real("hessian", arguments, position)
        leaves = [k for position in chosen for k in arguments.leaf_indices(position)]
        return Selection(leaves, tuple_of([arguments.positional[k] for k in chosen]))

    def _structure(self, trace: Trace, selection: Selection) -> _Found:
        key = (id(trace), *selection.leaves)
        if key not in self._found:
            self._found[key] = _Found(trace, _derived(trace, selection), {})
            if len(self._found) > KEPT:
                self._found.popitem(last=False)
        return self._found[key]

    def _compiled(self, found: _Found, cores: Sequence[Node]) -> Any:
        key = tuple(cores)
        if key not in found.functions:
            found.functions[key] = backends.compile(list(cores), self.target)
        return found.functions[key]


def _derived(trace: Trace, selection: Selection) -> Structure | BlockSystem:
    outputs = rules.split_outputs(trace, False, "hessian")
    blocks = rules.hessian(trace, selection, outputs, []).nodes
    count = len(selection.leaves)
    if count == 1:
        return structure(blocks[0])
    rows = [blocks[p * count : (p + 1) * count] for p in range(count)]
    ranks = [variable.ndim for variable in rules.variables_of(trace, selection)]
    return structure_of_system(rows, ranks)


def _arrays(trace: Trace, arguments: Arguments) -> dict[str, Any]:
    """The values of all variables of a trace, by name."""
    arrays = {
        variable.name: leaf
        for variable, leaf in zip(trace.variables, arguments.leaves, strict=True)
        if variable is not None
    }
    return arrays | {variable.name: array for variable, array in trace.bound.items()}
