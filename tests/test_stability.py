"""Spellings that overflow or cancel become stable rows; derivatives at the edges."""

import numpy as np
import pytest
from scipy import special

import tensorcalc as tc
from tensorcalc.operations import TABLE, helpers

pytestmark = pytest.mark.filterwarnings("error")

INF = float("inf")
TINY = 5e-324
SUBNORMAL = 1e-310
EDGES = np.array([-INF, -1e3, -1.0, -SUBNORMAL, -TINY, 0.0, TINY, SUBNORMAL, 1.0, 1e3, INF])


def expit(x):
    tail = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, tail) / (1 + tail)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _slopes(node, x):
    """The node, simplified, and its first and second derivatives."""
    first = tc.derivative(node, x)
    return tc.simplify(node), first, tc.derivative(first, x)


def _at(node, **values):
    """The oracle's value; variables that the node does not have are left out."""
    names = {v.name for v in tc.free_variables(node)}
    return tc.evaluate(node, **{k: v for k, v in values.items() if k in names})


# -- elementwise: one spelling, one row -----------------------------------------------------------
SOFTPLUS = {
    "log(1 + exp(z))": lambda z: np.log(1 + np.exp(z)),
    "log(exp(z) + 1)": lambda z: np.log(np.exp(z) + 1),
    "log1p(exp(z))": lambda z: np.log1p(np.exp(z)),
    "logaddexp(0, z)": lambda z: np.logaddexp(0, z),
    "logaddexp(z, 0)": lambda z: np.logaddexp(z, 0.0),
    "-log(expit(-z))": lambda z: -np.log(special.expit(-z)),
    "-log_expit(-z)": lambda z: -special.log_expit(-z),
    "-log(1 - expit(z))": lambda z: -np.log(1 - special.expit(z)),
    "-log1p(-expit(z))": lambda z: -np.log1p(-special.expit(z)),
    "-log(1 / (1 + exp(z)))": lambda z: -np.log(1 / (1 + np.exp(z))),
    "-log(1 - 1 / (1 + exp(-z)))": lambda z: -np.log(1 - 1 / (1 + np.exp(-z))),
    "log(1 + exp(-z)) + z": lambda z: np.log(1 + np.exp(-z)) + z,
    "-log(exp(-z) / (1 + exp(-z)))": lambda z: -np.log(np.exp(-z) / (1 + np.exp(-z))),
    "softplus(z)": tc.softplus,
}
EXPIT = {
    "expit(z)": special.expit,
    "1 / (1 + exp(-z))": lambda z: 1 / (1 + np.exp(-z)),
    "(1 + exp(-z))**-1": lambda z: (1 + np.exp(-z)) ** -1,
    "exp(z) / (1 + exp(z))": lambda z: np.exp(z) / (1 + np.exp(z)),
    "exp(z) / (exp(z) + 1)": lambda z: np.exp(z) / (np.exp(z) + 1),
    "1 - expit(-z)": lambda z: 1 - special.expit(-z),
    "1 - 1 / (1 + exp(z))": lambda z: 1 - 1 / (1 + np.exp(z)),
    "0.5 * (1 + tanh(z / 2))": lambda z: 0.5 * (1 + np.tanh(z / 2)),
    "0.5 + 0.5 * tanh(z / 2)": lambda z: 0.5 + 0.5 * np.tanh(z / 2),
    "exp(-log1p(exp(-z)))": lambda z: np.exp(-np.log1p(np.exp(-z))),
    "exp(-log(1 + exp(-z)))": lambda z: np.exp(-np.log(1 + np.exp(-z))),
    "exp(log_expit(z))": lambda z: np.exp(special.log_expit(z)),
}
LOG1MEXP = {
    "log(1 - exp(z))": lambda z: np.log(1 - np.exp(z)),
    "log1p(-exp(z))": lambda z: np.log1p(-np.exp(z)),
    "log(-expm1(z))": lambda z: np.log(-np.expm1(z)),
}


@pytest.mark.parametrize("text", SOFTPLUS)
def test_spelling_is_softplus(text):
    z = tc.variables("z: m")
    assert tc.simplify(SOFTPLUS[text](z)) is tc.softplus(z)


@pytest.mark.parametrize("text", EXPIT)
def test_spelling_is_expit(text):
    z = tc.variables("z: m")
    assert tc.simplify(EXPIT[text](z)) is special.expit(z)


@pytest.mark.parametrize("text", LOG1MEXP)
def test_spelling_is_log1mexp(text):
    z = tc.variables("z: m")
    assert tc.simplify(LOG1MEXP[text](z)).operation.name == "log1mexp"


@pytest.mark.parametrize("text", SOFTPLUS)
def test_softplus_has_right_limits_to_second_order(text):
    z = tc.variables("z")
    value, first, second = _slopes(SOFTPLUS[text](z), z)
    for x in EDGES:
        np.testing.assert_allclose(_at(value, z=x), softplus(x), rtol=1e-14)
        np.testing.assert_allclose(_at(first, z=x), expit(x), rtol=1e-14)
        np.testing.assert_allclose(_at(second, z=x), expit(x) * expit(-x), rtol=1e-14)


@pytest.mark.parametrize("text", EXPIT)
def test_expit_has_right_limits_to_second_order(text):
    z = tc.variables("z")
    value, first, second = _slopes(EXPIT[text](z), z)
    for x in EDGES:
        s, t = expit(x), expit(-x)
        np.testing.assert_allclose(_at(value, z=x), s, rtol=1e-14)
        np.testing.assert_allclose(_at(first, z=x), s * t, rtol=1e-14)
        np.testing.assert_allclose(_at(second, z=x), s * t * (t - s), rtol=1e-13)


@pytest.mark.parametrize("text", LOG1MEXP)
def test_log1mexp_has_right_limits_to_second_order(text):
    z = tc.variables("z")
    value, first, second = _slopes(LOG1MEXP[text](z), z)
    cases = {
        -INF: (0, 0, 0),
        -1e3: (0, 0, 0),
        -50.0: None,
        -1.0: None,
        -1e-9: None,
        -SUBNORMAL: None,
    }
    for x, limits in cases.items():
        if limits is None:
            with np.errstate(over="ignore"):
                n = 1 / np.expm1(-x)
                limits = (
                    np.log(-np.expm1(x)) if x > -0.7 else np.log1p(-np.exp(x)),
                    -n,
                    -n * (1 + n),
                )
        for node, limit in zip((value, first, second), limits, strict=True):
            np.testing.assert_allclose(_at(node, z=x), limit, rtol=1e-13)
    assert _at(value, z=0.0) == -INF


@pytest.mark.parametrize("x", [-INF, -1e3, -1e-9, 0.0, SUBNORMAL, 1e3, INF])
def test_log_cosh_has_right_limits_to_second_order(x):
    z = tc.variables("z")
    value, first, second = _slopes(np.log(np.cosh(z)), z)
    small = x * x / 2
    want = small if abs(x) < 1 else abs(x) - np.log(2)
    np.testing.assert_allclose(_at(value, z=x), want, rtol=1e-13)
    np.testing.assert_allclose(_at(first, z=x), np.tanh(x), rtol=1e-14)
    np.testing.assert_allclose(_at(second, z=x), 1 - np.tanh(x) ** 2, rtol=1e-14)


# -- logistic regression --------------------------------------------------------------------------
SIGNS = {
    "sum(log(1 + exp(-y z)))": lambda z, y: np.sum(np.log(1 + np.exp(-y * z))),
    "sum(log1p(exp(-y z)))": lambda z, y: np.sum(np.log1p(np.exp(-y * z))),
    "sum(logaddexp(0, -y z))": lambda z, y: np.sum(np.logaddexp(0, -y * z)),
    "-sum(log(expit(y z)))": lambda z, y: -np.sum(np.log(special.expit(y * z))),
    "-sum(log_expit(y z))": lambda z, y: -np.sum(special.log_expit(y * z)),
    "-sum(log(1 / (1 + exp(-y z))))": lambda z, y: -np.sum(np.log(1 / (1 + np.exp(-y * z)))),
    "sum(softplus(-y z))": lambda z, y: np.sum(tc.softplus(-y * z)),
}


def _cross_entropy(y, p):
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p))


ZERO_ONE = {
    "p = expit(z)": lambda z, y: _cross_entropy(y, special.expit(z)),
    "p = 1 / (1 + exp(-z))": lambda z, y: _cross_entropy(y, 1 / (1 + np.exp(-z))),
    "p = exp(z) / (1 + exp(z))": lambda z, y: _cross_entropy(y, np.exp(z) / (1 + np.exp(z))),
    "two sums": lambda z, y: (
        -np.sum(y * np.log(special.expit(z))) - np.sum((1 - y) * np.log(1 - special.expit(z)))
    ),
    "two dot products": lambda z, y: (
        -(y @ np.log(special.expit(z)) + (1 - y) @ np.log(1 - special.expit(z)))
    ),
    "xlogy": lambda z, y: (
        -np.sum(special.xlogy(y, special.expit(z)) + special.xlog1py(1 - y, -special.expit(z)))
    ),
    "softplus(z) - y z": lambda z, y: np.sum(tc.softplus(z) - y * z),
    "log(1 + exp(z)) - y z": lambda z, y: np.sum(np.log(1 + np.exp(z)) - y * z),
}


def _hessian_of(loss):
    X, w, y = tc.variables("X: m n, w: n, y: m")
    return tc.hessian(loss(X @ w, y), w), X, w, y


@pytest.mark.parametrize("text", SIGNS)
def test_logistic_hessian_with_signs_is_one_product(text):
    hessian, X, w, y = _hessian_of(SIGNS[text])
    margin = tc.simplify(y * (X @ w))
    weights = y * y * special.expit(margin) * special.expit(-margin)
    assert hessian is tc.simplify(np.einsum("ki,k,kj->ij", X, weights, X))


@pytest.mark.parametrize("text", ZERO_ONE)
def test_logistic_hessian_with_zeros_and_ones_is_one_product(text):
    hessian, X, w, _ = _hessian_of(ZERO_ONE[text])
    z = X @ w
    weights = special.expit(z) * special.expit(-z)
    assert hessian is tc.simplify(np.einsum("ki,k,kj->ij", X, weights, X))
    assert "y" not in [v.name for v in tc.free_variables(hessian)]


@pytest.mark.parametrize("text", ZERO_ONE)
def test_logistic_gradient_with_zeros_and_ones_is_residuals(text):
    X, w, y = tc.variables("X: m n, w: n, y: m")
    gradient = tc.gradient(ZERO_ONE[text](X @ w, y), w)
    assert gradient is tc.simplify(X.T @ (special.expit(X @ w) - y))


@pytest.mark.parametrize("text", [*SIGNS, *ZERO_ONE])
def test_logistic_loss_is_finite_at_large_margins(text):
    loss = {**SIGNS, **ZERO_ONE}[text]
    X, w, y = tc.variables("X: m n, w: n, y: m")
    f = loss(X @ w, y)
    labels = [1.0, -1.0, 1.0] if text in SIGNS else [1.0, 0.0, 1.0]
    values = {"X": np.array([[1e3], [1e3], [-1e3]]), "w": np.ones(1), "y": np.array(labels)}
    np.testing.assert_allclose(_at(tc.simplify(f), **values), 2e3)
    np.testing.assert_allclose(_at(tc.gradient(f, w), **values), [2e3])
    np.testing.assert_allclose(_at(tc.hessian(f, w), **values), [[0.0]], atol=1e-300)


# -- masks ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "f, want",
    [
        (lambda x: np.where(x > 0, np.log(x), 0), [0, 0, 1]),
        (lambda x: np.where(x > 0, np.sqrt(x), x), [1, 1, 0.5]),
        (lambda x: np.where(x > 0, 1 / x, 0), [0, 0, -1]),
        (lambda x: np.where(x <= 0, 0, x * np.log(x)), [0, 0, 1]),
        (
            lambda x: np.where(x == 0, 1, np.sin(x) / x),
            [np.cos(1) * -1 + np.sin(1), 0, np.cos(1) - np.sin(1)],
        ),
    ],
)
def test_where_masks_before_it_multiplies(f, want):
    x = tc.variables("x: n")
    point = np.array([-1.0, 0.0, 1.0])
    gradient = tc.gradient(np.sum(f(x)), x)
    np.testing.assert_allclose(_at(gradient, x=point), want, rtol=1e-14)
    assert not np.isnan(_at(tc.hessian(np.sum(f(x)), x), x=point)).any()


def test_where_folds_what_is_known():
    x, y, c = tc.variables("x: n, y: n, c: n boolean")
    assert np.where(c, x, x) is x
    assert np.where(True, x, y) is x
    assert np.where(False, x, y) is y
    assert np.where(c, x, 0) is tc.simplify(c * x)


# -- ties and kinks -------------------------------------------------------------------------------
def test_tie_of_maximum_gives_half_to_each():
    x, y = tc.variables("x, y")
    for f in (np.maximum(x, y), np.minimum(x, y)):
        assert [float(_at(tc.derivative(f, v), x=2.0, y=2.0)) for v in (x, y)] == [0.5, 0.5]


def test_derivatives_at_kinks_are_documented():
    x = tc.variables("x")
    slopes = {
        tc.relu: 0,
        np.abs: 0,
        tc.elu: 1,
        tc.leaky_relu: 0.01,
        tc.silu: 0.5,
        tc.gelu: 0.5,
    }
    for f, slope in slopes.items():
        assert _at(tc.derivative(f(x), x), x=0.0) == slope


def test_clip_passes_the_adjoint_inside_only():
    x = tc.variables("x: n")
    gradient = tc.gradient(np.sum(np.clip(x, -1, 1)), x)
    np.testing.assert_array_equal(
        _at(gradient, x=np.array([-2, -1, 0, 1, 2.0])), [0, 0.5, 1, 0.5, 0]
    )


def test_product_has_no_nan_at_zeros():
    x = tc.variables("x: n")
    f = np.prod(x)
    np.testing.assert_array_equal(_at(tc.gradient(f, x), x=np.array([0.0, 2, 3])), [6, 0, 0])
    np.testing.assert_array_equal(
        _at(tc.hessian(f, x), x=np.array([0.0, 0.0, 3])), [[0, 3, 0], [3, 0, 0], [0, 0, 0]]
    )


# -- NumPy spellings at the edges -----------------------------------------------------------------
@pytest.mark.parametrize("name", ["expit", "softplus", "log_cosh", "tanh", "abs", "relu"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numpy_spelling_agrees_with_reference_at_the_edges(name, dtype):
    x = EDGES.astype(dtype)
    operation = TABLE[name]
    spelled = helpers.function(name) if name in helpers.HELPERS else getattr(np, name, None)
    got = spelled(x) if spelled else np.maximum(x, 0)
    assert got.dtype == dtype
    np.testing.assert_allclose(
        got, operation.reference(x.astype(float)), rtol=4 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("reduction", [np.nansum, np.nanmean, np.nanvar, np.nanstd, np.nanmax])
def test_what_reductions_leave_out_has_no_effect_on_gradients_and_hessians(reduction):
    x = tc.variables("x: n")
    loss = reduction(np.sqrt(x) * np.log(x))
    at = np.array([1.0, -1.0, 4.0, -2.0, 3.0])
    kept = at > 0
    for order in (tc.gradient, tc.hessian):
        found = tc.evaluate(order(loss, x), x=at)
        part = (kept,) * found.ndim
        np.testing.assert_allclose(
            found[np.ix_(*part)], tc.evaluate(order(loss, x), x=at[kept]), rtol=1e-10, atol=1e-12
        )
        assert np.count_nonzero(found) == np.count_nonzero(found[np.ix_(*part)])


@pytest.mark.parametrize("order", range(4))
def test_derivatives_of_sinc_do_not_cancel_near_zero(order):
    mpmath = pytest.importorskip("mpmath")
    x = tc.variables("x: n")
    node = np.sinc(x)
    for _ in range(order):
        node = tc.gradient(np.sum(node), x)
    at = np.array([0.0, 1e-8, -1e-3, 0.159, -0.16, 0.9])
    wanted = [float(mpmath.diff(mpmath.sincpi, float(v), order)) for v in at]
    np.testing.assert_allclose(_at(node, x=at), wanted, rtol=1e-11, atol=1e-12)
