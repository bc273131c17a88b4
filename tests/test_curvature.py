"""Curvature: certificates against eigenvalues of samples, and what must be unknown."""

import numpy as np
import pytest

import tensorcalc as tc
from tensorcalc.curvature import Ranges, curvature
from tensorcalc.curvature.ranges import declared_interval
from tensorcalc.errors import DerivativeError
from tensorcalc.nodes import free_variables
from tensorcalc.substitution import replace_extents

from .curvature_examples import (
    CERTIFIED,
    SIZES,
    UNKNOWN,
    Q,
    X,
    c,
    h,
    logsumexp,
    norm,
    p,
    q,
    relu,
    softplus,
    u,
    w,
    y,
)


def sampled(variable, rng):
    shape = [tc.extents.evaluate(extent, SIZES) for extent in variable.extents]
    if "psd" in variable.flags:
        root = rng.normal(size=shape)
        return root @ root.T + 0.1 * np.eye(shape[0])
    value = rng.normal(size=shape)
    if "symmetric" in variable.flags:
        value = value + value.T
    if "boolean" in variable.flags:
        return value > 0
    interval = declared_interval(variable.flags)
    if np.isfinite(interval.high):
        return rng.uniform(interval.low, interval.high, size=shape)
    return np.abs(value) + 0.05 if interval.low == 0 else value


def directions(variable, n, rng):
    """Random directions; symmetric ones for a symmetric unknown."""
    vs = rng.normal(size=(20, n))
    if variable.flags & {"symmetric", "psd"}:
        d = int(np.sqrt(n))
        vs = vs.reshape(-1, d, d)
        vs = (vs + vs.transpose(0, 2, 1)).reshape(-1, n)
    return vs


def in_domain(loss, values):
    with np.errstate(all="ignore"):
        return np.isfinite(tc.evaluate(loss, **values))


def drawn(loss, x, rng):
    """Values of the variables with the loss defined."""
    for _ in range(2000):
        values = {v.name: sampled(v, rng) for v in free_variables(loss, x)}
        known = {v.name: values[v.name] for v in free_variables(loss)}
        if in_domain(loss, known):
            return known
    raise AssertionError("no point of the domain was found")


@pytest.mark.parametrize("name", CERTIFIED)
def test_certified_curvature(name):
    loss, x, expected = CERTIFIED[name]
    found = curvature(loss, x)
    assert found.description == expected, found.explain()
    assert found == expected.split()[-1]
    assert found.explain()


@pytest.mark.parametrize("name", UNKNOWN)
def test_never_claimed(name):
    loss, x = UNKNOWN[name]
    found = curvature(loss, x)
    assert found == "unknown" and not found.strict, found.explain()


@pytest.mark.parametrize("name", CERTIFIED)
def test_certified_hessian_has_the_sign_in_samples(name):
    loss, x, expected = CERTIFIED[name]
    if x not in set(free_variables(loss)):
        assert expected == "affine"
        return
    roots = [loss, tc.hessian(loss, x), x]
    loss, second, x = map(replace_extents(roots, SIZES).__getitem__, roots)
    rng = np.random.default_rng(len(name))
    for _ in range(12):
        values = drawn(loss, x, rng)
        names = {v.name for v in free_variables(second)}
        n = values[x.name].size
        H = np.asarray(tc.evaluate(second, **{k: v for k, v in values.items() if k in names}))
        H = np.broadcast_to(H, values[x.name].shape * 2).reshape(n, n)
        vs = directions(x, n, rng)
        forms = np.einsum("si,ij,sj->s", vs, H, vs)
        tolerance = 1e-9 * (1 + np.abs(H).max()) * n
        if "convex" in expected:
            assert forms.min() > -tolerance
        if "concave" in expected:
            assert forms.max() < tolerance
        if expected == "affine":
            assert np.abs(forms).max() <= tolerance
        if "strictly convex" in expected:
            assert np.linalg.eigvalsh(H + H.T).max() > 0


@pytest.mark.parametrize("name", CERTIFIED)
def test_certified_loss_obeys_the_midpoint_inequality(name):
    loss, x, expected = CERTIFIED[name]
    loss, x = map(replace_extents([loss, x], SIZES).__getitem__, (loss, x))
    rng = np.random.default_rng(len(name))
    kept = 0
    for _ in range(200):
        values = drawn(loss, x, rng)
        if x.name not in values:
            return
        other = {**values, x.name: sampled(x, rng)}
        middle = {**values, x.name: (values[x.name] + other[x.name]) / 2}
        if not in_domain(loss, other):
            continue
        ends = (tc.evaluate(loss, **values) + tc.evaluate(loss, **other)) / 2
        gap = ends - tc.evaluate(loss, **middle)
        tolerance = 1e-9 * (1 + abs(ends))
        assert gap > -tolerance or "concave" in expected
        assert gap < tolerance or "convex" in expected
        kept += 1
        if kept == 20:
            return
    raise AssertionError("no two points of the domain were found")


# -- assumptions ----------------------------------------------------------------------------------
def test_assumptions_decide_signs():
    loss = np.sum(y * (X @ w) ** 2)
    assert curvature(loss, w) == "unknown"
    assert curvature(loss, w, y="nonnegative") == "convex"
    assert curvature(loss, w, y=(-2, 0)) == "concave"
    assert curvature(np.sum(w**3), w, w=(0, np.inf)) == "convex"
    assert curvature(w @ Q @ w, w, Q="psd") == "convex"


def test_assumption_about_a_stranger_is_refused():
    with pytest.raises(tc.errors.UnknownNameError, match="'z'"):
        curvature(w @ w, w, z="positive")


def test_curvature_of_a_vector_is_refused():
    with pytest.raises(tc.errors.DerivativeError):
        curvature(X @ w, w)


def test_certificate_names_the_template_and_the_range():
    text = curvature(np.sum(np.log(1 + np.exp(-y * (X @ w)))), w).explain()
    assert "A' D A" in text and "expit" in text and "in [0, inf)" in text


# -- ranges ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "expression, expected",
    [
        (np.exp(w), "(0, inf)"),
        (1 + np.exp(w), "(1, inf)"),
        (1 - np.tanh(w) ** 2, "(0, 1]"),
        (w * w, "[0, inf)"),
        (w * w + 1, "[1, inf)"),
        (1 - h, "(0, 1)"),
        (h * (1 - h), "(0, 1)"),
        (h - h * h, "(0, 0.25]"),
        (np.abs(u) + 1, "[1, 2]"),
        (u**3, "[-1, 1]"),
        (1 / p, "(0, inf)"),
        (np.sum(p), "(0, inf)"),
        (np.sum(w[1:] * w[1:]), "[0, inf)"),
        (p[1:], "(0, inf)"),
        (np.maximum(w, 2), "[2, inf)"),
        (np.where(w > 0, 1.0, 3.0), "[1, 3]"),
        ((1 + w * w) ** -0.5 - w * w * (1 + w * w) ** -1.5, "(0, 1]"),
    ],
)
def test_range_of_an_expression(expression, expected):
    assert str(Ranges()(expression)) == expected


# -- random losses --------------------------------------------------------------------------------
FUNCTIONS = [
    np.exp, np.abs, np.sqrt, np.log, np.square, np.tanh, np.log1p, np.cosh, np.expm1, np.sin,
    softplus, relu, lambda x: x**3, lambda x: 1 / x, lambda x: x**-2.0, lambda x: x**1.5,
    lambda x: -x, lambda x: 1 - x, lambda x: 2 * x, lambda x: np.minimum(x, 1),
    lambda x: x * np.log(x), lambda x: np.where(x > 0, x, 0.0), lambda x: np.sqrt(1 + x**2),
    lambda x: x**4 - x**2, lambda x: np.exp(-x * x),
]  # fmt: skip
REDUCTIONS = [
    np.sum, lambda x: x @ x, np.max, np.min, logsumexp, norm, lambda x: np.sum(x) ** 2, np.prod,
    lambda x: np.sum((x[1:] - x[:-1]) ** 2), lambda x: np.log(np.sum(np.exp(x))),
]  # fmt: skip


def random_loss(rng):
    """A composition of a few functions of one vector, possibly with a ridge."""
    x = (w, p, q, u)[rng.integers(4)]
    term = (x, 2 * x - 1, X @ x)[rng.integers(3)]
    for _ in range(rng.integers(1, 3)):
        term = FUNCTIONS[rng.integers(len(FUNCTIONS))](term)
    loss = REDUCTIONS[rng.integers(len(REDUCTIONS))](term)
    if rng.random() < 0.5:
        loss = FUNCTIONS[rng.integers(len(FUNCTIONS))](loss)
    return (loss + c * (x @ x) if rng.random() < 0.3 else loss), x


@pytest.mark.parametrize("seed", range(150))
def test_no_random_loss_is_certified_wrongly(seed):
    rng = np.random.default_rng(seed)
    loss, x = random_loss(rng)
    found = curvature(loss, x)
    if found == "unknown" or x not in set(free_variables(loss)):
        assert not found.strict
        return
    loss, x = map(replace_extents([loss, x], SIZES).__getitem__, (loss, x))
    for _ in range(15):
        values = {v.name: sampled(v, rng) for v in free_variables(loss)}
        other = {**values, x.name: sampled(x, rng)}
        middle = {**values, x.name: (values[x.name] + other[x.name]) / 2}
        with np.errstate(all="ignore"):
            a, b, m = (float(tc.evaluate(loss, **each)) for each in (values, other, middle))
        if not np.isfinite([a, b]).all():
            continue
        tolerance = 1e-8 * (1 + abs(a) + abs(b))
        assert np.isfinite(m)
        assert (a + b) / 2 - m > -tolerance or found == "concave", found.explain()
        assert (a + b) / 2 - m < tolerance or found == "convex", found.explain()


def test_several_variables_are_refused_with_the_remedy():
    with pytest.raises(DerivativeError, match=r"a tuple, which is no variable(.|\n)*parts of one"):
        curvature(w @ w, (w, y))
