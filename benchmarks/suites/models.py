"""Every model by every contestant: value, gradient, Hessian, Hessian product and Newton step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from ..calling import Call, Refused, check_all, peers, sentence
from ..goals import judge
from ..limits import Limits, limits
from ..measuring import interleaved
from ..memory import peaks
from ..modelling import RESULTS, Model, all_models
from ..options import Options
from ..ours import least_work, ours, own_name, structured
from ..patience import Patience
from ..rows import Row
from ..trials import Trials

DEFAULT = False
PRECISIONS = ("float64", "float32")
STRUCTURED = "structured"
#: Peers that the goals name; the others take part at sizes up to this one.
MAIN_PEERS, SMALL = ("JAX", "torch.func"), 100


def parts(options: Options) -> list[str]:
    """The problems."""
    return [name for name in all_models() if options.wants(name)]


def run(part: str, options: Options) -> Iterator[Row]:
    """A row for each result, size and precision of a problem."""
    model = all_models()[part]
    options.show(f"\n{model.name}: {(model.module.__doc__ or '').strip().splitlines()[0]}")
    trials = Trials(lasting="cuda" not in options.targets)
    known: dict[str, Patience] = {}
    try:
        for result in RESULTS:
            known[result] = Patience(trials, known["Hessian"] if result == "Newton step" else None)
            yield from _sizes(model, result, options, known[result])
    finally:
        trials.end()


def _sizes(model: Model, result: str, options: Options, patience: Patience) -> Iterator[Row]:
    """Rows of one result; who took too long at a size is left out of the larger ones."""
    sizes = model.sizes(result)
    for size in sizes[:1] if options.quick else sizes:
        for dtype in PRECISIONS[: 1 if options.quick else 2]:
            yield from measured(model, result, size, dtype, options, patience)


def measured(
    model: Model, result: str, size: int, dtype: str, options: Options, patience: Patience
) -> Iterator[Row]:
    """A row for our compiled function, and one for the operator where there is structure.

    Who fails is left out, with the reason.
    """
    arguments = model.arguments(size, dtype)
    row = Row("models", model.name, size, dtype, {}, result=result)
    calls: dict[str, Call] = {}
    found: dict[str, Any] = {}
    for name in _names(result, options):
        options.doing(f"{model.name}, {result}, size {size}, {dtype}: {name}")
        try:
            _check_turn(name, size, options)
            patience.check(model, result, size, dtype, name)
            calls[name], row.first[name], found[name] = _first(model, result, arguments, name)
            patience.began(name, size, row.first[name])
        except Exception as error:
            row.left_out[name] = sentence(error)
    wanted = _reference(model, result, arguments, found)
    for name, own in found.items():
        try:
            dense = own.todense() if hasattr(own, "todense") else own
            check_all(f"{model.name}, {name}, {result}, size {size}, {dtype}", dense, wanted)
        except Exception as error:
            row.left_out[name] = sentence(error)
            del calls[name]
    row.seconds = interleaved(calls, options.seconds)
    for name, seconds in row.seconds.items():
        patience.called(name, size, seconds)
    if options.memory and size == model.sizes(result)[-1] and dtype == "float64":
        row.memory = peaks(row)
    row.own = _fastest(row, options)
    _relate_to_machine(row, model, arguments, wanted)
    yield from _with_goals(row, own_name(options.targets[0], STRUCTURED))


def _fastest(row: Row, options: Options) -> str:
    """Our target with the least time, which is the one that ``target="auto"`` goes over to."""
    names = [own_name(target) for target in options.targets]
    return min(names, key=lambda name: row.seconds.get(name, float("inf")))


def _with_goals(row: Row, operator: str) -> Iterator[Row]:
    """The row and, if the operator was timed, the same with it as ours."""
    rows = [row]
    if operator in row.seconds:
        result = f"{row.result}, {STRUCTURED}"
        rows.append(replace(row, own=operator, result=result, fraction=None, contraction=False))
        rows[1].least_fraction = None
    yield from map(judge, rows)


def _names(result: str, options: Options) -> list[str]:
    own = [own_name(target) for target in options.targets]
    if result in ("Hessian", "Newton step"):
        own.append(own_name(options.targets[0], STRUCTURED))
    return [*own, *(name for name in peers() if not options.peers or name in options.peers)]


def _check_turn(name: str, size: int, options: Options) -> None:
    """Raise Refused for a peer that the goals do not name, at large sizes."""
    secondary = name in peers() and name not in (*MAIN_PEERS, *options.peers)
    if secondary and size > SMALL:
        raise Refused(f"timed up to size {SMALL} unless named by --peer")


def contestant(model: Model, result: str, arguments: tuple[Any, ...], name: str) -> Call:
    """The call of a contestant by its name in the rows."""
    direction = model.direction(arguments)
    if name in peers():
        return peers()[name].contestant(model, result, arguments, direction)
    _, target, *form = name.split()
    if form:
        return structured(model, result, arguments, target)
    return ours(model, result, arguments, direction, target)


def _first(model: Model, result: str, arguments: tuple[Any, ...], name: str) -> Any:
    """The call, the seconds of making and first running it, and its result."""
    start = perf_counter()
    call = contestant(model, result, arguments, name)
    found = call()
    return call, perf_counter() - start, found


def _reference(
    model: Model, result: str, arguments: tuple[Any, ...], found: dict[str, Any]
) -> tuple[Any, ...]:
    """The result in float64, in the dtype wanted: by JAX, or ours where JAX is left out."""
    dtype = arguments[0].dtype
    name = "JAX" if "JAX" in found else own_name("numpy")
    if dtype == np.float64 and name in found:
        exact = found[name]
    else:
        doubled = tuple(np.asarray(a, np.float64) for a in arguments)
        exact = contestant(model, result, doubled, name)()
    each = exact if isinstance(exact, (tuple, list)) else (exact,)
    return tuple(np.asarray(one, dtype) for one in each)


def _relate_to_machine(row: Row, model: Model, arguments: tuple[Any, ...], found: Any) -> None:
    """What fraction of the machine's limit our contestant reaches."""
    if row.own not in row.seconds:
        return
    least = least_work(model, row.result, arguments, found)
    if least is None:
        return
    own = _limits(row)
    row.fraction = least.seconds(own) / row.seconds[row.own]
    row.contraction = least.is_large_contraction(own)
    if row.contraction:
        row.least_fraction = 0.8


def _limits(row: Row) -> Limits:
    """The limits of what our contestant ran on."""
    if row.own != own_name("cuda"):
        return limits(row.dtype)
    from ..device_calls import device_limits

    return device_limits(row.dtype)
