"""Programs of large arrays in an order that holds less at once: same numbers, fewer bytes."""

import math

import numpy as np
from scipy import special

import autodiff as ad
import backends
import tensorcalc as tc
from backends.frugal_order import LONG, frugal
from backends.numpy_scope import Scope
from backends.numpy_writer import NumpyWriter
from backends.steps import Input, Nest, View

SIZE = 2**15


def peak(program):
    """Most entries of values, arguments apart, that some later step reads."""
    last_use, alive, most = Scope(program).last_use, {}, 0
    for position, step in enumerate(program.steps):
        if not isinstance(step, Input) and not (isinstance(step, View) and step.inside):
            alive[step.value] = math.prod(step.value.extents)
        most = max(most, sum(alive.values()))
        alive = {v: n for v, n in alive.items() if last_use.get(v, 0) > position}
    return most


def chain(length, made=np.subtract):
    """A value made of two, read at the end of a long chain of functions of one of these."""
    x, c = tc.variables(f"x: {SIZE}, c")
    value = tc.applications.apply("stored", x * 2)
    shifted = tc.applications.apply("stored", made(value, c))
    y = value
    for k in range(length):
        y = np.tanh(tc.applications.apply("stored", y * (k + 1)))
    return shifted, value, y


def test_a_difference_is_made_again_rather_than_kept():
    shifted, value, y = chain(LONG + 4)
    f = backends.compile([np.sum(shifted**3), np.sum(y), np.sum(y * shifted * value)])
    better = frugal(f.program)
    again = [step for step in better.steps if step.value.name.endswith("_again")]
    assert again and all(isinstance(step, Nest) for step in again)
    first = next(s.value for s in better.steps if f"{s.value.name}_again" == again[0].value.name)
    assert Scope(better).last_use[first] < Scope(f.program).last_use[first] - LONG
    assert _run(better, f.names) == _run(f.program, f.names)


def test_a_function_of_tens_of_operations_is_kept():
    for function in (np.exp, special.ndtr):
        shifted, value, y = chain(LONG + 4, lambda value, c, f=function: f(value))
        f = backends.compile([np.sum(shifted**3), np.sum(y), np.sum(y * shifted * value)])
        assert not any(step.value.name.endswith("_again") for step in frugal(f.program).steps)


def _run(program, names):
    source = NumpyWriter(program, "f", "[{0}, {1}, {2}]").source()
    space = {}
    exec(source, space)
    given = {"x": np.linspace(0.1, 1, SIZE), "c": np.float64(0.3)}
    return [float(x) for x in space["f"](**{name: given[name] for name in names})]


def test_programs_of_any_size_stay_as_they_are():
    x = tc.variables("x: n")
    program = backends.compile([np.sum(np.tanh(x)), np.tanh(x)]).program
    assert frugal(program) is program


def test_a_deep_network_holds_less_and_trains_alike():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 1, 32, 32)).astype("f"), rng.integers(0, 8, 32)

    def trained(target):
        ad.manual_seed(0)
        blocks = [ad.nn.Conv2d(1, 8, 3, padding=1)]
        for _ in range(2):
            blocks += [ad.nn.BatchNorm2d(8), ad.nn.ReLU(), ad.nn.Conv2d(8, 8, 3, padding=1)]
        model = ad.nn.Sequential(*blocks, ad.nn.AdaptiveAvgPool2d(1), ad.nn.Flatten())
        step = ad.compile_step(
            model, ad.losses.CrossEntropyLoss(), ad.optim.SGD(model.parameters(), 0.1), None, target
        )
        losses = [float(step(x, y)) for _ in range(3)]
        return losses, next(iter(step._steps.values())).program.compiled.program

    losses, program = trained("numpy")
    better = frugal(program)
    assert any(step.value.name.endswith("_again") for step in better.steps)
    assert peak(better) < 0.8 * peak(program)
    np.testing.assert_allclose(losses, trained("jax")[0], rtol=1e-4)
