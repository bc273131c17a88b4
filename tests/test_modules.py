"""Modules: layers that draw or remember, functional calls, state, freezing, text, errors."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.graph import Tensor, checkpoint
from tensorcalc.errors import ShapeError, TraceError, UnknownNameError

from .test_layers_nn import gradient_at, inner, moved, needs_torch, normal, scalar_of, torch


@pytest.fixture(autouse=True)
def _double_precision_from_one_seed():
    nn.set_default_dtype(np.float64)
    ad.manual_seed(0)
    yield
    nn.set_default_dtype(np.float32)


# -- layers that draw, count or remember ----------------------------------------------------------
def test_dropout_keeps_the_mean_and_does_nothing_in_eval():
    layer = nn.Dropout(0.25)
    x = Tensor(np.ones(40_000), requires_grad=True)
    y = layer(x)
    assert set(np.unique(y.data)) == {0.0, 1 / 0.75}
    assert abs(y.data.mean() - 1) < 0.02
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, y.data)
    assert layer.eval()(x) is x


@pytest.mark.parametrize(("layer", "dims"), [("Dropout1d", 1), ("Dropout2d", 2), ("Dropout3d", 3)])
def test_spatial_dropout_drops_whole_channels(layer, dims):
    y = getattr(nn, layer)(0.5)(np.ones((4, 16, *(3,) * dims)))
    per_channel = y.reshape(64, -1)
    assert (per_channel == per_channel[:, :1]).all() and 10 < (per_channel[:, 0] == 0).sum() < 54


def test_seeds_make_parameters_and_masks_reproducible():
    def numbers():
        ad.manual_seed(3)
        model = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5))
        return model(np.ones((3, 4))).data

    np.testing.assert_array_equal(numbers(), numbers())
    generator = np.random.default_rng(1)
    first = nn.Linear(2, 2, generator=generator).weight.data
    np.testing.assert_array_equal(
        first, nn.Linear(2, 2, generator=np.random.default_rng(1)).weight.data
    )


def test_a_checkpoint_draws_the_same_masks_again():
    layer = nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.5), nn.Tanh())
    x = Tensor(normal(3, 4), requires_grad=True)
    ad.manual_seed(1)
    np.sum(layer(x) ** 2).backward()
    wanted = x.grad
    x.zero_grad()
    ad.manual_seed(1)
    np.sum(checkpoint(layer, x) ** 2).backward()
    np.testing.assert_allclose(x.grad, wanted)


def test_batch_normalisation_uses_running_averages_in_eval():
    layer = nn.BatchNorm1d(3, momentum=None)
    batches = normal(4, 10, 3)
    for batch in batches:
        layer(batch)
    np.testing.assert_allclose(layer.running_mean, batches.mean(axis=(0, 1)))
    layer.eval()
    out = layer(batches[0])
    wanted = (batches[0] - layer.running_mean) / np.sqrt(layer.running_var + layer.eps)
    np.testing.assert_allclose(out.data, wanted)
    assert layer.num_batches_tracked == 4


def test_a_wider_batch_reuses_what_was_derived():
    from autodiff.graph import operations

    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    np.sum(model(normal(3, 1, 6, 6))).backward()
    made = []
    original = operations.Recording._derive
    operations.Recording._derive = lambda self: made.append(self.operation.name) or original(self)
    try:
        np.sum(model(normal(7, 1, 6, 6))).backward()
    finally:
        operations.Recording._derive = original
    assert not made


# -- functions of parameters ----------------------------------------------------------------------
class Tied(nn.Module):
    def __init__(self):
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(np.tanh(self.first(x)))


def test_shared_weights_are_one_parameter_with_one_gradient():
    model = Tied()
    assert [name for name, _ in model.named_parameters()] == [
        "first.weight",
        "first.bias",
        "second.bias",
    ]
    scalar, values = scalar_of(model, [normal(4, 3)], {})
    u = [normal(*v.shape, seed=k) for k, v in enumerate(values)]
    ends = [float(scalar([Tensor(v) for v in moved(values, u, s)])) for s in (1e-6, -1e-6)]
    slope = inner(gradient_at(scalar, values), u)
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


def test_a_functional_call_can_be_traced_and_agrees_with_the_graph():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)
    ).eval()
    x = normal(5, 1, 4, 4)

    def loss(parameters, x):
        return np.mean(nn.functional_call(model, parameters, x) ** 2)

    value, traced = ad.value_and_grad(loss)({k: p.data for k, p in model.named_parameters()}, x)
    recorded = np.mean(model(x) ** 2)
    recorded.backward()
    assert recorded.item() == pytest.approx(float(value), rel=1e-12)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(parameter.grad, traced[name], atol=1e-12)
    assert isinstance(model[0].weight, nn.Parameter)


def test_a_functional_call_puts_everything_back_after_an_error():
    model = nn.Linear(3, 2)
    weight = model.weight
    with pytest.raises(ShapeError):
        nn.functional_call(model, {"weight": np.ones((2, 4))}, np.ones((5, 3)))
    assert model.weight is weight
    with pytest.raises(UnknownNameError, match="wieght"):
        nn.functional_call(model, {"wieght": np.ones((2, 3))}, np.ones((5, 3)))


def test_a_parameter_captured_by_a_traced_function_is_refused():
    layer = nn.Linear(3, 2)
    with pytest.raises(TraceError, match="functional_call"):
        ad.grad(lambda x: np.sum(x @ layer.weight))(normal(4, 2))


# -- state ----------------------------------------------------------------------------------------
def network():
    return nn.Sequential(
        nn.Conv1d(1, 2, 3),
        nn.BatchNorm1d(2),
        nn.Residual(nn.Conv1d(2, 2, 3, padding="same"), nn.ReLU()),
        nn.Concat(nn.Identity(), nn.MaxPool1d(3, 1, 1)),
        nn.Flatten(),
        nn.Linear(16, 2),
    )


def test_state_goes_through_a_file_without_pickle(tmp_path):
    first, second = network(), network()
    first(normal(4, 1, 6))
    first.save(tmp_path / "model.npz")
    second.load(tmp_path / "model.npz")
    x = normal(3, 1, 6)
    np.testing.assert_array_equal(first.eval()(x).data, second.eval()(x).data)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        assert set(file) == set(first.state_dict())


def test_loading_a_state_that_does_not_fit_changes_nothing():
    model = nn.Linear(3, 2)
    before = model.weight.data.copy()
    with pytest.raises(UnknownNameError, match="missing in the state: bias"):
        model.load_state_dict({"weight": np.zeros((2, 3))})
    with pytest.raises(ShapeError, match=r"\(2, 3\)"):
        model.load_state_dict({"weight": np.zeros((3, 2)), "bias": np.zeros(2)})
    np.testing.assert_array_equal(model.weight.data, before)
    model.load_state_dict({"bias": np.zeros(2)}, strict=False)
    np.testing.assert_array_equal(model.bias.data, 0)


@needs_torch
def test_names_and_shapes_of_the_state_are_those_of_torch():
    pairs = [
        (nn.LSTM(3, 4, 2, bidirectional=True), torch.nn.LSTM(3, 4, 2, bidirectional=True)),
        (nn.MultiheadAttention(8, 2), torch.nn.MultiheadAttention(8, 2)),
        (nn.Sequential(nn.BatchNorm2d(3)), torch.nn.Sequential(torch.nn.BatchNorm2d(3))),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), torch.nn.ConvTranspose2d(4, 6, 3, groups=2)),
    ]
    for ours, theirs in pairs:
        mine = {name: value.shape for name, value in ours.state_dict().items()}
        assert mine == {name: tuple(value.shape) for name, value in theirs.state_dict().items()}


@needs_torch
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("Linear", (40, 30)),
        ("Conv2d", (8, 16, 3)),
        ("ConvTranspose2d", (8, 16, 3)),
        ("LSTM", (20, 30)),
        ("Embedding", (50, 20)),
        ("MultiheadAttention", (32, 4)),
    ],
)
def test_default_initialisation_has_the_spread_of_torch(name, args):
    ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
    wanted = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        reference = wanted[key].detach().numpy()
        if reference.size > 300:
            assert parameter.data.std() == pytest.approx(reference.std(), rel=0.15), key
        assert (not parameter.data.any()) == (not reference.any()), key


def test_freezing_keeps_parameters_out_of_the_graph():
    model = network()
    model[0].freeze()
    np.sum(model(normal(3, 1, 6)) ** 2).backward()
    assert model[0].weight.grad is None and model[5].weight.grad is not None
    model[0].unfreeze()
    assert all(p.requires_grad for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_modules_in_lists_and_dicts_are_found():
    class Listed(nn.Module):
        def __init__(self):
            self.layers = [nn.Linear(2, 2), nn.Linear(2, 2, False)]
            self.heads = {"a": nn.Linear(2, 1)}

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.heads["a"](x)

    names = [name for name, _ in Listed().named_parameters()]
    assert names == [
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "heads.a.weight",
        "heads.a.bias",
    ]


def test_precision_of_a_network():
    model = network().float()
    x = normal(3, 1, 6).astype(np.float32)
    y = model(x)
    assert y.dtype == np.float32
    np.sum(y).backward()
    assert all(p.grad.dtype == np.float32 for p in model.parameters())
    assert model.double()(x.astype(float)).dtype == np.float64


# -- text -----------------------------------------------------------------------------------------
def test_a_summary_counts_shapes_parameters_and_operations():
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 3, False))
    model[2].freeze()
    table = model.summary((7, 10))
    first, last = table.rows[1], table.rows[3]
    assert first.shape == (7, 20) and first.parameters == 220 and last.parameters == 60
    assert first.flops == 2 * 7 * 10 * 20 + 7 * 20 and last.flops == 2 * 7 * 20 * 3
    assert (table.parameters, table.trainable) == (280, 220)
    assert "(7, 20)" in str(table) and "frozen parameters: 60" in str(table)
    assert not model[2].weight.requires_grad and model.training


def test_a_drawing_names_layers_operations_and_parameters():
    text = network().to_dot((2, 1, 6))
    assert text.startswith("digraph") and text.count("{") == text.count("}")
    for part in ("conv1d", "max_pool1d", "5.weight 2x16", "Residual"):
        assert part in text


# -- errors ---------------------------------------------------------------------------------------
def test_a_wrong_shape_names_the_layer_and_the_sizes():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2))
    with pytest.raises(ShapeError) as error:
        model(np.ones((6, 3)))
    text = str(error.value)
    assert "Sequential.1 (Linear)" in text and "linear(float64[6, 4], float64[2, 5]" in text


@pytest.mark.parametrize(
    ("layer", "args", "shape", "message"),
    [
        ("Conv2d", (3, 4, 3), (2, 2, 8, 8), "channels"),
        ("Conv2d", (3, 4, 9), (2, 3, 8, 8), "window of"),
        ("Conv2d", (3, 4, 3), (2, 8), "axes"),
        ("BatchNorm2d", (3,), (2, 3), "2 axes"),
        ("BatchNorm1d", (3,), (1, 3), "one value per channel"),
        ("LayerNorm", (4,), (2, 3), "last axes"),
        ("GroupNorm", (2, 4), (2, 3, 5), "2 groups"),
        ("LSTM", (3, 4), (5, 2, 7), "input_size 3"),
        ("MaxPool2d", (2, 1, 2), (2, 3, 8, 8), "padding 2"),
    ],
)
def test_shapes_that_do_not_fit_a_layer(layer, args, shape, message):
    with pytest.raises(ShapeError, match=message):
        getattr(nn, layer)(*args)(np.ones(shape))


@pytest.mark.parametrize(("given", "text"), [("relu", "not 'relu'"), (nn.ReLU, "the class ReLU")])
def test_a_sequence_takes_modules_only(given, text):
    for make in (lambda: nn.Sequential(given), lambda: nn.Sequential({"last": given})):
        with pytest.raises(TypeError, match=text):
            make()


def test_an_array_takes_the_place_of_no_parameter():
    layer = nn.Linear(2, 3)
    with pytest.raises(TypeError, match=r"Linear.weight is a parameter, and ndarray is none"):
        layer.weight = np.zeros((3, 2))
    layer.bias = None
    layer.weight = nn.Parameter(np.ones((3, 2)))
    np.testing.assert_array_equal(layer(np.ones(2)).data, 2.0)


def test_a_convolution_is_refused_when_it_is_created():
    with pytest.raises(ValueError, match="padding='smae': use 'same'"):
        nn.Conv2d(1, 2, 3, padding="smae")
    with pytest.raises(ShapeError, match="stride"):
        nn.Conv2d(1, 2, 3, 2, padding="same")


def test_channels_must_divide_into_groups_and_heads():
    with pytest.raises(ShapeError, match="groups"):
        nn.Conv1d(3, 4, 3, groups=2)
    with pytest.raises(ShapeError, match="num_heads"):
        nn.MultiheadAttention(8, 3)
    with pytest.raises(ShapeError, match="same"):
        nn.Conv1d(3, 4, 3, 2, "same")(np.ones((1, 3, 8)))


def test_an_embedding_of_real_numbers_is_refused():
    with pytest.raises(TraceError, match="integers"):
        nn.Embedding(4, 2)(np.ones(3))


def test_dropout_while_tracing_names_the_remedy():
    layer = nn.Dropout(0.5)
    with pytest.raises(TraceError, match="eval"):
        ad.grad(lambda x: np.sum(layer(x)))(np.ones(3))


def test_an_error_in_backward_names_the_layer_and_the_line():
    class Failing(nn.Module):
        def forward(self, x):
            y = np.exp(x)
            y.register_hook(lambda g: 1 / 0)
            return y

    model = nn.Sequential(nn.Linear(2, 2), Failing())
    loss = np.sum(model(np.ones((3, 2))))
    with pytest.raises(ad.GraphError) as error:
        loss.backward()
    text = str(error.value)
    assert "Sequential.1 (Failing)" in text and "y = np.exp(x)" in text
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_a_module_without_forward_says_so():
    with pytest.raises(TypeError, match="defines no forward"):
        nn.Module()(1)


class Packed:
    """Stands for torch's packed sequences."""

    batch_sizes = (2, 1)

    def __repr__(self):
        return "Packed(...)"


@pytest.mark.parametrize(
    ("layer", "given", "parts"),
    [
        (nn.Linear(3, 2), "hello", ["Linear takes arrays of numbers, not str", "input: 'hello'"]),
        (nn.Flatten(), {"a": 1}, ["Flatten takes arrays of numbers, not dict"]),
        (nn.Sequential(nn.ReLU()), None, ["ReLU takes arrays", "in layer Sequential.0 (ReLU)"]),
        (nn.Linear(3, 2), [[1.0, 2.0, 3.0]], ["not list", "np.asarray"]),
        (nn.LSTM(3, 4), Packed(), ["LSTM takes", "not Packed", "packed sequences are not taken"]),
    ],
)
def test_what_is_no_array_is_refused_by_name(layer, given, parts):
    with pytest.raises(TraceError) as caught:
        layer(given)
    for part in parts:
        assert part in str(caught.value)


def test_modules_of_users_take_what_they_like():
    class Field(nn.Module):
        def forward(self, record):
            return record["x"]

    assert nn.Sequential(Field(), nn.ReLU())({"x": np.array([-1.0, 1.0])}).data.tolist() == [0, 1]
