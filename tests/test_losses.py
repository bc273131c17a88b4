"""Losses against torch, and against finite differences to second order."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import losses
from autodiff.graph import Tensor
from tensorcalc.errors import ShapeError

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
IMAGE = rng.normal(size=(3, 4, 2, 5))
CLASSES, PIXELS = np.array([0, 3, 1, -100, 2]), rng.integers(0, 4, (3, 2, 5))
SHARES = rng.dirichlet(np.ones(4), 5)
PIXEL_SHARES = np.moveaxis(rng.dirichlet(np.ones(4), (3, 2, 5)), -1, 1)
WEIGHT = np.array([0.5, 2.0, 1.0, 0.3])
SIGNS = np.sign(rng.normal(size=(5, 4)))
P, T = rng.uniform(0.05, 0.95, (5, 4)), rng.uniform(0, 1, (5, 4))
A, B, C = (rng.normal(size=(6, 3)) for _ in range(3))

#: Name, arguments (the first is differentiated), options.
CASES = [
    ("mse_loss", (X, Y), {}),
    ("l1_loss", (X, Y), {}),
    ("huber_loss", (X, Y), {"delta": 0.7}),
    ("smooth_l1_loss", (X, Y), {"beta": 0.6}),
    ("smooth_l1_loss", (X, Y), {"beta": 0.0}),
    ("gaussian_nll_loss", (X, Y, P), {}),
    ("gaussian_nll_loss", (X, Y, P), {"full": True}),
    ("cross_entropy", (X, CLASSES), {}),
    ("cross_entropy", (X, CLASSES), {"weight": WEIGHT, "label_smoothing": 0.1}),
    ("cross_entropy", (X, np.abs(CLASSES) % 4), {"ignore_index": 3, "label_smoothing": 0.2}),
    ("cross_entropy", (X[0], np.array(2)), {"label_smoothing": 0.3}),
    ("cross_entropy", (IMAGE, PIXELS), {"weight": WEIGHT}),
    ("cross_entropy", (X, SHARES), {}),
    ("cross_entropy", (X, SHARES), {"weight": WEIGHT, "label_smoothing": 0.1}),
    ("cross_entropy", (IMAGE, PIXEL_SHARES), {"weight": WEIGHT}),
    ("nll_loss", (X, CLASSES), {}),
    ("nll_loss", (IMAGE, PIXELS), {"weight": WEIGHT}),
    ("binary_cross_entropy", (P, T), {}),
    ("binary_cross_entropy", (P, T), {"weight": WEIGHT}),
    ("binary_cross_entropy_with_logits", (X, T), {}),
    ("binary_cross_entropy_with_logits", (30 * X, T), {}),
    ("binary_cross_entropy_with_logits", (X, T), {"weight": P, "pos_weight": WEIGHT}),
    ("hinge_embedding_loss", (X, SIGNS), {"margin": 0.8}),
    ("margin_ranking_loss", (X, Y, SIGNS), {"margin": 0.3}),
    ("kl_div", (X, SHARES), {}),
    ("kl_div", (X, Y), {"log_target": True}),
    ("triplet_margin_loss", (A, B, C), {}),
    ("triplet_margin_loss", (A, B, C), {"p": 1.0, "swap": True, "margin": 0.5}),
    ("triplet_margin_loss", (A, B, C), {"p": 3.0}),
]
IDS = [f"{name}-{k}" for k, (name, _, _) in enumerate(CASES)]
with_reductions = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
with_cases = pytest.mark.parametrize(("name", "args", "options"), CASES, ids=IDS)


def value_and_gradients(name, args, options):
    function = getattr(losses, name)
    tensors = [Tensor(a, requires_grad=a.dtype.kind == "f") for a in args]
    loss = function(*tensors, **options)
    np.sum(loss).backward()
    return loss.data, [t.grad for t in tensors if t.requires_grad]


@with_reductions
@with_cases
def test_losses_and_their_gradients_are_those_of_torch(name, args, options, reduction):
    torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    options = {**options, "reduction": reduction}
    value, gradients = value_and_gradients(name, args, options)
    tensors = [torch.tensor(a).requires_grad_(a.dtype.kind == "f") for a in args]
    theirs = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    expected = getattr(torch.nn.functional, name)(*tensors, **theirs)
    expected.sum().backward()
    wanted = [t for t in tensors if t.requires_grad]
    np.testing.assert_allclose(value, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    for ours, tensor in zip(gradients, wanted, strict=True):
        if tensor.grad is not None:
            np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=1e-10, atol=1e-12)


@with_cases
def test_losses_have_the_derivatives_of_finite_differences_to_second_order(name, args, options):
    ad.check(lambda x: getattr(losses, name)(x, *args[1:], **options), args[0], order=2)


@with_cases
def test_arrays_give_arrays_and_the_value_of_tensors(name, args, options):
    value = getattr(losses, name)(*args, **options)
    assert isinstance(value, (np.ndarray, np.floating))
    np.testing.assert_allclose(value, value_and_gradients(name, args, options)[0], rtol=1e-12)


CLASS_NAMES = {
    "mse_loss": "MSELoss",
    "l1_loss": "L1Loss",
    "huber_loss": "HuberLoss",
    "smooth_l1_loss": "SmoothL1Loss",
    "gaussian_nll_loss": "GaussianNLLLoss",
    "cross_entropy": "CrossEntropyLoss",
    "nll_loss": "NLLLoss",
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "hinge_embedding_loss": "HingeEmbeddingLoss",
    "margin_ranking_loss": "MarginRankingLoss",
    "kl_div": "KLDivLoss",
    "triplet_margin_loss": "TripletMarginLoss",
}


@with_cases
def test_classes_call_the_function_with_their_options(name, args, options):
    loss = getattr(losses, CLASS_NAMES[name])(**options)
    np.testing.assert_array_equal(loss(*args), getattr(losses, name)(*args, **options))


def test_hinge_is_zero_beyond_the_margin_and_linear_before():
    scores = np.array([2.0, 0.5, -1.0, -3.0])
    got = losses.hinge_loss(scores, np.array([1.0, 1.0, 1.0, -1.0]), reduction="none")
    np.testing.assert_array_equal(got, [0.0, 0.5, 2.0, 0.0])


def test_divergence_per_batch_is_the_sum_divided_by_the_batch():
    total = losses.kl_div(X, SHARES, reduction="sum")
    np.testing.assert_allclose(losses.kl_div(X, SHARES, reduction="batchmean"), total / 5)


def test_cross_entropy_of_far_logits_is_finite_with_finite_gradients():
    logits = np.array([[1e4, -1e4, 0.0]])
    value, (gradient,) = value_and_gradients("cross_entropy", (logits, np.array([1])), {})
    assert value == 2e4
    np.testing.assert_array_equal(gradient, [[1.0, -1.0, 0.0]])


def test_losses_keep_single_precision():
    for name, args, options in CASES:
        single = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in args]
        options = {
            k: v.astype(np.float32) if isinstance(v, np.ndarray) else v for k, v in options.items()
        }
        value, gradients = value_and_gradients(name, single, options)
        assert value.dtype == np.float32, name
        assert all(g.dtype == np.float32 for g in gradients), name


def test_a_column_against_a_vector_is_refused_with_the_remedy():
    with pytest.raises(ShapeError, match=r"(?s)shape \(5, 1\).*shape \(5,\).*target\[:, None\]"):
        losses.mse_loss(np.zeros((5, 1)), np.zeros(5))


def test_class_targets_of_a_wrong_shape_name_both_shapes_that_fit():
    with pytest.raises(ShapeError, match=r"class indices have shape \(5,\), .* shape \(5, 4\)"):
        losses.cross_entropy(X, np.zeros(4, int))
    with pytest.raises(TypeError, match="integers"):
        losses.nll_loss(X, np.zeros(5))


@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.nll_loss])
def test_an_index_that_is_no_class_is_told_the_classes(loss):
    with pytest.raises(IndexError, match=r"class indices go from 0 to 3: input of shape \(5, 4\)"):
        loss(X, np.array([0, 1, 2, 3, 4]))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: losses.MSELoss(reduction="average"), "'average'"),
        (lambda: losses.HuberLoss(delta=0.0), "delta=0.0"),
        (lambda: losses.cross_entropy(X, CLASSES, label_smoothing=1.5), "1.5"),
        (lambda: losses.mse_loss(X, Y, reduction="batchmean"), "'batchmean'"),
        (lambda: losses.binary_cross_entropy(X, T), "with_logits"),
    ],
)
def test_options_outside_their_range_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()
