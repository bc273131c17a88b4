"""Objectives with every method of scipy.optimize.minimize, and derivatives against differences."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize, rosen, rosen_der, rosen_hess

import autodiff as ad
from autodiff.objectives import TAKES
from tensorcalc.errors import DerivativeError

rng = np.random.default_rng(5)
START = np.array([1.3, 0.7, 0.8, 1.9, 1.2])
X, labels = rng.normal(size=(40, 3)), np.sign(rng.normal(size=40))


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def logistic(params: Any, X: Any, y: Any, *, decay: float = 0.1) -> Any:
    score = X @ params["w"] + params["b"]
    return np.sum(np.log1p(np.exp(-y * score))) + decay * np.sum(params["w"] ** 2)


PARAMS = {"w": np.zeros(3), "b": 0.0}


def test_functions_of_the_vector_agree_with_closed_formulas() -> None:
    fun, jac, hess, hessp = ad.objective(rosenbrock, START).to_scipy()
    p = rng.normal(size=5)
    np.testing.assert_allclose(fun(START), rosen(START), rtol=1e-13)
    np.testing.assert_allclose(jac(START), rosen_der(START), rtol=1e-12)
    np.testing.assert_allclose(hess(START), rosen_hess(START), rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(hessp(START, p), rosen_hess(START) @ p, rtol=1e-12)


@pytest.mark.parametrize("method", [m for m in TAKES if TAKES[m] and m != "dogleg"])
def test_every_method_with_derivatives_minimises_rosenbrock(method: str) -> None:
    result = ad.objective(rosenbrock, START).minimize(method)
    np.testing.assert_allclose(result.params, np.ones(5), atol=1e-3)


@pytest.mark.parametrize("method", [m for m in TAKES if not TAKES[m]])
def test_every_method_without_derivatives_minimises_a_bowl(method: str) -> None:
    result = ad.objective(lambda x: np.sum((x - 1) ** 2), START).minimize(method)
    np.testing.assert_allclose(result.params, np.ones(5), atol=1e-3)


@pytest.mark.parametrize("method", ["dogleg", "trust-exact", "newton-cg"])
def test_methods_with_a_dense_hessian_work_on_nested_parameters(method: str) -> None:
    result = ad.objective(logistic, PARAMS, X, labels).minimize(method)
    gradient = ad.grad(logistic)(result.params, X, labels)
    assert result.success and np.linalg.norm(gradient["w"]) + abs(gradient["b"]) < 1e-3
    assert result.params.keys() == {"w", "b"} and np.shape(result.params["b"]) == ()


@pytest.mark.parametrize("method", ["trust-krylov", "trust-ncg", "newton-cg", "trust-constr"])
def test_methods_take_hessian_products(method: str) -> None:
    made = ad.objective(rosenbrock, START)
    fun, jac, _, hessp = made.to_scipy()
    result = minimize(fun, made.x0, jac=jac, hessp=hessp, method=method)
    np.testing.assert_allclose(result.x, np.ones(5), atol=1e-3)


def test_bounds_and_constraints_choose_a_method_that_takes_them() -> None:
    bounded = ad.objective(rosenbrock, START).minimize(bounds=[(None, 0.5)] * 5)
    assert np.all(bounded.params <= 0.5)
    plane = LinearConstraint(np.ones((1, 5)), 4.0, 4.0)
    constrained = ad.objective(rosenbrock, START).minimize(constraints=plane)
    np.testing.assert_allclose(constrained.params.sum(), 4.0, atol=1e-6)


def test_value_gradient_and_hessian_at_one_point_are_one_evaluation() -> None:
    made = ad.objective(rosenbrock, START)
    made.fun(START), made.jac(START), made.hess(START), made.fun(START)
    assert made.evaluations == 2  # value and gradient, then the Hessian nobody had asked for
    other = START + 1
    made.fun(other), made.jac(other), made.hess(other)
    assert made.evaluations == 3  # wanted at the point before, so all three in one go
    made.fun(START), made.fun(other + 1)
    assert made.evaluations == 5


def test_a_vector_changed_in_place_is_another_point() -> None:
    made, x = ad.objective(rosenbrock, START), START.copy()
    made.fun(x)
    x += 1
    np.testing.assert_allclose(made.fun(x), rosen(x))


def test_keyword_constants_and_dtypes_are_kept() -> None:
    params = {"w": np.zeros(3, np.float32), "b": 0.0}
    made = ad.objective(logistic, params, X, labels, decay=2.0)
    assert made.minimize().params["w"].dtype == np.float32
    blocks = ad.hessian(logistic)(PARAMS, X, labels, decay=2.0)
    hessian = made.hess(made.x0)
    np.testing.assert_allclose(hessian[1:, 1:], blocks["w"]["w"], rtol=1e-12)
    np.testing.assert_allclose(hessian[0, 1:], blocks["b"]["w"], rtol=1e-12)


def test_options_callback_and_progress_are_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []
    made = ad.objective(rosenbrock, START)
    result = made.minimize("BFGS", progress=True, maxiter=3, callback=seen.append)
    assert result.nit == len(seen) == 3
    assert "3 iterations" in capsys.readouterr().err


def test_an_unknown_method_and_integer_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="'newtonian' is none of"):
        ad.objective(rosenbrock, START).minimize("newtonian")
    with pytest.raises(DerivativeError, match="real numbers"):
        ad.objective(rosenbrock, np.arange(5))


# -- check ----------------------------------------------------------------------------------------
CHECKED = [
    (rosenbrock, (START,)),
    (logistic, ({"w": np.ones(3), "b": 0.5}, X, labels)),
    (lambda x, A: np.tanh(A @ x), (np.ones(3), rng.normal(size=(2, 3)))),
    (lambda x, k: {"a": np.sin(x) * k, "b": [x @ x]}, (rng.normal(size=3), 3)),
    (lambda x: np.exp(x) / np.sum(np.exp(x)), (rng.normal(size=4).astype(np.float32),)),
]


@pytest.mark.parametrize(("function", "args"), CHECKED)
def test_check_agrees_in_both_modes_to_second_order(function: Any, args: Any) -> None:
    report = ad.check(function, *args, order=2)
    assert {(c.order, c.mode) for c in report.comparisons} == {
        (order, mode) for order in (1, 2) for mode in ("forward", "reverse")
    }
    assert "comparisons, largest error" in str(report)


def test_check_names_argument_order_mode_and_both_numbers() -> None:
    calls = []

    def wrong_when_run(x: Any, p: Any) -> Any:
        """Differs between tracing and running, as a function with a defect would."""
        calls.append(x)
        factor = 2.0 if isinstance(x, np.ndarray) else 3.0
        return factor * np.sum(p["scale"] * x)

    with pytest.raises(ad.CheckError) as raised:
        ad.check(wrong_when_run, np.ones(2), {"scale": np.ones(2)})
    text = str(raised.value)
    assert "order 1" in text and "forward mode" in text and "argument 0" in text
    derived, differences = (
        float(re.search(rf"{word} ([-+.\de]+)", text)[1])  # type: ignore[index]
        for word in ("derived", "finite differences")
    )
    assert derived == pytest.approx(1.5 * differences, rel=1e-6)


def test_check_names_the_leaf_of_a_nested_argument() -> None:
    report = ad.check(logistic, PARAMS, X, labels, order=1)
    assert {c.argument for c in report.comparisons} == {"0['w']", "0['b']", "1", "2"}
