"""The reverse-mode graph: recorded NumPy, derivatives of any order, what is saved and shared."""

import math

import numpy as np
import pytest
from scipy import special

import autodiff as ad
from autodiff.graph import Tensor, gradients

RNG = np.random.default_rng(0)


def leaf(*shape, low=-1.0, high=1.0, dtype=float):
    return Tensor(RNG.uniform(low, high, shape).astype(dtype), requires_grad=True)


def numeric(function, arrays, k, step=1e-6):
    """Central differences of a scalar function with respect to its k-th array."""
    result = np.zeros(arrays[k].shape)
    for index in np.ndindex(*arrays[k].shape):
        values = []
        for sign in (1, -1):
            moved = [a.copy() for a in arrays]
            moved[k][index] += sign * step
            values.append(function(*moved))
        result[index] = (values[0] - values[1]) / (2 * step)
    return result


def projected(function):
    """The function's results against fixed weights, as a scalar of arrays or tensors."""

    def scalar(*args):
        out = function(*args)
        outs = out if isinstance(out, (tuple, list)) else [out]
        total = 0.0
        for k, each in enumerate(outs):
            weights = np.random.default_rng(k).uniform(0.5, 1.5, np.shape(each))
            total = total + np.sum(weights * each)
        return total

    return scalar


#: Functions of positive arrays x: 3 4, y: 3 4, in plain NumPy.
FUNCTIONS = {
    "operators": lambda x, y: (2 * x - y) / (1 + y) ** 2 + (-x) ** 3 + 2.0**y - 1 / x,
    "matmul": lambda x, y: x @ y.T + 0.5,
    "tanh": lambda x, y: np.tanh(x * y),
    "ufuncs": lambda x, y: np.exp(x) * np.log1p(y) + np.sqrt(x) + np.hypot(x, y),
    "special": lambda x, y: special.expit(x) * special.erf(y) + special.gammaln(x),
    "maximum": lambda x, y: np.maximum(x, y) + np.minimum(x, 0.7),
    "where": lambda x, y: np.where(x > y, x * y, y),
    "einsum": lambda x, y: np.einsum("ij,kj->ik", x, y),
    "reductions": lambda x, y: x.sum(axis=0) * y.mean(axis=0) + np.var(x, axis=0),
    "extrema": lambda x, y: x.max(axis=1) + np.min(y, axis=1),
    "shapes": lambda x, y: x.reshape(4, 3) @ y.reshape(2, 3, 2)[0] + x.T[:, :2],
    "slices": lambda x, y: x[1:, ::2] * y[:2, 1:3] + x[-1, 0],
    "new axes": lambda x, y: x[:, None, :] * y[None, :, :],
    "gather": lambda x, y: x[[0, 2, 0]] * y[np.array([1, 1, 2])],
    "mask": lambda x, y: x[np.arange(12).reshape(3, 4) % 3 == 0],
    "concatenate": lambda x, y: np.concatenate([x, y], axis=1) ** 2,
    "stack": lambda x, y: np.stack([x, y, x], axis=1),
    "split": lambda x, y: np.split(x * y, 2, axis=1),
    "unstack": lambda x, y: [row * row for row in x],
    "linalg": lambda x, y: np.linalg.inv(x @ y.T + 3 * np.eye(3)),
    "slogdet": lambda x, y: np.linalg.slogdet(x @ x.T + np.eye(3))[1],
    "cumsum": lambda x, y: np.cumsum(x, axis=1) * y,
    "pad": lambda x, y: np.pad(x, ((1, 0), (0, 2))) @ np.ones((6, 2)),
    "clip": lambda x, y: np.clip(x, 0.3, 0.6) * y,
    "methods": lambda x, y: x.T.dot(y).diagonal() + x.ravel()[:4] + y.swapaxes(0, 1)[:, 0],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients_of_recorded_numpy(name):
    scalar = projected(FUNCTIONS[name])
    x, y = leaf(3, 4, low=0.2), leaf(3, 4, low=0.2)
    loss = scalar(x, y)
    assert loss.item() == pytest.approx(float(scalar(x.data, y.data)), rel=1e-12)
    loss.backward()
    for k, tensor in enumerate((x, y)):
        wanted = numeric(scalar, [x.data, y.data], k)
        got = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad
        np.testing.assert_allclose(got, wanted, atol=2e-7, err_msg=name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_by_recording_the_backward_pass(name):
    scalar = projected(FUNCTIONS[name])
    x, y = leaf(3, 4, low=0.2), leaf(3, 4, low=0.2)
    direction = RNG.normal(size=x.shape)

    def slope(a, b):
        u, v = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
        return float(np.sum(gradients(scalar(u, v), u) * direction))

    g = gradients(scalar(x, y), x, create_graph=True)
    second = gradients(np.sum(g * direction), [x, y]) if g.requires_grad else [None, None]
    for k, got in enumerate(second):
        wanted = numeric(slope, [x.data, y.data], k)
        np.testing.assert_allclose(
            np.zeros(wanted.shape) if got is None else got, wanted, atol=2e-6, err_msg=name
        )


def test_create_graph_to_fifth_order():
    t = Tensor(0.3, requires_grad=True)
    g = np.sin(t) * np.exp(t)
    for order in range(1, 6):
        g = gradients(g, t, create_graph=True)
        exact = 2 ** (order / 2) * math.exp(0.3) * math.sin(0.3 + order * math.pi / 4)
        assert g.item() == pytest.approx(exact, rel=1e-12)


def test_backward_with_create_graph_gives_gradients_that_are_tensors():
    x = leaf(3)
    np.sum(x**3).backward(create_graph=True)
    first = x.grad
    assert isinstance(first, Tensor) and first.requires_grad
    np.testing.assert_allclose(gradients(np.sum(first), x), 6 * x.data)


def test_backward_of_tanh_reads_the_result_and_nothing_else():
    x = leaf(1000)
    y = np.tanh(x * 1.0)
    (saved,) = y.record.saved
    assert saved is y.data


def test_addition_saves_nothing():
    x = leaf(5)
    assert not (x + 1.0).record.saved


def test_a_new_batch_size_neither_traces_nor_derives_again():
    from autodiff.graph import operations

    w = leaf(3, 2)
    np.sum(np.tanh(leaf(4, 3) @ w)).backward()
    made = []
    original = operations.Recording._derive
    operations.Recording._derive = lambda self: made.append(self) or original(self)
    try:
        np.sum(np.tanh(leaf(9, 3) @ w)).backward()
    finally:
        operations.Recording._derive = original
    assert not made


def test_sizes_that_an_equation_pins_are_guards():
    @ad.function
    def halves(x):
        return x.reshape(x.shape[0], 2, x.shape[1] // 2).sum(axis=1)

    for shape in [(3, 4), (5, 4), (3, 6)]:
        x = leaf(*shape)
        half = shape[1] // 2
        np.testing.assert_allclose(halves(x).data, x.data[:, :half] + x.data[:, half:])


def test_positions_of_an_index_are_sizes_and_share_one_operation():
    from autodiff.graph.plans import _families

    x = leaf(40, 3)
    x[2] + x[3:5, 1].sum()
    before = sum(len(v) for f in _families.values() for v in f.operations.values())
    total = sum((np.sum(x[k] ** 2) + np.sum(x[k : k + 4]) for k in range(2, 36)), Tensor(0.0))
    total.backward()
    after = sum(len(v) for f in _families.values() for v in f.operations.values())
    assert after - before <= 8
    expected = numeric(
        lambda a: sum(np.sum(a[k] ** 2) + np.sum(a[k : k + 4]) for k in range(2, 36)), [x.data], 0
    )
    np.testing.assert_allclose(x.grad, expected, atol=1e-6)


def test_float_arguments_that_keep_changing_become_variables():
    from autodiff.graph.plans import _families

    x = leaf(3)
    for k in range(40):
        (x * (0.1 * k)).sum().backward()
    floats = [key for key in _families if key[0] is np.multiply and key[2][-1][0] is float]
    assert len(floats) <= 20
    np.testing.assert_allclose(x.grad, np.full(3, 0.1 * sum(range(40))))


def test_gradients_accumulate_and_are_forgotten():
    x = leaf(3)
    np.sum(x * x).backward()
    np.sum(x * x).backward()
    np.testing.assert_allclose(x.grad, 4 * x.data)
    x.zero_grad()
    assert x.grad is None


def test_a_shared_tensor_gets_the_sum_of_its_adjoints():
    w = leaf(3, 3)
    y = leaf(3)
    np.sum(w @ (w @ y)).backward()
    wanted = numeric(lambda a, b: np.sum(a @ (a @ b)), [w.data, y.data], 0)
    np.testing.assert_allclose(w.grad, wanted, atol=1e-7)


def test_the_gradient_is_an_array_of_its_own():
    x = leaf(3)
    seed = np.ones(3)
    (x + 0.0).backward(seed)
    x.grad += 1
    np.testing.assert_array_equal(seed, 1)


def test_float32_stays_float32_and_mixed_precision_comes_back_in_each():
    x, y = leaf(3, dtype=np.float32), leaf(3)
    z = np.tanh(x) * 2
    assert z.dtype == np.float32
    np.sum(z * y).backward()
    assert x.grad.dtype == np.float32 and y.grad.dtype == np.float64
    x.zero_grad()
    np.sum(x.astype(float) ** 2).backward()
    assert x.grad.dtype == np.float32
