"""Calls: NumPy functions of tensors, run at once and recorded where gradients are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backends.cuda.arrays import ArrayOnDevice, is_on_device

from .. import pytrees
from . import tensor
from .modes import GraphError, extend, recording
from .placement import ARRAYS, kept, target_of
from .plans import PLAN_LIMIT, Plan, Slice, make_plan, plans_by_key
from .record import Record
from .tensor import TENSORS, Tensor, tracked, untracked, without_tensors

#: Types whose values are constants of an operation and part of its key as they are.
PLAIN = frozenset({int, float, bool, str, type(None), type(Ellipsis), type})


def record(function: Callable[..., Any], args: Sequence[Any], kwargs: Any = None) -> Any:
    """``function(*args, **kwargs)`` of NumPy; recorded if an argument requires gradients."""
    return _call(function, args, kwargs, function)


def record_traced(function: Callable[..., Any], args: Sequence[Any], kwargs: Any = None) -> Any:
    """Like :func:`record` for a function that only expressions can go through.

    It is compiled where nothing is recorded, too.
    """
    return _call(function, args, kwargs, None)


def _call(function: Any, args: Sequence[Any], kwargs: Any, direct: Any) -> Any:
    key: list[Any] = [function]
    arrays: list[Any] = []
    tensors: list[Any] = []
    on = recording.get()
    for value in args if not kwargs else (*args, *kwargs.values()):
        kind = type(value)
        if kind in TENSORS:
            data = value.data
            arrays.append(data)
            wanted = on and value._requires_grad
            key += data.shape, data.dtype, wanted
            if type(data) is not np.ndarray:
                key.append("cuda")
                direct = None
            if wanted:
                tensors.append(value)
        elif kind is np.ndarray:
            arrays.append(value)
            key += value.shape, value.dtype, False
        elif kind in PLAIN or (kind is tuple and _is_plain(value)) or kind is Slice:
            key += kind, value
        else:
            return _call_nested(function, args, kwargs, direct)
    if kwargs:
        if not PLAIN.issuperset(map(type, kwargs.values())):
            return _call_nested(function, args, kwargs, direct)
        key += kwargs
    if not tensors and direct is not None:
        return _direct(direct, args, kwargs)
    plan = plans_by_key.get(tuple(key))
    if plan is None:
        leaves, definition, _ = _flattened(args, kwargs)
        plan = _new_plan(tuple(key), function, leaves, definition, on)
    return run(plan, arrays, tensors)


def _is_plain(values: tuple[Any, ...]) -> bool:
    return PLAIN.issuperset(map(type, values))


def _flattened(args: Sequence[Any], kwargs: Any) -> tuple[list[Any], Any, list[Any]]:
    leaves, definition = pytrees.flatten((tuple(args), kwargs or {}))
    leaves = [x if isinstance(x, Tensor) else _array_leaf(x) for x in leaves]
    return leaves, definition, [x for x in leaves if isinstance(x, (Tensor, *ARRAYS))]


def _array_leaf(leaf: Any) -> Any:
    """Scalars of NumPy and arrays on a device as arrays; all else as it is."""
    if isinstance(leaf, np.ndarray) or type(leaf) in PLAIN:
        return leaf
    return kept(leaf) if isinstance(leaf, np.generic) or is_on_device(leaf) else leaf


def _call_nested(function: Any, args: Sequence[Any], kwargs: Any, direct: Any) -> Any:
    """A call whose arguments are containers."""
    on = recording.get()
    leaves, definition, given = _flattened(args, kwargs)
    tensors = [x for x in given if on and isinstance(x, Tensor) and x._requires_grad]
    arrays = [x.data if isinstance(x, Tensor) else x for x in given]
    if not tensors and direct is not None and target_of(arrays) == "numpy":
        return _direct(direct, args, kwargs)
    parts = [_leaf_key(leaf, on) for leaf in leaves]
    key = (function, definition, *parts)
    try:
        plan = plans_by_key.get(key)
    except TypeError:
        plan = key = None  # type: ignore[assignment]
    if plan is None:
        plan = _new_plan(key, function, leaves, definition, on)
    return run(plan, arrays, tensors)


def _leaf_key(leaf: Any, on: bool) -> Any:
    if isinstance(leaf, Tensor):
        wanted = on and leaf._requires_grad
        return leaf.data.shape, leaf.data.dtype, wanted, target_of([leaf.data])
    if isinstance(leaf, ARRAYS):
        return leaf.shape, leaf.dtype, False, target_of([leaf])
    return type(leaf), leaf


def _new_plan(key: Any, function: Any, leaves: list[Any], definition: Any, on: bool) -> Plan:
    wanted = [k for k, x in enumerate(leaves) if on and isinstance(x, Tensor) and x._requires_grad]
    arrays = [leaf.data if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    if target_of(arrays) != "numpy":
        _check_places(function, [leaves[k] for k in wanted])
    plan = make_plan(function, arrays, definition, wanted)
    if len(plans_by_key) >= PLAN_LIMIT:
        plans_by_key.clear()
    plans_by_key[key] = plan
    return plan


def _check_places(function: Any, wanted: Sequence[Tensor]) -> None:
    """Adjoints stay on the device, so whoever wants one must lie there."""
    name = getattr(function, "__name__", type(function).__name__)
    for leaf in wanted:
        if isinstance(leaf.data, np.ndarray):
            raise GraphError(
                f"{name}: a tensor in the host's memory that requires gradients meets one on a "
                "device",
                [f"tensor: {leaf.name or type(leaf).__name__}, shape {leaf.shape}"],
                "move it before, t.to('cuda') or model.to('cuda'); arrays that require no "
                "gradients may lie anywhere",
            )


def run(plan: Plan, arrays: Sequence[Any], tensors: Sequence[Tensor]) -> Any:
    """Compute a plan's results, and record them if they depend on ``tensors``."""
    if plan.filled:
        arrays = plan.completed(arrays)
    try:
        results = plan.forward(*arrays)
    except IndexError as error:
        extend(error, [f"in {plan.name.strip('_')}"])
        raise
    if True not in plan.tracked:
        outputs: list[Any] = [untracked(result) for result in results[: plan.results]]
    else:
        edges = [(t, -1) if t.record is None else (t.record, t.index) for t in tensors]
        values = [*arrays, *results]
        node = Record(plan, edges, [values[k] for k in plan.saved])
        if plan.results == 1:
            outputs = [tracked(results[0], node, 0)]
        else:
            outputs = [
                tracked(results[k], node, k) if is_tracked else untracked(results[k])
                for k, is_tracked in enumerate(plan.tracked)
            ]
    return outputs[0] if plan.nest is None else plan.nest(outputs)


def on_arrays(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)`` of arrays alone, compiled where one lies on a device.

    What optimizers and layers compute beside the graph goes through here.
    """
    if target_of(pytrees.flatten((args, kwargs))[0]) == "numpy":
        return function(*args, **kwargs)
    return without_tensors(record_traced(function, args, kwargs))


def added(a: Any, b: Any) -> Any:
    """``a + b`` of two arrays, wherever they lie."""
    on_device = isinstance(a, ArrayOnDevice) or isinstance(b, ArrayOnDevice)
    return on_arrays(np.add, a, b) if on_device else a + b


def _direct(function: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
    args, kwargs = without_tensors((tuple(args), kwargs or {}))
    leaves, definition = pytrees.flatten(function(*args, **kwargs))
    wrapped = [untracked(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in leaves]
    return pytrees.unflatten(definition, wrapped)


tensor.record = record
