"""Our side of the models: ``ad.grad`` and its relatives, on a target."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

import autodiff as ad
import backends
from autodiff.tracing import arguments_of, tracer_of

from .calling import Call, Refused
from .limits import Work, work
from .modelling import Model
from .rows import OURS

#: Results that one transform gives.
TRANSFORMS = {"value and gradient": ad.value_and_grad, "Hessian": ad.hessian}


def own_name(target: str, form: str = "") -> str:
    """The name of our contestant."""
    return " ".join(filter(None, [OURS, target, form]))


def fresh_loss(model: Model) -> Any:
    """The loss as a function of its own, which nobody has traced before."""

    def loss(*args: Any) -> Any:
        return model.loss(np, *args)

    return loss


@lru_cache(maxsize=8)
def loss_for(model: Model, result: str, name: str) -> Any:
    """The loss of one contestant, who traces it and derives from it once for all sizes."""
    return fresh_loss(model)


def ours(
    model: Model, result: str, arguments: tuple[Any, ...], direction: Any, target: str
) -> Call:
    """A call as users write it; on a GPU its arguments lie there, and its results are waited for.

    Raises CudaError for the target "cuda" where there is no GPU.
    """
    if target != "cuda":
        return _call(model, result, arguments, direction, target)
    from .device_calls import moved, waiting

    direction, *placed = moved((direction, *arguments))
    return waiting(_call(model, result, tuple(placed), direction, target))


def _call(
    model: Model, result: str, arguments: tuple[Any, ...], direction: Any, target: str
) -> Call:
    loss = loss_for(model, result, target)
    if result in TRANSFORMS:
        function = TRANSFORMS[result](loss, target=target)
        return lambda: function(*arguments)
    if result == "value":
        compiled = value_function(loss, arguments, target)
        return lambda: compiled.call(*arguments)
    if result == "Hessian product":
        tangents = (direction, *[None] * (len(arguments) - 1))
        return lambda: ad.hvp(loss, arguments, tangents, target=target)
    compiled = value_function(newton_step(loss), arguments, target)
    return lambda: compiled.call(*arguments)


@lru_cache(maxsize=4)
def newton_step(loss: Any) -> Any:
    """Gradient, dense Hessian and solve, in NumPy: traced and compiled as one function."""
    gradient, hessian = ad.grad(loss), ad.hessian(loss)

    def step(x: Any, *rest: Any) -> Any:
        g, H = gradient(x, *rest), hessian(x, *rest)
        if x.ndim == 1:
            return np.linalg.solve(H, g)
        return np.linalg.solve(H.reshape(x.size, x.size), g.reshape(x.size)).reshape(x.shape)

    return step


def value_function(loss: Any, arguments: tuple[Any, ...], target: str) -> backends.CompiledFunction:
    """The compiled loss itself."""
    trace = tracer_of(loss).trace(loss, arguments_of(arguments, {}))
    return _compiled(trace.outputs[0], target, tuple(trace.inputs))


@lru_cache(maxsize=8)
def _compiled(output: Any, target: str, inputs: tuple[Any, ...]) -> backends.CompiledFunction:
    return backends.compile(output, target, variables=inputs)


def structured(model: Model, result: str, arguments: tuple[Any, ...], target: str) -> Call:
    """The Hessian as an operator that stores what its formula is made of, or its solve.

    Raises Refused where that is the dense matrix.
    """
    loss = loss_for(model, result, f"{target} structured")
    hessian = ad.hessian(loss, target=target, structured=True)
    if hessian(*arguments).name == "dense":
        raise Refused("the formula has no structure")
    if result == "Hessian":
        return lambda: hessian(*arguments)
    gradient = ad.grad(loss, target=target)
    return lambda: hessian(*arguments).solve(gradient(*arguments).ravel())


def least_work(model: Model, result: str, arguments: tuple[Any, ...], found: Any) -> Work | None:
    """What the program of a result cannot avoid; None where it is more than one program."""
    loss = loss_for(model, result, "numpy")
    if result == "value":
        trace = tracer_of(loss).trace(loss, arguments_of(arguments, {}))
        compiled = value_function(loss, arguments, "numpy")
        return work(compiled, trace.sizes_for(arguments), arguments, found)
    if result not in TRANSFORMS:
        return None
    plan = TRANSFORMS[result](loss, target="numpy").plan(arguments, {})
    return work(plan.derived.compiled, plan.sizes, arguments, found)
