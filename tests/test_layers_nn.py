"""Layers: derivatives to second order, agreement with torch, no rule written by hand."""

import ast
import itertools
import pathlib

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.graph import Tensor, gradients
from autodiff.graph.plans import Plan
from autodiff.nn import functional
from autodiff.nn.summary import records
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
LAYERS = (
    [
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
        ("LSTM", (3, 4, 2, True, False, 0.0, True, 2), [normal(4, 2, 3)], {}),
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
    ]
    + [
        (name, (), [2 * normal(3, 4)], {})
        for name in (
            "ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Sigmoid LogSigmoid Tanh Softplus "
            "Softsign Hardtanh Hardsigmoid Hardswish Hardshrink Softshrink Tanhshrink GLU"
        ).split()
    ]
    + [(name, (1,), [normal(3, 4, 2)], {}) for name in ("Softmax", "LogSoftmax", "Softmin")]
)

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
