"""Curvature of networks: against dense matrices, differences, definitions; formulas that print."""

import gc
import weakref

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.curvature import empirical_fisher, fisher, ggn, hessian, kfac
from autodiff.curvature.network import network_of
from autodiff.graph import GraphError
from tensorcalc.errors import DerivativeError, ShapeError
from tensorcalc.nodes import postorder

RNG = np.random.default_rng(0)
LABELS = np.array([0, 2, 1, 1, 0])
CROSS_ENTROPY = ad.losses.CrossEntropyLoss()


@pytest.fixture(autouse=True)
def _double_precision_from_one_seed():
    nn.set_default_dtype(float)
    ad.manual_seed(0)
    yield
    nn.set_default_dtype(np.float32)


def perceptron(outputs=3):
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, outputs))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(2, 4, 2, groups=2),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


class Recurrent(nn.Module):
    def __init__(self):
        self.embedding = nn.Embedding(7, 3)
        self.recurrent = nn.RNN(3, 4, batch_first=True)
        self.last = nn.Linear(4, 3)

    def forward(self, tokens):
        return self.last(self.recurrent(self.embedding(tokens))[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        return self.last(np.mean(self.attention(x, x, x)[0], axis=1))


class Tied(nn.Module):
    """One matrix as an embedding and as the last layer."""

    def __init__(self):
        self.embedding = nn.Embedding(7, 3)

    def forward(self, tokens):
        mean = np.mean(self.embedding(tokens), axis=1)
        return nn.functional.linear(np.tanh(mean), self.embedding.weight)


#: Models with inputs for five examples.
NETWORKS = {
    "perceptron": (perceptron, RNG.normal(size=(5, 4))),
    "convolutional": (convolutional, RNG.normal(size=(5, 1, 4, 4))),
    "recurrent": (Recurrent, RNG.integers(0, 7, (5, 3))),
    "attention": (Attention, RNG.normal(size=(5, 3, 4))),
    "tied": (Tied, RNG.integers(0, 7, (5, 3))),
}
networks = pytest.mark.parametrize("name", NETWORKS)


def made(name):
    model, inputs = NETWORKS[name]
    return model(), inputs


#: Losses with targets for five examples and three outputs; whether the loss is a mean.
LOSSES = {
    "cross entropy": (CROSS_ENTROPY, LABELS, True),
    "summed": (ad.losses.CrossEntropyLoss(reduction="sum"), LABELS, False),
    "squared": (ad.losses.MSELoss(), RNG.normal(size=(5, 3)), True),
    "logits": (ad.losses.BCEWithLogitsLoss(), RNG.integers(0, 2, (5, 3)).astype(float), True),
}
losses = pytest.mark.parametrize("name", LOSSES)


def slope(model, loss, batch):
    """The gradient as one vector, by the graph."""
    model.zero_grad()
    loss(model(*batch[:-1]), batch[-1]).backward()
    return np.concatenate([p.grad.ravel() for p in model.parameters()])


def differences(model, loss, batch, step=1e-5):
    """The Hessian by central differences of the graph's gradient."""
    parameters = list(model.parameters())
    start = [p.data.copy() for p in parameters]
    ends = np.cumsum([p.size for p in parameters])[:-1]
    rows = []
    for unit in np.eye(sum(p.size for p in parameters)):
        sides = []
        for sign in (1, -1):
            for p, values, part in zip(parameters, start, np.split(unit, ends), strict=True):
                p.data = values + sign * step * part.reshape(p.shape)
            sides.append(slope(model, loss, batch))
        rows.append((sides[0] - sides[1]) / (2 * step))
    for p, values in zip(parameters, start, strict=True):
        p.data = values
    return np.array(rows)


def output_jacobian(model, inputs):
    """``J[n, c, k]`` by the graph, one output at a time."""
    parameters = list(model.parameters())
    rows = []
    for n, c in np.ndindex(*np.shape(model(inputs))):
        found = ad.graph.gradients(model(inputs)[n, c], parameters)
        found = [np.zeros(p.shape) if g is None else g for p, g in zip(parameters, found)]
        rows.append(np.concatenate([g.ravel() for g in found]))
    return np.reshape(rows, (*np.shape(model(inputs)), -1))


# -- per example ----------------------------------------------------------------------------------
@networks
def test_gradients_of_examples_are_those_of_batches_of_one(name):
    model, inputs = made(name)
    found = ad.per_example_gradients(model, CROSS_ENTROPY, (inputs, LABELS))
    for n in range(5):
        wanted = slope(model, CROSS_ENTROPY, (inputs[n : n + 1], LABELS[n : n + 1]))
        got = np.concatenate([found[key][n].ravel() for key, _ in model.named_parameters()])
        np.testing.assert_allclose(got, wanted, atol=1e-12)


@losses
def test_gradients_of_examples_add_up_to_that_of_the_batch(name):
    loss, target, is_mean = LOSSES[name]
    model, inputs = made("perceptron")
    found = ad.per_example_gradients(model, loss, (inputs, target))
    total = np.concatenate([g.sum(axis=0).ravel() for g in found.values()])
    wanted = slope(model, loss, (inputs, target))
    np.testing.assert_allclose(total / (5 if is_mean else 1), wanted, atol=1e-12)


def test_the_gradient_of_an_example_is_a_product_that_is_not_summed():
    model = nn.Linear(4, 3, bias=False)
    batch = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 3))
    formula = ad.curvature.per_example_expressions(model, ad.losses.MSELoss(), batch)["weight"]
    assert str(formula) == "[i,j,k] -> 2*x0[i,k]*(x0[i,l]*weight[j,l] - target[i,j])/3"


def test_another_batch_size_derives_nothing():
    model, inputs = made("perceptron")
    batch = inputs, LABELS
    ad.per_example_gradients(model, CROSS_ENTROPY, batch)
    network, _ = network_of(model, CROSS_ENTROPY, batch)
    longer = np.concatenate([inputs, inputs]), np.concatenate([LABELS, LABELS])
    assert network_of(model, CROSS_ENTROPY, longer)[0] is network
    ad.predict(model, inputs)  # sets and restores the mode of every layer
    assert network_of(model, CROSS_ENTROPY, longer)[0] is network
    found = ad.per_example_gradients(model, CROSS_ENTROPY, longer)
    np.testing.assert_array_equal(found["0.weight"][:5], found["0.weight"][5:])


def test_gradients_follow_parameters_and_options_of_layers():
    model = nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU(0.5))
    batch = RNG.normal(size=(5, 4)), LABELS
    for change in (lambda: None, lambda: setattr(model[1], "negative_slope", 0.1)):
        change()
        model[0].weight.data = RNG.normal(size=(3, 4))
        found = ad.per_example_gradients(model, CROSS_ENTROPY, batch)
        total = np.concatenate([g.mean(axis=0).ravel() for g in found.values()])
        np.testing.assert_allclose(total, slope(model, CROSS_ENTROPY, batch), atol=1e-12)


def test_float32_networks_have_float32_gradients():
    model = perceptron().astype(np.float32)
    batch = RNG.normal(size=(5, 4)).astype(np.float32), LABELS
    found = ad.per_example_gradients(model, CROSS_ENTROPY, batch)
    assert {g.dtype for g in found.values()} == {np.dtype(np.float32)}


def test_a_model_is_not_kept_alive_by_its_expressions():
    model = perceptron()
    ad.per_example_gradients(model, CROSS_ENTROPY, (RNG.normal(size=(5, 4)), LABELS))
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


# -- matrices -------------------------------------------------------------------------------------
@losses
def test_the_hessian_is_that_of_differences(name):
    loss, target, _ = LOSSES[name]
    model, inputs = made("perceptron")
    found = hessian(model, loss, (inputs, target)).todense()
    np.testing.assert_allclose(found, differences(model, loss, (inputs, target)), atol=1e-8)


@pytest.mark.parametrize("name", ["convolutional", "recurrent"])
def test_the_hessian_with_shared_weights_is_that_of_differences(name):
    model, inputs = made(name)
    matrix = hessian(model, CROSS_ENTROPY, (inputs, LABELS))
    wanted = differences(model, CROSS_ENTROPY, (inputs, LABELS))
    np.testing.assert_allclose(matrix.todense(), wanted, atol=1e-8)


def test_the_hessian_of_a_batch_that_is_normalised_mixes_examples():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    batch = RNG.normal(size=(5, 4)), LABELS
    wanted = differences(model, CROSS_ENTROPY, batch)
    found = hessian(model, CROSS_ENTROPY, batch).todense()
    np.testing.assert_allclose(found, wanted, atol=1e-7)


def output_curvature(name, z, target):
    """The Hessian of the loss by the output of every example, by hand."""
    if name in ("cross entropy", "summed"):
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        block = np.einsum("nc,cd->ncd", p, np.eye(3)) - np.einsum("nc,nd->ncd", p, p)
        return block / (5 if name == "cross entropy" else 1)
    if name == "squared":
        return np.broadcast_to(2 * np.eye(3) / 15, (5, 3, 3))
    p = 1 / (1 + np.exp(-z))
    return np.einsum("nc,cd->ncd", p * (1 - p), np.eye(3)) / 15


@losses
@pytest.mark.parametrize("matrix", [ggn, fisher])
def test_ggn_and_fisher_are_jacobians_around_the_curvature_of_the_loss(matrix, name):
    loss, target, _ = LOSSES[name]
    model, inputs = made("perceptron")
    J = output_jacobian(model, inputs)
    M = output_curvature(name, model(inputs).data, target)
    wanted = np.einsum("nck,ncd,ndl->kl", J, M, J)
    found = matrix(model, loss, (inputs, target)).todense()
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_the_fisher_of_probabilities_is_no_ggn_and_is_the_expectation():
    loss = ad.losses.BCELoss(reduction="sum")
    model = nn.Sequential(nn.Linear(4, 2), nn.Sigmoid())
    batch = RNG.normal(size=(5, 4)), RNG.integers(0, 2, (5, 2)).astype(float)
    J, p = output_jacobian(model, batch[0]), model(batch[0]).data
    wanted = np.einsum("nck,nc,ncl->kl", J, 1 / (p * (1 - p)), J)
    np.testing.assert_allclose(fisher(model, loss, batch).todense(), wanted, atol=1e-12)
    assert np.abs(ggn(model, loss, batch).todense() - wanted).max() > 1e-3


@losses
def test_the_empirical_fisher_is_the_sum_of_outer_products(name):
    loss, target, is_mean = LOSSES[name]
    model, inputs = made("perceptron")
    gradients = ad.per_example_gradients(model, loss, (inputs, target))
    rows = np.concatenate([g.reshape(5, -1) for g in gradients.values()], axis=1)
    found = empirical_fisher(model, loss, (inputs, target))
    np.testing.assert_allclose(found.todense(), rows.T @ rows / (5 if is_mean else 1), atol=1e-12)


@pytest.mark.parametrize("matrix", [hessian, ggn, fisher, empirical_fisher])
@pytest.mark.parametrize("name", ["perceptron", "tied"])
def test_diagonals_are_those_of_the_dense_matrices(matrix, name):
    model, inputs = made(name)
    found = matrix(model, CROSS_ENTROPY, (inputs, LABELS))
    diagonal = found.flattened(found.diagonal())
    np.testing.assert_allclose(diagonal, np.diag(found.todense()), atol=1e-12)


@pytest.mark.parametrize(
    ("matrix", "name"),
    [(ggn, "convolutional"), (ggn, "recurrent"), (empirical_fisher, "attention")],
)
def test_diagonals_of_layers_with_positions_and_views(matrix, name):
    model, inputs = made(name)
    found = matrix(model, CROSS_ENTROPY, (inputs, LABELS))
    diagonal = found.flattened(found.diagonal())
    np.testing.assert_allclose(diagonal, np.diag(found.todense()), atol=1e-12)


def test_the_diagonal_of_a_linear_layer_is_a_short_formula():
    model, inputs = made("perceptron")
    matrix = ggn(model, ad.losses.MSELoss(reduction="sum"), (inputs, RNG.normal(size=(5, 3))))
    text = str(matrix.diagonal_expressions["0.weight"])
    assert text == "[i,j] -> 2*g_0[k,l,i]*g_0[k,l,i]*a_0[k,j]^2"
    assert [v.name for v in matrix.formulas] == ["a_0", "g_0", "a_1"]
    names = {getattr(node, "name", "") for node in postorder(*matrix.expressions.values())}
    assert {"v_weight_0", "x0", "weight_2"} <= names


def test_products_are_linear_and_vectors_are_taken_apart():
    model, inputs = made("perceptron")
    matrix = hessian(model, CROSS_ENTROPY, (inputs, LABELS))
    arrays = {n: RNG.normal(size=p.shape) for n, p in model.named_parameters()}
    vector = matrix.flattened(arrays)
    for name, array in matrix.unflattened(vector).items():
        np.testing.assert_array_equal(array, arrays[name])
    np.testing.assert_allclose(matrix @ (2 * vector), 2 * (matrix @ vector))
    np.testing.assert_allclose(matrix.T @ vector, matrix @ vector)


def test_frozen_parameters_take_no_part():
    model, inputs = made("perceptron")
    model[0].freeze()
    matrix = ggn(model, CROSS_ENTROPY, (inputs, LABELS))
    assert matrix.names == ["2.weight", "2.bias"] and matrix.shape == (18, 18)
    assert set(kfac(model, CROSS_ENTROPY, (inputs, LABELS)).diagonal()) == set(matrix.names)


# -- refusals -------------------------------------------------------------------------------------
def test_examples_that_are_mixed_have_no_gradients_of_their_own():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    batch = RNG.normal(size=(5, 4)), LABELS
    with pytest.raises(GraphError, match=r"mixes the examples.*\n.*over the batch: 1\n.*eval\(\)"):
        ad.per_example_gradients(model, CROSS_ENTROPY, batch)
    ad.per_example_gradients(model.eval(), CROSS_ENTROPY, batch)


def test_examples_mixed_by_hand_are_noticed():
    class Centred(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            return self.layer(x - np.mean(x, axis=0))

    with pytest.raises(GraphError, match="the result of an example changes with the others"):
        kfac(Centred(), CROSS_ENTROPY, (RNG.normal(size=(5, 4)), LABELS))


def test_what_a_batch_must_be():
    model, inputs = made("perceptron")
    with pytest.raises(ShapeError, match=r"same number of examples.*\n.*\(5, 4\)\n.*\(4,\)"):
        ad.per_example_gradients(model, CROSS_ENTROPY, (inputs, LABELS[:4]))
    with pytest.raises(ShapeError, match=r"tuple \(\*inputs, target\)"):
        ad.per_example_gradients(model, CROSS_ENTROPY, inputs)
    with pytest.raises(DerivativeError, match="loss that is a scalar"):
        none = ad.losses.CrossEntropyLoss(reduction="none")
        ad.per_example_gradients(model, none, (inputs, LABELS))
    with pytest.raises(GraphError, match="no parameter that learns"):
        hessian(perceptron().freeze(), CROSS_ENTROPY, (inputs, LABELS))


def test_a_loss_that_is_no_likelihood_has_no_fisher_information():
    model, inputs = made("perceptron")
    with pytest.raises(GraphError, match="no likelihood that is known"):
        fisher(model, ad.losses.L1Loss(), (inputs, np.ones((5, 3)))).todense()
    smoothed = ad.losses.CrossEntropyLoss(label_smoothing=0.1)
    with pytest.raises(GraphError, match="label_smoothing"):
        fisher(model, smoothed, (inputs, LABELS)).todense()
    with pytest.raises(GraphError, match="ignored targets"):
        fisher(model, CROSS_ENTROPY, (inputs, np.where(LABELS == 0, -100, LABELS)))


def test_a_weighted_mean_gives_examples_no_common_share():
    model, inputs = made("perceptron")
    weighted = ad.losses.CrossEntropyLoss(weight=np.array([1.0, 2.0, 3.0]))
    with pytest.raises(DerivativeError, match="neither the sum nor the mean"):
        empirical_fisher(model, weighted, (inputs, LABELS)).todense()
