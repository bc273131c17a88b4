"""Arguments of layers: torch's names, order and defaults; what is not there is refused."""

import inspect

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.graph import GraphError
from tensorcalc.errors import ShapeError, TraceError

from .test_layers_nn import needs_torch, torch

#: Arguments of torch's that say where and how arrays are stored, or are private.
ELSEWHERE = {"device", "dtype", "_weight", "_freeze"}
#: Layers whose counterpart in torch shows no signature, or takes other names for two arguments.
OTHERWISE = {"RNN", "LSTM", "GRU", "Module", "Parameter", "Sequential", "ModuleList", "Hardtanh"}


def arguments(kind):
    """Names and defaults of what can be given by position, in order."""
    parameters = inspect.signature(kind).parameters.values()
    return {
        p.name: p.default
        for p in parameters
        if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in ELSEWHERE
    }


def layers():
    kinds = {name: getattr(nn, name) for name in dir(nn) if inspect.isclass(getattr(nn, name))}
    return sorted(name for name in kinds if name not in OTHERWISE)


@needs_torch
@pytest.mark.parametrize("name", layers())
def test_arguments_are_those_of_torch(name):
    theirs = getattr(torch.nn, name, None)
    if theirs is None:
        assert name in {
            "Concat",
            "DynamicConv",
            "GlobalAvgPool",
            "GlobalMaxPool",
            "LightweightConv",
            "MultiHeadAttention",
            "Residual",
        }
        return
    ours, wanted = arguments(getattr(nn, name)), arguments(theirs)
    assert list(ours)[: len(wanted)] == list(wanted)
    if name not in {"Softmax", "LogSoftmax", "Softmin"}:  # there dim=None guesses, with a warning
        assert {key: ours[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.MaxPool2d(2, return_indices=True), "MaxPool2d: return_indices=True"),
        (lambda: nn.AdaptiveMaxPool1d(2, True), "AdaptiveMaxPool1d: return_indices=True"),
        (lambda: nn.InstanceNorm2d(3, 1e-5, 0.1, True, True), "track_running_stats=True"),
        (lambda: nn.Embedding(5, 3, sparse=True), "Embedding: sparse=True"),
        (lambda: nn.Embedding(5, 3, scale_grad_by_freq=True), "scale_grad_by_freq=True"),
        (lambda: nn.ConvTranspose1d(2, 2, 3, padding_mode="circular"), "padding_mode='circular'"),
        (lambda: nn.LSTM(3, 4, proj_size=4), "proj_size=4"),
    ],
)
def test_options_that_are_not_there_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_unknown_options_of_activations_name_those_that_are_known():
    with pytest.raises(TypeError, match="LeakyReLU takes negative_slope, inplace"):
        nn.LeakyReLU(slope=0.1)
    np.testing.assert_allclose(nn.LeakyReLU(0.5, True)(np.array([-2.0])).data, [-1.0])


@needs_torch
@pytest.mark.parametrize("norm_type", [2.0, 1.0])
def test_max_norm_scales_rows_that_are_looked_up_as_torch_does(norm_type):
    ours, theirs = nn.Embedding(6, 3, None, 1.0, norm_type), None
    theirs = torch.nn.Embedding(6, 3, None, 1.0, norm_type)
    table = 2 * np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    tokens = np.array([[0, 2], [2, 5]])
    ours.weight.data = table.copy()
    theirs.weight.data = torch.tensor(table)
    np.sum(ours(tokens) ** 2).backward()
    (theirs(torch.tensor(tokens)) ** 2).sum().backward()
    np.testing.assert_allclose(ours.weight.data, theirs.weight.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad.numpy(), rtol=1e-5)
    np.testing.assert_array_equal(ours.weight.data[1], table[1])


def test_max_norm_is_refused_in_a_compiled_step():
    model = nn.Sequential(nn.Embedding(6, 3, max_norm=1.0), nn.Flatten(), nn.Linear(6, 3))
    optimizer = ad.optim.SGD(model.parameters(), lr=0.1)
    step = ad.compile_step(model, ad.losses.CrossEntropyLoss(), optimizer)
    with pytest.raises(TraceError, match=r"max_norm.*\n.*compiled=False"):
        step(np.array([[0, 1], [2, 3]]), np.array([0, 1]))


# -- mistakes -------------------------------------------------------------------------------------
def test_an_input_of_the_wrong_width_names_both_shapes_and_the_layer():
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(6, 2))
    with pytest.raises(ShapeError, match="linear: the last axis of the input") as error:
        model(np.ones((3, 4), np.float32))
    text = str(error.value)
    assert "float32[3, 5], float32[2, 6]" in text and "Sequential.1 (Linear)" in text


def test_a_step_without_backward_says_so():
    optimizer = ad.optim.Adam(nn.Linear(2, 1).parameters())
    with pytest.raises(GraphError, match=r"Adam.step: no parameter has a gradient\n.*backward\(\)"):
        optimizer.step()


def test_optimizers_say_what_they_take():
    with pytest.raises(TypeError, match=r"not Linear\n.*model.parameters\(\)"):
        ad.optim.SGD(nn.Sequential(nn.Linear(2, 1)))
    with pytest.raises(TypeError, match=r"KFAC\(model, loss\)"):
        ad.optim.KFAC(nn.Linear(2, 1).parameters(), ad.losses.MSELoss())


def test_a_label_that_is_no_class_names_the_loss():
    model = nn.Linear(2, 3)
    with pytest.raises(IndexError, match=r"index 3 .*\n.*in cross_entropy"):
        ad.losses.cross_entropy(model(np.ones((2, 2), np.float32)), np.array([0, 3]))
