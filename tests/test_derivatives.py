"""Every example: the three modes against each other, finite differences, NumPy, the literature."""

from functools import lru_cache

import numpy as np
import pytest

import tensorcalc as tc
from tensorcalc.errors import DerivativeError

from .examples import BY_NAME, EXAMPLES, MEETS, NUMPY

MODES = ("forward", "reverse", "cross-country")

every_example = pytest.mark.parametrize("example", EXAMPLES, ids=str)


@lru_cache(maxsize=None)
def derivatives(example, order):
    """The expression of an example and its derivatives up to an order, each of the one before."""
    found = [example.expression()]
    for _ in range(order):
        found.append(tc.derivative(found[-1], example.declared()[0]))
    return found


def directions(example, count):
    """Random directions in which the first variable may move."""
    variable = example.declared()[0]
    shape = example.values()[variable.name].shape
    drawn = np.random.default_rng(7).normal(size=(count, *shape))
    if variable.flags & {"symmetric", "psd"}:
        drawn = (drawn + np.swapaxes(drawn, -1, -2)) / 2
    return drawn


def contracted(tensor, moves):
    """The last axes of a derivative contracted with one direction for each order."""
    for move in reversed(moves):
        tensor = np.tensordot(tensor, move, axes=move.ndim)
    return tensor


@every_example
def test_value_is_what_numpy_computes(example):
    want = example.formula(NUMPY, *example.values().values())
    found = example.evaluate(example.expression())
    assert np.shape(found) == np.shape(want)
    np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-12)


@every_example
def test_simplification_keeps_the_value(example):
    expression = example.expression()
    want = example.evaluate(expression)
    np.testing.assert_allclose(
        example.evaluate(tc.simplify(expression)), want, rtol=1e-10, atol=1e-12
    )


@every_example
def test_forward_reverse_and_cross_country_mode_agree(example):
    for order in range(1, min(example.order, 2) + 1):
        base = derivatives(example, order)[order - 1]
        found = [tc.derivative(base, example.declared()[0], mode) for mode in MODES]
        values = [example.evaluate(each) for each in found]
        for value in values[1:]:
            np.testing.assert_allclose(value, values[0], rtol=1e-9, atol=1e-9)
        if order <= MEETS.get(example.name, 2):
            texts = [f"{mode}: {each}" for mode, each in zip(MODES, found, strict=True)]
            assert all(each is found[0] for each in found), "\n".join([f"order {order}", *texts])


@every_example
def test_derivative_has_the_axes_of_the_expression_then_of_the_variable(example):
    expression, derivative = derivatives(example, 1)
    assert derivative.shape == expression.shape + example.declared()[0].shape


@every_example
def test_derivatives_agree_with_finite_differences(example):
    """``D^k f [v]`` against a central difference of the derivative before; order 0 is NumPy's."""
    name = example.declared()[0].name
    values = example.values()
    for order in range(1, min(example.order, 2) + 1):
        *earlier, last = moves = list(directions(example, order))

        def before(step, order=order, earlier=earlier, last=last):
            moved = {**values, name: values[name] + step * last}
            if order == 1:
                return example.formula(NUMPY, *moved.values())
            base = derivatives(example, order)[order - 1]
            tensor = tc.evaluate(base, **{**example.sizes(), **moved})
            return contracted(tensor, earlier)

        step = 1e-4
        near = (before(step) - before(-step)) / (2 * step)
        far = (before(2 * step) - before(-2 * step)) / (4 * step)
        found = contracted(example.evaluate(derivatives(example, order)[order]), moves)
        scale = 1 + np.abs(near).max()
        np.testing.assert_allclose(found, (4 * near - far) / 3, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.text], ids=str)
def test_matrix_text_means_the_formula(example):
    found = example.evaluate(tc.parse(example.text, example.variables))
    wanted = example.evaluate(example.expression())
    np.testing.assert_allclose(np.reshape(found, wanted.shape), wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.derivative], ids=str)
def test_derivative_is_the_formula_that_the_literature_prints(example):
    for order, text in ((1, example.derivative), (2, example.second)):
        if text:
            wanted = tc.simplify(tc.parse(text, example.variables))
            found = derivatives(example, order)[order]
            assert found is wanted, f"{found}\nexpected {wanted}"


def test_examples_are_many_and_have_names_of_their_own():
    assert len(EXAMPLES) >= 120
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES)
    assert sum(bool(example.cookbook) for example in EXAMPLES) >= 60


def test_exceptions_are_examples():
    assert MEETS.keys() <= BY_NAME.keys()


def test_a_derivative_by_an_integer_or_in_an_unknown_mode_is_refused():
    k, x = tc.variables("k: n integer, x: n")
    with pytest.raises(DerivativeError, match="by k, whose values are integers"):
        tc.gradient(np.sum(k * x), k)
    with pytest.raises(DerivativeError, match="unknown mode 'sideways'"):
        tc.derivative(x, x, mode="sideways")
