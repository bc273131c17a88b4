"""NumPy's functions of structured operators: which calls are taken over, and mistakes in them."""

import numpy as np
import pytest

from autodiff.structured import DiagonalOperator, ProductOperator
from tensorcalc.errors import TensorcalcError

H = DiagonalOperator(np.array([1.0, 2.0, 4.0]), (3,))
v = np.array([1.0, -1.0, 2.0])


def test_a_product_may_have_the_operator_on_either_side():
    np.testing.assert_array_equal(np.dot(H, v), [1, -2, 8])
    np.testing.assert_array_equal(np.dot(v, H), [1, -2, 8])
    np.testing.assert_array_equal(np.dot(np.ones((2, 3)), H), [[1, 2, 4]] * 2)


CALLS = {
    "an offset": lambda: np.trace(H, 1),
    "an offset by name": lambda: np.diagonal(H, offset=1),
    "the operator as right-hand side": lambda: np.linalg.solve(np.eye(3), H),
    "subscripts in a list": lambda: np.einsum(H, [0, 0]),
    "three operands": lambda: np.einsum("ij,j->i", H, v),
    "other subscripts": lambda: np.einsum("ij->j", H),
    "another function": lambda: np.linalg.inv(H),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_other_calls_are_refused_with_the_operands(call):
    with pytest.raises(TensorcalcError, match="of a structured operator") as raised:
        call()
    assert "<DiagonalOperator, 3 x 3, 24 bytes>" in str(raised.value)


def test_mistakes_are_shown_as_the_operator_says_them():
    with pytest.raises(TensorcalcError, match=r"b: shape \(2,\)"):
        np.linalg.solve(H, np.ones(2))
    with pytest.raises(TensorcalcError, match=r"x: shape \(2,\)"):
        np.dot(H, np.ones(2))


@pytest.mark.parametrize("mistake", [TypeError, AttributeError])
def test_an_error_within_a_product_is_not_taken_for_a_call_that_is_not_known(mistake):
    def product(x):
        raise mistake("in the function of the user")

    broken = ProductOperator(product, (3,))
    for call in (lambda: np.trace(broken), lambda: np.dot(broken, v), lambda: np.diag(broken)):
        with pytest.raises(mistake, match="in the function of the user"):
            call()
