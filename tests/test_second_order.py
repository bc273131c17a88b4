"""Second-order methods: every method, every option, results, bounds and constraints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import Bounds, NonlinearConstraint

import autodiff as ad
from autodiff.optim.iteration import point_at
from autodiff.optim.line_search import armijo, wolfe
from autodiff.optim.natural_gradient import FAMILIES
from autodiff.optim.secular import damped_step
from autodiff.optim.truncated_cg import truncated_cg
from autodiff.structured import DenseOperator, NotPositiveDefinite
from benchmarks.fits import data
from tensorcalc.errors import DerivativeError

rng = np.random.default_rng(3)
START = np.array([1.3, 0.7, 0.8, 1.9, 1.2])


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def residuals(x: Any) -> Any:
    return {"valley": 10 * (x[1:] - x[:-1] ** 2), "distance": 1 - x[:-1]}


#: Methods, their options, and how near they come to the minimum in how many iterations at most.
METHODS: list[tuple[str, dict[str, Any], float, int]] = [
    ("newton", {}, 1e-10, 40),
    ("newton", {"line_search": "wolfe"}, 1e-10, 40),
    ("newton", {"indefinite": "absolute"}, 1e-10, 40),
    ("newton", {"damping": 0.1}, 1e-10, 60),
    ("newton-conjugate-gradient", {}, 1e-9, 100),
    ("newton-conjugate-gradient", {"products": "structured"}, 1e-9, 100),
    ("levenberg", {}, 1e-10, 60),
    ("cubic", {}, 1e-10, 60),
    ("trust-region", {}, 1e-10, 60),
    ("trust-region", {"step": "dogleg"}, 1e-10, 60),
    ("trust-region", {"step": "steihaug"}, 1e-9, 100),
    ("nonlinear-conjugate-gradient", {"beta": "fletcher-reeves"}, 1e-5, 6000),
    ("nonlinear-conjugate-gradient", {"beta": "polak-ribiere"}, 1e-5, 2000),
    ("nonlinear-conjugate-gradient", {"beta": "hager-zhang"}, 1e-5, 2000),
    ("gradient-descent", {"maxiter": 20_000, "gtol": 1e-4}, 1e-3, 20_000),
    ("momentum", {"learning_rate": 5e-4, "maxiter": 20_000, "gtol": 1e-4}, 1e-3, 20_000),
    ("nesterov", {}, 1e-5, 5000),
    ("proximal-newton", {}, 1e-10, 60),
    ("random-directions", {"seed": 0, "gtol": 1e-2}, 5e-2, 20_000),
]


@pytest.mark.parametrize(("method", "options", "near", "most"), METHODS)
def test_every_method_minimises_rosenbrock(
    method: str, options: dict[str, Any], near: float, most: int
) -> None:
    result = ad.objective(rosenbrock, START).minimize(method, **options)
    assert result.success, result.message
    np.testing.assert_allclose(result.solution, np.ones(5), atol=near)
    assert result.nit <= most and len(result.history) == result.nit + 1


@pytest.mark.parametrize(
    "solve",
    [
        lambda p: ad.optim.bfgs(p),
        lambda p: ad.optim.lbfgs(p),
        lambda p: ad.optim.basin_hopping(p, niter=3, seed=0),
        lambda p: ad.optim.dual_annealing(p, bounds=(-2, 2), maxiter=60, seed=0),
        lambda p: ad.optim.differential_evolution(p, bounds=(-2, 2), maxiter=300, seed=0, tol=1e-8),
    ],
    ids=["bfgs", "lbfgs", "basin hopping", "dual annealing", "differential evolution"],
)
def test_methods_of_scipy_give_the_same_kind_of_result(solve: Any) -> None:
    result = solve(ad.objective(rosenbrock, START[:3]))
    np.testing.assert_allclose(result.solution, np.ones(3), atol=1e-3)
    assert result.history and min(each["fun"] for each in result.history) <= result.fun + 1e-3
    assert result.gradient_norm == pytest.approx(np.linalg.norm(result.jac))
    assert result.hessian.shape == (3, 3)


def test_what_watches_a_differential_evolution_evaluates_nothing() -> None:
    problem, calls, seen = ad.objective(rosenbrock, START[:3]), [], []
    value = problem.value
    problem.value = lambda x: (calls.append(x), value(x))[1]  # type: ignore[method-assign]
    result = ad.optim.differential_evolution(
        problem, bounds=(-2, 2), seed=0, callback=lambda x: seen.append(x) or len(seen) == 5
    )
    assert len(calls) == result.nfev and result.nit == len(seen) == 5
    assert [each["fun"] for each in result.history] == [value(x) for x in seen]


def test_functions_take_a_function_and_its_parameters() -> None:
    result = ad.optim.newton(
        lambda p, a: np.sum((p["x"] - a) ** 4 + p["x"] ** 2), {"x": START}, 2.0
    )
    x = result.solution["x"]
    np.testing.assert_allclose(4 * (x - 2) ** 3 + 2 * x, 0, atol=1e-8)


# -- parts ----------------------------------------------------------------------------------------
def test_a_line_search_meets_its_conditions() -> None:
    problem = ad.objective(rosenbrock, START)
    point = point_at(problem, problem.x0)
    d = -point.gradient
    slope = point.gradient @ d
    t = armijo(problem, point, d)
    assert problem.fun(point.x + t * d) <= point.value + 1e-4 * t * slope
    assert problem.fun(point.x + 2 * t * d) > point.value + 1e-4 * 2 * t * slope or t == 1
    t = wolfe(problem, point, d, curvature=0.1)
    assert problem.fun(point.x + t * d) <= point.value + 1e-4 * t * slope
    assert abs(problem.jac(point.x + t * d) @ d) <= -0.1 * slope


def random_symmetric(n: int, seed: int) -> Any:
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root + root.T


@pytest.mark.parametrize("seed", range(8))
def test_the_exact_step_is_the_minimiser_within_the_radius(seed: int) -> None:
    """Conditions of More and Sorensen: (H + mu) s = -g, H + mu >= 0, mu (|s| - radius) = 0."""
    H = random_symmetric(6, seed) + 8 * (seed % 2) * np.eye(6)
    g = np.random.default_rng(seed).normal(size=6)
    for radius in (0.01, 1.0, 100.0):
        s = damped_step(DenseOperator(H, (6,)), g, lambda mu, r=radius: r)  # type: ignore[misc]
        mu = -s @ (H @ s + g) / (s @ s)
        assert np.linalg.norm(s) <= radius * (1 + 1e-5)
        assert np.linalg.eigvalsh(H)[0] + mu >= -1e-6 * (1 + abs(mu))
        np.testing.assert_allclose(H @ s + mu * s, -g, atol=1e-4 * (1 + abs(mu) * radius))
        assert mu < 1e-6 or np.linalg.norm(s) == pytest.approx(radius, rel=1e-5)


def test_the_hard_case_reaches_the_boundary() -> None:
    """The gradient has no part along the only direction of negative curvature."""
    H, g = np.diag([-2.0, 1.0, 3.0]), np.array([0.0, 1.0, 1.0])
    s = damped_step(DenseOperator(H, (3,)), g, lambda mu: 5.0)
    assert np.linalg.norm(s) == pytest.approx(5.0)
    np.testing.assert_allclose((H + 2 * np.eye(3)) @ s, -g, atol=1e-5)
    assert g @ s + s @ H @ s / 2 < -20


def test_truncated_conjugate_gradients_end_at_the_boundary_or_solve() -> None:
    H, g = random_symmetric(5, 0) + 12 * np.eye(5), rng.normal(size=5)
    np.testing.assert_allclose(truncated_cg(H.dot, g, 1e-12), -np.linalg.solve(H, g), atol=1e-10)
    assert np.linalg.norm(truncated_cg(H.dot, g, 1e-12, 1e-3)) == pytest.approx(1e-3)
    s = truncated_cg((-H).dot, g, 1e-12, 2.0)
    assert np.linalg.norm(s) == pytest.approx(2.0) and g @ s - s @ H @ s / 2 < 0
    np.testing.assert_allclose(truncated_cg((-H).dot, g, 1e-12), -g)


def test_an_indefinite_hessian_is_shifted_or_reported() -> None:
    def saddle(x: Any) -> Any:
        return x[0] ** 2 - x[1] ** 2 + x[1] ** 4

    start = np.array([1.0, 0.1])
    for indefinite in ("shift", "absolute"):
        found = ad.optim.newton(saddle, start, indefinite=indefinite)
        np.testing.assert_allclose(np.abs(found.x), [0, np.sqrt(0.5)], atol=1e-8)
    with pytest.raises(NotPositiveDefinite, match=r"smallest eigenvalue: -1\.88"):
        ad.optim.newton(saddle, start, indefinite="raise")


# -- structured Hessians of functions -------------------------------------------------------------
def least_squares(p: Any, X: Any, y: Any) -> Any:
    return np.sum((X @ p["w"] + p["b"] - y) ** 2)


def test_a_structured_hessian_of_nested_parameters_is_a_block_system() -> None:
    X, y = rng.normal(size=(20, 4)), rng.normal(size=20)
    params = {"w": rng.normal(size=4), "b": 0.5}
    operator = ad.hessian(least_squares, structured=True)(params, X, y)
    blocks = ad.hessian(least_squares)(params, X, y)
    np.testing.assert_allclose(operator.todense()[1:, 1:], blocks["w"]["w"])
    np.testing.assert_allclose(operator.todense()[0, 1:], blocks["b"]["w"])
    b = rng.normal(size=5)
    np.testing.assert_allclose(operator @ operator.solve(b), b, atol=1e-10)


def test_a_tall_gram_matrix_is_formed_and_a_wide_one_is_not() -> None:
    def loss(w: Any, A: Any) -> Any:
        return np.sum((A @ w) ** 4) / 12 + w @ w / 2

    hessian = ad.hessian(loss, structured=True)
    for m, n in ((200, 5), (5, 200)):
        A, w = rng.normal(size=(m, n)), rng.normal(size=n)
        operator = hessian(w, A)
        expected = A.T @ np.diag((A @ w) ** 2) @ A + np.eye(n)
        np.testing.assert_allclose(operator.todense(), expected, atol=1e-9 * np.abs(expected).max())
        assert operator.nbytes <= 8 * min(n * n, n * m + m + n + 1)


def test_a_structured_hessian_goes_with_aux_but_not_into_a_trace() -> None:
    operator, aux = ad.hessian(lambda x: (np.sum(x**3), x * 2), has_aux=True, structured=True)(
        START
    )
    np.testing.assert_allclose(operator.diagonal(), 6 * START)
    np.testing.assert_allclose(aux, 2 * START)
    with pytest.raises(DerivativeError, match="structured"):
        ad.grad(lambda x: ad.hessian(rosenbrock, structured=True)(x) @ x)(START)


# -- results --------------------------------------------------------------------------------------
def test_a_result_has_what_is_asked_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []
    problem = ad.objective(lambda p: rosenbrock(p["a"]) + (p["b"] - 3) ** 2, {"a": START, "b": 0.0})
    result = problem.minimize("newton", progress=True, callback=seen.append)
    assert result.solution.keys() == {"a", "b"} and np.shape(result.solution["b"]) == ()
    assert result.params is result.solution and result["x"].shape == (6,)
    assert len(seen) == result.nit and f"{result.nit} iterations" in capsys.readouterr().err
    assert result.nfev >= result.nit and result.njev > 0 and result.nhev == result.nit
    assert result.history[-1]["fun"] == result.fun < result.history[0]["fun"]
    assert [h["seconds"] for h in result.history] == sorted(h["seconds"] for h in result.history)
    assert "gtol" in result.message and result.gradient_norm <= 1e-8


def test_standard_errors_are_those_of_linear_regression() -> None:
    X, y = data.diabetes()
    result = ad.objective(lambda w, X, y: X @ w - y, np.zeros(10), X, y).minimize("gauss-newton")
    variance = 2 * result.fun / (len(y) - 10)
    expected = np.sqrt(variance * np.diag(np.linalg.inv(X.T @ X)))
    np.testing.assert_allclose(result.standard_errors(variance), expected, rtol=1e-9)


def test_the_callback_and_the_limit_end_a_method() -> None:
    def stop(x: Any) -> None:
        raise StopIteration

    ended = ad.optim.newton(rosenbrock, START, callback=stop)
    assert ended.nit == 1 and not ended.success and "callback" in ended.message
    ended = ad.optim.trust_region(rosenbrock, START, maxiter=3)
    assert ended.nit == 3 and not ended.success and "maximum" in ended.message


@pytest.mark.parametrize(
    ("method", "options", "error", "said"),
    [
        ("newton", {"max_iter": 3}, TypeError, "no option 'max_iter', did you mean 'maxiter'"),
        ("newton", {"bounds": (0, 1)}, TypeError, "'proximal-newton', 'levenberg-marquardt'"),
        ("newtn", {}, ValueError, "did you mean 'newton'"),
        ("natural-gradient", {}, TypeError, "needs the option 'family'"),
        ("natural-gradient", {"family": "poisson"}, DerivativeError, r"a pair \(eta, y\)"),
        ("proximal-newton", {"l1": -1.0}, ValueError, "not negative"),
        ("proximal-newton", {"l1": np.ones(4)}, ValueError, "which have 2 entries"),
        ("trust-region", {"radius": -1.0}, ValueError, "radius=-1.0 must be positive"),
    ],
)
def test_mistakes_in_options_name_the_remedy(
    method: str, options: Any, error: Any, said: str
) -> None:
    problem = ad.objective(lambda x: np.sum(x**2), np.ones(2))
    with pytest.raises(error, match=said):
        problem.minimize(method, **options)


def test_wrong_choices_name_the_right_ones() -> None:
    problem = ad.objective(rosenbrock, START)
    for method, options, right in [
        ("newton", {"line_search": "golden"}, "armijo"),
        ("newton", {"indefinite": "ignore"}, "shift"),
        ("trust-region", {"step": "cauchy"}, "dogleg"),
        ("conjugate-gradient", {"beta": "dai-yuan"}, "hager-zhang"),
        ("newton-conjugate-gradient", {"products": "dense"}, "structured"),
        ("natural-gradient", {"family": "cauchy"}, "poisson"),
        ("levenberg-marquardt", {"scale": "units"}, "columns"),
    ]:
        with pytest.raises(ValueError, match=right):
            problem.minimize(method, **{**options, "maxiter": 50})
    with pytest.raises(DerivativeError, match="returns residuals"):
        problem.minimize("gauss-newton")
    with pytest.raises(ValueError, match="lower 2 is above upper 1"):
        problem.minimize("proximal-newton", bounds=(2, 1))


# -- least squares, bounds, constraints -----------------------------------------------------------
@pytest.mark.parametrize("method", ["gauss-newton", "levenberg-marquardt"])
def test_least_squares_of_nested_residuals(method: str) -> None:
    result = ad.objective(residuals, START).minimize(method)
    assert result.success and result.fun < 1e-15
    J = ad.jacobian(lambda x: np.concatenate([residuals(x)["distance"], residuals(x)["valley"]]))
    J = J(result.x)
    np.testing.assert_allclose(result.hessian.todense(), J.T @ J, atol=1e-8)


def test_gauss_newton_solves_blocks_where_residuals_are_separate() -> None:
    """One exponential per row: J'J is 2 by 2 blocks, and 4000 unknowns are no dense matrix."""
    t = np.linspace(0, 1, 20)
    truth = rng.uniform(0.5, 2, size=(2000, 2))
    y = truth[:, :1] * np.exp(-truth[:, 1:] * t)
    problem = ad.objective(
        lambda p, t, y: p[:, :1] * np.exp(-p[:, 1:] * t) - y, np.ones((2000, 2)), t, y
    )
    result = problem.minimize("levenberg-marquardt")
    assert result.hessian.nbytes == 2000 * 4 * 8
    np.testing.assert_allclose(result.solution, truth, atol=1e-6)


BOUNDED = [
    ("levenberg-marquardt", residuals),
    ("proximal-newton", lambda x: rosenbrock(x) / 2),
    ("L-BFGS-B", lambda x: rosenbrock(x) / 2),
]


@pytest.mark.parametrize(("method", "function"), BOUNDED, ids=[m for m, _ in BOUNDED])
def test_bounds_hold_and_the_rest_is_stationary(method: str, function: Any) -> None:
    bounds: Any = (None, 0.5) if method != "L-BFGS-B" else [(None, 0.5)] * 5
    options = {"gtol": 1e-13} if method == "levenberg-marquardt" else {}
    result = ad.objective(function, np.full(5, 0.2)).minimize(method, bounds=bounds, **options)
    x, g = result.x, ad.grad(lambda x: rosenbrock(x) / 2)(result.x)
    free = x < 0.5
    assert np.all(x <= 0.5) and not np.all(free)
    np.testing.assert_allclose(g[free], 0, atol=1e-4 if method == "L-BFGS-B" else 1e-8)
    assert np.all(g[~free] <= 0)


@pytest.mark.parametrize(
    "bounds",
    [
        (None, 0.5),
        [(None, 0.5)] * 5,
        ((None, 0.5),) * 5,
        Bounds(-np.inf, 0.5),
        (None, np.full(5, 0.5)),
    ],
    ids=["lower and upper", "list of pairs", "pairs", "Bounds", "arrays"],
)
@pytest.mark.parametrize("method", ["proximal-newton", "l-bfgs"])
def test_bounds_take_the_forms_of_scipy_as_well(method: str, bounds: Any) -> None:
    result = ad.objective(rosenbrock, np.full(5, 0.2)).minimize(method, bounds=bounds)
    assert result.x[0] == 0.5 and np.all(result.x <= 0.5)


def test_bounds_of_two_parameters_are_pairs_in_a_list_and_sides_in_a_tuple() -> None:
    problem = ad.objective(lambda x: np.sum((x - 9) ** 2), np.zeros(2))
    for bounds in ([(0, 1), (0, 2)], ((0, 0), (1, 2)), (0, np.array([1.0, 2.0]))):
        result = problem.minimize("proximal-newton", bounds=bounds)
        np.testing.assert_array_equal(result.x, [1, 2])
    with pytest.raises(ValueError, match=r"bounds of length 3 for 2 parameters: .*\(lower, upper"):
        problem.minimize("proximal-newton", bounds=[(0, 1)] * 3)


@pytest.mark.parametrize("method", ["trust-constr", "SLSQP"])
def test_constraints_are_functions_of_the_nested_parameters(method: str) -> None:
    """The point of the unit circle that is nearest to (2, 1): Jacobians are derived."""
    problem = ad.objective(lambda p: (p["x"] - 2) ** 2 + (p["y"] - 1) ** 2, {"x": 0.5, "y": 0.5})

    def circle(p: Any) -> Any:
        return p["x"] ** 2 + p["y"] ** 2

    constraint: Any = NonlinearConstraint(circle, 1.0, 1.0)
    options = {}
    if method == "SLSQP":
        constraint = {"type": "eq", "fun": lambda p: circle(p) - 1}
        options = {"ftol": 1e-14}
    result = problem.minimize(method, constraints=constraint, **options)
    nearest = np.array([2, 1]) / np.sqrt(5)
    np.testing.assert_allclose(result.x, nearest, atol=1e-5)


# -- natural gradient -----------------------------------------------------------------------------
@pytest.mark.parametrize("family", FAMILIES)
def test_the_fisher_information_is_the_expected_hessian(family: str) -> None:
    """The Hessian of the loss is the Fisher matrix where y is its mean, for any model of eta."""
    X, W = rng.normal(size=(12, 3)), rng.normal(size=(3, 2)) / 3

    def model(W: Any, X: Any, y: Any) -> Any:
        scores = np.tanh(X @ W)
        return (-1 - scores**2 if family == "exponential" else scores), y

    eta, _ = model(W, X, 0.0)
    mean = ad.grad(FAMILIES[family])(eta)
    problem = ad.objective(model, W, X, mean).likelihood(FAMILIES[family])
    fisher = problem.operator(problem.x0).todense()
    np.testing.assert_allclose(fisher, problem.hess(problem.x0), atol=1e-10 * np.abs(fisher).max())
    other = ad.objective(model, W, X, mean + 1).likelihood(FAMILIES[family])
    np.testing.assert_allclose(other.operator(other.x0).todense(), fisher, rtol=1e-10)


def test_fisher_scoring_fits_a_poisson_model_with_a_curved_link() -> None:
    X, y = data.diabetes()
    X = X[:, :3]

    def curved(p: Any, X: Any, y: Any) -> Any:
        eta = X @ p["w"] + p["b"]
        return np.log(1 + np.exp(eta)), y

    start = {"w": np.zeros(3), "b": 4.0}
    result = ad.objective(curved, start, X, y).minimize("natural-gradient", family="poisson")
    newton = ad.objective(curved, start, X, y).likelihood(FAMILIES["poisson"]).minimize("newton")
    assert result.success
    np.testing.assert_allclose(result.solution["w"], newton.solution["w"], rtol=1e-8)
