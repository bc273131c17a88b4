"""The backward pass: records in reverse order, adjoints added up, memory freed on the way.

Records are numbered as they are made, so a heap over their numbers visits every record after all
users of its results, without recursion. A record's adjoints are complete when it is visited: then
hooks run, the pullback is called, and what the record had saved is dropped.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError, TensorcalcError

from . import changes, tensor
from .calls import added, record, run
from .modes import GraphError, Switch, extend, recording
from .placement import beside, kept
from .plans import Plan, plans_by_key
from .record import Record
from .tensor import Tensor, tracked, untracked


class Sweep:
    """Adjoints on their way from results to leaves.

    Adjoints are arrays, or tensors where the pass itself is recorded (``create``).
    """

    def __init__(self, retain: bool, create: bool) -> None:
        self.retain, self.create = retain, create
        self.leaves: dict[Tensor, list[Any]] = {}
        self._pending: dict[int, tuple[Record, dict[int, list[Any]]]] = {}
        self._heap: list[int] = []

    def add(self, target: Any, index: int, adjoint: Any, owned: bool) -> None:
        """Add an adjoint of result ``index`` of a record, or of a leaf (index -1).

        ``owned`` says that nobody else holds the array, so that others may be added in place.
        """
        if index < 0:
            sums: dict[Any, list[Any]] = self.leaves
            key = target
        else:
            pending = self._pending.get(target.number)
            if pending is None:
                pending = self._pending[target.number] = target, {}
                heapq.heappush(self._heap, -target.number)
            sums, key = pending[1], index
        known = sums.get(key)
        if known is None:
            sums[key] = [adjoint, owned and not self.create]
        elif self.create:
            known[0] = record(np.add, (known[0], adjoint))
        elif known[1] and known[0].ndim and isinstance(known[0], np.ndarray):
            known[0] += adjoint
        else:
            known[:] = added(known[0], adjoint), True

    def run(self) -> None:
        """Visit all records that adjoints have reached."""
        while self._heap:
            node, sums = self._pending.pop(-heapq.heappop(self._heap))
            if node.edges is None:
                raise _freed(node)
            if changes.changed:
                _check_unchanged(node)
            try:
                if node.hooks:
                    _run_hooks(node, sums)
                node.plan.propagate(self, node, sums)
            except TensorcalcError as error:
                extend(error, [f"in backward of {node.plan.name}", *node.described()])
                raise
            except Exception as error:
                raise _failed(node, error) from error
            if not self.retain:
                node.free()

    def completed_leaves(self) -> list[tuple[Tensor, Any, bool]]:
        """Every leaf with its adjoint, after its hooks."""
        result = []
        for leaf, (adjoint, owned) in self.leaves.items():
            for hook in leaf.hooks or ():
                changed = _hooked(hook, adjoint, leaf.data.shape)
                if changed is not adjoint:
                    adjoint, owned = changed, False
            result.append((leaf, adjoint, owned))
        return result


def propagate(plan: Plan, sweep: Sweep, node: Record, sums: dict[int, list[Any]]) -> None:
    """Adjoints of a record's inputs from those of its results."""
    given = tuple(sums) if len(sums) == 1 else tuple(sorted(sums))
    pullback = plan.pullback(given)
    seeds = [sums[k][0] for k in given]
    edges, saved = node.edges, node.saved
    assert edges is not None and saved is not None
    adjoints = _recorded_pullback(pullback, seeds, node) if sweep.create else pullback(seeds, saved)
    for (target, index), adjoint, owned, dtype in zip(
        edges, adjoints, pullback.owned, plan.dtypes, strict=True
    ):
        if adjoint.dtype != dtype:
            adjoint, owned = adjoint.astype(dtype), True
        sweep.add(target, index, adjoint, owned)


Plan.propagate = propagate  # type: ignore[attr-defined]


def _recorded_pullback(bound: Any, seeds: Sequence[Any], node: Record) -> list[Any]:
    """The pullback as an operation on tensors: saved arrays are results and inputs again."""
    plan, operation = node.plan, bound.pullback.operation
    inputs = len(plan.operation.variables)
    values = [saved_tensor(node, plan.saved[k], inputs, k) for k in bound.reads]
    given = [*seeds, *values]
    arrays = [x.data for x in given]
    on = recording.get()
    wanted = [k for k, x in enumerate(given) if on and x.requires_grad]
    key = (bound, *wanted)  # the plan that it belongs to knows all shapes and dtypes
    found = plans_by_key.get(key)
    if found is None:
        found = plans_by_key[key] = Plan(
            operation, arrays, wanted, plan.sizes, nest=lambda results: results
        )
    return run(found, arrays, [given[k] for k in wanted])


def saved_tensor(node: Record, position: int, inputs: int, k: int) -> Tensor:
    """Saved array ``k`` with its place in the graph: an input, a result or a kept node."""
    assert node.edges is not None and node.saved is not None
    if position >= inputs:
        return tracked(node.saved[k], node, position - inputs)
    if position in node.plan.wanted:
        target, index = node.edges[node.plan.wanted.index(position)]
        if index < 0 and target.data is not node.saved[k]:
            raise _stale(node, node.saved[k], "other data were put into")
        return target if index < 0 else tracked(node.saved[k], target, index)
    return untracked(node.saved[k])


# -- hooks ----------------------------------------------------------------------------------------
def _run_hooks(node: Record, sums: dict[int, list[Any]]) -> None:
    assert node.hooks is not None
    for index, hooks in node.hooks.items():
        for hook in list(hooks) if index in sums else ():
            adjoint = sums[index][0]
            changed = _hooked(hook, adjoint, adjoint.shape)
            if changed is not adjoint:
                sums[index] = [changed, False]


def _hooked(hook: Any, adjoint: Any, shape: tuple[int, ...]) -> Any:
    changed = hook(adjoint)
    if changed is None:
        return adjoint
    if np.shape(changed) != shape:
        raise ShapeError(
            "a hook returned a gradient of another shape",
            [f"gradient: shape {shape}", f"returned: shape {np.shape(changed)}"],
            "return an array of the gradient's shape, or None to leave it",
        )
    return changed


# -- entry points ---------------------------------------------------------------------------------
def backward(output: Tensor, gradient: Any, retain: bool, create: bool) -> None:
    """:meth:`Tensor.backward`."""
    sweep = _swept([output], [gradient], retain, create)
    for leaf, adjoint, owned in sweep.completed_leaves():
        if leaf.grad is not None:
            with Switch(create):
                if isinstance(leaf.grad, Tensor) or isinstance(adjoint, Tensor):
                    leaf.grad = record(np.add, (leaf.grad, adjoint))
                else:
                    leaf.grad = added(leaf.grad, adjoint)
        else:
            owned = owned or create or not isinstance(adjoint, (np.ndarray, np.generic))
            leaf.grad = adjoint if owned else np.array(adjoint)


def gradients(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    adjoints: Any = None,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> Any:
    """Gradients of ``outputs`` with respect to leaves ``inputs``, without touching ``grad``.

    ``adjoints`` are those of the outputs, 1 for scalars. The result nests as ``inputs`` does;
    None for an input that the outputs do not depend on.
    """
    outs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    ins = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    seeds = [None] * len(outs) if adjoints is None else adjoints
    seeds = [seeds] if isinstance(outputs, Tensor) and adjoints is not None else list(seeds)
    caught: dict[int, Any] = {}
    removers = [_catch(x, k, caught) for k, x in enumerate(ins) if x.record is not None]
    try:
        sweep = _swept(outs, seeds, retain_graph or create_graph, create_graph)
    finally:
        for remove in removers:
            remove()
    found = {leaf: adjoint for leaf, adjoint, _ in sweep.completed_leaves()}
    result = [found.get(x) if x.record is None else caught.get(k) for k, x in enumerate(ins)]
    return result[0] if isinstance(inputs, Tensor) else result


def _catch(result: Tensor, k: int, caught: dict[int, Any]) -> Any:
    def keep(adjoint: Any) -> None:
        caught[k] = adjoint

    return result.register_hook(keep)


def _swept(outputs: Sequence[Tensor], seeds: Sequence[Any], retain: bool, create: bool) -> Sweep:
    sweep = Sweep(retain, create)
    with Switch(create):
        for output, seed in zip(outputs, seeds, strict=True):
            _check_output(output, seed)
            adjoint = _seed(output, seed, create)
            sweep.add(output.record or output, output.index, adjoint, False)
        sweep.run()
    return sweep


def _check_output(output: Tensor, seed: Any) -> None:
    if not output.requires_grad:
        raise GraphError(
            "backward of a tensor that does not require gradients: nothing was recorded",
            [f"tensor: shape {output.shape}, dtype {output.dtype}"],
            "create parameters with requires_grad=True; was it computed in ad.no_grad(), from "
            "detached tensors, or from comparisons only?",
        )
    if seed is None and output.size != 1:
        raise GraphError(
            "backward of a tensor that is no scalar",
            [f"tensor: shape {output.shape}"],
            "reduce it to a loss (np.sum, np.mean), or pass its adjoint: t.backward(gradient)",
        )
    if seed is not None and np.shape(seed) != output.shape:
        raise ShapeError(
            "backward: the gradient does not have the shape of the tensor",
            [f"tensor: shape {output.shape}", f"gradient: shape {np.shape(seed)}"],
            "pass an array of the tensor's shape",
        )


def _seed(output: Tensor, seed: Any, create: bool) -> Any:
    if seed is None:
        seed = np.ones(output.shape, output.dtype)
    if create and isinstance(seed, Tensor):
        return seed
    array = kept(seed.data if isinstance(seed, Tensor) else seed, output.dtype)
    array = beside(output.data, array)
    return untracked(array) if create else array


tensor.backward_pass = backward


def _freed(node: Record) -> GraphError:
    return GraphError(
        f"backward through {node.plan.name}, which an earlier backward pass has freed",
        node.described(),
        "compute the loss again, or keep the graph with backward(retain_graph=True)",
    )


def _check_unchanged(node: Record) -> None:
    array = changes.first_changed(node.saved or (), node.number)
    if array is not None:
        raise _stale(node, array, "a change in place was made to")


def _stale(node: Record, array: Any, what: str) -> GraphError:
    return GraphError(
        f"backward of {node.plan.name}: {what} a tensor that it reads, since it was recorded",
        [f"tensor: shape {array.shape}", *node.described()],
        "go backward before tensors are changed, or change a copy: np.array(t.data)",
    )


def _failed(node: Record, error: Exception) -> GraphError:
    return GraphError(
        f"backward of {node.plan.name} failed: {error}",
        node.described(),
        "the error above this one says what the pullback was doing",
    )
