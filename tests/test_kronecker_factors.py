"""K-FAC: factors by definition, where they are exact, solves; against curvlinops and BackPACK."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.curvature import ggn, kfac
from autodiff.curvature.network import network_of
from autodiff.curvature.taps import taps_of
from autodiff.graph import GraphError

from .test_network_curvature import CROSS_ENTROPY, LABELS, NETWORKS, made, output_curvature

RNG = np.random.default_rng(1)
networks = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture(autouse=True)
def _double_precision_from_one_seed():
    nn.set_default_dtype(float)
    ad.manual_seed(0)
    yield
    nn.set_default_dtype(np.float32)


def block_of(matrix, name):
    """The rows and columns of one parameter."""
    sizes = [int(np.prod(shape)) for shape in matrix.shapes.values()]
    start = sum(sizes[: matrix.names.index(name)])
    return slice(start, start + sizes[matrix.names.index(name)])


# -- definition -----------------------------------------------------------------------------------
def test_factors_of_linear_layers_are_those_of_the_definition():
    model, x = made("perceptron")
    matrix = kfac(model, CROSS_ENTROPY, (x, LABELS))
    by_name = {block.parameter: block for block in matrix.blocks}
    hidden = np.tanh(x @ model[0].weight.data.T + model[0].bias.data)
    M = output_curvature("cross entropy", model(x).data, LABELS)
    g = np.einsum("ch,nh->nch", model[2].weight.data, 1 - hidden**2)
    wanted = {
        "0.weight": (x.T @ x / 5, np.einsum("nch,ncd,ndi->hi", g, M, g)),
        "0.bias": (np.ones((1, 1)), np.einsum("nch,ncd,ndi->hi", g, M, g)),
        "2.weight": (hidden.T @ hidden / 5, M.sum(axis=0)),
        "2.bias": (np.ones((1, 1)), M.sum(axis=0)),
    }
    for name, (A, G) in wanted.items():
        np.testing.assert_allclose(by_name[name].A[0], A, atol=1e-12)
        np.testing.assert_allclose(by_name[name].G[0], G, atol=1e-12)


def test_factors_print_as_products_of_inputs_and_jacobians():
    model, x = made("perceptron")
    matrix = kfac(model, CROSS_ENTROPY, (x, LABELS))
    first = matrix.factors[0]
    assert str(first.A) == "a_0[k,i]*a_0[k,j]/examples"
    assert str(first.G) == "g_0[k,l,i]*g_0[k,a,j]*M_0[k,l,a]"
    formulas = {variable.name: str(node) for variable, node in matrix.formulas.items()}
    assert formulas["a_0"] == "x0"
    assert set(formulas) == {"a_0", "a_1", "g_0", "M_0"}


@pytest.mark.parametrize("approximation", ["expand", "reduce"])
def test_factors_of_a_convolution_are_those_of_its_windows(approximation):
    """By loops: windows of the input and Jacobians at every position."""
    model = nn.Sequential(nn.Conv2d(2, 3, 2, bias=False), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3))
    x = RNG.normal(size=(5, 2, 3, 3))
    matrix = kfac(model, CROSS_ENTROPY, (x, LABELS), approximation=approximation)
    windows = [x[:, :, i : i + 2, j : j + 2].reshape(5, 8) for i in range(2) for j in range(2)]
    a = np.stack(windows, axis=1)
    s = np.einsum("nri,oi->nor", a, model[0].weight.data.reshape(3, 8))
    last = model[3].weight.data.reshape(3, 3, 4)
    g = np.einsum("cor,nor->ncro", last, 1 - np.tanh(s) ** 2)
    M = output_curvature("cross entropy", model(x).data, LABELS)
    if approximation == "expand":
        A = np.einsum("nri,nrj->ij", a, a) / (5 * 4)
        G = np.einsum("ncro,ncd,ndrp->op", g, M, g)
    else:
        A = np.einsum("nri,ntj->ij", a, a) / (5 * 4**2)
        G = np.einsum("ncro,ncd,ndtp->op", g, M, g)
    np.testing.assert_allclose(matrix.blocks[0].A[0], A, atol=1e-12)
    np.testing.assert_allclose(matrix.blocks[0].G[0], G, atol=1e-12)


def test_empirical_factors_are_those_of_gradients():
    model, x = made("perceptron")
    matrix = kfac(model, CROSS_ENTROPY, (x, LABELS), curvature="empirical")
    slopes = ad.per_example_gradients(model, CROSS_ENTROPY, (x, LABELS))["0.bias"]
    np.testing.assert_allclose(matrix.blocks[0].G[0], slopes.T @ slopes / 5, atol=1e-12)


# -- where it is exact ----------------------------------------------------------------------------
@networks
def test_one_example_without_shared_weights_is_exact_layer_by_layer(name):
    """``A`` and ``G`` come apart where there is one example, one position and no groups."""
    model, x = made(name)
    batch = x[:1], LABELS[:1]
    exact = ggn(model, CROSS_ENTROPY, batch).todense()
    matrix = kfac(model, CROSS_ENTROPY, batch)
    network, _ = network_of(model, CROSS_ENTROPY, batch)
    layers = taps_of(network, "ggn").layers
    names = [layer.parameter for layer in layers]
    simple = [x for x in layers if x.positions == 1 and "block" not in x.roles]
    checked = [x.parameter for x in simple if names.count(x.parameter) == 1]
    dense = matrix.todense()
    assert checked or name == "tied"
    for each in checked:
        rows = block_of(matrix, each)
        np.testing.assert_allclose(dense[rows, rows], exact[rows, rows], atol=1e-12)


def test_reduce_is_exact_for_a_linear_network_that_averages_positions():
    """Eschenhagen et al. (2023), section 3.2: deep linear, positions summed at the end."""

    class Pooled(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            return np.mean(self.layer(x), axis=1)

    model, loss = Pooled(), ad.losses.MSELoss()
    batch = RNG.normal(size=(5, 6, 4)), RNG.normal(size=(5, 3))
    exact = ggn(model, loss, batch).todense()[:12, :12]
    reduced, expanded = (
        kfac(model, loss, batch, approximation=each).todense()[:12, :12]
        for each in ("reduce", "expand")
    )
    np.testing.assert_allclose(reduced, exact, atol=1e-12)
    assert np.abs(expanded - exact).max() > 1e-3


def test_a_sum_that_the_calculus_moves_before_the_layer_leaves_one_position():
    """``mean(x w)`` is the product ``mean(x) w``: there is nothing to approximate."""

    class Pooled(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(4, 3, bias=False)

        def forward(self, x):
            return np.mean(self.layer(x), axis=1)

    model, loss = Pooled(), ad.losses.MSELoss()
    batch = RNG.normal(size=(5, 6, 4)), RNG.normal(size=(5, 3))
    exact = ggn(model, loss, batch).todense()
    np.testing.assert_allclose(kfac(model, loss, batch).todense(), exact, atol=1e-12)


def test_expand_is_exact_for_a_linear_network_with_a_loss_per_position():
    model, loss = nn.Linear(4, 3, bias=False), ad.losses.MSELoss()
    batch = RNG.normal(size=(5, 6, 4)), RNG.normal(size=(5, 6, 3))
    exact = ggn(model, loss, batch).todense()
    np.testing.assert_allclose(kfac(model, loss, batch).todense(), exact, atol=1e-12)


def test_a_parameter_that_no_layer_is_linear_in_has_its_exact_block():
    class Powered(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(4, 3)
            self.scale = nn.Parameter(np.array([0.5, 1.0, 1.5]))

        def forward(self, x):
            return np.tanh(self.layer(x)) * np.exp(self.scale)

    model, batch = Powered(), (RNG.normal(size=(5, 4)), LABELS)
    matrix = kfac(model, CROSS_ENTROPY, batch)
    rows = block_of(matrix, "scale")
    exact = ggn(model, CROSS_ENTROPY, batch).todense()
    np.testing.assert_allclose(matrix.todense()[rows, rows], exact[rows, rows], atol=1e-12)


# -- any layer ------------------------------------------------------------------------------------
#: Parameters with the sizes of their factors (blocks, inputs, outputs).
SIZES = {
    "convolutional": {"0.weight": [(1, 9, 2)], "3.weight": [(2, 4, 2)], "5.weight": [(1, 4, 3)]},
    "recurrent": {
        "embedding.weight": [(1, 7, 3)],
        "recurrent.weight_ih_l0": [(1, 3, 4)],
        "recurrent.weight_hh_l0": [(1, 4, 4)],
    },
    "attention": {"attention.in_proj_weight": [(1, 4, 4)] * 3},
    "tied": {"embedding.weight": [(1, 7, 3), (1, 3, 7)]},
}


@pytest.mark.parametrize("name", SIZES)
def test_layers_are_found_in_the_expression(name):
    """Groups, steps, embeddings, projections that share one matrix: nothing is said about them."""
    model, x = made(name)
    matrix = kfac(model, CROSS_ENTROPY, (x, LABELS))
    for parameter, sizes in SIZES[name].items():
        own = [block for block in matrix.blocks if block.parameter == parameter]
        found = [(len(b.A), b.A.shape[1], b.G.shape[1]) for b in own]
        assert sorted(found) == sorted(sizes), parameter


def test_scales_of_normalisation_have_one_block_per_channel():
    model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 3))
    matrix = kfac(model, CROSS_ENTROPY, (RNG.normal(size=(5, 4)), LABELS))
    scale = next(block for block in matrix.blocks if block.parameter == "1.weight")
    assert scale.A.shape == scale.G.shape == (6, 1, 1)


@networks
def test_solves_are_inverse_to_the_damped_matrix(name):
    model, x = made(name)
    matrix = kfac(model, CROSS_ENTROPY, (x, LABELS))
    vector = RNG.normal(size=matrix.shape[0])
    solution = matrix.solve(vector, 0.1)
    tolerance = 1e-5 if name == "tied" else 1e-10
    np.testing.assert_allclose(matrix @ solution + 0.1 * solution, vector, atol=tolerance)


def test_the_diagonal_is_that_of_the_dense_matrix():
    model, x = made("convolutional")
    matrix = kfac(model, CROSS_ENTROPY, (x, LABELS))
    dense = matrix.todense()
    np.testing.assert_allclose(matrix.flattened(matrix.diagonal()), np.diag(dense), atol=1e-13)
    np.testing.assert_allclose(dense, dense.T, atol=1e-13)


def test_options_out_of_range_are_refused():
    model, x = made("perceptron")
    for options in ({"curvature": "hessian"}, {"approximation": "both"}):
        with pytest.raises(ValueError, match="use one of"):
            kfac(model, CROSS_ENTROPY, (x, LABELS), **options)
    with pytest.raises(ValueError, match="damping=0"):
        kfac(model, CROSS_ENTROPY, (x, LABELS)).solve(np.ones(43), 0)


def test_a_large_parameter_in_no_linear_place_is_refused():
    class Squared(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(np.ones((70, 70)))

        def forward(self, x):
            return x @ self.weight**2

    batch = RNG.normal(size=(5, 70)), RNG.integers(0, 70, 5)
    with pytest.raises(GraphError, match=r"weight is in no product .*\n.*4,900 entries"):
        kfac(Squared(), CROSS_ENTROPY, batch)


# -- other libraries ------------------------------------------------------------------------------
def torch_twin(name, loss):
    """A torch network with the weights of ours, and its loss."""
    torch = pytest.importorskip("torch")
    model, x = made(name)
    layers = {
        "perceptron": lambda: [torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)],
        "plain": lambda: [
            torch.nn.Conv2d(1, 2, 3, stride=2, padding=1),
            torch.nn.Tanh(),
            torch.nn.Flatten(),
            torch.nn.Linear(8, 3),
        ],
    }
    twin = torch.nn.Sequential(*layers[name]()).double()
    twin.load_state_dict({k: torch.tensor(v) for k, v in model.state_dict().items()})
    losses = {"cross entropy": torch.nn.CrossEntropyLoss, "squared": torch.nn.MSELoss}
    return torch, model, twin, losses[loss](), x


NETWORKS["plain"] = (
    lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)
    ),
    RNG.normal(size=(5, 1, 4, 4)),
)
OTHERS = pytest.mark.parametrize(
    ("name", "loss"),
    [("perceptron", "cross entropy"), ("perceptron", "squared"), ("plain", "cross entropy")],
)


def target_of(loss):
    if loss == "squared":
        return ad.losses.MSELoss(), np.random.default_rng(3).normal(size=(5, 3))
    return CROSS_ENTROPY, LABELS


@OTHERS
@pytest.mark.parametrize("approximation", ["expand", "reduce"])
def test_kfac_is_that_of_curvlinops(name, loss, approximation):
    curvlinops = pytest.importorskip("curvlinops", reason="curvlinops is not installed")
    torch, model, twin, other_loss, x = torch_twin(name, loss)
    own_loss, target = target_of(loss)
    data = [(torch.tensor(x), torch.tensor(target))]
    other = curvlinops.KFACLinearOperator(
        twin,
        other_loss,
        list(twin.parameters()),
        data,
        fisher_type="type-2",
        kfac_approx=approximation,
        separate_weight_and_bias=True,
    )
    wanted = (other @ torch.eye(other.shape[1], dtype=torch.float64)).numpy()
    found = kfac(model, own_loss, (x, target), approximation=approximation).todense()
    np.testing.assert_allclose(found, wanted, atol=1e-10)


@OTHERS
def test_matrices_are_those_of_curvlinops(name, loss):
    curvlinops = pytest.importorskip("curvlinops", reason="curvlinops is not installed")
    torch, model, twin, other_loss, x = torch_twin(name, loss)
    own_loss, target = target_of(loss)
    data = [(torch.tensor(x), torch.tensor(target))]
    pairs = {
        ad.curvature.hessian: curvlinops.HessianLinearOperator,
        ad.curvature.ggn: curvlinops.GGNLinearOperator,
    }
    for ours, theirs in pairs.items():
        other = theirs(twin, other_loss, list(twin.parameters()), data)
        wanted = (other @ torch.eye(other.shape[1], dtype=torch.float64)).numpy()
        found = ours(model, own_loss, (x, target)).todense()
        np.testing.assert_allclose(found, wanted, atol=1e-10)


@OTHERS
def test_diagonals_and_gradients_are_those_of_backpack(name, loss):
    backpack = pytest.importorskip("backpack", reason="BackPACK is not installed")
    from backpack import extensions

    torch, model, twin, other_loss, x = torch_twin(name, loss)
    own_loss, target = target_of(loss)
    backpack.extend(twin), backpack.extend(other_loss)
    value = other_loss(twin(torch.tensor(x)), torch.tensor(target))
    asked = extensions.BatchGrad(), extensions.DiagGGNExact(), extensions.DiagHessian()
    with backpack.backpack(*asked):
        value.backward()
    batch = x, target
    gradients = ad.per_example_gradients(model, own_loss, batch)
    ggn_diagonal = ggn(model, own_loss, batch).diagonal()
    hessian_diagonal = ad.curvature.hessian(model, own_loss, batch).diagonal()
    for key, parameter in twin.named_parameters():
        mine = gradients[key] / 5  # theirs are shares of the mean
        np.testing.assert_allclose(mine, parameter.grad_batch.numpy(), atol=1e-10)
        np.testing.assert_allclose(ggn_diagonal[key], parameter.diag_ggn_exact.numpy(), atol=1e-10)
        np.testing.assert_allclose(hessian_diagonal[key], parameter.diag_h.numpy(), atol=1e-10)
