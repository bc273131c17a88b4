"""The reverse-mode graph: recording, backward passes of any order, memory, errors."""

import gc
import math
import weakref

import numpy as np
import pytest
from scipy import special

import autodiff as ad
from autodiff.graph import GraphError, Tensor, gradients
from autodiff.graph.plans import clear_caches, plans_by_key
from tensorcalc.errors import ShapeError, TraceError

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


def test_a_chain_of_a_thousand_layers_needs_no_recursion():
    x = leaf(4)
    y = x
    for _ in range(1000):
        y = np.tanh(y) + x
    np.sum(y).backward()
    assert np.isfinite(x.grad).all()


def test_a_long_chain_is_dropped_without_recursion():
    y = leaf(2)
    for _ in range(30_000):
        y = y + 1.0
    del y
    gc.collect()


def test_backward_frees_what_it_has_passed():
    x = leaf(100)
    y = np.exp(x * 2.0)
    watched = weakref.ref(y.data)
    loss = np.sum(y)
    del y
    assert watched() is not None
    loss.backward()
    assert watched() is None


def test_retain_graph_allows_a_second_pass():
    x = leaf(3)
    loss = np.sum(np.exp(x))
    loss.backward(retain_graph=True)
    loss.backward()
    np.testing.assert_allclose(x.grad, 2 * np.exp(x.data))


def test_no_grad_records_nothing_as_context_and_as_decorator():
    x = leaf(3)
    with ad.no_grad():
        assert not np.exp(x).requires_grad
        with ad.enable_grad():
            assert np.exp(x).requires_grad

    @ad.no_grad
    def plain(t):
        return t * 2

    @ad.no_grad()
    def also_plain(t):
        return t * 2

    assert not plain(x).requires_grad and not also_plain(x).requires_grad
    assert (x * 2).requires_grad


def test_detach_ends_the_graph_and_shares_data():
    x = leaf(3)
    y = x * 2
    assert not y.detach().requires_grad and y.detach().data is y.data
    np.sum(y.detach() * x).backward()
    np.testing.assert_allclose(x.grad, 2 * x.data)


def test_hooks_see_and_change_complete_gradients():
    x = leaf(3)
    y = x * 2.0
    seen = []
    y.register_hook(lambda g: seen.append(g.copy()))
    remove = x.register_hook(lambda g: 10 * g)
    np.sum(y + y).backward()
    np.testing.assert_allclose(seen, [[2.0, 2.0, 2.0]])
    np.testing.assert_allclose(x.grad, 40.0)
    remove()
    x.zero_grad()
    np.sum(x).backward()
    np.testing.assert_allclose(x.grad, 1.0)


def test_retain_grad_keeps_the_gradient_of_a_result():
    x = leaf(3)
    y = x * 2.0
    y.retain_grad()
    np.sum(y * y).backward()
    np.testing.assert_allclose(y.grad, 2 * y.data)


def test_gradients_of_results_and_of_independent_inputs():
    x, z = leaf(3), leaf(2)
    y = np.exp(x)
    of_x, of_y, of_z = gradients(np.sum(y * y), [x, y, z])
    np.testing.assert_allclose(of_y, 2 * y.data)
    np.testing.assert_allclose(of_x, 2 * y.data**2)
    assert of_z is None and x.grad is None


def test_checkpoint_stores_arguments_only_and_gives_the_same_gradients():
    x, w = leaf(4, 3), leaf(3, 3)

    def block(a, b):
        return np.tanh(np.tanh(a @ b) @ b)

    np.sum(block(x, w) ** 2).backward()
    wanted = x.grad, w.grad
    x.zero_grad(), w.zero_grad()
    y = ad.graph.checkpoint(block, x, w)
    assert not y.record.saved
    np.sum(y**2).backward()
    np.testing.assert_allclose(x.grad, wanted[0])
    np.testing.assert_allclose(w.grad, wanted[1])


def test_second_order_through_a_checkpoint():
    x = leaf(3)

    def cubic(a):
        return np.exp(a) * a

    def twice(f):
        g = gradients(np.sum(f(x)), x, create_graph=True)
        return gradients(np.sum(g * g), x)

    np.testing.assert_allclose(twice(lambda a: ad.graph.checkpoint(cubic, a)), twice(cubic))


def test_a_traced_function_is_one_operation():
    @ad.function
    def swish(x, scale=1.0):
        return x / (1 + np.exp(-scale * x))

    x = leaf(5)
    y = swish(x, scale=1.5)
    assert y.record.plan.name == "swish"
    assert y.record.edges == [(x, -1)]
    np.sum(y).backward()
    wanted = numeric(lambda a: np.sum(a / (1 + np.exp(-1.5 * a))), [x.data], 0)
    np.testing.assert_allclose(x.grad, wanted, atol=1e-8)


def test_a_traced_function_sees_rebound_data():
    scale = np.array([1.0, 2.0])

    @ad.function
    def scaled(x):
        return x * scale

    x = leaf(2)
    np.testing.assert_allclose(scaled(x).data, x.data * scale)
    scale = np.array([5.0, 7.0])
    np.testing.assert_allclose(scaled(x).data, x.data * scale)


def test_a_traced_function_may_return_a_nesting():
    @ad.function
    def both(x):
        return {"square": x * x, "pair": (np.sum(x), np.max(x))}

    x = leaf(4)
    out = both(x)
    (out["square"].sum() + out["pair"][1]).backward()
    np.testing.assert_allclose(x.grad, 2 * x.data + (x.data == x.data.max()))


def test_results_that_do_not_depend_on_the_inputs_smoothly_are_no_part_of_the_graph():
    x = leaf(3)
    assert not (x > 0).requires_grad and (x > 0).dtype == bool
    assert not np.argmax(x).requires_grad
    assert np.shape(x) == (3,) and len(x) == 3


def test_numbers_and_text_of_tensors():
    x = Tensor(2.5)
    assert float(x) == 2.5 and int(x) == 2 and bool(x) and f"{x:.2f}" == "2.50"
    assert x.item() == 2.5 and Tensor([1, 2]).tolist() == [1, 2]
    assert repr(Tensor([1.0], requires_grad=True)) == "Tensor([1.], requires_grad=True)"


def test_in_place_changes_outside_the_graph():
    p = leaf(3)
    before = p.data.copy()
    with ad.no_grad():
        p -= 0.5 * np.ones(3)
        p[0] = 7.0
    np.testing.assert_allclose(p.data[1:], before[1:] - 0.5)
    assert p.data[0] == 7.0 and p.requires_grad
    y = p * 2.0
    y += p
    np.sum(y).backward()
    np.testing.assert_allclose(p.grad, 3.0)


# -- errors ---------------------------------------------------------------------------------------
def test_use_after_free_names_the_operation_the_line_and_the_remedy():
    x = leaf(3)
    loss = np.sum(np.exp(x))
    loss.backward()
    with pytest.raises(GraphError, match="freed") as error:
        loss.backward()
    text = str(error.value)
    assert "loss = np.sum(np.exp(x))" in text and "retain_graph=True" in text


def test_backward_of_what_was_never_recorded():
    with pytest.raises(GraphError, match="does not require gradients"):
        np.sum(Tensor([1.0, 2.0])).backward()
    with ad.no_grad():
        y = np.sum(leaf(2))
    with pytest.raises(GraphError, match="no_grad"):
        y.backward()


def test_backward_of_a_tensor_that_is_no_scalar_or_with_a_wrong_gradient():
    y = leaf(3) * 2.0
    with pytest.raises(GraphError, match=r"shape \(3,\)"):
        y.backward()
    with pytest.raises(ShapeError, match=r"shape \(2,\)"):
        y.backward(np.ones(2))


def test_integers_and_text_cannot_require_gradients():
    with pytest.raises(TypeError, match="int64"):
        Tensor([1, 2], requires_grad=True)
    with pytest.raises(TypeError, match="pass real numbers"):
        Tensor(["a"])


def test_wrong_shapes_name_the_operation_and_its_operands():
    with pytest.raises(ShapeError) as error:
        leaf(2, 3) @ leaf(2, 3)
    assert "matmul(float64[2, 3], float64[2, 3])" in str(error.value)
    with pytest.raises(ShapeError, match=r"add\(float64\[2\], float64\[3\]\)"):
        leaf(2) + leaf(3)


def test_a_function_that_has_no_expression_is_refused():
    with pytest.raises(TraceError, match="no expression"):
        np.unwrap(leaf(3))


def test_leaving_the_graph_by_accident_is_refused():
    x = leaf(3)
    with pytest.raises(TraceError, match="detach"):
        np.asarray(x)
    np.testing.assert_array_equal(np.asarray(x.detach()), x.data)
    assert x.numpy() is x.data


def test_writing_into_recorded_tensors_is_refused():
    x = leaf(3)
    with pytest.raises(GraphError, match="no_grad"):
        x[0] = 1.0
    with pytest.raises(GraphError, match="in place"):
        x += 1.0


def test_an_error_in_a_hook_names_the_shapes():
    x = leaf(3)
    (y := x * 2.0).register_hook(lambda g: g[:2])
    with pytest.raises(ShapeError, match=r"returned: shape \(2,\)"):
        np.sum(y).backward()


def test_a_captured_tensor_that_wants_gradients_is_refused_in_a_traced_function():
    w = leaf(3)

    @ad.function
    def f(x):
        return np.sum(x * w)

    with pytest.raises(TraceError, match="pass it as an argument"):
        f(leaf(3))


def test_caches_can_be_cleared():
    leaf(3) * 2.0
    assert plans_by_key
    clear_caches()
    assert not plans_by_key
