"""Solves by products alone: what they notice, and what they say when they give up."""

import numpy as np
import pytest

from autodiff.structured import DiagonalOperator, NotPositiveDefinite, ProductOperator
from tensorcalc.errors import TensorcalcError

VALUES = np.array([-3.0, 1.0, 2.0, 4.0, 5.0])


def test_products_with_a_direction_of_negative_curvature_are_not_positive_definite():
    H = ProductOperator(lambda v: VALUES * v, (5,))
    with pytest.raises(NotPositiveDefinite, match="products with vectors") as raised:
        H.solve(np.ones(5))
    assert raised.value.smallest == pytest.approx(-3)
    with pytest.raises(NotPositiveDefinite) as raised:
        H.solve(np.eye(5)[0], damping=1.0)
    assert raised.value.smallest == pytest.approx(-2)
    np.testing.assert_allclose(H.solve(np.ones(5), damping=4.0), 1 / (VALUES + 4))
    np.testing.assert_allclose(H.solve(np.ones(5), modified="absolute"), 1 / np.abs(VALUES))
    by_minres = ProductOperator(lambda v: VALUES * v, (5,), definite=False)
    np.testing.assert_allclose(by_minres.solve(np.ones(5)), 1 / VALUES)


def test_the_curvature_bounds_a_least_eigenvalue_that_is_not_found():
    values = np.linspace(-1e-3, 1, 3000)  # crowded: Lanczos needs more than a solve may take
    values[1] = -1e-3 * (1 + 1e-9)
    H = ProductOperator(lambda v: values * v, (3000,))
    with pytest.raises(NotPositiveDefinite) as raised:
        H.solve(np.eye(3000)[0])
    assert -1.1e-3 < raised.value.smallest <= -1e-3


@pytest.mark.parametrize("definite", [True, False])
def test_a_solve_that_does_not_converge_names_residual_and_remedy(definite):
    values = np.geomspace(1, 1e14, 60)
    preconditioner = DiagonalOperator(values[::-1].copy(), (60,))
    H = ProductOperator(lambda v: values * v, (60,), preconditioner, definite, tolerance=1e-16)
    with pytest.raises(TensorcalcError, match=r"unknowns: 60\n.*after 600 iterations") as raised:
        H.solve(np.ones(60))
    assert "of the right-hand side, not 1e-16" in str(raised.value)
    assert "pass damping=, or a structured preconditioner" in str(raised.value)
