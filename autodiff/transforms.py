"""Transforms of functions: grad, value_and_grad, jacobian, jvp, vjp and hvp.

Arguments, ``argnums`` and the nesting of results are those of the functions of the same name in
JAX. A function is traced once for all sizes (see :mod:`autodiff.tracing`), its derivative is
derived as a formula and compiled. Results have the dtype of the argument that was differentiated.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorcalc.errors import DerivativeError
from tensorcalc.extents import tracing
from tensorcalc.nodes import Node, postorder
from tensorcalc.numpy_protocol.convert import as_node
from tensorcalc.simplify import rebuilt

from . import curvature_rules, pytrees, rules
from .arguments import Arguments, arguments_of
from .curvature_rules import STORED_LIMIT, Storage
from .direct_calls import MISSED, directed, key_of
from .directions import (
    adjoint_leaves,
    adjoint_variables,
    check_real,
    tangent_leaves,
    tangent_variables,
)
from .plans import Plan, signature, with_aux
from .pytrees import tuple_of
from .rules import Derivation, Outputs, Selection
from .running import Derived, derived
from .tracing import LAST, Trace, run_on_nodes, tracer_of

Rule = Callable[[Trace, Selection, Outputs, Any], Derivation]

#: Plans kept per transform; a plan is what a call with given shapes and dtypes does.
PLAN_LIMIT = 1024


class Transform:
    """A derived function; call it as the function it was made from.

    Raises TypeError if it is made of something that cannot be called.

    >>> import numpy as np, autodiff as ad
    >>> slope = ad.grad(lambda x: x**3)
    >>> slope(2.0), slope.traces
    (np.float64(12.0), 1)
    >>> print(slope.formula(2.0))
    3*x^2
    """

    def __init__(
        self,
        function: Callable[..., Any],
        rule: Rule,
        what: str,
        argnums: int | Sequence[int] | None = 0,
        has_aux: bool = False,
        target: str = "auto",
    ) -> None:
        if not callable(function):
            raise TypeError(f"{what} needs a function, not {type(function).__name__}")
        functools.update_wrapper(self, function, updated=())
        self.__name__ = f"{what}({getattr(function, '__name__', type(function).__name__)})"
        self._function = function
        self._rule, self.what = rule, what
        self._argnums, self._has_aux = argnums, has_aux
        self.target = target
        self._tracer = tracer_of(function)
        self._identity = _identity(what, argnums, has_aux, target)
        self._plans = self._tracer.plans(self._identity)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The derivative at these arguments; expressions give an expression."""
        if not kwargs and not tracing():
            last = self._tracer.last(self._identity)
            if last is not None and (result := last(args)) is not MISSED:
                return result
            try:
                key = key_of(len(args))(*args)
            except AttributeError:  # not arrays, which the longer way takes
                return self.run(args, kwargs)
            plan = self._plans.get(key)
            if plan is not None:
                self._plans[LAST] = plan.guarded(args)
                return plan.call(args)
        return self.run(args, kwargs)

    @property
    def traces(self) -> int:
        """How often the function has been traced, by this transform and others of it."""
        return self._tracer.count

    def formula(self, *args: Any, **kwargs: Any) -> Any:
        """The derived expressions, nested as the result of the call would be."""
        return self.plan(args, kwargs).formulas

    def source(self, *args: Any, **kwargs: Any) -> str:
        """The generated program that the call would run."""
        return self.plan(args, kwargs).derived.compiled.source

    def run(self, args: Sequence[Any], kwargs: dict[str, Any], extra: Any = None) -> Any:
        """The result at ``args``, with the tangents or the adjoint ``extra``."""
        if tracing():
            return self._on_nodes(args, kwargs, extra)
        key, leaves = signature(args, kwargs, extra)
        self._tracer.refresh()
        plan = self._plans.get(key)
        if plan is not None:
            return plan.call(leaves)
        if any(isinstance(leaf, Node) for leaf in leaves):
            return self._on_nodes(args, kwargs, extra)
        plan = self.plan(args, kwargs, extra)
        result = plan(leaves)
        if len(self._plans) >= PLAN_LIMIT:
            self._plans.clear()
        self._plans[key] = plan
        return result

    def plan(self, args: Sequence[Any], kwargs: dict[str, Any], extra: Any = None) -> Plan:
        """What a call with arguments of these shapes does; traces and derives where needed."""
        arguments = arguments_of(args, kwargs)
        selection = self._selection(arguments)
        tangents = self._tangents(arguments, extra)
        trace = self._tracer.trace(self._function, arguments)
        outputs = rules.split_outputs(trace, self._has_aux, self.what)
        directions: list[Any] = tangent_variables(trace, tangents)
        if self.what == "vjp":
            adjoint_leaves(trace, outputs, extra)
            directions = adjoint_variables(trace, outputs)
        made = self._derived(trace, selection, outputs, directions)
        sizes = trace.sizes_for(arguments.leaves)
        shapes = [np.shape(arguments.leaves[k]) for k in selection.leaves]
        leaves = arguments.leaves
        return Plan(made, trace, outputs, directions, self.what, leaves, sizes, shapes)

    def _extras(self, directions: list[Any]) -> Any:
        """What the rule is given beside the trace."""
        return directions

    def _derived(
        self, trace: Trace, selection: Selection, outputs: Outputs, directions: list[Any]
    ) -> Derived:
        aux = [leaf for leaf in outputs.aux if isinstance(leaf, Node)]

        def derive() -> tuple[Derivation, list[Node]]:
            result = self._rule(trace, selection, outputs, self._extras(directions))
            return result, result.nodes + rules.simplify_all(aux)

        key = (
            self.what,
            tuple(selection.leaves),
            selection.definition,
            outputs.definition,
            tuple(v is None for v in directions),
        )
        nodes = [leaf for leaf in trace.outputs if isinstance(leaf, Node)]
        inputs = [v for v in [*trace.variables, *directions] if v is not None] + list(trace.bound)
        return derived(key, nodes, inputs, self.target, derive)

    def _selection(self, arguments: Arguments) -> Selection:
        count = len(arguments.positional)
        argnums = _as_tuple(self._argnums)
        if argnums is None:
            argnums = tuple(range(count))
        chosen = [_position(n, count, self.what) for n in argnums]
        for position in chosen:
            if self.what != "jvp":
                check_real(self.what, arguments, position)
        definitions = [arguments.positional[k] for k in chosen]
        leaves = [index for k in chosen for index in arguments.leaf_indices(k)]
        single = isinstance(self._argnums, int)
        return Selection(leaves, definitions[0] if single else tuple_of(definitions))

    def _tangents(self, arguments: Arguments, extra: Any) -> list[Any]:
        if self.what not in ("jvp", "hvp"):
            return []
        return tangent_leaves(self.what, arguments, extra)

    def _on_nodes(self, args: Sequence[Any], kwargs: dict[str, Any], extra: Any) -> Any:
        """The derivative as an expression, for use while another function is traced."""
        arguments = arguments_of(args, kwargs)
        selection = self._selection(arguments)
        directions = self._tangents(arguments, extra)
        trace, actual = run_on_nodes(self._function, arguments)
        outputs = rules.split_outputs(trace, self._has_aux, self.what)
        if self.what == "vjp":
            directions = adjoint_leaves(trace, outputs, extra)
        given = [None if d is None else as_node(d) for d in directions]
        result = self._rule(trace, selection, outputs, self._extras(given))
        if result.assemble is not None:
            raise DerivativeError(
                f"{self.what} of expressions: its result is an operator of arrays",
                hint=f"use {self.what.rpartition(' ')[2]} without structured= in traced functions",
            )
        new = _substituted([*result.nodes, *outputs.aux], actual)
        value = pytrees.unflatten(result.definition, [new[node] for node in result.nodes])
        if outputs.aux_definition is None:
            return value
        aux = [new[leaf] if isinstance(leaf, Node) else leaf for leaf in outputs.aux]
        return with_aux(self.what, value, pytrees.unflatten(outputs.aux_definition, aux))


class StructuredTransform(Transform):
    """A transform whose rule gives a structured matrix.

    Where the cores are larger than the dense matrix at the sizes of a call (``A' D A`` with a tall
    ``A``), the dense block is computed from its own formula instead; a coupling of two parameters
    of more than ``limit`` bytes is not stored, but known by its products.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        rule: Rule,
        what: str,
        argnums: int | Sequence[int] | None = 0,
        has_aux: bool = False,
        target: str = "auto",
        storage: Storage = Storage(),  # noqa: B008  an immutable tuple
        limit: int = STORED_LIMIT,
    ) -> None:
        self._storage, self._limit = storage, limit
        places = "".join(f", {name} {sorted(k)}" for name, k in storage._asdict().items() if k)
        super().__init__(function, rule, what + places, argnums, has_aux, target)
        self._again = lambda better: StructuredTransform(
            function, rule, what, argnums, has_aux, target, better, limit
        )

    def _extras(self, directions: list[Any]) -> Any:
        return self._storage

    def plan(self, args: Sequence[Any], kwargs: dict[str, Any], extra: Any = None) -> Plan:
        """The plan with what is smaller for these arguments."""
        plan = super().plan(args, kwargs, extra)
        found = plan.derived.derivation.found
        better = curvature_rules.better_storage(found, plan.sizes, plan.shapes, self._limit)
        if not any(better):
            return plan
        return self._again(self._storage.joined(better)).plan(args, kwargs, extra)


def _substituted(leaves: Sequence[Any], actual: dict[Node, Node]) -> dict[Node, Node]:
    new = dict(actual)
    for node in postorder(*[leaf for leaf in leaves if isinstance(leaf, Node)]):
        if node not in new:
            new[node] = rebuilt(node, new)
    return new


def _as_tuple(argnums: int | Sequence[int] | None) -> tuple[int, ...] | None:
    if argnums is None:
        return None
    return (argnums,) if isinstance(argnums, int) else tuple(argnums)


def _position(argnum: int, count: int, what: str) -> int:
    if not -count <= argnum < count:
        raise DerivativeError(
            f"{what} with respect to argument {argnum}, but the call has {count} positional ones",
            hint="pass the argument by position, or change argnums",
        )
    return argnum % count


# -- the transforms -------------------------------------------------------------------------------
def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    target: str = "auto",
) -> Transform:
    """The gradient of a scalar function: ``g[k...] = d fun / d x[k...]``, nested like ``x``.

    With ``has_aux`` the function returns ``(value, aux)`` and the result is ``(gradient, aux)``.

    >>> import numpy as np
    >>> grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    array([2., 4.])

    Raises DerivativeError if the function is not scalar or the argument not real.
    """
    return Transform(fun, rules.gradient, "grad", argnums, has_aux, target)


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    target: str = "auto",
) -> Transform:
    """The value and the gradient of a scalar function, computed together.

    With ``has_aux`` the result is ``((value, aux), gradient)``. Raises as :func:`grad`.

    >>> import numpy as np
    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    return Transform(fun, rules.value_and_gradient, "value_and_grad", argnums, has_aux, target)


def jacobian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    target: str = "auto",
) -> Transform:
    """All partial derivatives: ``J[i..., k...] = d fun[i...] / d x[k...]``.

    The nesting is that of the output, with the nesting of the argument in place of every leaf.

    >>> import numpy as np
    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])

    Raises DerivativeError if an argument is not real, TraceError if the function returns something
    else than arrays.
    """
    return Transform(fun, rules.jacobian, "jacobian", argnums, has_aux, target)


def jvp(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
    target: str = "auto",
) -> Any:
    """The value and the derivative in one direction: ``sum(J[i..., k...] v[k...] over k)``.

    A tangent None stands for zero. Returns ``(value, tangent)``, with ``has_aux``
    ``(value, tangent, aux)``.

    >>> import numpy as np
    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))

    Raises TypeError if the primals or tangents are no tuple or list, ShapeError or DerivativeError
    if a tangent does not fit its primal. Source: forward mode, Laue et al. (NeurIPS 2018).
    """
    last = None if tracing() else tracer_of(fun).last(("jvp", None, has_aux, target))
    if last is not None and (result := last(primals, tangents)) is not MISSED:
        return result
    _check_sequences("jvp", primals, tangents)
    transform = (fun, rules.jvp, "jvp", None, has_aux, target)
    return _at_once(transform, tuple(primals), tuple(tangents))


def vjp(
    fun: Callable[..., Any], *primals: Any, has_aux: bool = False, target: str = "auto"
) -> tuple[Any, ...]:
    """The value, and the function ``u -> sum(u[i...] J[i..., k...] over i)``.

    That function takes an adjoint nested like the value and returns a tuple with one result per
    primal. With ``has_aux`` returns ``(value, function, aux)``.

    >>> value, pull = vjp(lambda x: x**2, 3.0)
    >>> pull(1.0)
    (np.float64(6.0),)

    The function raises ShapeError or DerivativeError for an adjoint that does not fit the value.
    Source: reverse mode, Laue et al. (NeurIPS 2018).
    """
    value = Transform(fun, rules.value, "value", None, has_aux, target).run(primals, {})
    pull = Transform(fun, rules.vjp, "vjp", None, has_aux, target)

    def pullback(adjoint: Any) -> Any:
        result = pull.run(primals, {}, adjoint)
        return result[0] if has_aux else result

    return (value[0], pullback, value[1]) if has_aux else (value, pullback)


def hvp(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    argnums: int | Sequence[int] = 0,
    target: str = "auto",
) -> Any:
    """Hessian times tangent without the Hessian: ``jvp(grad(fun, argnums), primals, tangents)[1]``.

    That is the recipe of JAX's *Autodiff Cookbook*, whose order of arguments this keeps. A tangent
    None stands for zero, so that data among the primals need no array of zeros.

    >>> import numpy as np
    >>> hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([6., 0.])

    Raises DerivativeError if the function is not scalar or an argument not real, and what
    :func:`jvp` raises. Source: Pearlmutter, *Fast Exact Multiplication by the Hessian* (1994).
    """
    chosen = argnums if argnums.__class__ is int else _as_tuple(argnums)
    last = None if tracing() else tracer_of(fun).last(("hvp", chosen, False, target))
    if last is not None and (result := last(primals, tangents)) is not MISSED:
        return result
    _check_sequences("hvp", primals, tangents)
    transform = (fun, rules.hvp, "hvp", argnums, False, target)
    return _at_once(transform, tuple(primals), tuple(tangents))


def trace_count(fun: Callable[..., Any]) -> int:
    """How often ``fun``, a function or a transform of one, has been traced.

    >>> import numpy as np, autodiff as ad
    >>> f = lambda x: np.sum(x**2)
    >>> slopes = [ad.grad(f)(np.ones(n)) for n in (2, 3, 4)]
    >>> ad.trace_count(f)
    1
    """
    return fun.traces if isinstance(fun, Transform) else tracer_of(fun).count


def _at_once(transform: tuple[Any, ...], primals: Any, tangents: Any) -> Any:
    """The result of a transform, given by its arguments; only the first call makes one."""
    fun, _, what, argnums, has_aux, target = transform
    if callable(fun) and not tracing():
        tracer = tracer_of(fun)
        absent = tuple([tangent is None for tangent in tangents])
        try:
            key, leaves = directed(len(primals), absent)(*primals, *tangents)
        except AttributeError:  # not arrays, which the longer way takes
            return Transform(*transform).run(primals, {}, tangents)
        tracer.refresh()
        plans = tracer.plans(_identity(what, argnums, has_aux, target))
        plan = plans.get(key)
        if plan is not None:
            plans[LAST] = plan.guarded(primals, tangents)
            return plan.call(leaves)
    return Transform(*transform).run(primals, {}, tangents)


def _identity(what: str, argnums: Any, has_aux: bool, target: str) -> tuple[Any, ...]:
    """What transforms of one function that share their plans have in common."""
    return what, argnums if isinstance(argnums, int) else _as_tuple(argnums), has_aux, target


def _check_sequences(what: str, primals: Any, tangents: Any) -> None:
    if isinstance(primals, (tuple, list)) and isinstance(tangents, (tuple, list)):
        return
    for name, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, (tuple, list)):
            raise TypeError(
                f"{what}: {name} must be a tuple or list with one entry per argument of the "
                f"function, not {type(value).__name__}"
            )
