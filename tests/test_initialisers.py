"""Initialisers: their moments, their structure, and torch's gains."""

import math

import numpy as np
import pytest

import autodiff.init as init
from autodiff.graph import Tensor, manual_seed

SHAPE = (300, 20, 3, 3)
IN, OUT = 180, 2700
#: Initialiser, options, variance that its definition names.
VARIANCES = [
    ("xavier_uniform_", {"gain": 2.0}, 8 / (IN + OUT)),
    ("glorot_normal_", {}, 2 / (IN + OUT)),
    ("kaiming_uniform_", {"nonlinearity": "relu"}, 2 / IN),
    ("he_normal_", {"mode": "fan_out", "nonlinearity": "relu"}, 2 / OUT),
    ("kaiming_normal_", {"a": 0.5}, 2 / 1.25 / IN),
    ("lecun_normal_", {}, 1 / IN),
    ("lecun_uniform_", {}, 1 / IN),
    ("uniform_", {"a": -1.0, "b": 2.0}, 0.75),
    ("normal_", {"std": 0.3}, 0.09),
]


@pytest.mark.parametrize(("name", "options", "variance"), VARIANCES)
def test_entries_have_the_variance_of_the_definition(name, options, variance):
    weight = getattr(init, name)(np.zeros(SHAPE), generator=np.random.default_rng(0), **options)
    np.testing.assert_allclose(weight.var(), variance, rtol=0.03)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (3, 4, 2)])
def test_orthogonal_weights_have_orthonormal_rows_or_columns(shape):
    matrix = init.orthogonal_(np.zeros(shape), gain=2.0).reshape(shape[0], -1)
    gram = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_truncated_normal_entries_lie_inside_the_bounds():
    values = init.trunc_normal_(np.zeros(5000), a=-1.0, b=0.5)
    assert -1 <= values.min() < -0.9
    assert 0.4 < values.max() <= 0.5


def test_dirac_kernels_pass_channels_on_in_every_group():
    kernel = init.dirac_(np.ones((4, 2, 3)), groups=2)
    expected = np.zeros((4, 2, 3))
    expected[[0, 1, 2, 3], [0, 1, 0, 1], 1] = 1
    np.testing.assert_array_equal(kernel, expected)


def test_sparse_columns_have_their_share_of_zeros():
    matrix = init.sparse_(np.zeros((20, 6)), sparsity=0.25)
    np.testing.assert_array_equal((matrix == 0).sum(axis=0), np.full(6, 5))


def test_fixup_branches_start_as_the_identity():
    first, last = init.fixup_([np.zeros((400, 300)), np.ones((300, 400))], depth=16)
    np.testing.assert_allclose(first.var(), 2 / 300 / 16, rtol=0.03)
    assert not last.any()


def test_output_biases_predict_the_average_target():
    classes = init.output_bias_(np.zeros(3), np.array([0, 0, 0, 2, 2]), "classes")
    np.testing.assert_allclose(np.exp(classes), [4 / 8, 1 / 8, 3 / 8])
    binary = init.output_bias_(np.zeros(2), np.array([[1, 0], [1, 0]]), "binary")
    np.testing.assert_allclose(1 / (1 + np.exp(-binary)), [3 / 4, 1 / 4])
    mean = init.output_bias_(np.zeros(2), np.array([[1.0, 4.0], [3.0, 0.0]]))
    np.testing.assert_array_equal(mean, [2.0, 2.0])


def test_tensors_are_filled_in_place_from_the_seeded_generator():
    tensor = Tensor(np.zeros((3, 4), np.float32), requires_grad=True)
    manual_seed(3)
    assert init.he_normal_(tensor) is tensor
    first = tensor.data.copy()
    manual_seed(3)
    init.he_normal_(tensor)
    np.testing.assert_array_equal(tensor.data, first)
    assert tensor.data.dtype == np.float32


def test_gains_are_those_of_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    for name in ["linear", "conv2d", "tanh", "relu", "selu", "sigmoid", "leaky_relu"]:
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == math.sqrt(2 / 1.09)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: init.he_normal_(np.zeros(3)), "at least two axes"),
        (lambda: init.he_normal_(np.zeros((3, 3)), mode="fan"), "mode='fan'"),
        (lambda: init.calculate_gain("cube"), "no gain for 'cube'"),
        (lambda: init.fixup_([np.zeros((3, 3))], 4), "whole branch"),
        (lambda: init.output_bias_(np.zeros(3), np.zeros((5, 2))), "2 outputs"),
    ],
)
def test_mistakes_are_refused_in_words(make, text):
    with pytest.raises(ValueError, match=text):
        make()
