"""NumPy functions on expressions: values and derivatives are NumPy's, sizes are not pinned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorcalc as tc
from tensorcalc.errors import UnknownNameError
from tensorcalc.extents import assuming, symbol
from tensorcalc.nodes import Node, Variable

from .numpy_tables import CASES, Case

SIZES = {"m": 4, "n": 5, "k": 3}


def sizes_of(shape: str) -> tuple[int, ...]:
    return tuple(SIZES.get(axis) or int(axis) for axis in shape.split())


def variables(shapes: tuple[str, ...]) -> list[Variable]:
    return [
        Variable(f"x{k}", [symbol(axis) if axis in SIZES else int(axis) for axis in shape.split()])
        for k, shape in enumerate(shapes)
    ]


def arrays(each: Case) -> list[Any]:
    rng = np.random.default_rng(7)
    values = [rng.normal(size=sizes_of(shape)) for shape in each.shapes]
    if each.domain == "positive":
        return [np.abs(value) + 0.1 for value in values]
    if each.domain == "invertible":
        values[0] = values[0] + 2 * np.eye(values[0].shape[-1])
    return values


def traced(each: Case) -> tuple[Node, list[Variable], Any]:
    xs = variables(each.shapes)
    with assuming(dict(SIZES)) as guards:
        return each.function(*xs), xs, guards


@pytest.mark.parametrize("each", CASES.values(), ids=CASES.keys())
def test_values_are_those_of_numpy(each: Case) -> None:
    values = arrays(each)
    expression, xs, guards = traced(each)
    found = tc.evaluate(expression, **bound(expression, xs, values))
    wanted = each.function(*values)
    assert np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    pinned = [question for question in guards.answers if question[0] == "=="]
    assert bool(pinned) == each.pins, f"guards: {guards.answers}"


def bound(expression: Node, xs: list[Variable], values: list[Any]) -> dict[str, Any]:
    used = set(tc.free_variables(expression))
    return {x.name: value for x, value in zip(xs, values, strict=True) if x in used}


SMOOTH = {name: each for name, each in CASES.items() if each.smooth}


@pytest.mark.parametrize("each", SMOOTH.values(), ids=SMOOTH.keys())
def test_gradients_agree_with_finite_differences(each: Case) -> None:
    """In a random direction of all arguments at once, which also tells every size."""
    values = arrays(each)
    rng = np.random.default_rng(3)
    weights = rng.normal(size=np.shape(each.function(*values)))
    directions = [rng.normal(size=value.shape) for value in values]
    expression, xs, guards = traced(each)
    with assuming(guards.sizes):
        loss = np.sum(expression * weights)
        towards = [Variable(f"d{k}", x.extents) for k, x in enumerate(xs)]
        slope = sum(np.sum(tc.gradient(loss, x) * d) for x, d in zip(xs, towards, strict=True))
    found = tc.evaluate(slope, **bound(slope, xs + towards, values + directions))

    def along(step: float) -> Any:
        return np.sum(
            each.function(*[v + step * d for v, d in zip(values, directions, strict=True)])
            * weights
        )

    wanted = (along(1e-6) - along(-1e-6)) / 2e-6
    np.testing.assert_allclose(found, wanted, rtol=3e-6, atol=3e-7)


def test_a_size_that_no_array_tells_is_asked_for_by_name() -> None:
    x = tc.variables("x: n")
    with pytest.raises(UnknownNameError, match=r"no size for n(.|\n)*evaluate\(\.\.\., n=3\)"):
        tc.evaluate(tc.hessian(x @ x, x))
