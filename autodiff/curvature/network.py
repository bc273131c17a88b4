"""A network and its loss as expressions: of the whole batch, and of one example.

The model runs twice on expressions: on a batch with an open number of examples, and on one example
alone. What curvature asks of a network is derived from these, compiled once for all batch sizes,
and can be printed. Sizes of parameters and of examples are numbers in these expressions.

Formulas of single examples hold only where examples do not mix. That is proved by comparing the
expression of the batch with the lifted one of an example or, where these are written differently,
their values on the batch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from inspect import Parameter, Signature
from typing import Any

import numpy as np

import backends
from tensorcalc import extents as ex
from tensorcalc.errors import DerivativeError, ShapeError, TraceError
from tensorcalc.nodes import Node, Variable, postorder
from tensorcalc.products import product
from tensorcalc.simplify import rebuilt, simplify_all
from tensorcalc.substitution import replace_extents, replace_in_variable

from ..arguments import arguments_of
from ..graph import GraphError, Tensor
from ..nn.module import Module, functional_call
from ..tracing import Trace, run_symbolically
from .mapping import mapped

#: The extent that counts the examples.
EXAMPLES = ex.symbol("examples")
#: Relative difference of results that are the same to rounding, by dtype.
ROUNDING = {"float32": 1e-3, "float64": 1e-9}


class Batch:
    """Arrays ``(*inputs, target)`` whose first axes are the examples.

    Raises ShapeError for fewer than two arrays, or arrays of different lengths.
    """

    def __init__(self, batch: Sequence[Any]) -> None:
        if isinstance(batch, (np.ndarray, Tensor)) or len(batch) < 2:
            raise ShapeError(
                "a batch is a tuple (*inputs, target)", hint="pass for example (images, labels)"
            )
        self.arrays = [x.data if isinstance(x, Tensor) else np.asarray(x) for x in batch]
        lengths = {x.shape[:1] for x in self.arrays}
        if len(lengths) > 1 or () in lengths or (0,) in lengths:
            raise ShapeError(
                "a batch needs arrays with the same number of examples, one at least",
                [f"array {k}: shape {x.shape}" for k, x in enumerate(self.arrays)],
                "the first axis of every input and of the target counts examples",
            )

    def replaced(self, target: Any) -> Batch:
        """The same inputs with another target."""
        return Batch([*self.arrays[:-1], target])

    @property
    def size(self) -> int:
        """Number of examples."""
        return len(self.arrays[0])

    @property
    def key(self) -> Any:
        """Shapes of single examples, dtypes, and whether there is one example only."""
        return self.size == 1, tuple([(x.shape[1:], x.dtype) for x in self.arrays])


class Run:
    """One run of a model and its loss on expressions.

    ``fixed`` are variables of parameters and buffers by name, ``batch`` those of inputs and target,
    ``bound`` those of arrays that the model captures. ``loss`` is a scalar expression of ``seen``,
    a variable that stands for the model's ``output``.
    """

    def __init__(self, model: Module, loss: Callable[..., Any], arrays: Sequence[Any]) -> None:
        held = dict(held_arrays(model))
        leaves = [*held.values(), *arrays]
        arguments = arguments_of(leaves, {})
        names = [*map(_identifier, held), *(f"x{k}" for k in range(len(arrays) - 1)), "target"]
        forward = _forward(model, loss, list(held), names)
        trace = run_symbolically(forward, arguments, {}, type(model).__name__)
        self.guards, self._symbols = trace.guards, trace.symbols
        self._read(trace, list(held))

    def _read(self, trace: Trace, names: Sequence[str]) -> None:
        batch: Any = trace.variables[len(names) :]
        count = ex.symbol_name(batch[0].extents[0]) if batch[0].ndim else None
        sizes: dict[str, Any] = {**trace.guards.sizes}
        if count is not None:
            sizes[count] = EXAMPLES
        new = replace_extents(trace.outputs, sizes)
        #: The output as it was traced: simplifying may merge a layer with the next one.
        self.raw_output, raw_loss = (new[node] for node in trace.outputs)
        self.output, self.loss = simplify_all([self.raw_output, raw_loss])
        every = [replace_in_variable(v, sizes) for v in trace.variables if v is not None]
        self.fixed = dict(zip(names, every, strict=False))
        self.batch = every[len(names) :]
        self.bound = {replace_in_variable(v, sizes): a for v, a in trace.bound.items()}
        self.seen = Variable("output", self.output.extents)

    def fits(self, leaves: Sequence[Any]) -> bool:
        """Whether the trace holds for arrays of these sizes."""
        sizes = dict(self.guards.sizes)
        for leaf, axis, name in self._symbols:
            sizes[name] = leaves[leaf].shape[axis]
        return ex.hold(self.guards, sizes)


def held_arrays(model: Module) -> Iterator[tuple[str, Any]]:
    """Parameters, each once, then buffers, with their names."""
    for name, parameter in model.named_parameters():
        yield name, parameter.data
    yield from model.named_buffers()


def _forward(
    model: Module, loss: Callable[..., Any], held: Sequence[str], names: Sequence[str]
) -> Callable[..., Any]:
    """The output and the loss as a function of everything that they read."""

    def forward(*leaves: Any) -> Any:
        values = dict(zip(held, leaves, strict=False))
        *inputs, target = leaves[len(held) :]
        output = functional_call(model, values, *inputs)
        if not isinstance(output, Node):
            raise TraceError(
                f"curvature of {type(model).__name__}, which does not return one array",
                [f"returned: a {type(output).__name__}"],
                "wrap it in a module whose forward returns the array that the loss reads",
            )
        value = loss(Variable("output", output.extents), target)
        if not isinstance(value, Node) or value.ndim:
            raise DerivativeError(
                "curvature needs a loss that is a scalar",
                [f"loss: {value!s:.60}"],
                "use reduction='mean' or 'sum'",
            )
        return output, value

    signature = Signature([Parameter(name, Parameter.POSITIONAL_ONLY) for name in names])
    forward.__signature__ = signature  # type: ignore[attr-defined]
    return forward


def _identifier(name: str) -> str:
    """``0.weight`` as ``weight_0``: an identifier that formulas can show."""
    parts = name.split(".")
    numbers = [part for part in parts if part.isdigit()]
    return "_".join([part for part in parts if not part.isdigit()] + numbers)


class Network:
    """Expressions of a model and its loss for batches of one kind.

    ``parameters`` are the variables of the parameters that learn, by name.
    """

    def __init__(self, model: Module, loss: Callable[..., Any], batch: Batch) -> None:
        self._model, self.loss = weakref.ref(model), loss
        learning = [n for n, p in model.named_parameters() if p.requires_grad]
        if not learning:
            raise GraphError(
                f"{type(model).__name__} has no parameter that learns",
                hint="model.unfreeze(), or requires_grad=True on a parameter",
            )
        self.whole = Run(model, loss, batch.arrays)
        self.parameters = {name: self.whole.fixed[name] for name in learning}
        self.first = batch
        self._bound = dict(self.whole.bound)
        self._made: dict[Any, Any] = {}

    @property
    def model(self) -> Module:
        """The model; it must live as long as it is asked about."""
        model = self._model()
        assert model is not None
        return model

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the output for the batch that was traced."""
        return (self.first.size, *map(int, self.output.extents[1:]))

    @property
    def xs(self) -> list[Variable]:
        """The variables of the parameters that learn."""
        return list(self.parameters.values())

    # -- expressions --------------------------------------------------------------------------
    @property
    def output(self) -> Node:
        """What the model computes for the batch."""
        return self.whole.output

    @cached_property
    def objective(self) -> Node:
        """The loss of the batch, a scalar."""
        return substituted([self.whole.loss], {self.whole.seen: self.output})[0]

    @property
    def count(self) -> Any:
        """The number of examples as an extent."""
        return self.whole.batch[0].extents[0]

    @cached_property
    def single(self) -> Run:
        """The model and the loss on one example alone.

        Raises GraphError if examples are mixed in the batch.
        """
        run = Run(self.model, self.loss, [x[:1] for x in self.first.arrays])
        for variable, array in run.bound.items():
            self._bind(run, variable, array)
        self._check_independence(run)
        return run

    def _bind(self, run: Run, variable: Variable, array: Any) -> None:
        """A captured array of the single example under a name of its own."""
        same = [v for v, known in self._bound.items() if known is array]
        own = (
            same[0] if same else Variable(f"own_{variable.name}", variable.extents, variable.flags)
        )
        self._bound[own] = array
        new = substituted([run.output, run.raw_output, run.loss], {variable: own})
        run.output, run.raw_output, run.loss = new

    def each(self, *roots: Node, also: Mapping[Variable, Variable] | None = None) -> list[Node]:
        """Expressions of one example, of :attr:`single`, for every example of the batch.

        ``also`` pairs further variables, with a first axis of 1, with those for all examples.
        """
        return self._each(self.single, roots, also)

    def _each(
        self, run: Run, roots: Sequence[Node], also: Mapping[Variable, Variable] | None = None
    ) -> list[Node]:
        pairs = [*zip(run.batch, self.whole.batch, strict=True), *(also or {}).items()]
        rows: dict[Node, Node] = {one: _one_each(whole) for one, whole in pairs}
        return mapped(roots, rows, self.count)

    @cached_property
    def rows(self) -> Node:
        """The output as it is computed from single examples: one row each."""
        return self._rows(self.single)

    def _rows(self, run: Run) -> Node:
        (rows,) = self._each(run, [run.output])
        labels = range(rows.ndim)
        return product((rows,), (labels,), (0, *labels[2:]))

    def _check_independence(self, run: Run) -> None:
        one, whole = run.output.extents, self.output.extents
        if not one or one[0] != 1 or one[1:] != whole[1:] or whole[0] is not self.count:
            shapes = f"{one} for one example, {whole} for the batch"
            raise mixed(self.model, f"its result has shape {shapes}")
        rows, output = simplify_all([self._rows(run), self.output])
        if rows is output:
            return
        found, wanted = self.compiled([rows, output]).call(self.first)
        tolerance = ROUNDING.get(np.asarray(found).dtype.name, 1e-2)
        if not np.allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max()):
            raise mixed(self.model, "the result of an example changes with the others")

    # -- programs -----------------------------------------------------------------------------
    def cached(self, key: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def program(self, key: Any, derive: Callable[[], Any]) -> Program:
        """The program of what ``derive`` gives, derived once."""
        return self.cached(key, lambda: self.compiled(derive()))

    def compiled(self, formulas: Any, extra: Sequence[Variable] = ()) -> Program:
        """A program of expressions; calls give the arrays of ``extra`` after the batch."""
        return Program(self, formulas, extra)

    def values(self, batch: Batch) -> dict[Variable, Any]:
        """The arrays of all variables as they are now."""
        held = dict(held_arrays(self.model))
        values = {variable: held[name] for name, variable in self.whole.fixed.items()}
        return {**values, **self._bound, **dict(zip(self.whole.batch, batch.arrays, strict=True))}


class Program:
    """Compiled expressions of a network, and the ``formulas`` that they are."""

    def __init__(self, network: Network, formulas: Any, extra: Sequence[Variable]) -> None:
        self.formulas, self._network, self._extra = formulas, network, list(extra)
        self.compiled = backends.compile(formulas, real=True)
        self._variables = self.compiled.variables

    def call(self, batch: Batch, *extra: Any) -> Any:
        """The values, nested as the formulas are."""
        values = self._network.values(batch)
        values.update(zip(self._extra, extra, strict=True))
        return self.of(values, batch.size)

    def of(self, values: Mapping[Variable, Any], examples: int) -> Any:
        """The values for arrays by variable."""
        given = [
            values[variable] if variable.value is None else variable.value
            for variable in self._variables
        ]
        return self.compiled.call(*given, *[examples] * len(self.compiled.symbols))


def _one_each(whole: Variable) -> Node:
    """``out[n, 0, ...] = whole[n, ...]``: every example as a batch of one."""
    axes = range(whole.ndim)
    return product((whole,), (axes,), (0, "one", *axes[1:]), {"one": 1})


def substituted(roots: Sequence[Node], values: Mapping[Node, Node]) -> list[Node]:
    """Expressions with nodes replaced throughout."""
    new = dict(values)
    for node in postorder(*roots):
        if node not in new:
            new[node] = rebuilt(node, new)
    return [new[root] for root in roots]


def mixed(model: Module, why: str) -> GraphError:
    """The error of a quantity per example where there is no such thing."""
    batch_norms = [
        name or type(layer).__name__
        for name, layer in model.named_modules()
        if hasattr(layer, "track_running_stats")
        if layer.training or not getattr(layer, "track_running_stats")  # noqa: B009
    ]
    found = [f"normalised over the batch: {', '.join(batch_norms)}"] if batch_norms else []
    return GraphError(
        f"{type(model).__name__} mixes the examples of a batch, so nothing belongs to one: {why}",
        found,
        "call model.eval() for running averages, or normalise with GroupNorm or LayerNorm",
    )


# -- one network for each kind of call ------------------------------------------------------------
_networks: weakref.WeakKeyDictionary[Module, dict[Any, list[Network]]] = weakref.WeakKeyDictionary()


def network_of(model: Module, loss: Callable[..., Any], batch: Any) -> tuple[Network, Batch]:
    """The expressions of a model and a loss, traced once per kind of batch, and the batch.

    Models are told apart by identity, and by the plain options and training modes of their layers.
    """
    batch = batch if isinstance(batch, Batch) else Batch(batch)
    known = _networks.setdefault(model, {}).setdefault((loss, batch.key, fingerprint(model)), [])
    leaves = [*dict(held_arrays(model)).values(), *batch.arrays]
    for network in known:
        if network.whole.fits(leaves):
            return network, batch
    known.append(Network(model, loss, batch))
    return known[-1], batch


def fingerprint(model: Module) -> Any:
    """What a trace of the model depends on beside the values of arrays."""
    modules = [
        (id(layer), layer.training, tuple(filter(_is_option, vars(layer).items())))
        for layer in model.modules()
    ]
    parameters = [(p.shape, p.dtype, p.requires_grad) for p in model.parameters()]
    return tuple(modules), tuple(parameters)


def _is_option(item: tuple[str, Any]) -> bool:
    name, value = item
    return name != "training" and _is_plain(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
