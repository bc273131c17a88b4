"""Second-order optimizers of networks: their steps by definition, progress, damping, resuming."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.optim import KFAC, NewtonCG
from autodiff.optim.newton_cg import _conjugate_gradients

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
LABELS = (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 2] > 1)
CROSS_ENTROPY = ad.losses.CrossEntropyLoss()
OPTIMIZERS = {
    "newton": lambda m, loss: NewtonCG(m, loss),
    "kfac": lambda m, loss: KFAC(m, loss),
    "kfac, exact": lambda m, loss: KFAC(m, loss, curvature="ggn"),
    "kfac, empirical": lambda m, loss: KFAC(m, loss, curvature="empirical"),
    "kfac, now and then": lambda m, loss: KFAC(m, loss, factor_every=3, adapt_every=2),
}
every = pytest.mark.parametrize("name", OPTIMIZERS)


def network(seed=0):
    ad.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()


@every
def test_the_loss_falls_faster_than_with_gradient_descent(name):
    model = network()
    optimizer = OPTIMIZERS[name](model, CROSS_ENTROPY)
    losses = [optimizer.step(X, LABELS) for _ in range(25)]
    plain = network()
    descent = ad.optim.SGD(plain.parameters(), lr=0.5)
    step = ad.compile_step(plain, CROSS_ENTROPY, descent)
    first_order = [float(step(X, LABELS)) for _ in range(25)]
    assert losses[0] == pytest.approx(first_order[0])
    assert losses[-1] < 0.5 * first_order[-1]


def test_newton_solves_least_squares_in_a_step():
    model = nn.Linear(4, 2).double()
    target = X @ RNG.normal(size=(4, 2)) + 1
    optimizer = NewtonCG(model, ad.losses.MSELoss(), damping=1e-12, tolerance=0)
    optimizer.step(X, target)
    assert optimizer.step(X, target) < 1e-20


def test_kfac_solves_least_squares_in_a_few_steps():
    model = nn.Linear(4, 2).double()
    target = X @ RNG.normal(size=(4, 2)) + 1
    optimizer = KFAC(model, ad.losses.MSELoss(), damping=1e-9, curvature="ggn")
    losses = [optimizer.step(X, target) for _ in range(8)]
    assert losses[-1] < 1e-12 * losses[0]


def test_conjugate_gradients_solve_a_system():
    root = RNG.normal(size=(9, 9))
    A, b = root @ root.T + np.eye(9), RNG.normal(size=9)
    found = _conjugate_gradients(lambda v: A @ v, b, RNG.normal(size=9), 50, 0.0)
    np.testing.assert_allclose(found, np.linalg.solve(A, b), atol=1e-8)


def test_the_first_step_of_kfac_is_its_definition():
    """The damped solve, scaled to minimise the damped quadratic model."""
    model = network()
    batch = X, LABELS
    K = ad.curvature.kfac(model, CROSS_ENTROPY, batch)
    G = ad.curvature.ggn(model, CROSS_ENTROPY, batch).todense()
    CROSS_ENTROPY(model(X), LABELS).backward()
    g = np.concatenate([p.grad.ravel() for p in model.parameters()])
    direction = np.linalg.solve(K.todense() + 0.1 * np.eye(len(g)), -g)
    scale = -(g @ direction) / (direction @ G @ direction + 0.1 * direction @ direction)
    before = np.concatenate([p.data.ravel() for p in model.parameters()])
    KFAC(model, CROSS_ENTROPY, damping=0.1, curvature="ggn").step(*batch)
    after = np.concatenate([p.data.ravel() for p in model.parameters()])
    np.testing.assert_allclose(after - before, scale * direction, atol=1e-10)


def test_a_step_that_does_not_lower_the_loss_is_taken_back():
    model = network()
    optimizer = NewtonCG(model, CROSS_ENTROPY, lr=1e-300)
    before = model.state_dict()
    optimizer.step(X, LABELS)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_damping_follows_the_success_of_steps():
    optimizer = NewtonCG(network(), CROSS_ENTROPY, damping=1.0, adapt=0.5)
    for change, promised, wanted in [(-1.0, -1.0, 0.5), (-0.5, -1.0, 0.5), (0.1, -1.0, 1.0)]:
        optimizer.adapted(change, promised)
        assert optimizer.damping == wanted


def test_frozen_parameters_stay_and_float32_stays_float32():
    model = network().float()
    model[0].freeze()
    before = model.state_dict()
    optimizer = KFAC(model, CROSS_ENTROPY)
    optimizer.step(X.astype(np.float32), LABELS)
    after = model.state_dict()
    np.testing.assert_array_equal(after["0.weight"], before["0.weight"])
    assert np.any(after["2.weight"] != before["2.weight"])
    assert after["2.weight"].dtype == np.float32


def fitted(name, epochs, checkpoint=None, resume=False):
    model = network()
    ad.manual_seed(1)
    optimizer = OPTIMIZERS[name](model, CROSS_ENTROPY)
    data = ad.Batches(X, LABELS, batch_size=60, shuffle=True)
    history = ad.fit(
        model,
        CROSS_ENTROPY,
        optimizer,
        data,
        epochs,
        validation=(X, LABELS),
        checkpoint=checkpoint,
        resume=resume,
        progress=False,
    )
    return history, model.state_dict()


@pytest.mark.parametrize("name", ["newton", "kfac", "kfac, now and then"])
def test_fit_takes_them_and_resumes_exactly(name, tmp_path):
    history, whole = fitted(name, 4)
    assert history["val_loss"][-1] < history["val_loss"][0]
    fitted(name, 2, tmp_path / "run.npz")
    _, resumed = fitted(name, 4, tmp_path / "run.npz", resume=True)
    for key, value in whole.items():
        np.testing.assert_array_equal(value, resumed[key])


def test_what_fit_and_the_options_refuse():
    model = network()
    other = KFAC(network(), CROSS_ENTROPY)
    with pytest.raises(ValueError, match="the same model and loss as fit"):
        ad.fit(model, CROSS_ENTROPY, other, (X, LABELS), 1, progress=False)
    with pytest.raises(ValueError, match="damping=0"):
        NewtonCG(model, CROSS_ENTROPY, damping=0)
    with pytest.raises(ValueError, match="decay=1"):
        KFAC(model, CROSS_ENTROPY, decay=1)
    assert repr(NewtonCG(model, CROSS_ENTROPY)) == "NewtonCG(lr=1, damping=0.1)"


@pytest.mark.parametrize("scale", [1e-19, 1e-21, 1e-22, 1e-23])
def test_conjugate_gradients_end_where_the_precision_ends(scale):
    b = np.full(5, scale, np.float32)
    found = _conjugate_gradients(lambda v: np.float32(1e-3) * v, b, np.zeros_like(b), 20, 5e-4)
    assert np.isfinite(found).all()


def test_conjugate_gradients_take_no_step_of_negative_curvature():
    b = np.array([0.0, 1.0])
    found = _conjugate_gradients(lambda v: np.array([1.0, -1.0]) * v, b, np.zeros(2), 20, 5e-4)
    np.testing.assert_array_equal(found, [0.0, 0.0])
