"""A training step as one program: forward, backward and update.

The model is run once on expressions, the gradient of the loss is derived layer by layer
(:mod:`.layer_tape`), and the optimizer's rule (:mod:`autodiff.optim.rules`) is applied to the
expressions of parameters and gradients. What comes out is one list of expressions, compiled for any
target: the loss, new parameters, new optimizer state, new buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from backends.cuda.arrays import DeviceArray
from tensorcalc.errors import DerivativeError, ShapeError
from tensorcalc.nodes import Node, postorder

from .. import pytrees
from ..arguments import arguments_of
from ..graph import Tensor
from ..graph.operations import Program
from ..graph.placement import beside, kept
from ..nn.module import functional_call
from ..optim.base import Optimizer
from ..optim.clipping import clip_factor, total_norm
from ..running import may_alias
from ..tracing import Trace, run_at_sizes
from .effects import StepEffects
from .layer_tape import Assembly, LayerTape, updated_by

#: In place of a dtype: the result is a number.
SCALAR = "scalar"


class Layout(NamedTuple):
    """Which parameter is updated with which options; what a program depends on beside shapes.

    ``updated`` pairs names of parameters with labels; all parameters of a label share their group
    and their count of steps, hence the numbers that change from step to step.
    """

    updated: tuple[tuple[str, str, int], ...]
    constants: tuple[Any, ...]
    training: tuple[bool, ...]


class CompiledStep:
    """``step(*inputs, target)`` updates the model's parameters and gives the loss.

    ``loss(output, target)`` is any function in NumPy's terms, as those of :mod:`autodiff.losses`.
    Parameters that want no gradient, or that the optimizer does not hold, stay as they are. Large
    arrays that a step has put into parameters and states are overwritten by later ones. The same
    numbers come out as from forward, ``backward`` and ``optimizer.step()``, to rounding. With
    ``clip_norm`` gradients are scaled as by :func:`autodiff.optim.clip_grad_norm_`.

    With ``target="cuda"`` the model is moved to the GPU; parameters, states and the loss stay
    there, and a step returns before it is done: ``float(loss)`` waits for it.

    Programs are traced anew for other shapes, options of the optimizer that are no learning rate,
    and training modes. Raises DerivativeError if the loss is no scalar.
    """

    def __init__(
        self,
        model: Any,
        loss: Callable[..., Any],
        optimizer: Optimizer,
        clip_norm: float | None = None,
        target: str = "auto",
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.clip_norm = clip_norm
        self.target = "numpy" if target == "auto" else target
        self.in_loops = target == "auto" and find_spec("numba") is not None
        self.parameters: dict[str, Tensor] = dict(model.named_parameters())
        self._names = {id(p): name for name, p in self.parameters.items()}
        self._modules = list(model.modules())
        self._buffers = {p.name: (p.container, p.key) for p in model.buffer_places()}
        missing = [p for p in optimizer.parameters() if id(p) not in self._names]
        if missing:
            raise ValueError(
                f"compile_step: the optimizer holds {len(missing)} parameters that the model lacks"
            )
        self._steps: dict[Any, BoundStep] = {}
        #: Arrays that steps have made, which the next step may overwrite, by parameter.
        self._made: dict[str, list[Any]] = {}

    def __call__(self, *batch: Any) -> Any:
        """Take one step on ``(*inputs, target)``; gives the loss before the step."""
        if self.target == "cuda":
            self.model.to("cuda")
        arrays = tuple([kept(x.data if isinstance(x, Tensor) else x) for x in batch])
        layout, numbers = self._layout()
        key = (layout, tuple([(x.shape, x.dtype, type(x)) for x in arrays]))
        step = self._steps.get(key)
        values = self._values(layout, numbers, arrays)
        if step is None:
            step = self._steps[key] = BoundStep(self, layout, values)
        loss, parameters, states, buffers = step(values)
        for name, _, _ in layout.updated:
            if name in parameters:
                self._store(name, parameters[name], states[name])
        for name, value in buffers.items():
            container, place = self._buffers[name]
            container[place][...] = value
        return loss

    def _store(self, name: str, value: Any, state: dict[str, Any]) -> None:
        param = self.parameters[name]
        param.data = value
        self._made[name] = [value, *state.values()]
        count = self.optimizer.state[param]["step"] + 1
        self.optimizer.state[param] = {**state, "step": count}

    def _layout(self) -> tuple[Layout, dict[str, dict[str, float]]]:
        optimizer = self.optimizer
        updated: list[tuple[str, str, int]] = []
        numbers: dict[str, dict[str, float]] = {}
        for g, group in enumerate(optimizer.param_groups):
            labels: dict[int, str] = {}
            for param in group["params"]:
                if not param.requires_grad:
                    continue
                step = optimizer.state_of(param, group)["step"] + 1
                if step not in labels:
                    label = labels[step] = f"group{g}_{len(labels)}"
                    numbers[label] = optimizer.numbers(group, step)
                updated.append((self._names[id(param)], labels[step], g))
        constants = [
            tuple([(k, v) for k, v in g.items() if k not in ("params", "lr", "initial_lr")])
            for g in optimizer.param_groups
        ]
        training = tuple([m.training for m in self._modules])
        return Layout(tuple(updated), tuple(constants), training), numbers

    def _values(
        self, layout: Layout, numbers: Mapping[str, Any], batch: Sequence[Any]
    ) -> tuple[Any, ...]:
        """All that a step reads, nested as its program takes it."""
        params = {name: self.parameters[name] for name, _, _ in layout.updated}
        fixed = {n: p.data for n, p in self.parameters.items() if n not in params}
        states = {
            name: {key: self._own(name, x) for key, x in self.optimizer.state[p].items()}
            for name, p in params.items()
        }
        for state in states.values():
            del state["step"]
        dtypes = {label: params[name].dtype for name, label, _ in reversed(layout.updated)}
        scalars = {
            label: {name: dtypes[label].type(value) for name, value in own.items()}
            for label, own in numbers.items()
        }
        buffers = {name: holder[key] for name, (holder, key) in self._buffers.items()}
        arrays = {name: self._own(name, p.data) for name, p in params.items()}
        return arrays, states, scalars, fixed, buffers, tuple(batch)

    def _own(self, name: str, value: Any) -> Any:
        """An array that may be overwritten: what a step has made, a copy of what it has not."""
        if isinstance(value, np.ndarray):  # as a state that was loaded
            value = beside(self.parameters[name].data, value)
        if any(value is made for made in self._made.get(name, ())):
            return value
        return np.array(value, order="C") if isinstance(value, np.ndarray) else value

    def release(self) -> None:
        """Give back the memory that is kept for later steps, which will take it anew."""
        for step in self._steps.values():
            step.program.compiled.release()

    @property
    def sources(self) -> list[str]:
        """The generated programs so far."""
        return [step.program.compiled.source for step in self._steps.values()]


class BoundStep:
    """The program of a step for arrays of given shapes."""

    def __init__(self, step: CompiledStep, layout: Layout, values: tuple[Any, ...]) -> None:
        self.effects = StepEffects(step.model)
        arguments = arguments_of(values, {})
        forward = _forward(step, self.effects)
        tape = LayerTape()
        with self.effects.collected(), tape.noted():
            trace = run_at_sizes(forward, arguments, {}, type(step.model).__name__)
        nodes, self.definition, self.dtypes = _derived(step, layout, trace, tape, values)
        order = _early_first(nodes)
        nodes = [nodes[k] for k in order]
        #: For each leaf of what a step gives, the result that it is.
        self.places = sorted(range(len(order)), key=order.__getitem__)
        self.bound = list(trace.bound.values())
        leaves = [*arguments.leaves, *self.bound]
        self.program = Program(nodes, trace.inputs, step.target)
        params, states, *_ = pytrees.unflatten(pytrees.flatten(values)[1], trace.variables)
        self.program.compiled.donate(pytrees.flatten((params, states))[0])
        if step.in_loops:
            self.program.compiled.run_in_loops()
        reads = self.program.reads
        self.reads = reads
        self.copied = may_alias(nodes)
        self.function = self.program.bind([leaves[k] for k in reads], {})
        if step.target == "cuda":
            self.function = InTurn(self.function)

    def __call__(self, values: tuple[Any, ...]) -> Any:
        """The loss and everything new, nested."""
        self.effects.refill()
        leaves = [*pytrees.flatten(values)[0], *self.bound]
        results = self.function(*[leaves[k] for k in self.reads])
        finished = [
            _finished(results[k], dtype, self.copied[k])
            for k, dtype in zip(self.places, self.dtypes, strict=True)
        ]
        return pytrees.unflatten(self.definition, finished)


class InTurn:
    """A function on the device whose results lie in two sets of arrays in turn.

    What one call made is what the next reads, so addresses come back every second call, and the
    recorded CUDA graphs are replayed. Nothing is allocated once there are both sets.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._sets: list[Any] = []

    def __call__(self, *arrays: Any) -> Any:
        """The results, in arrays that are not among the arguments."""
        given = set(map(id, arrays))
        free = next((s for s in self._sets if given.isdisjoint(map(id, s))), None)
        if free is not None:
            return self._function(*arrays, out=free)
        results = self._function(*arrays)
        self._sets.append(results)
        return results


def _early_first(nodes: Sequence[Node]) -> list[int]:
    """Positions of the nodes, those with the shortest way from the arguments first.

    Parameters of the last layers are updated before the backward pass reaches the first: their
    gradients, and the adjoints that these read, are given up early.
    """
    heights: dict[Node, int] = {}
    for node in postorder(*nodes):
        heights[node] = 1 + max((heights[operand] for operand in node.operands), default=0)
    return sorted(range(len(nodes)), key=lambda k: heights[nodes[k]])


def _finished(result: Any, dtype: Any, copied: bool) -> Any:
    if isinstance(result, DeviceArray):
        return result.copy() if dtype is SCALAR else result
    if dtype is SCALAR:
        return np.asarray(result)[()]
    array = np.asarray(result)
    return array.astype(dtype) if copied or array.dtype != dtype else array


def _forward(step: CompiledStep, effects: StepEffects) -> Callable[..., Any]:
    """The loss and the new buffers as a function of everything that a step reads."""
    model, loss = step.model, step.loss

    def forward(
        params: Any, states: Any, numbers: Any, fixed: Any, buffers: Any, batch: Any
    ) -> Any:
        for name, state in states.items():
            for key, value in state.items():
                if np.shape(value) != np.shape(params[name]):  # asking makes the extents one
                    raise ShapeError(f"optimizer state {key} has not the shape of {name}")
        *inputs, target = batch
        values = {**params, **fixed, **buffers}
        output = functional_call(model, values, *inputs)
        return loss(output, target), dict(effects.buffers)

    return forward


def _derived(
    step: CompiledStep, layout: Layout, trace: Trace, tape: LayerTape, values: tuple[Any, ...]
) -> tuple[list[Node], Any, list[Any]]:
    """Expressions of loss, new parameters, states and buffers; their nesting and dtypes."""
    definition = pytrees.flatten(values)[1]
    params, states, numbers, *_ = pytrees.unflatten(definition, trace.variables)
    shown, changed = pytrees.unflatten(trace.definition, trace.outputs)
    if not isinstance(shown, Node) or shown.ndim:
        raise DerivativeError(
            "compile_step needs a loss that is a scalar", [_described(shown)], "take its mean"
        )
    whole = Assembly(tape, shown, [params[name] for name, _, _ in layout.updated])
    slopes = {name: whole.gradient(params[name]) for name, _, _ in layout.updated}
    used = [entry for entry in layout.updated if slopes[entry[0]] is not None]
    grads = _scaled([slopes[name] for name, _, _ in used], step, layout, used)
    new_params, new_states = {}, {}
    for (name, label, g), grad in zip(used, grads, strict=True):
        options = {**dict(layout.constants[g]), **numbers[label]}
        rule = type(step.optimizer).rule
        new = updated_by(rule, params[name], grad, states[name], options)
        new_params[name], new_states[name] = new
    changed = {name: whole.value(value) for name, value in changed.items()}
    nodes, nesting = pytrees.flatten((whole.loss, new_params, new_states, changed))
    arrays, old_states, _, _, buffers, _ = values
    old = (
        SCALAR,
        {name: arrays[name] for name in new_params},
        {name: old_states[name] for name in new_states},
        {name: buffers[name] for name in changed},
    )
    dtypes = [getattr(leaf, "dtype", SCALAR) for leaf in pytrees.flatten(old)[0]]
    return nodes, nesting, dtypes


def _described(loss: Any) -> str:
    if not isinstance(loss, Node):
        return f"loss: {type(loss).__name__}"
    return f"loss: shape ({', '.join(map(str, loss.extents))})"


def _scaled(
    grads: Sequence[Any], step: CompiledStep, layout: Layout, used: Sequence[tuple[str, str, int]]
) -> list[Any]:
    """Gradients clipped by their norm, and negated where the loss is maximised."""
    if step.clip_norm is not None:
        factor = clip_factor(total_norm(grads), step.clip_norm)
        grads = [factor * grad for grad in grads]
    maximized = [dict(layout.constants[g])["maximize"] for _, _, g in used]
    return [-grad if up else grad for grad, up in zip(grads, maximized, strict=True)]


def compile_step(
    model: Any,
    loss: Callable[..., Any],
    optimizer: Optimizer,
    clip_norm: float | None = None,
    target: str = "auto",
) -> CompiledStep:
    """A whole training step, traced into one program for any target.

    ``step(*inputs, target)`` changes the model's parameters and the optimizer's state and returns
    the loss; see :class:`CompiledStep`. ``target="auto"`` is "numpy", with the updates of many
    parameters as loops of numba where that is installed: a target that is chosen by measuring
    would change the last bits from run to run.

    >>> import numpy as np, autodiff as ad
    >>> _ = ad.manual_seed(0)
    >>> model = ad.nn.Linear(2, 1)
    >>> step = ad.compile_step(model, ad.losses.MSELoss(), ad.optim.SGD(model.parameters(), 0.1))
    >>> x, y = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    >>> first, second = step(x, y), step(x, y)
    >>> bool(second < first)
    True
    """
    return CompiledStep(model, loss, optimizer, clip_norm, target)
