"""Laws that hold for every expression, tried on random ones.

The same examples are tried at every run; ``HYPOTHESIS_PROFILE=search`` tries others.
"""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import backends
import tensorcalc as tc
from tensorcalc.errors import NotationError

from .strategies import DECLARATIONS, SIZES, VARIABLES, expressions, values

common = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("same", derandomize=True, max_examples=60, database=None, **common)
settings.register_profile("search", max_examples=300, print_blob=True, **common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

POINT = values()
variables = st.sampled_from(["c", "x", "y", "A", "X"]).map(VARIABLES.get)


def value(expression):
    """The oracle's value at the point."""
    return tc.evaluate(expression, **POINT)


def close(found, wanted, tolerance=1e-9):
    scale = max(1.0, np.abs(wanted).max(initial=0))
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=0, atol=tolerance)


@given(expressions())
def test_simplification_keeps_the_value(expression):
    close(value(tc.simplify(expression)), value(expression))


@given(expressions())
def test_simplification_twice_is_simplification_once(expression):
    once = tc.simplify(expression)
    assert tc.simplify(once) is once


@given(expressions(), variables)
def test_modes_agree(expression, variable):
    modes = ("forward", "reverse", "cross-country")
    first, *others = [value(tc.derivative(expression, variable, mode)) for mode in modes]
    for other in others:
        close(other, first)


@given(expressions(), variables, st.integers(0, 5))
def test_derivative_is_the_limit_of_differences(expression, variable, seed):
    direction = np.random.default_rng(seed).normal(size=POINT[variable.name].shape)

    def moved(step):
        point = {**POINT, variable.name: POINT[variable.name] + step * direction}
        return tc.evaluate(expression, **point)

    step = 1e-4
    near = (moved(step) - moved(-step)) / (2 * step)
    far = (moved(2 * step) - moved(-2 * step)) / (4 * step)
    derived = value(tc.derivative(expression, variable))
    close(np.tensordot(derived, direction, axes=direction.ndim), (4 * near - far) / 3, 1e-6)


@given(expressions(""), variables)
def test_hessian_is_the_derivative_of_the_gradient_and_symmetric(loss, variable):
    hessian = value(tc.hessian(loss, variable))
    close(hessian, value(tc.derivative(tc.gradient(loss, variable), variable)))
    half = hessian.ndim // 2
    close(np.transpose(hessian, [*range(half, 2 * half), *range(half)]), hessian)


@given(expressions(), variables, st.integers(0, 5))
def test_products_with_a_jacobian_are_products_with_the_jacobian(expression, variable, seed):
    rng = np.random.default_rng(seed)
    jacobian = value(tc.derivative(expression, variable))
    letters = {"v": variable.shape, "u": expression.shape}
    v, u = (tc.variables(f"{name}: {' '.join(map(str, shape))}") for name, shape in letters.items())
    point = {
        **POINT,
        **{n: rng.normal(size=[SIZES[str(e)] for e in shape]) for n, shape in letters.items()},
    }
    forward = tc.evaluate(tc.jvp(expression, variable, v), **point)
    close(forward, np.tensordot(jacobian, point["v"], axes=variable.ndim))
    reverse = tc.evaluate(tc.vjp(expression, variable, u), **point)
    close(reverse, np.tensordot(point["u"], jacobian, axes=expression.ndim))


@given(expressions())
def test_index_text_parses_back_to_the_same_node(expression):
    expression = tc.simplify(expression)
    assert tc.parse(str(expression), DECLARATIONS) is expression


@given(expressions(), variables)
def test_index_text_of_derivatives_parses_back_to_the_same_node(expression, variable):
    derivative = tc.derivative(expression, variable)
    assert tc.parse(str(derivative), DECLARATIONS) is derivative


@given(expressions(), variables)
def test_matrix_text_parses_back_to_an_equal_expression(expression, variable):
    """A derivative of a matrix by a matrix is printed as a matrix of its entries, row-major."""
    for each in (tc.simplify(expression), tc.derivative(expression, variable)):
        try:
            text = tc.to_matrix(each)
        except NotationError:
            continue
        found = tc.evaluate(tc.parse(text, DECLARATIONS), **POINT)
        close(np.reshape(found, np.shape(value(each))), value(each))


@given(expressions(), variables)
def test_the_numpy_target_computes_what_the_oracle_computes(expression, variable):
    wanted = [expression, tc.derivative(expression, variable)]
    function = backends.compile(wanted, variables=list(VARIABLES.values()))
    results = function(**{name: POINT[name] for name in VARIABLES})
    for found, each in zip(results, wanted, strict=True):
        close(np.asarray(found), value(each))


@given(expressions(""), variables)
def test_compiled_together_value_gradient_and_hessian_are_right(loss, variable):
    wanted = [loss, tc.gradient(loss, variable), tc.hessian(loss, variable)]
    function = backends.compile(wanted, variables=list(VARIABLES.values()))
    results = function(**{name: POINT[name] for name in VARIABLES})
    for found, each in zip(results, wanted, strict=True):
        close(np.asarray(found), value(each))


@settings(max_examples=settings().max_examples // 20)
@given(st.lists(st.tuples(expressions(), variables), min_size=6, max_size=6))
def test_the_numba_target_computes_what_the_oracle_computes(pairs):
    """Several expressions in one function: that is compiled once."""
    wanted = [e for pair in pairs for e in (pair[0], tc.derivative(*pair))]
    function = backends.compile(wanted, "numba", variables=list(VARIABLES.values()))
    results = function(**{name: POINT[name] for name in VARIABLES})
    for found, each in zip(results, wanted, strict=True):
        close(np.asarray(found), value(each))


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_has_a_value_of_its_shape(name):
    assert POINT[name].shape == tuple(SIZES[str(e)] for e in VARIABLES[name].shape)
