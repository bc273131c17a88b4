"""Where a result's time goes: ``python -m benchmarks.profiling PROBLEM RESULT SIZE [DTYPE]``.

Prints the operations and bytes of our program beside those of XLA's, which no load of the machine
changes, the seconds of processor time of the slowest lines of the NumPy program, and that of a call
of the numba target and of the compiled function in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from time import process_time, thread_time
from typing import Any, NamedTuple

import autodiff as ad
from autodiff.tracing import arguments_of, tracer_of
from backends import CompiledFunction
from backends.step_costs import cost
from tensorcalc.extents import evaluate

from .measuring import sample_size
from .modelling import Model, model_named
from .ours import TRANSFORMS, fresh_loss, newton_step, value_function
from .peers import load_jax

ROUNDS, BATCHES, SHOWN = 7, 20, 8


class Totals(NamedTuple):
    """Operations and bytes of a program."""

    flops: float
    bytes: float


def our_totals(compiled: CompiledFunction, sizes: Any) -> Totals:
    """Sums over the steps."""
    costs = [cost(step) for step in compiled.program.steps]
    flops = sum(float(evaluate(each.flops, sizes)) for each in costs)
    return Totals(flops, sum(float(evaluate(each.bytes, sizes)) for each in costs))


def xla_totals(model: Model, result: str, given: tuple[Any, ...]) -> Totals | None:
    """What XLA says of its own program; None without JAX."""
    if load_jax() is None:
        return None
    from .contestants.jax_jit import jitted

    found = jitted(model, result).lower(*given).compile().cost_analysis()
    return Totals(found["flops"], found["bytes accessed"])


def line_seconds(source: str, arguments: tuple[Any, ...]) -> list[tuple[float, str]]:
    """Least processor time of each line of a generated program's body, the slowest first."""
    *before, body = source.rpartition("\ndef f(")
    header, *lines = body.splitlines()
    timed = ["".join(before) + header]
    for number, line in enumerate(lines):
        if not line.strip() or line.strip().startswith("return"):
            timed.append(line)
        else:
            timed += [f"    started({number})", line, f"    ended({number})"]
    starts: dict[int, float] = {}
    least: dict[int, float] = {}

    def ended(number: int) -> None:
        taken = thread_time() - starts[number]
        least[number] = min(taken, least.get(number, taken))

    def started(number: int) -> None:
        starts[number] = thread_time()

    namespace: dict[str, Any] = {"started": started, "ended": ended}
    exec(compile("\n".join(timed), "<profiled>", "exec"), namespace)  # noqa: S102
    run: Callable[..., Any] = namespace["f"]
    for _ in range(ROUNDS):
        run(*arguments)
    return sorted(((taken, lines[k].strip()) for k, taken in least.items()), reverse=True)


def call_seconds(model: Model, result: str, arguments: tuple[Any, ...]) -> dict[str, float]:
    """Processor time of a call of the numba target, and of its compiled function alone."""
    call, compiled, _ = planned(model, result, arguments, "numba")
    inside = compiled.prepared(*arguments)
    calls = {"call": lambda: call(*arguments), "inside": lambda: inside(*arguments)}
    repeats = {name: sample_size(each)[0] for name, each in calls.items()}
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(BATCHES):
        for name, each in calls.items():
            start = process_time()
            for _ in range(repeats[name]):
                each()
            least[name] = min(least[name], (process_time() - start) / repeats[name])
    return least


def planned(
    model: Model, result: str, given: tuple[Any, ...], target: str
) -> tuple[Callable[..., Any], CompiledFunction, Mapping[str, int]]:
    """What a user calls, its compiled function and its sizes, after a first call."""
    loss = fresh_loss(model)

    def product(v: Any, *args: Any) -> Any:
        return ad.hvp(loss, args, (v, *[None] * (len(args) - 1)), target=target)

    if result in TRANSFORMS:
        function = TRANSFORMS[result](loss, target=target)
        function(*given)
        plan = function.plan(given, {})
        return function, plan.derived.compiled, plan.sizes
    functions = {"value": loss, "Hessian product": product, "Newton step": newton_step(loss)}
    compiled = value_function(functions[result], given, target)
    call = product if result == "Hessian product" else compiled.call
    call(*given)
    compiled.call(*given)
    trace = tracer_of(functions[result]).trace(functions[result], arguments_of(given, {}))
    return call, compiled, trace.sizes_for(given)


def report(problem: str, result: str, size: int, dtype: str = "float64") -> None:
    """Print it."""
    model = model_named(problem)
    arguments = model.arguments(size, dtype)
    if result == "Hessian product":
        arguments = (model.direction(arguments), *arguments)
    _, compiled, sizes = planned(model, result, arguments, "numpy")
    rows = {"ours": our_totals(compiled, sizes), "XLA": xla_totals(model, result, arguments)}
    print(f"{problem}, {result}, size {size}, {dtype}: {len(compiled.program.steps)} steps")
    for name, totals in rows.items():
        if totals is not None:
            print(f"  {name:6}{totals.flops / 1e6:12.2f} Mflop{totals.bytes / 1e6:12.2f} MB")
    lines = line_seconds(compiled.source, arguments)
    print(f"  {sum(taken for taken, _ in lines) * 1e3:.2f} ms in all")
    for taken, line in lines[:SHOWN]:
        print(f"  {taken * 1e3:10.3f} ms  {line[:120]}")
    if find_spec("numba") is not None:
        seconds = call_seconds(model, result, arguments)
        call, inside = seconds["call"] * 1e6, seconds["inside"] * 1e6
        print(f"  numba: {call:.1f} µs a call, {inside:.1f} µs of it compiled code")


if __name__ == "__main__":
    report(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
