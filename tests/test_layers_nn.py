"""Layers: derivatives to second order, agreement with torch, state, errors."""

import ast
import itertools
import pathlib

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.graph import Tensor, checkpoint, gradients
from autodiff.graph.plans import Plan
from autodiff.nn import functional
from autodiff.nn.summary import records
from tensorcalc.errors import ShapeError, TraceError, UnknownNameError
from tensorcalc.nodes import Node

try:
    import torch
except ImportError:
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed")


@pytest.fixture(autouse=True)
def _double_precision_from_one_seed():
    nn.set_default_dtype(np.float64)
    ad.manual_seed(0)
    yield
    nn.set_default_dtype(np.float32)


def normal(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


def leaves(result):
    """Tensors of a result that are real, in order."""
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in leaves(part)]
    return [] if result is None else [result]


CAUSAL = np.triu(np.ones((5, 5), bool), 1)
PADDING = np.array([[False] * 5, [False] * 3 + [True] * 2])
TOKENS = np.array([[0, 3, 1], [3, 3, 4]])

#: Name, module, inputs, keyword arguments. The module's counterpart in torch.nn has the same
#: name and arguments, unless the name is in OURS.
LAYERS = [
    ("Linear", (3, 4), [normal(2, 5, 3)], {}),
    ("Linear", (3, 4, False), [normal(5, 3)], {}),
    ("Bilinear", (3, 2, 4), [normal(5, 3), normal(5, 2)], {}),
    ("Embedding", (5, 3), [TOKENS], {}),
    ("Embedding", (5, 3, 3), [TOKENS], {}),
    ("Conv1d", (4, 6, 3, 2, 1), [normal(2, 4, 8)], {}),
    ("Conv1d", (4, 6, 3), [normal(4, 8)], {}),
    ("Conv2d", (4, 4, (3, 2), 1, "same", 1, 4), [normal(2, 4, 5, 6)], {}),
    ("Conv2d", (2, 4, 3, 1, 1, 1, 1, True, "reflect"), [normal(2, 2, 5, 6)], {}),
    ("Conv2d", (2, 4, 3, 1, 1, 1, 1, True, "replicate"), [normal(2, 2, 5, 6)], {}),
    ("Conv2d", (2, 4, 3, 2, 1, 1, 2, False, "circular"), [normal(2, 2, 5, 6)], {}),
    ("Conv3d", (2, 2, 2, 1, 1), [normal(1, 2, 3, 4, 3)], {}),
    ("ConvTranspose1d", (4, 6, 3, 2, 1, 1, 2), [normal(2, 4, 5)], {}),
    ("ConvTranspose2d", (4, 2, 3, 2, 1, 1), [normal(1, 4, 3, 4)], {}),
    ("ConvTranspose3d", (2, 2, 2, 2), [normal(1, 2, 3, 2, 2)], {}),
    ("MaxPool1d", (3, 2, 1), [normal(2, 3, 8)], {}),
    ("MaxPool2d", (2,), [normal(2, 3, 6, 5)], {}),
    ("MaxPool3d", (2,), [normal(1, 2, 4, 4, 4)], {}),
    ("AvgPool1d", (3, 2, 1), [normal(2, 3, 8)], {}),
    ("AvgPool2d", (3, 2, 1, True, False), [normal(2, 3, 6, 5)], {}),
    ("AvgPool3d", (2,), [normal(1, 2, 4, 4, 4)], {}),
    ("AdaptiveAvgPool1d", (3,), [normal(2, 3, 8)], {}),
    ("AdaptiveAvgPool2d", ((3, 1),), [normal(2, 3, 7, 5)], {}),
    ("AdaptiveAvgPool3d", (1,), [normal(2, 3, 2, 3, 2)], {}),
    ("AdaptiveMaxPool1d", (3,), [normal(2, 3, 8)], {}),
    ("AdaptiveMaxPool2d", ((None, 2),), [normal(2, 3, 3, 5)], {}),
    ("AdaptiveMaxPool3d", (1,), [normal(2, 2, 2, 3, 2)], {}),
    ("BatchNorm1d", (3,), [normal(6, 3)], {}),
    ("BatchNorm1d", (3, 1e-3, None, False), [normal(4, 3, 5)], {}),
    ("BatchNorm2d", (3,), [normal(4, 3, 2, 3)], {}),
    ("BatchNorm3d", (2,), [normal(3, 2, 2, 2, 2)], {}),
    ("LayerNorm", ((3, 4),), [normal(2, 3, 4)], {}),
    ("GroupNorm", (2, 4), [normal(3, 4, 5)], {}),
    ("InstanceNorm1d", (3,), [normal(2, 3, 6)], {}),
    ("InstanceNorm2d", (3,), [normal(2, 3, 2, 4)], {}),
    ("InstanceNorm3d", (3,), [normal(2, 3, 2, 2, 2)], {}),
    ("PReLU", (3,), [normal(4, 3, 2)], {}),
    ("Threshold", (0.1, 20.0), [normal(4, 3)], {}),
    ("Flatten", (), [normal(2, 3, 4)], {}),
    ("Flatten", (0, 1), [normal(2, 3, 4)], {}),
    ("Identity", (), [normal(2, 3)], {}),
    ("RNN", (3, 4, 2, "relu"), [normal(5, 2, 3)], {}),
    ("RNN", (3, 4), [normal(5, 3)], {}),
    ("LSTM", (3, 4, 2, True, True, 0.0, True), [normal(2, 5, 3)], {}),
    ("LSTM", (3, 4, 1, False), [normal(4, 2, 3)], {}),
    ("GRU", (3, 4, 2, True, False, 0.0, True), [normal(5, 2, 3), normal(4, 2, 4)], {}),
    ("MultiheadAttention", (8, 2), [normal(5, 2, 8, seed=k) for k in range(3)], {}),
    (
        "MultiheadAttention",
        (8, 2),
        [normal(5, 2, 8, seed=k) for k in range(3)],
        {"attn_mask": CAUSAL, "key_padding_mask": PADDING, "average_attn_weights": False},
    ),
    (
        "MultiheadAttention",
        (8, 4, 0.0, False, True, True, 3, 2, True),
        [normal(2, 4, 8), normal(2, 5, 3), normal(2, 5, 2)],
        {"key_padding_mask": PADDING},
    ),
    ("MultiheadAttention", (8, 2), [normal(5, 8, seed=k) for k in range(3)], {}),
    ("GlobalAvgPool", (), [normal(2, 3, 4, 2)], {}),
    ("GlobalMaxPool", (), [normal(2, 3, 4, 2)], {}),
    ("LightweightConv", (6, 3, 1, 2, True, True), [normal(2, 6, 5)], {}),
    ("DynamicConv", (6, 3, None, 2, 0.0, True, True, True), [normal(5, 2, 6)], {}),
] + [
    (name, (), [2 * normal(3, 4)], {})
    for name in (
        "ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Sigmoid LogSigmoid Tanh Softplus "
        "Softsign Hardtanh Hardsigmoid Hardswish Hardshrink Softshrink Tanhshrink GLU"
    ).split()
] + [(name, (1,), [normal(3, 4, 2)], {}) for name in ("Softmax", "LogSoftmax", "Softmin")]

OURS = {"GlobalAvgPool", "GlobalMaxPool", "LightweightConv", "DynamicConv"}
IDS = [f"{name}{k}" for k, (name, *_) in enumerate(LAYERS)]


def scalar_of(module, inputs, kwargs):
    """A scalar function of real inputs and parameters, as a list of tensors or arrays."""
    names = [name for name, _ in module.named_parameters()]
    count = sum(x.dtype.kind == "f" for x in inputs)

    def scalar(values):
        real = iter(values[:count])
        xs = [next(real) if x.dtype.kind == "f" else x for x in inputs]
        named = dict(zip(names, values[count:], strict=True))
        out = nn.functional_call(module, named, *xs, **kwargs)
        weights = np.random.default_rng(7)
        parts = [np.sum(weights.uniform(0.5, 1.5, y.shape) * y * y) for y in leaves(out)]
        return sum(parts[1:], parts[0])

    start = [x for x in inputs if x.dtype.kind == "f"]
    return scalar, start + [p.data.copy() for p in module.parameters()]


def gradient_at(scalar, values):
    tensors = [Tensor(v, requires_grad=True) for v in values]
    found = gradients(scalar(tensors), tensors)
    return [np.zeros(v.shape) if g is None else g for v, g in zip(values, found, strict=True)]


def moved(values, direction, step):
    return [v + step * d for v, d in zip(values, direction, strict=True)]


def inner(left, right):
    return sum(float(np.sum(a * b)) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(("name", "args", "inputs", "kwargs"), LAYERS, ids=IDS)
def test_first_and_second_derivatives_against_differences(name, args, inputs, kwargs):
    module = getattr(nn, name)(*args)
    scalar, values = scalar_of(module, inputs, kwargs)
    rng = np.random.default_rng(3)
    u, w = ([rng.normal(size=v.shape) for v in values] for _ in range(2))
    step = 1e-6
    gradient = gradient_at(scalar, values)
    with ad.no_grad():
        ends = [float(scalar([Tensor(v) for v in moved(values, u, s)])) for s in (step, -step)]
    scale = 1 + np.sqrt(inner(gradient, gradient) * inner(u, u))
    assert abs(inner(gradient, u) - (ends[0] - ends[1]) / (2 * step)) < 1e-6 * scale

    tensors = [Tensor(v, requires_grad=True) for v in values]
    first = gradients(scalar(tensors), tensors, create_graph=True)
    pairs = [(g, d) for g, d in zip(first, u, strict=True) if g is not None]
    slope = sum((np.sum(g * d) for g, d in pairs[1:]), np.sum(pairs[0][0] * pairs[0][1]))
    second = gradients(slope, tensors)
    got = sum(float(np.sum(s * d)) for s, d in zip(second, w, strict=True) if s is not None)
    slopes = [inner(gradient_at(scalar, moved(values, w, s)), u) for s in (step, -step)]
    wanted = (slopes[0] - slopes[1]) / (2 * step)
    assert abs(got - wanted) < 2e-6 * (1 + scale + abs(wanted))


def compared_with_torch(module, other, inputs, kwargs, tolerance=1e-10):
    """Assert that values, and gradients of inputs and parameters, agree."""
    other.double().load_state_dict({k: torch.tensor(v) for k, v in module.state_dict().items()})
    ours = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    theirs = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    options = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
    pairs = list(
        zip(leaves(module(*ours, **kwargs)), leaves(other(*theirs, **options)), strict=True)
    )
    rng = np.random.default_rng(5)
    loss, reference = Tensor(0.0), torch.tensor(0.0, dtype=torch.float64)
    for y, z in pairs:
        assert y.shape == tuple(z.shape)
        np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=0, atol=tolerance)
        weights = rng.normal(size=y.shape)
        loss = loss + np.sum(y * weights)
        reference = reference + (z * torch.tensor(weights)).sum()
    loss.backward()
    reference.backward()
    reference_parameters = dict(other.named_parameters())
    wanted = list(zip(ours, theirs, strict=True))
    wanted += [(p, reference_parameters[name]) for name, p in module.named_parameters()]
    for mine, its in wanted:
        if its.grad is not None:
            np.testing.assert_allclose(mine.grad, its.grad.numpy(), rtol=0, atol=tolerance)


@needs_torch
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(
    ("name", "args", "inputs", "kwargs"),
    [layer for layer in LAYERS if layer[0] not in OURS],
    ids=[i for i, layer in zip(IDS, LAYERS, strict=True) if layer[0] not in OURS],
)
def test_values_and_gradients_are_those_of_torch(name, args, inputs, kwargs):
    # torch's Hardsigmoid multiplies gradients by a sixth in single precision
    tolerance = 1e-7 if name == "Hardsigmoid" else 1e-10
    module, other = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
    compared_with_torch(module, other, inputs, kwargs, tolerance)
    for buffer, reference in zip(module.named_buffers(), other.named_buffers(), strict=True):
        np.testing.assert_allclose(buffer[1], reference[1].numpy(), atol=1e-12)


CONVOLUTIONS = [
    (dims, stride, padding, dilation, groups)
    for dims, stride, padding, dilation, groups in itertools.product(
        (1, 2), (1, 2, 3), (0, 1, 2, "same", "valid"), (1, 2), (1, 2, 4)
    )
    if not (padding == "same" and stride > 1) and (dims == 1 or (stride + dilation + groups) % 2)
]


@needs_torch
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("dims", "stride", "padding", "dilation", "groups"), CONVOLUTIONS)
def test_convolution_grid_against_torch(dims, stride, padding, dilation, groups):
    args = (4, 8, (3, 2)[:dims], stride, padding, dilation, groups)
    module = getattr(nn, f"Conv{dims}d")(*args)
    other = getattr(torch.nn, f"Conv{dims}d")(*args)
    compared_with_torch(module, other, [normal(2, 4, *(7, 6)[:dims])], {})


@needs_torch
@pytest.mark.parametrize(
    ("dims", "stride", "padding", "dilation", "groups"),
    [c for c in CONVOLUTIONS if c[2] in (0, 1) and (c[0] == 1 or c[4] != 2)],
)
def test_transposed_convolution_grid_against_torch(dims, stride, padding, dilation, groups):
    args = (4, 8, (3, 2)[:dims], stride, padding, stride - 1, groups, True, dilation)
    module = getattr(nn, f"ConvTranspose{dims}d")(*args)
    other = getattr(torch.nn, f"ConvTranspose{dims}d")(*args)
    compared_with_torch(module, other, [normal(2, 4, *(4, 3)[:dims])], {})


@needs_torch
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("stride", [None, 1, 2])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("dims", [1, 2])
def test_pooling_grid_against_torch(kernel, stride, padding, ceil_mode, dims):
    x = [normal(2, 3, *(8, 7)[:dims])]
    for dilation in (1, 2):
        module = getattr(nn, f"MaxPool{dims}d")(
            kernel, stride, padding, dilation, ceil_mode=ceil_mode
        )
        other = getattr(torch.nn, f"MaxPool{dims}d")(
            kernel, stride, padding, dilation, ceil_mode=ceil_mode
        )
        compared_with_torch(module, other, x, {})
    for include in (False, True):
        args = (kernel, stride, padding, ceil_mode, include)
        module, other = getattr(nn, f"AvgPool{dims}d")(*args), getattr(torch.nn, f"AvgPool{dims}d")
        compared_with_torch(module, other(*args), x, {})


@needs_torch
@pytest.mark.parametrize("masked", [None, "boolean", "numbers", "causal"])
def test_scaled_dot_product_attention_against_torch(masked):
    q, k, v = normal(2, 3, 5, 4), normal(2, 3, 5, 4, seed=2), normal(2, 3, 5, 6, seed=3)
    mask = {"boolean": ~CAUSAL, "numbers": normal(2, 1, 5, 5)}.get(masked)
    causal = masked == "causal"
    ours = functional.scaled_dot_product_attention(q, k, v, mask, is_causal=causal)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *map(torch.tensor, (q, k, v)),
        attn_mask=None if mask is None else torch.tensor(mask),
        is_causal=causal,
    )
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)


@needs_torch
def test_second_derivatives_of_a_network_are_those_of_torch():
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 1))
    other = torch.nn.Sequential(
        torch.nn.Conv1d(2, 3, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(12, 1)
    ).double()
    other.load_state_dict({k: torch.tensor(v) for k, v in model.state_dict().items()})
    x = normal(2, 2, 6)
    parameters, references = list(model.parameters()), list(other.parameters())
    first = gradients(np.sum(model(x) ** 2), parameters, create_graph=True)
    second = gradients(sum((np.sum(g * g) for g in first), Tensor(0.0)), parameters)
    theirs = torch.autograd.grad((other(torch.tensor(x)) ** 2).sum(), references, create_graph=True)
    wanted = torch.autograd.grad(sum((g * g).sum() for g in theirs), references)
    for got, reference in zip(second, wanted, strict=True):
        np.testing.assert_allclose(got, reference.numpy(), atol=1e-9, rtol=1e-10)


# -- no rule is written by hand -------------------------------------------------------------------
@pytest.mark.parametrize(("name", "args", "inputs", "kwargs"), LAYERS, ids=IDS)
def test_everything_a_layer_records_is_an_expression(name, args, inputs, kwargs):
    module = getattr(nn, name)(*args)
    tensors = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    made = records([y for y in leaves(module(*tensors, **kwargs)) if isinstance(y, Tensor)])
    assert made or name == "Identity"
    for record in made:
        plan = record.plan
        assert type(plan) is Plan
        assert all(isinstance(node, Node) for node in plan.operation.results)
        assert all(isinstance(node, Node) for node in plan.recording.adjoints)


def test_no_backward_rule_is_written_in_autodiff():
    """No file defines a derivative: none adds rows to the table or names a partial derivative."""
    root = pathlib.Path(ad.__file__).parent
    for path in [*root.glob("graph/*.py"), *root.glob("nn/**/*.py")]:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {alias.name for alias in node.names}
                assert not (node.module.endswith("table") and "row" in names), path
                assert not names & {"partials", "RULES", "DECOMPOSITIONS"}, path
            if isinstance(node, ast.FunctionDef) and node.name in {"backward", "vjp", "pullback"}:
                assert path.parent.name == "graph", path


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
        ("LayerNorm", (4,), (2, 3), "last axes"),
        ("GroupNorm", (2, 4), (2, 3, 5), "2 groups"),
        ("LSTM", (3, 4), (5, 2, 7), "input_size 3"),
        ("MaxPool2d", (2, 1, 2), (2, 3, 8, 8), "padding 2"),
    ],
)
def test_shapes_that_do_not_fit_a_layer(layer, args, shape, message):
    with pytest.raises(ShapeError, match=message):
        getattr(nn, layer)(*args)(np.ones(shape))


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
