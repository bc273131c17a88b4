"""Optimizers and schedules, step for step against torch; saving, loading and refusals."""

import math

import numpy as np
import pytest

from autodiff import nn, optim
from autodiff.graph import Tensor
from autodiff.optim import lr_scheduler

rng = np.random.default_rng(1)
START = [rng.normal(size=(4, 3)), rng.normal(size=5), np.asarray(rng.normal())]
GRADS = [[rng.normal(size=p.shape) for p in START] for _ in range(7)]

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2}),
]
IDS = [f"{name}-{k}" for k, (name, _) in enumerate(CASES)]
LION = ("Lion", {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1})


def tensors(arrays=START, dtype=float):
    return [Tensor(np.array(a, dtype), requires_grad=True) for a in arrays]


def run(optimizer, params, grads):
    for step in grads:
        for param, grad in zip(params, step, strict=True):
            param.grad = grad.astype(param.dtype)
        optimizer.step()


def torch_or_skip():
    return pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_optimizers_take_the_steps_of_torch(name, options):
    torch = torch_or_skip()
    ours = tensors()
    theirs = [torch.tensor(a, requires_grad=True) for a in START]
    optimizer = getattr(optim, name)(ours, **options)
    peer = getattr(torch.optim, name)(theirs, **options)
    for grads in GRADS:
        run(optimizer, ours, [grads])
        for param, grad in zip(theirs, grads, strict=True):
            param.grad = torch.tensor(grad)
        peer.step()
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_defaults_are_those_of_torch(name):
    torch = torch_or_skip()
    ours = getattr(optim, name)(tensors()).defaults
    theirs = getattr(torch.optim, name)([torch.zeros(2, requires_grad=True)]).defaults
    assert ours == {key: theirs[key] for key in ours}


def test_lion_is_algorithm_2_of_its_paper():
    (param,) = params = tensors([START[0]])
    run(optim.Lion(params, **LION[1]), params, [[g[0]] for g in GRADS])
    x, m = START[0], np.zeros((4, 3))
    for grad, *_ in GRADS:
        update = np.sign(0.8 * m + (1 - 0.8) * grad)
        m = 0.9 * m + (1 - 0.9) * grad
        x = x - 0.01 * (update + 0.1 * x)
    np.testing.assert_allclose(param.data, x, rtol=1e-13)


@pytest.mark.parametrize(("name", "options"), [*CASES, LION])
def test_a_loaded_state_continues_bit_for_bit(name, options):
    whole, first = tensors(), tensors()
    run(getattr(optim, name)(whole, **options), whole, GRADS)
    stopped = getattr(optim, name)(first, **options)
    run(stopped, first, GRADS[:3])
    second = tensors([p.data for p in first])
    resumed = getattr(optim, name)(second, lr=123.0)
    resumed.load_state_dict(stopped.state_dict())
    run(resumed, second, GRADS[3:])
    for a, b in zip(whole, second, strict=True):
        np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize(("name", "options"), [*CASES, LION])
def test_single_precision_stays_single(name, options):
    params = tensors(dtype=np.float32)
    optimizer = getattr(optim, name)(params, **options)
    run(optimizer, params, GRADS[:2])
    arrays = [v for s in optimizer.state.values() for k, v in s.items() if k != "step"]
    assert {np.dtype(np.float32)} == {a.dtype for a in [*arrays, *(p.data for p in params)]}


def test_old_arrays_are_not_changed_by_a_step():
    (param,) = params = tensors([START[0]])
    before = param.data
    run(optim.SGD(params, lr=1.0), params, [GRADS[0][:1]])
    np.testing.assert_array_equal(before, START[0])


def test_parameters_without_gradient_stay_and_count_no_steps():
    params = tensors()
    optimizer = optim.Adam(params)
    params[0].grad = GRADS[0][0]
    optimizer.step()
    np.testing.assert_array_equal(params[1].data, START[1])
    assert list(optimizer.state) == [params[0]]


def test_groups_have_options_of_their_own():
    a, b = tensors(START[:2])
    optimizer = optim.SGD([{"params": [a], "lr": 1.0}, {"params": b}], lr=0.1)
    run(optimizer, [a, b], [GRADS[0][:2]])
    np.testing.assert_allclose(a.data, START[0] - GRADS[0][0])
    np.testing.assert_allclose(b.data, START[1] - 0.1 * GRADS[0][1])


def test_a_closure_is_called_and_its_loss_returned():
    (param,) = params = tensors([START[1]])
    optimizer = optim.SGD(params, lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = np.sum(param * param)
        loss.backward()
        return loss

    first, second = optimizer.step(closure).item(), optimizer.step(closure).item()
    np.testing.assert_allclose(second, first / 4)


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("bound", [0.5, 100.0])
def test_clipping_by_norm_is_that_of_torch(norm, bound):
    torch = torch_or_skip()
    ours, theirs = tensors(), [torch.tensor(a, requires_grad=True) for a in START]
    for a, b, grad in zip(ours, theirs, GRADS[0], strict=True):
        a.grad, b.grad = grad.copy(), torch.tensor(grad)
    total = optim.clip_grad_norm_(ours, bound, norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, bound, norm)
    np.testing.assert_allclose(total, expected.item(), rtol=1e-12)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-12)


def test_clipping_by_value_bounds_every_entry():
    (param,) = tensors([START[0]])
    param.grad = GRADS[0][0]
    optim.clip_grad_value_(param, 0.3)
    np.testing.assert_array_equal(param.grad, np.clip(GRADS[0][0], -0.3, 0.3))


# -- schedules ------------------------------------------------------------------------------------
SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 7], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.8}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 4}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 6}),
    ("CosineAnnealingLR", {"T_max": 12, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2}),
    ("LambdaLR", {"lr_lambda": lambda t: 1 / (1 + t)}),
]


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_schedules_set_the_rates_of_torch(name, options):
    torch = torch_or_skip()
    ours = optim.SGD([{"params": tensors(), "lr": 0.4}, {"params": tensors()}], lr=0.1)
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.4, 0.1)]
    theirs = torch.optim.SGD(groups)
    schedule = getattr(lr_scheduler, name)(ours, **options)
    peer = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for _ in range(12):
        np.testing.assert_allclose(schedule.get_last_lr(), peer.get_last_lr(), rtol=1e-12)
        theirs.step()
        schedule.step(), peer.step()


def test_warm_up_then_cosine_sets_the_rates_of_torch():
    torch = torch_or_skip()
    ours = optim.SGD(tensors(), lr=0.5)
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)

    def both(module, optimizer):
        warm = module.LinearLR(optimizer, 0.1, total_iters=4)
        return module.SequentialLR(
            optimizer, [warm, module.CosineAnnealingLR(optimizer, 8)], milestones=[4]
        )

    schedule, peer = both(lr_scheduler, ours), both(torch.optim.lr_scheduler, theirs)
    for _ in range(11):
        np.testing.assert_allclose(schedule.get_last_lr(), peer.get_last_lr(), rtol=1e-12)
        theirs.step()
        schedule.step(), peer.step()


@pytest.mark.parametrize("options", [{}, {"mode": "max", "threshold_mode": "abs", "cooldown": 1}])
def test_plateaus_lower_the_rates_as_in_torch(options):
    torch = torch_or_skip()
    ours = optim.SGD(tensors(), lr=0.5)
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    options = {"patience": 1, "factor": 0.5, "threshold": 0.01, **options}
    schedule = lr_scheduler.ReduceLROnPlateau(ours, **options)
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    for metric in [1.0, 0.9, 0.9, 0.899, 0.8, 0.8, 0.8, 0.8, 0.8, 0.5]:
        schedule.step(metric), peer.step(metric)
        assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]


def test_a_schedule_continues_from_its_count():
    first, second = optim.SGD(tensors(), lr=0.5), optim.SGD(tensors(), lr=0.5)
    a = lr_scheduler.CosineAnnealingLR(first, 10)
    for _ in range(4):
        a.step()
    b = lr_scheduler.CosineAnnealingLR(second, 10)
    b.load_state_dict(a.state_dict())
    a.step(), b.step()
    assert a.get_last_lr() == b.get_last_lr() == [0.25 * (1 + math.cos(math.pi / 2))]


# -- refusals -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: optim.SGD([]), "no parameters"),
        (lambda: optim.SGD(tensors(), lr=-1.0), "lr=-1.0 is negative"),
        (lambda: optim.SGD(tensors(), nesterov=True), "momentum > 0"),
        (lambda: optim.Adam(tensors(), betas=(0.9, 1.0)), r"\[0, 1\), not 1.0"),
        (lambda: optim.Adam([{"params": tensors(), "beta": 1}]), "no option beta"),
        (lambda: optim.Adam([tensors()[0] * 2.0]), "detach"),
        (lambda: optim.SGD([t := tensors()[0], t]), "more than one place"),
    ],
)
def test_mistakes_are_refused_in_words(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_arrays_are_no_parameters():
    with pytest.raises(TypeError, match="optimizes tensors, not ndarray"):
        optim.SGD([np.zeros(3)])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda model: optim.SGD(model.parameters), "SGD takes tensors, not method"),
        (lambda model: optim.clip_grad_norm_(model.parameters, 1.0), "with parentheses"),
        (lambda model: lr_scheduler.StepLR(model, 3), "not of a Linear"),
    ],
)
def test_a_method_or_a_model_where_tensors_or_an_optimizer_go(make, text):
    with pytest.raises(TypeError, match=text):
        make(nn.Linear(2, 2))


def test_a_state_of_another_network_is_refused():
    optimizer = optim.Adam(tensors())
    saved = optim.Adam(tensors(START[:2])).state_dict()
    with pytest.raises(ValueError, match=r"\[2\] parameters, this optimizer's \[3\]"):
        optimizer.load_state_dict(saved)
