"""Code written for one signature: the shortest way from a call to its compiled function.

A call with plain arrays looks up its plan and does what the plan says; all that can be decided
before is. ``taskset -c 0 python -m benchmarks --suite models --quick --peer JAX`` times such calls.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Any

from .pytrees import LEAF, NOTHING, Definition

#: What a guarded call gives for arguments that it was not made for.
MISSED: Any = object()


@lru_cache(maxsize=256)
def key_of(arrays: int) -> Callable[..., Any]:
    """What a plan depends on, as a function of so many arrays.

    It raises AttributeError for what has no shape and no dtype.

    >>> import numpy as np
    >>> key_of(1)(np.ones((2, 3)))
    ((2, 3), dtype('float64'), <class 'numpy.ndarray'>)
    """
    names = [f"a{k}" for k in range(arrays)]
    return _function(f"def function({', '.join(names)}):\n    return ({_described(names)})", {})


@lru_cache(maxsize=1024)
def directed(arrays: int, absent: tuple[bool, ...]) -> Callable[..., Any]:
    """What a plan depends on, and its leaves, as a function of arrays and directions.

    The function takes None for a direction that is absent. Raises as that of :func:`key_of`.

    >>> import numpy as np
    >>> key, leaves = directed(1, (True,))(np.ones(3), None)
    >>> key
    ((True,), (3,), dtype('float64'), <class 'numpy.ndarray'>)
    """
    names = [f"a{k}" for k in range(arrays + len(absent))]
    given = [name for k, name in enumerate(names) if k < arrays or not absent[k - arrays]]
    key = f"(absent, {_described(given)})"
    leaves = "".join(f"{name}, " for name in given)
    text = f"def function({', '.join(names)}):\n    return {key}, ({leaves})"
    return _function(text, {"absent": absent})


def guarded(plan: Any, arrays: Sequence[Any], directions: Sequence[Any] | None = None) -> Any:
    """A plan's call as a function of a tuple of arrays, and of one of directions if there are some.

    It gives MISSED for what has other shapes, dtypes or classes than these, or lacks others.

    >>> import numpy as np, types
    >>> first = guarded(types.SimpleNamespace(call=lambda leaves: leaves[0]), (np.ones(2),))
    >>> first((np.zeros(2),)), first((np.zeros(3),)) is MISSED, first((0.0,)) is MISSED
    (array([0., 0.]), True, True)
    """
    parts = {"x": arrays} if directions is None else {"x": arrays, "v": directions}
    names: dict[str, Any] = {"plan": plan, "missed": MISSED}
    places = [
        f"{part}s.__class__ is tuple and len({part}s) == {len(parts[part])}" for part in parts
    ]
    same, given = [], []
    for name, value in (
        (f"{p}{k}", v) for p, values in parts.items() for k, v in enumerate(values)
    ):
        if value is None:
            same.append(f"{name} is None")
            continue
        given.append(name)
        names |= {f"{name}c": value.__class__, f"{name}s": value.shape, f"{name}t": value.dtype}
        same.append(f"{name}.__class__ is {name}c and {name}.shape == {name}s")
        same.append(f"{name}.dtype is {name}t")
    unpacked = [
        f"        {''.join(f'{part}{k}, ' for k in range(len(values)))}= {part}s\n"
        for part, values in parts.items()
        if len(values)
    ]
    text = (
        f"def function({', '.join(f'{part}s' for part in parts)}):\n"
        f"    if {' and '.join(places)}:\n{''.join(unpacked)}"
        f"        if {' and '.join(same) or 'True'}:\n"
        f"            return plan.call(({''.join(f'{name}, ' for name in given)}))\n"
        "    return missed"
    )
    return _function(text, names)


def _described(names: Sequence[str]) -> str:
    return "".join(f"{name}.shape, {name}.dtype, {name}.__class__, " for name in names)


def direct(
    run: Callable[..., Any],
    arguments: Sequence[str],
    definition: Definition,
    names: Mapping[str, Any],
    finish: Mapping[int, Callable[[Any], Any]],
) -> Callable[[Sequence[Any]], Any] | None:
    """``run`` of arguments spelled with ``leaves`` and ``names``, its results finished and nested.

    None where the nesting holds other containers than lists and tuples.

    >>> double = direct(lambda x, y: [x, y], ["leaves[1]", "two"], LEAF, {"two": 2}, {0: float})
    >>> double([0, 1])
    1.0
    """
    text = _spelled(definition, count(), finish)
    if text is None:
        return None
    call = f"def function(leaves):\n    r = run({', '.join(arguments)})\n    return {text}"
    return _function(call, {"run": run, **names, **{f"finish{k}": f for k, f in finish.items()}})


def _spelled(
    definition: Definition, positions: Iterator[int], finish: Mapping[int, Any]
) -> str | None:
    """The nesting of results, called ``r``."""
    if definition == LEAF:
        k = next(positions)
        return f"finish{k}(r[{k}])" if k in finish else f"r[{k}]"
    if definition == NOTHING:
        return "None"
    kind, named, parts = definition
    if kind == "dict" or named is not None:
        return None
    items = [_spelled(part, positions, finish) for part in parts]
    inside = "".join(f"{item}, " for item in items)
    if None in items:
        return None
    return f"({inside})" if kind == "tuple" else f"[{inside}]"


def _function(text: str, names: Mapping[str, Any]) -> Callable[..., Any]:
    namespace = dict(names)
    exec(_code(text), namespace)  # noqa: S102
    return namespace["function"]


@lru_cache(maxsize=1024)
def _code(text: str) -> Any:
    return builtins.compile(text, "<tensorcalc call>", "exec")
