"""Logsumexp, softmax, roots, norms and log-determinants have their limits at the edges."""

import numpy as np
import pytest
from scipy import special

import tensorcalc as tc
from tensorcalc.operations import TABLE, helpers

pytestmark = pytest.mark.filterwarnings("error")

INF = float("inf")
TINY = 5e-324
SUBNORMAL = 1e-310
EDGES = [-INF, -1e3, -SUBNORMAL, -TINY, 0.0, TINY, SUBNORMAL, 1e3, INF]


def _slopes(node, x):
    """The node, simplified, and its first and second derivatives."""
    first = tc.derivative(node, x)
    return tc.simplify(node), first, tc.derivative(first, x)


def _at(node, **values):
    """The oracle's value; variables that the node does not have are left out."""
    names = {v.name for v in tc.free_variables(node)}
    return tc.evaluate(node, **{k: v for k, v in values.items() if k in names})


# -- logsumexp and softmax ------------------------------------------------------------------------
LOGSUMEXP = {
    "log(sum(exp(x)))": lambda x: np.log(np.sum(np.exp(x))),
    "log(mean(exp(x))) + log(n)": lambda x: np.log(np.mean(np.exp(x))) + np.log(x.shape[0]),
    "maximum subtracted": lambda x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x),
    "log(add.reduce(exp(x)))": lambda x: np.log(np.add.reduce(np.exp(x))),
}
SOFTMAX = {
    "exp(x) / sum(exp(x))": lambda x: np.exp(x) / np.sum(np.exp(x)),
    "exp(x) / (n mean(exp(x)))": lambda x: np.exp(x) / np.mean(np.exp(x)) / x.shape[0],
    "maximum subtracted": lambda x: np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x))),
    "exp(log_softmax(x))": lambda x: np.exp(x - np.log(np.sum(np.exp(x)))),
}
ROWS = [
    np.array([0.0, 1.0, 2.0]),
    np.array([1e3, -1e3, 0.0]),
    np.array([-1e3, -1e3, -1e3]),
    np.array([1e3, 1e3, 1e3]),
    np.array([TINY, SUBNORMAL, 0.0]),
    np.array([-INF, 0.0, 1.0]),
    np.array([-INF, -INF, 5.0]),
    np.array([INF, 0.0, 1.0]),
]


@pytest.mark.parametrize("text", LOGSUMEXP)
def test_spelling_is_logsumexp(text):
    x = tc.variables("x: n")
    expected = tc.logsumexp(x)
    assert tc.simplify(LOGSUMEXP[text](x)) is expected


@pytest.mark.parametrize("text", SOFTMAX)
def test_spelling_is_softmax(text):
    x = tc.variables("x: n")
    assert tc.simplify(SOFTMAX[text](x)) is tc.softmax(x)


def _softmax(x):
    peak = x.max()
    weights = np.exp(np.where(x == peak, 0.0, x - (peak if np.isfinite(peak) else 0)))
    if peak == INF:
        weights = np.where(x == peak, 1.0, 0.0)
    return weights / weights.sum()


@pytest.mark.parametrize("text", LOGSUMEXP)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_logsumexp_has_right_limits_to_second_order(text, row):
    x = tc.variables("x: n")
    value, first, second = _slopes(LOGSUMEXP[text](x), x)
    p = _softmax(row)
    np.testing.assert_allclose(_at(value, x=row), np.logaddexp.reduce(row), rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(_at(first, x=row), p, rtol=1e-14)
    np.testing.assert_allclose(_at(second, x=row), np.diag(p) - np.outer(p, p), atol=1e-15)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_softmax_has_right_limits_to_second_order(row):
    x = tc.variables("x: n")
    value, first, second = _slopes(np.exp(x) / np.sum(np.exp(x)), x)
    p = _softmax(row)
    slope = np.diag(p) - np.outer(p, p)
    np.testing.assert_allclose(_at(value, x=row), p, rtol=1e-14)
    np.testing.assert_allclose(_at(first, x=row), slope, atol=1e-15)
    assert np.isfinite(_at(second, x=row)).all()


@pytest.mark.parametrize("axis", [0, 1, (0, 1), None])
def test_logsumexp_and_softmax_over_any_axes(axis):
    X = tc.variables("X: m n")
    value = np.random.default_rng(0).normal(size=(3, 4)) + 1000
    f = np.log(np.sum(np.exp(X), axis=axis))
    g = np.exp(X) / np.sum(np.exp(X), axis=axis, keepdims=True)
    np.testing.assert_allclose(_at(tc.simplify(f), X=value), special.logsumexp(value, axis))
    np.testing.assert_allclose(_at(tc.simplify(g), X=value), special.softmax(value, axis))


def test_maximum_subtracted_by_rows_cancels():
    X = tc.variables("X: m n")
    peak = np.max(X, axis=1, keepdims=True)
    f = np.log(np.sum(np.exp(X - peak), axis=1)) + np.max(X, axis=1)
    assert tc.simplify(f) is tc.simplify(np.log(np.sum(np.exp(X), axis=1)))


def test_log_of_softmax_is_difference_from_logsumexp():
    x = tc.variables("x: n")
    f = tc.simplify(np.log(np.exp(x) / np.sum(np.exp(x))))
    assert f is tc.simplify(x - np.log(np.sum(np.exp(x))))
    np.testing.assert_allclose(_at(f, x=np.array([1e3, -1e3])), [0.0, -2e3])


@pytest.mark.parametrize("row", [row for row in ROWS if np.isfinite(row).all()], ids=str)
def test_entries_and_sums_of_softmax_spelled_by_hand_do_not_overflow(row):
    """The divisor finds its exponential through indexing and through other factors."""
    z = tc.variables(f"z: {len(row)}")
    weights, p = np.exp(z) / np.sum(np.exp(z)), special.softmax(row)
    first = np.eye(len(row))[0]
    spread = np.diag(p) - np.outer(p, p)
    cases = [
        (np.sum(weights**2), 2 * spread @ p),
        (np.sum(weights**3), 3 * spread @ p**2),
        (np.sum(weights * np.arange(len(row))), spread @ np.arange(len(row))),
        (weights[0], spread[0]),
        (np.log(weights[0]), first - p),
    ]
    for loss, gradient in cases:
        np.testing.assert_allclose(_at(tc.gradient(loss, z), z=row), gradient, atol=1e-12)
        assert np.isfinite(_at(tc.hessian(loss, z), z=row)).all()
    assert tc.gradient(np.log(weights[0]), z) is -tc.gradient(-np.log(weights[0]), z)
    assert tc.node_count(tc.hessian(-np.log(weights[0]), z)) == 7


def test_softmax_cross_entropy_hessian_is_diagonal_minus_outer():
    z, y = tc.variables("z: k, y: k")
    hard = np.log(np.sum(np.exp(z))) - z @ y
    assert tc.hessian(hard, z) is tc.hessian(np.log(np.sum(np.exp(z))), z)


# -- roots, absolute values and norms -------------------------------------------------------------
@pytest.mark.parametrize("x", EDGES)
def test_abs_and_root_of_square_have_documented_values(x):
    z = tc.variables("z")
    for f in (np.abs(z), np.sqrt(z**2), (z**2) ** 0.5):
        value, first, second = _slopes(f, z)
        assert (_at(value, z=x), _at(first, z=x), _at(second, z=x)) == (abs(x), np.sign(x), 0)


@pytest.mark.parametrize("p", [0.5, 1.5, 2, 2.5, 3, 1 / 3])
def test_power_has_no_nan_at_zero(p):
    z = tc.variables("z")
    value, first, second = _slopes(z**p, z)
    want = (0.0, 0.0, 2.0 if p == 2 else 0.0)
    assert (_at(value, z=0.0), _at(first, z=0.0), _at(second, z=0.0)) == want
    assert _at(first, z=INF) == (INF if p > 1 else 0)


def test_cube_root_has_no_nan_at_zero():
    z = tc.variables("z")
    assert [float(_at(node, z=0.0)) for node in _slopes(np.cbrt(z), z)] == [0.0, 0.0, 0.0]


VECTORS = [
    np.zeros(3),
    np.array([3.0, 0.0, -4.0]),
    np.array([TINY, 0.0, 0.0]),
    np.array([SUBNORMAL, -SUBNORMAL, SUBNORMAL]),
    np.array([1e3, -1e3, 1e3]),
    np.array([1e200, -1e200, 0.0]),
    np.array([INF, 1.0, -2.0]),
    np.array([-INF, INF, 0.0]),
]
NORMS = {
    "np.linalg.norm(x)": np.linalg.norm,
    "sqrt(sum(x**2))": lambda x: np.sqrt(np.sum(x**2)),
    "sqrt(x @ x)": lambda x: np.sqrt(x @ x),
    "sqrt(sum(square(x)))": lambda x: np.sqrt(np.sum(np.square(x))),
    "(x @ x)**0.5": lambda x: (x @ x) ** 0.5,
    "einsum": lambda x: np.sqrt(np.einsum("i,i->", x, x)),
}


def _direction(x):
    size = np.abs(x).max()
    if size == 0:
        return np.zeros_like(x)
    scaled = np.isinf(x) * np.sign(x) if np.isinf(size) else x / size
    return scaled / np.sqrt(scaled @ scaled)


@pytest.mark.parametrize("text", NORMS)
@pytest.mark.parametrize("row", VECTORS, ids=str)
def test_norm_has_right_limits_to_second_order(text, row):
    x = tc.variables("x: n")
    value, first, second = _slopes(NORMS[text](x), x)
    length, u = np.hypot.reduce(np.abs(row)), _direction(row)
    np.testing.assert_allclose(_at(value, x=row), length, rtol=1e-14)
    np.testing.assert_allclose(_at(first, x=row), u, rtol=1e-14)
    got = _at(second, x=row)
    assert not np.isnan(got).any()
    if 1e-300 < length < INF:
        np.testing.assert_allclose(got, (np.eye(3) - np.outer(u, u)) / length, atol=1e-15 / length)
    elif length in (0, INF):
        np.testing.assert_array_equal(got, 0)


@pytest.mark.parametrize("at_zero", [0.0, 1.0, np.nan])
def test_gradient_of_norm_at_zero_is_selectable(at_zero):
    x = tc.variables("x: n")
    f = tc.norm(x, at_zero=at_zero)
    np.testing.assert_array_equal(_at(tc.gradient(f, x), x=np.zeros(2)), [at_zero] * 2)


@pytest.mark.parametrize("axis", [0, 1, (0, 1), None])
def test_norms_over_any_axes(axis):
    X = tc.variables("X: m n")
    value = np.random.default_rng(0).normal(size=(3, 4))
    for f in (np.sqrt(np.sum(X**2, axis=axis)), np.sqrt(np.sum(X * X, axis=axis))):
        assert "norm" in f.operation.name
        want = np.sqrt(np.sum(value**2, axis=axis))
        np.testing.assert_allclose(_at(f, X=value), want)
        np.testing.assert_allclose(
            _at(tc.gradient(np.sum(f), X), X=value),
            value / np.sqrt(np.sum(value**2, axis, keepdims=True)),
        )


def test_root_mean_square_is_scaled_norm():
    x = tc.variables("x: n")
    f = np.sqrt(np.mean(x**2))
    np.testing.assert_allclose(_at(tc.simplify(f), x=np.array([1e200, -1e200])), 1e200)
    np.testing.assert_array_equal(_at(tc.gradient(f, x), x=np.zeros(2)), [0.0, 0.0])


def test_squared_norm_is_sum_of_squares():
    x = tc.variables("x: n")
    assert tc.simplify(np.linalg.norm(x) ** 2) is tc.simplify(x @ x)
    assert tc.simplify(np.linalg.norm(x) ** 4) is tc.simplify((x @ x) ** 2)


@pytest.mark.parametrize(
    "point, slope",
    [
        ((3.0, 4.0), (0.6, 0.8)),
        ((0.0, 0.0), (0, 0)),
        ((1e300, 1e300), (0.5**0.5,) * 2),
        ((INF, 1.0), (1, 0)),
    ],
)
def test_hypot_has_right_limits_to_second_order(point, slope):
    x, y = tc.variables("x, y")
    a, b = point
    for f in (np.hypot(x, y), np.sqrt(x**2 + y**2)):
        np.testing.assert_allclose(_at(tc.simplify(f), x=a, y=b), np.hypot(a, b))
        for k, other in enumerate((x, y)):
            first = tc.derivative(f, other)
            np.testing.assert_allclose(_at(first, x=a, y=b), slope[k], rtol=1e-14)
            assert np.isfinite(_at(tc.derivative(first, x), x=a, y=b))


# -- determinants ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "f",
    [
        lambda A: np.log(np.linalg.det(A)),
        lambda A: np.log(np.abs(np.linalg.det(A))),
        lambda A: np.linalg.slogdet(A)[1],
        lambda A: 0.5 * np.log(np.linalg.det(A) ** 2),
    ],
)
def test_log_of_determinant_does_not_overflow(f):
    A = tc.variables("A: n n")
    value = 1e3 * np.eye(120)
    node = tc.simplify(f(A))
    np.testing.assert_allclose(_at(node, A=value), 120 * np.log(1e3))
    np.testing.assert_allclose(_at(tc.gradient(f(A), A), A=value), np.eye(120) / 1e3)


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.parametrize("name", ["logsumexp", "softmax"])
def test_helper_agrees_with_reference_at_the_edges(name, row):
    got, want = helpers.function(name)(row), TABLE[name].reference(row)
    np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("row", VECTORS, ids=str)
def test_norm_helpers_agree_with_reference_at_the_edges(row):
    length = helpers.function("norm")(row, (-1,))
    np.testing.assert_allclose(
        length, TABLE["norm"].reference(row, at_zero=0.0), rtol=1e-14, atol=1e-322
    )
    np.testing.assert_allclose(
        helpers.function("normalize")(row, (-1,), 0.0), _direction(row), rtol=1e-14
    )


def test_logdet_of_transpose_is_logdet():
    A = tc.variables("A: n n")
    assert np.linalg.slogdet(A.T)[1] is np.linalg.slogdet(A)[1]


def test_log_of_nonnegative_product_is_sum_of_logs():
    x, y = tc.variables("x: n, y: n")
    assert tc.simplify(np.log(np.exp(x) * y**2)) is tc.simplify(x + np.log(y**2))
    assert np.log(x * y).operation.name == "log", "two negative factors have a real logarithm"
