"""The reverse-mode graph in use: memory, switches, hooks, checkpoints, functions, errors."""

import gc
import weakref

import numpy as np
import pytest

import autodiff as ad
from autodiff.graph import GraphError, Tensor, gradients
from autodiff.graph.plans import clear_caches, plans_by_key
from tensorcalc.errors import ShapeError, TraceError

from .test_graph import leaf, numeric


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


def test_plans_do_not_keep_the_arrays_of_their_first_call():
    clear_caches()
    x = leaf(50)
    watched = weakref.ref(x.data)
    np.sum(np.exp(x) * x).backward()
    del x
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


def _scaled(t):
    t *= 2.0


def _one_entry(t):
    t[0] = 7.0


def _part(t):
    Tensor(t.data[1:])[...] = 0.5


@pytest.mark.parametrize("change", [_scaled, _one_entry, _part])
def test_a_change_after_a_reading_operation_is_noticed_by_backward(change):
    x, other = leaf(3), Tensor(np.ones(3))
    loss = np.sum(x * x * other)
    with ad.no_grad():
        change(x)
    with pytest.raises(GraphError, match="change in place") as error:
        loss.backward()
    assert "loss = np.sum(x * x * other)" in str(error.value)
    np.sum(x * x).backward()  # recorded after the change
    np.testing.assert_allclose(x.grad, 2 * x.data)


def test_changes_of_what_no_pullback_reads_are_allowed():
    memory = np.ones(6)
    x, halves = leaf(3), (Tensor(memory[:3]), Tensor(memory[3:]))
    loss = np.sum(x * halves[0] + x)
    with ad.no_grad():
        halves[1][...] = 5.0
        x += 1.0
    loss.backward()
    np.testing.assert_allclose(x.grad, 2.0)


def test_a_recorded_pass_notices_that_a_leaf_has_other_data():
    x = leaf(3)
    loss = np.sum(x * x * x)
    x.data = x.data + 1.0
    with pytest.raises(GraphError, match="other data"):
        loss.backward(create_graph=True)


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
