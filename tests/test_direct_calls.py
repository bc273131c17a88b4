"""The shortest way of a call: taken again for the same signature, and only for that."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.direct_calls import MISSED
from autodiff.tracing import LAST, tracer_of
from tensorcalc.errors import ShapeError

RNG = np.random.default_rng(0)


def cubic(x, y):
    """A loss whose derivatives depend on both arguments."""
    return np.sum(x**3 * y)


def last_of(function, *identity):
    """The guarded call that a transform of the function would take now."""
    return tracer_of(function).last(identity)


def product(x, y, v, w=None):
    """The Hessian product as a formula."""
    result = 6 * x * y * v
    return result if w is None else result + 3 * x**2 * w


def test_hessian_products_take_the_guarded_call_from_the_second_call_on():
    x, y, v = RNG.normal(size=(3, 4))
    for _ in range(3):
        np.testing.assert_allclose(ad.hvp(cubic, (x, y), (v, None)), 6 * x * y * v)
    last = last_of(cubic, "hvp", 0, False, "auto")
    np.testing.assert_array_equal(last((x, y), (v, None)), ad.hvp(cubic, (x, y), (v, None)))


@pytest.mark.parametrize(
    "call",
    [
        lambda x, y, v: ((x[:3], y[:3]), (v[:3], None)),
        lambda x, y, v: ((x.astype("float32"), y), (v.astype("float32"), None)),
        lambda x, y, v: ((x, y), (v, v)),
        lambda x, y, v: ((x, y), (None, None)),
        lambda x, y, v: ((x,), (v, None)),
        lambda x, y, v: ([x, y], [v, None]),
        lambda x, y, v: ((x, 2.0), (v, None)),
        lambda x, y, v: ((x.view(Named), y), (v, None)),
    ],
)
def test_guarded_calls_refuse_every_other_signature(call):
    x, y, v = RNG.normal(size=(3, 4))
    for _ in range(2):
        ad.hvp(cubic, (x, y), (v, None))
    last = last_of(cubic, "hvp", 0, False, "auto")
    assert last((x, y), (v, None)) is not MISSED
    assert last(*call(x, y, v)) is MISSED


class Named(np.ndarray):
    """A class of arrays of its own."""


def test_signatures_that_alternate_give_their_own_results():
    for size, second in [(4, None), (3, None), (4, 1.0), (3, 1.0)] * 3:
        x, y, v = RNG.normal(size=(3, size))
        w = None if second is None else np.full(size, second)
        found = ad.hvp(cubic, (x, y), (v, w))
        np.testing.assert_allclose(found, product(x, y, v, w), rtol=1e-12)
    for dtype in ["float64", "float32"] * 3:
        x, y, v = RNG.normal(size=(3, 4)).astype(dtype)
        value, tangent = ad.jvp(cubic, (x, y), (v, None))
        assert value.dtype == tangent.dtype == dtype
        np.testing.assert_allclose(tangent, np.sum(3 * x**2 * y * v), rtol=1e-5)


def test_a_tangent_that_does_not_fit_is_refused_after_one_that_did():
    x, y, v = RNG.normal(size=(3, 4))
    for _ in range(2):
        ad.hvp(cubic, (x, y), (v, None))
    with pytest.raises(ShapeError):
        ad.hvp(cubic, (x, y), (v[:2], None))
    with pytest.raises(TypeError, match="primals must be a tuple or list"):
        ad.hvp(cubic, np.stack([x, y]), (v, None))


@pytest.mark.parametrize("what", ["grad", "value_and_grad"])
def test_transforms_notice_what_their_function_reads(what):
    scale = 2.0
    offset = np.array([1.0, 2.0])

    def loss(x):
        return scale * np.sum((x - offset) ** 2)

    slope = getattr(ad, what)(loss)
    x = np.array([3.0, 5.0])

    def gradient():
        result = slope(x)
        return result if what == "grad" else result[1]

    for _ in range(3):
        np.testing.assert_allclose(gradient(), 4 * (x - [1, 2]))
        np.testing.assert_allclose(ad.hvp(loss, (x,), (x,)), 4 * x)
    scale = 3.0
    for _ in range(3):
        np.testing.assert_allclose(gradient(), 6 * (x - [1, 2]))
        np.testing.assert_allclose(ad.hvp(loss, (x,), (x,)), 6 * x)
    offset[:] = 0.0  # in place: read at every call
    np.testing.assert_allclose(gradient(), 6 * x)
    offset = np.array([1.0, 1.0])  # another array
    for _ in range(3):
        np.testing.assert_allclose(gradient(), 6 * (x - 1))


def test_transforms_of_one_function_keep_calls_of_their_own():
    x, y = RNG.normal(size=(2, 4))
    first, second = ad.grad(cubic, 0), ad.grad(cubic, 1)
    for _ in range(3):
        np.testing.assert_allclose(first(x, y), 3 * x**2 * y)
        np.testing.assert_allclose(second(x, y), x**3)
        np.testing.assert_allclose(ad.hvp(cubic, (x, y), (x, None), argnums=0), 6 * x**2 * y)
        found = ad.hvp(cubic, (x, y), (x, None), argnums=(1,))[0]
        np.testing.assert_allclose(found, 3 * x**3, rtol=1e-12)


def test_products_inside_a_traced_function_are_expressions():
    x, v = RNG.normal(size=(2, 4))
    for _ in range(2):
        ad.hvp(cubic, (x, v), (v, None))
    slope = ad.grad(lambda x: np.sum(ad.hvp(cubic, (x, v), (v, None))))
    for _ in range(3):
        np.testing.assert_allclose(slope(x), 6 * v**2)


def test_functions_that_are_gone_leave_no_calls():
    from autodiff import tracing

    def make(factor):
        return lambda x: factor * np.sum(x**2)

    x = np.ones(3)
    before = len(tracing._by_id)
    for factor in range(1, 20):
        loss = make(float(factor))
        for _ in range(2):
            np.testing.assert_allclose(ad.hvp(loss, (x,), (x,)), 2 * factor * x)
    assert len(tracing._by_id) <= before + 2
    assert LAST in tracer_of(loss).plans(("hvp", 0, False, "auto"))
