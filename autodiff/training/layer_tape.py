"""Layers of a traced step: each derived by itself, then all put together in one program.

While a model runs on expressions, every call of a layer function is noted and its results are
fresh variables, so that a layer is an expression of its own inputs. The pullback of a layer is that
of the recorded graph (:class:`autodiff.graph.operations.Recording`): derived once for all layers of
the same kind and shapes, with the nodes that it shares with the layer kept. The backward pass adds
up adjoints from the last layer to the first, and what stands between layers is derived as it is.
Deriving the whole network as one expression gives the same numbers, but simplifying hundreds of
layers together takes minutes and merges products across layers, which are then computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from tensorcalc.applications import apply
from tensorcalc.derivatives import pullback
from tensorcalc.nodes import Apply, Constant, Node, Variable, free_variables, postorder
from tensorcalc.products import is_boolean
from tensorcalc.simplify import simplify_all
from tensorcalc.sums import add

from .. import pytrees
from ..graph.modes import on_expressions
from ..graph.operations import Operation, Recording, rebuilt_above


class Layer(NamedTuple):
    """A call of a layer function: an operation, what its inputs are, names for its results."""

    operation: Operation
    inputs: list[Node]
    results: list[Variable]


class LayerTape:
    """The layers of one run, in order."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._operations: dict[Any, Operation] = {}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Inside the block, calls of layer functions are noted here."""
        token = on_expressions.set(self._call)
        try:
            yield
        finally:
            on_expressions.reset(token)

    def _call(self, body: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        leaves, definition = pytrees.flatten((args, kwargs))
        inputs = list(dict.fromkeys(x for x in leaves if _is_input(x)))
        known: dict[Node, Node] = {
            node: Variable(f"input{k}", node.extents, _flags(node)) for k, node in enumerate(inputs)
        }
        given = [known[x] if _is_input(x) else x for x in leaves]
        args, kwargs = pytrees.unflatten(definition, given)
        token = on_expressions.set(None)
        try:
            outputs, nesting = pytrees.flatten(body(*args, **kwargs))
        finally:
            on_expressions.reset(token)
        nodes = list(dict.fromkeys(x for x in outputs if isinstance(x, Node)))
        operation = self._operation(body.__name__, list(known.values()), nodes)
        place = len(self.layers)
        names: dict[Node, Variable] = {
            node: Variable(f"layer{place}_{k}", node.extents, _flags(node))
            for k, node in enumerate(nodes)
        }
        self.layers.append(Layer(operation, inputs, list(names.values())))
        return pytrees.unflatten(nesting, [names[x] if isinstance(x, Node) else x for x in outputs])

    def _operation(self, name: str, inputs: list[Any], results: list[Node]) -> Operation:
        """The same object for the same expressions, so that it is derived once."""
        key = name, tuple(inputs), tuple(results)
        if key not in self._operations:
            self._operations[key] = Operation(name, inputs, results)
        return self._operations[key]


def _is_input(leaf: Any) -> bool:
    return isinstance(leaf, Node) and not isinstance(leaf, Constant)


def _flags(node: Node) -> Any:
    if isinstance(node, Variable):
        return node.flags
    if isinstance(node, Apply) and node.operation.result == "integer":
        return ("integer",)
    return ("boolean",) if is_boolean(node) else ()


class Assembly:
    """Values and adjoints of a tape as expressions of the variables of the whole step.

    ``wanted`` are the variables by which ``loss`` is derived.
    """

    def __init__(self, tape: LayerTape, loss: Node, wanted: Sequence[Variable]) -> None:
        self._layers = tape.layers
        self._values: dict[Node, Node] = {}
        self._adjoints: dict[Node, list[Node]] = {}
        self._tracked: set[Node] = set(wanted)
        self._recorded = [self._forward(layer) for layer in self._layers]
        self.loss = self.value(loss)
        self._spread(loss, Constant(1))
        for layer, recording in zip(reversed(self._layers), reversed(self._recorded), strict=True):
            if recording is not None:
                self._backward(layer, recording)

    def value(self, node: Node) -> Node:
        """A node with the results of layers put in."""
        return rebuilt_above([node], self._values)[0]

    def gradient(self, variable: Variable) -> Node | None:
        """The derivative of the loss by a wanted variable, None if it does not depend on it."""
        parts = self._adjoints.get(variable)
        return add(*parts) if parts else None

    def _forward(self, layer: Layer) -> _Recorded | None:
        """Values of the results; the recording if something wanted goes in."""
        operation = layer.operation
        wanted = tuple(k for k, node in enumerate(layer.inputs) if self._is_tracked(node))
        values: dict[Node, Node] = {
            variable: self.value(node)
            for variable, node in zip(operation.inputs, layer.inputs, strict=True)
        }
        if not wanted:
            results = rebuilt_above(simplify_all(operation.results), values)
            self._values.update(zip(layer.results, map(stored, results), strict=True))
            return None
        recording = operation.recording(wanted)
        nodes = [*recording.results, *recording.kept]
        apart = set(nodes)
        for node in postorder(*nodes):
            if node in apart:
                values[node] = stored(rebuilt_above([node], values)[0])
        values.update({stand_in: values[nodes[k]] for k, stand_in in recording.stand_ins.items()})
        pairs = zip(layer.results, nodes, strict=False)  # kept nodes have no names
        self._values.update({variable: values[node] for variable, node in pairs})
        self._tracked.update(layer.results)
        return _Recorded(recording, values)

    def _is_tracked(self, node: Node) -> bool:
        return not _flags(node) and not self._tracked.isdisjoint(free_variables(node))

    def _backward(self, layer: Layer, recorded: _Recorded) -> None:
        """Adjoints of the inputs from those of the results that have any."""
        recording, values = recorded
        given = tuple(k for k, v in enumerate(layer.results) if v in self._adjoints)
        if not given:
            return
        derived = recording.pullback(given)
        seeds = [add(*self._adjoints[layer.results[k]]) for k in given]
        known = dict(values)
        known.update(zip(derived.seeds, seeds, strict=True))
        adjoints = rebuilt_above(derived.adjoints, known)
        for k, adjoint in zip(recording.wanted, adjoints, strict=True):
            self._spread(layer.inputs[k], stored(adjoint))

    def _spread(self, node: Node, adjoint: Node) -> None:
        """Add an adjoint of a node to those of the variables that it is made of."""
        if isinstance(node, Variable):
            self._adjoints.setdefault(node, []).append(adjoint)
            return
        xs = [v for v in free_variables(node) if v in self._tracked]
        seed = Variable("adjoint", node.extents)
        parts = simplify_all(list(pullback(node, xs, seed, 0)))
        known = {**self._values, seed: adjoint}
        for x, part in zip(xs, rebuilt_above(parts, known), strict=True):
            self._adjoints.setdefault(x, []).append(stored(part))


class _Recorded(NamedTuple):
    """A derived layer, and what its inputs, results and kept nodes are in the whole step."""

    recording: Recording
    values: dict[Node, Node]


def stored(node: Node) -> Node:
    """The node behind a border that rewriting does not cross; its programs share or fuse it."""
    if isinstance(node, (Variable, Constant)) or _flags(node):
        return node
    return apply("stored", node)


def updated_by(
    rule: Callable[..., Any], param: Node, grad: Node, state: Mapping[str, Any], options: Any
) -> tuple[Node, dict[str, Node]]:
    """A rule of an optimizer, simplified with the gradient as a variable."""
    slope = Variable("gradient", grad.extents)
    new, states = rule(param, slope, dict(state), options)
    names = list(states)
    simple = simplify_all([new, *(states[name] for name in names)])
    found = rebuilt_above(simple, {slope: stored(grad)})
    return found[0], dict(zip(names, found[1:], strict=True))
