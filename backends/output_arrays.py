"""``out=``: results in arrays of the caller.

A function that says what its results are, in an attribute ``results``, writes into the caller's
arrays itself; of any other the results are copied. Arrays that share memory with an argument or
with each other are written last, by a copy, so that nothing is overwritten before it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tensorcalc.errors import ShapeError


class Result(NamedTuple):
    """Shape and dtype of a result, and which extra argument of the function takes an array."""

    shape: tuple[int, ...]
    dtype: Any
    argument: int | None


def written(function: Callable[..., Any], arguments: Sequence[Any], out: Any) -> Any:
    """``out``, filled with the results: one array, or a nesting of them as the results have it.

    Raises ShapeError if an array of ``out`` does not have the shape and dtype of its result.
    """
    targets = list(leaves(out))
    results: Sequence[Result] | None = getattr(function, "results", None)
    lent: list[Any] = []
    if results is not None and len(results) == len(targets):
        for k, (target, result) in enumerate(zip(targets, results, strict=True)):
            _check(k, target, result.shape, result.dtype)
        lent = _lent(targets, results, arguments)
    values = list(leaves(function(*arguments, *lent)))
    if len(values) != len(targets):
        raise ShapeError(
            "out does not fit",
            [f"results: {len(values)}", f"arrays in out: {len(targets)}"],
            "pass one array for every result, nested as the results are",
        )
    for k, (target, value) in enumerate(zip(targets, values, strict=True)):
        if value is not target:
            _check(k, target, np.shape(value), np.asarray(value).dtype)
    copies = [(t, np.asarray(v)) for t, v in zip(targets, values, strict=True) if t is not v]
    for target, value in copies:
        target[...] = value
    return out


def leaves(nest: Any) -> Iterator[Any]:
    """The arrays of a nesting of lists, tuples and dicts, in order."""
    if isinstance(nest, Mapping):
        nest = nest.values()
    elif not isinstance(nest, (list, tuple)):
        yield nest
        return
    for each in nest:
        yield from leaves(each)


def _check(position: int, target: Any, shape: tuple[int, ...], dtype: Any) -> None:
    is_array = isinstance(target, np.ndarray)
    if is_array and target.shape == shape and target.dtype == dtype and target.flags.writeable:
        return
    given = f"shape {target.shape}, {target.dtype}" if is_array else type(target).__name__
    if is_array and not target.flags.writeable:
        given += ", read-only"
    raise ShapeError(
        "out does not fit",
        [f"result {position}: shape {shape}, {np.dtype(dtype)}", f"given: {given}"],
        "pass a writeable array of the shape and dtype of the result",
    )


def _lent(targets: Sequence[Any], results: Sequence[Result], arguments: Sequence[Any]) -> list[Any]:
    """Extra arguments: arrays in one piece that nothing else shares, None for the others."""
    count = 1 + max((r.argument for r in results if r.argument is not None), default=-1)
    lent: list[Any] = [None] * count
    others = [each for each in (*arguments, *targets) if isinstance(each, np.ndarray)]
    for target, result in zip(targets, results, strict=True):
        shared = sum(np.may_share_memory(target, other) for other in others)
        if result.argument is not None and target.flags.c_contiguous and shared <= 1:
            lent[result.argument] = target
    return lent
