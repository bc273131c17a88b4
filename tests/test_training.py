"""Training: compiled steps against eager ones, exact resume, data, metrics, history."""

import numpy as np
import pytest

from autodiff import losses, optim
from autodiff.graph import Tensor, manual_seed
from autodiff.nn.activation_layers import ReLU, Tanh
from autodiff.nn.containers import Sequential
from autodiff.nn.convolution_layers import Conv2d
from autodiff.nn.dropout_layers import Dropout
from autodiff.nn.linear_layers import Linear
from autodiff.nn.module import Module
from autodiff.nn.normalization_layers import BatchNorm1d, LayerNorm
from autodiff.nn.parameter import Parameter
from autodiff.nn.pooling_layers import MaxPool2d
from autodiff.optim import lr_scheduler
from autodiff.training import (
    Batches,
    EarlyStopping,
    History,
    Trainer,
    accuracy,
    compile_step,
    confusion_matrix,
    evaluate,
    fit,
    load_tree,
    predict,
    r2_score,
    save_tree,
    split,
    top_k_accuracy,
)
from tensorcalc.errors import DerivativeError, ShapeError

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(23, 5)), rng.integers(0, 3, 23)
IMAGES = rng.normal(size=(6, 1, 6, 6))


class Tied(Module):
    """One weight used twice, and one that the loss never reads."""

    def __init__(self):
        self.first = Linear(5, 5)
        self.second = Linear(5, 5)
        self.second.weight = self.first.weight
        self.head = Linear(5, 3)
        self.unused = Parameter(np.ones(2))

    def forward(self, x):
        return self.head(np.tanh(self.second(np.tanh(self.first(x)))))


def network(name):
    manual_seed(0)
    layers = {
        "tanh": lambda: Sequential(Linear(5, 7), Tanh(), Linear(7, 3)),
        "dropout": lambda: Sequential(Linear(5, 9), ReLU(), Dropout(0.4), Linear(9, 3)),
        "norms": lambda: Sequential(
            Linear(5, 8, bias=False), BatchNorm1d(8), ReLU(), LayerNorm(8), Linear(8, 3)
        ),
        "tied": Tied,
    }
    return layers[name]().double()


OPTIMIZERS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.01}),
    ("RMSprop", {"momentum": 0.3, "centered": True}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Lion", {"lr": 0.01, "weight_decay": 0.1}),
]


def five_steps(model, optimizer, compiled, **options):
    manual_seed(1)
    schedule = lr_scheduler.StepLR(optimizer, 2, 0.5)
    loss = losses.CrossEntropyLoss(label_smoothing=0.1)
    trainer = Trainer(model, loss, optimizer, (X, Y), compiled=compiled, progress=False, **options)
    values = []
    for k in range(5):
        size = 7 if k == 3 else 11
        values.append(float(trainer._step(X[k : k + size], Y[k : k + size])))
        schedule.step()
    return values, model.state_dict(), optimizer.state_dict()["state"]


@pytest.mark.parametrize("kind", ["tanh", "dropout", "norms", "tied"])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_a_compiled_step_is_the_eager_step(kind, name, options):
    results = []
    for compiled in (False, True):
        model = network(kind)
        optimizer = getattr(optim, name)(model.parameters(), **options)
        results.append(five_steps(model, optimizer, compiled))
    same(*results)


def same(first, second):
    np.testing.assert_allclose(first[0], second[0], rtol=1e-10)
    for name, value in first[1].items():
        np.testing.assert_allclose(value, second[1][name], rtol=1e-8, atol=1e-11, err_msg=name)
    for position, state in second[2].items():
        for name, value in state.items():
            expected = first[2].get(position, {}).get(name, 0)
            np.testing.assert_allclose(value, expected, rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize("bound", [0.1, 1e3])
def test_a_compiled_step_clips_as_the_eager_step(bound):
    results = []
    for compiled in (False, True):
        model = network("tanh")
        optimizer = optim.SGD(model.parameters(), lr=1.0)
        results.append(five_steps(model, optimizer, compiled, clip_norm=bound))
    same(*results)


def test_groups_and_frozen_layers_are_respected_in_a_compiled_step():
    results = []
    for compiled in (False, True):
        model = network("tanh")
        frozen = [p for n, p in model.named_parameters() if n == "0.bias"]
        frozen[0].requires_grad = False
        named = dict(model.named_parameters())
        groups = [
            {"params": [named["0.weight"], named["0.bias"]], "lr": 0.3},
            {"params": [named["2.weight"]], "weight_decay": 0.2},
        ]
        before = model.state_dict()
        results.append(five_steps(model, optim.AdamW(groups, lr=0.1), compiled))
        for name in ("0.bias", "2.bias"):
            np.testing.assert_array_equal(model.state_dict()[name], before[name])
        assert (model.state_dict()["0.weight"] != before["0.weight"]).all()
    same(*results)


def test_a_convolutional_network_takes_the_same_steps_compiled():
    results = []
    for compiled in (False, True):
        manual_seed(0)
        layers = [Conv2d(1, 2, 3, padding=1), ReLU(), MaxPool2d(2)]
        model = Sequential(*layers).double()
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        trainer = Trainer(
            model, losses.MSELoss(), optimizer, (IMAGES,), compiled=compiled, progress=False
        )
        target = IMAGES[:, :, :3, :3].repeat(2, axis=1)
        losses_ = [float(trainer._step(IMAGES, target)) for _ in range(3)]
        results.append((losses_, model.state_dict(), optimizer.state_dict()["state"]))
    same(*results)


def test_the_jax_target_takes_the_same_steps():
    pytest.importorskip("jax", reason="jax is not installed: no such target")
    results = []
    for target in ("numpy", "jax"):
        model = network("tanh").float()
        step = compile_step(
            model, losses.CrossEntropyLoss(), optim.Adam(model.parameters()), target=target
        )
        values = [float(step(X.astype(np.float32), Y)) for _ in range(3)]
        results.append((values, model.state_dict()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    for name, value in results[0][1].items():
        np.testing.assert_allclose(value, results[1][1][name], rtol=1e-4, atol=1e-6)


def test_one_program_serves_changing_rates_and_step_counts():
    model = network("tanh")
    optimizer = optim.Adam(model.parameters())
    step = compile_step(model, losses.CrossEntropyLoss(), optimizer)
    for rate in (0.1, 0.01, 0.001):
        optimizer.param_groups[0]["lr"] = rate
        step(X, Y)
    assert len(step.sources) == 1
    optimizer.param_groups[0]["eps"] = 1e-3
    step(X, Y)
    model.eval()
    step(X, Y)
    assert len(step.sources) == 3


def test_a_loss_that_is_no_scalar_is_refused_with_the_remedy():
    model = network("tanh")
    step = compile_step(
        model, losses.CrossEntropyLoss(reduction="none"), optim.SGD(model.parameters())
    )
    with pytest.raises(DerivativeError, match=r"(?s)scalar.*shape \(\d+\).*mean"):
        step(X, Y)


def test_an_optimizer_of_another_model_is_refused():
    with pytest.raises(ValueError, match="4 parameters that the model lacks"):
        compile_step(network("tanh"), None, optim.SGD(network("tanh").parameters()))


# -- fit ------------------------------------------------------------------------------------------
def whole_run(epochs, compiled, checkpoint=None, resume=False, seed=5):
    manual_seed(0)
    model = Sequential(Linear(5, 9), BatchNorm1d(9), ReLU(), Dropout(0.3), Linear(9, 3))
    optimizer = optim.AdamW(model.parameters(), lr=0.05)
    warm = lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, 20)
    history = fit(
        model,
        losses.CrossEntropyLoss(),
        optimizer,
        Batches(X.astype(np.float32), Y, batch_size=6, shuffle=True, seed=3),
        epochs,
        validation=(X.astype(np.float32), Y),
        metrics=["accuracy"],
        schedule=lr_scheduler.SequentialLR(optimizer, [warm, cosine], [3]),
        schedule_every="step",
        callbacks=[EarlyStopping(patience=50, restore_best=False)],
        checkpoint=checkpoint,
        resume=resume,
        seed=seed,
        compiled=compiled,
        progress=False,
    )
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]
    return rows, model.state_dict()


@pytest.mark.parametrize("compiled", [True, False])
def test_a_resumed_run_has_the_numbers_of_an_uninterrupted_one_bit_for_bit(compiled, tmp_path):
    rows, weights = whole_run(5, compiled)
    path = tmp_path / "run.npz"
    whole_run(2, compiled, path)
    manual_seed(99)  # another process would be in another state
    resumed_rows, resumed = whole_run(5, compiled, path, resume=True, seed=77)
    assert resumed_rows == rows
    for name, value in weights.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_the_same_seed_gives_the_same_run_and_another_a_different_one():
    first, second, other = whole_run(2, True), whole_run(2, True), whole_run(2, True, seed=6)
    assert first[0] == second[0]
    assert first[0] != other[0]


def test_early_stopping_ends_and_gives_back_the_best_weights():
    model = network("tanh")
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    stopping = EarlyStopping(patience=3)
    best = {}

    def remember(trainer, numbers):
        best[numbers["val_loss"]] = trainer.model.state_dict()
        trainer.optimizer.param_groups[0]["lr"] *= -1 if trainer.epoch == 4 else 1

    history = fit(
        model,
        losses.CrossEntropyLoss(),
        optimizer,
        (X, Y),
        100,
        validation=(X, Y),
        callbacks=[remember, stopping],
        progress=False,
    )
    assert len(history) == stopping.best_epoch + 3
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, best[min(best)][name])


def test_fit_lowers_the_loss_and_reports_metrics():
    model = network("tanh")
    history = fit(
        model,
        losses.CrossEntropyLoss(),
        optim.Adam(model.parameters(), lr=0.05),
        Batches(X, Y, batch_size=8, shuffle=True),
        40,
        validation=(X, Y),
        metrics={"hit": accuracy},
        progress=False,
    )
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert history["val_hit"][-1] == accuracy(predict(model, X), Y) > 0.9
    assert model.training


@pytest.mark.parametrize("compiled", [True, False])
def test_layers_that_were_told_to_eval_stay_so_while_the_others_train(compiled):
    """A frozen batch normalisation keeps its averages through training and validation."""
    model = Sequential(Linear(5, 4), BatchNorm1d(4), ReLU(), BatchNorm1d(4), Linear(4, 3))
    model[1].eval()
    seen = []
    fit(
        model,
        losses.CrossEntropyLoss(),
        optim.SGD(model.parameters(), lr=0.1),
        (X.astype(np.float32), Y),
        2,
        validation=(X.astype(np.float32), Y),
        callbacks=[lambda trainer, numbers: seen.append([m.training for m in model])],
        compiled=compiled,
        progress=False,
    )
    assert seen == [[True, False, True, True, True]] * 2
    assert model.training and not model[1].training
    assert model[1].num_batches_tracked == 0 and model[3].num_batches_tracked == 2
    np.testing.assert_array_equal(model[1].running_mean, np.zeros(4))
    evaluate(model, losses.CrossEntropyLoss(), (X.astype(np.float32), Y))
    assert model.training and not model[1].training


def test_a_model_in_evaluation_mode_is_told_to_train():
    model = Sequential(Linear(5, 3), BatchNorm1d(3)).eval()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    fit(model, losses.CrossEntropyLoss(), optimizer, (X, Y), 1, progress=False)
    assert model.training and model[1].num_batches_tracked == 1


def test_evaluation_of_batches_is_that_of_the_whole():
    model = network("norms")
    whole = evaluate(model, losses.CrossEntropyLoss(), (X, Y), ["accuracy"])
    parts = evaluate(model, losses.CrossEntropyLoss(), Batches(X, Y, batch_size=5), ["accuracy"])
    np.testing.assert_allclose(whole["loss"], parts["loss"], rtol=1e-12)
    assert whole["accuracy"] == parts["accuracy"]


# -- data, metrics, history, files ----------------------------------------------------------------
def test_shuffled_batches_hold_every_example_once_in_an_order_of_seed_and_epoch():
    def batches():
        return Batches(np.arange(10), batch_size=3, shuffle=True, seed=4)

    passes = batches()
    first, second = (np.concatenate([x for (x,) in passes]) for _ in range(2))
    again = np.concatenate([x for (x,) in batches()])
    assert sorted(first) == sorted(second) == list(range(10))
    assert first.tolist() == again.tolist() != second.tolist()
    assert len(passes) == 4
    assert len(Batches(np.arange(10), batch_size=3, drop_last=True)) == 3


def test_batches_are_changed_by_a_transform_that_repeats_with_the_seed():
    def noisy(x, generator):
        return (x + generator.normal(size=x.shape),)

    def drawn():
        batches = Batches(X, batch_size=10, shuffle=True, transform=noisy)
        return [np.concatenate([x for (x,) in batches]) for _ in range(2)]

    first, second = drawn(), drawn()
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(*first)


def test_split_keeps_pairs_and_shares_of_classes():
    labels = np.repeat([0, 1], [40, 10])
    a, b, y, held = split(np.arange(50), labels, held_out=0.2, stratify=labels)
    assert sorted([*a, *b]) == list(range(50))
    np.testing.assert_array_equal(labels[b], held)
    assert np.bincount(held).tolist() == [8, 2]
    assert np.bincount(y).tolist() == [32, 8]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"data": X}, "not ndarray"),
        ({"data": {"x": X, "y": Y}}, "not dict"),
        ({"data": (X.tolist(), Y.tolist())}, "not tuple of list, list"),
        ({"validation": X}, "not ndarray"),
        ({"loss": "cross_entropy"}, "not 'cross_entropy'"),
        ({"loss": losses.CrossEntropyLoss}, "with parentheses"),
        ({"optimizer": optim.Adam}, r"optim.Adam\(model.parameters\(\)\)"),
    ],
)
def test_fit_says_what_it_takes(change, text):
    model = network("tanh")
    given = {"loss": losses.CrossEntropyLoss(), "optimizer": optim.SGD(model.parameters())}
    given |= {"data": (X, Y), "epochs": 1, "progress": False}
    with pytest.raises(TypeError, match=text):
        fit(model, **(given | change))


def test_arrays_of_different_lengths_are_no_batches():
    with pytest.raises(ShapeError, match=r"(?s)array 0: shape \(3,\).*array 1: shape \(4,\)"):
        Batches(np.zeros(3), np.zeros(4))


def test_metrics_are_their_definitions():
    scores = np.array([[3.0, 1.0, 2.0], [0.0, 1.0, 2.0], [5.0, 4.0, 3.0]])
    targets = np.array([0, 1, 2])
    assert accuracy(scores, targets) == 1 / 3
    assert accuracy(Tensor(scores[:, 0] - 1), np.array([1, 0, 0])) == 2 / 3
    assert top_k_accuracy(scores, targets, k=2) == 2 / 3
    np.testing.assert_array_equal(
        confusion_matrix(scores, targets), [[1, 0, 0], [0, 0, 1], [1, 0, 0]]
    )
    assert r2_score([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 1
    assert r2_score([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]) == 0


def test_a_history_shows_its_columns_and_draws_them(tmp_path):
    history = History([{"loss": 2.0, "val_loss": 2.5, "val_accuracy": 0.5}, {"loss": 1.0}])
    assert history["val_loss"] == [2.5, None]
    assert str(history).splitlines()[2].split() == ["2", "1"]
    figure = history.plot(tmp_path / "history.png")
    assert [axis.get_title() for axis in figure.axes] == ["loss", "accuracy"]
    assert (tmp_path / "history.png").stat().st_size > 1000
    with pytest.raises(KeyError, match="val_accuracy"):
        history["speed"]


def test_trees_of_arrays_come_back_from_a_file_without_pickle(tmp_path):
    tree = {"a": [np.arange(3), 1.1, None], "b": {"c": True, "d": "text", "e": 2**100}}
    path = tmp_path / "tree.npz"
    save_tree(path, tree)
    found = load_tree(path)
    np.testing.assert_array_equal(found["a"].pop(0), tree["a"].pop(0))
    assert found == tree
    with np.load(path, allow_pickle=False) as archive:
        assert sorted(archive.files) == ["a/0", "structure"]


def test_objects_are_refused_by_files_and_leave_the_old_one(tmp_path):
    path = tmp_path / "tree.npz"
    save_tree(path, {"a": 1})
    with pytest.raises(TypeError, match="/a is a object"):
        save_tree(path, {"a": object()})
    assert load_tree(path) == {"a": 1}
