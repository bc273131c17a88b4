"""What users do by habit inside a differentiated function: it works, or is refused in our words."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from numpy import array

import autodiff as ad
from tensorcalc.errors import DerivativeError, ShapeError, TensorcalcError, TraceError

x0 = np.array([1.0, 2.0, 3.0])
legacy = np.random  # the global state that users still draw from
generator = np.random.default_rng(0)


def stored(x: Any) -> Any:
    y = np.zeros(3)
    y[0] = x[0]
    return np.sum(y)


def stored_slice(x: Any) -> Any:
    y = np.zeros(3)
    y[:] = x
    return np.sum(y)


def added_to_entry(x: Any) -> Any:
    y = np.zeros(3)
    y[0] += x[0]
    return np.sum(y)


def added_in_place(x: Any) -> Any:
    y = np.zeros(3)
    y += x
    return np.sum(y)


def written_out(x: Any) -> Any:
    y = np.zeros(3)
    np.exp(x, out=y)
    return np.sum(y)


def branching(x: Any) -> Any:
    return x[0] if x[0] > 0 else x[1]


def looping(x: Any) -> Any:
    while np.sum(x) > 1:
        x = x / 2
    return np.sum(x)


#: Function, and what the message says.
REFUSED = {
    "an entry is stored": (stored, ("cannot be stored in an entry", "x[0]", "np.stack")),
    "a slice is stored": (stored_slice, ("np.concatenate", "y[:] = x")),
    "an entry is added to": (added_to_entry, ("cannot be stored", "np.stack", "y[0] += x[0]")),
    "an array is added to": (added_in_place, ("np.add with out=", "y = y + x instead of y += x")),
    "out=": (written_out, ("np.exp with out=", "np.exp(x, out=y)")),
    "where=": (lambda x: np.sum(np.log(x, where=x > 0)), ("np.log with where=", "np.where(mask,")),
    "float": (lambda x: float(x[0]), ("Python needs a number", "math, float() or int()")),
    "int": (lambda x: int(x[0]), ("Python needs a number", "math, float() or int()")),
    "if": (branching, ("truth of an expression", "x[0] > 0", "np.where(condition, a, b)")),
    "while": (looping, ("truth of an expression", "instead of if and while")),
    "max": (lambda x: max(x), ("instead of max, min and sorted", "np.maximum")),
    "and": (lambda x: np.sum(np.where(x > 0 and x < 2, x, 0)), ("use & and |",)),
    "a chain of comparisons": (lambda x: np.sum(np.where(0 < x < 2, x, 0)), ("a < x < b",)),
    "math": (lambda x: math.exp(x[0]), ("NumPy function of the same name instead of math",)),
    "an array of entries": (lambda x: np.sum(array([x[0], x[1]])), ("np.stack", "as np.array")),
    "a list reduced": (lambda x: np.mean([v**2 for v in x]), ("of a list need it stacked",)),
    "integers": (lambda x: np.sum(x.astype(int)), ("astype(int64)", "np.floor")),
    "random numbers": (lambda x: x @ legacy.rand(3), ("draws random", "as an argument")),
    "a generator": (lambda x: x @ generator.normal(size=3), ("draws random", "PCG64")),
    "Python's random": (lambda x: x[0] * random.random(), ("draws random", "from: random")),
    "an unknown function": (lambda x: np.sum(np.unwrap(x)), ("np.unwrap", "np.unstack")),
    "an unknown function, no names": (lambda x: np.sum(np.fft.fft(x)), ("np.fft.fft cannot",)),
    "nothing returned": (lambda x: None, ("returned None", "return statement")),
    "a pair returned": (lambda x: (np.sum(x), x), ("tensor of 1 axes", "has_aux=True")),
    "a vector returned": (lambda x: x, ("shape (3,)", "jacobian")),
    "text added": (lambda x: np.sum(x) + "a", ("dtype <U1",)),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_refused_with_the_remedy(case: Any) -> None:
    function, pieces = case
    with pytest.raises(TensorcalcError) as raised:
        ad.grad(function)(x0)
    text = str(raised.value)
    for piece in pieces:
        assert piece in text
    assert "hint:" in text


def test_a_refused_assignment_shows_the_users_line_once() -> None:
    with pytest.raises(TraceError) as raised:
        ad.grad(stored)(x0)
    line = stored.__code__.co_firstlineno + 2
    assert str(raised.value).count(f"test_autodiff_messages.py, line {line}: y[0] = x[0]") == 1
    assert raised.value.__suppress_context__


def test_a_value_error_of_the_user_is_not_replaced() -> None:
    def own(x: Any) -> Any:
        try:
            return float(x[0])
        except TypeError as error:
            raise RuntimeError("mine") from error

    with pytest.raises(RuntimeError, match="mine"):
        ad.grad(own)(x0)


def unpacked(x: Any) -> Any:
    a, b, c = x
    return a * b * c


def printing(x: Any) -> Any:
    print(f"{x[0]:.3f} {x.shape[0]:d} {x!r:>20}", x)
    return np.sum(x)


def shifted_in_place(x: Any) -> Any:
    x += 1
    x *= x
    return np.sum(x)


#: Function, and its gradient at (1, 2, 3).
WORKING = {
    "iteration": (lambda x: sum(v**2 for v in x), (2, 4, 6)),
    "enumerate": (lambda x: sum(k * v for k, v in enumerate(x)), (0, 1, 2)),
    "zip": (lambda x: sum(a * b for a, b in zip(x, x[::-1], strict=True)), (6, 4, 2)),
    "unpacking": (unpacked, (6, 3, 2)),
    "a list stacked": (lambda x: np.sum(np.stack([v**2 for v in x])), (2, 4, 6)),
    "sum of Python": (lambda x: sum(x), (1, 1, 1)),
    "abs": (lambda x: abs(x[0] - x[1]), (-1, 1, 0)),
    "len": (lambda x: np.sum(x) / len(x), (1 / 3,) * 3),
    "round": (lambda x: round(x[0]) * x[0] + round(x[1], 2), (1, 0, 0)),
    "divmod": (lambda x: np.sum(divmod(x, 2)[1]), (1, 1, 1)),
    "printing": (printing, (1, 1, 1)),
    "arguments changed in place": (shifted_in_place, (4, 6, 8)),
    "astype(float)": (lambda x: np.sum(x.astype(float)), (1, 1, 1)),
    "a seeded generator of its own": (
        lambda x: x @ np.round(np.random.default_rng(0).uniform(size=3)),
        (1, 0, 0),
    ),
}


@pytest.mark.parametrize("case", WORKING.values(), ids=WORKING.keys())
def test_what_can_work_works(case: Any) -> None:
    function, expected = case
    start = x0.copy()
    np.testing.assert_allclose(ad.grad(function)(start), expected)
    np.testing.assert_array_equal(start, x0)


def test_printing_shows_formulas(capsys: Any) -> None:
    ad.grad(lambda x: printing(x))(x0)
    assert capsys.readouterr().out == "x[0] n0                    x x\n"


# -- the line of the user's code ------------------------------------------------------------------
def signed(x: Any) -> Any:
    if x[0] > 0:
        return x @ x
    return -(x @ x)


def with_float(x: Any) -> Any:
    return float(x[0]) * np.sum(x)


def with_unsupported(x: Any) -> Any:
    return np.sum(np.unwrap(x))


def with_mismatch(x: Any, A: Any) -> Any:
    first = x @ x
    return first + np.sum(A @ x)


@pytest.mark.parametrize(
    ("function", "error", "line"),
    [
        (signed, TraceError, "if x[0] > 0:"),
        (with_float, TraceError, "return float(x[0]) * np.sum(x)"),
        (with_unsupported, TraceError, "return np.sum(np.unwrap(x))"),
    ],
)
def test_what_cannot_be_traced_is_refused_with_the_users_line(
    function: Any, error: Any, line: str
) -> None:
    with pytest.raises(error) as raised:
        ad.grad(function)(np.ones(3))
    text = str(raised.value)
    assert f"while tracing {function.__name__}" in text
    number = function.__code__.co_firstlineno + 1
    assert f"test_autodiff_messages.py, line {number}: {line}" in text
    assert "hint:" in text


def test_a_shape_mismatch_shows_the_line_and_the_sizes() -> None:
    with pytest.raises(ShapeError) as raised:
        ad.grad(with_mismatch)(np.ones(3), np.ones((2, 4)))
    text = str(raised.value)
    assert "return first + np.sum(A @ x)" in text
    assert "n0 = 3" in text and "n2 = 4" in text


def test_an_error_of_the_users_own_keeps_its_type_and_gets_a_note() -> None:
    def own(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError) as raised:
        ad.grad(own)(np.ones(3))
    assert 'raise KeyError("mine")' in "".join(raised.value.__notes__)


def test_complex_arguments_are_refused_by_name() -> None:
    with pytest.raises((TraceError, DerivativeError), match="complex"):
        ad.grad(lambda z: np.sum(z * z))(np.ones(2, complex))
