"""Operations: expressions of variables, and pullbacks that are derived from them.

One operation of the graph is any number of expressions over common input variables: a NumPy
function traced on variables with symbolic extents, a layer, or a whole user function. Its forward
program computes the expressions; its pullback program computes ``sum over k of g_k dE_k/dx`` for
the inputs that want a gradient, by :func:`tensorcalc.derivatives.pullback` and nothing else.

Adjoints share work with the expressions they come from: the derivative of ``tanh`` is a formula of
its result. What they share is *kept*: walking down from the adjoints, the first node that the
expressions contain as well, and that is worth storing (a contraction or a row of the operation
table, but no view of an input, constant or delta), becomes one more result of the forward program
and a variable of the pullback. Kept nodes count as results of the operation in every respect:
they have adjoints of their own, and what those read is kept as well, so that the pullback can be
recorded and differentiated again without anything else having been stored.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any

import backends
from tensorcalc.derivatives import pullback
from tensorcalc.nodes import Apply, Node, Product, Variable, free_variables, postorder
from tensorcalc.products import is_view, zeros
from tensorcalc.simplify import rebuilt, simplify_all
from tensorcalc.sums import add

from ..arguments import unique_name

#: Elementwise rows that cost less to compute again than to write and read back.
CHEAP = frozenset(
    "abs maximum minimum relu where sign step floor ceil rint trunc power copysign".split()
)


def is_worth_keeping(node: Node) -> bool:
    """Whether reading the node back is cheaper than computing it again."""
    if isinstance(node, Apply):
        return node.operation.result == "real" and not (
            node.operation.is_elementwise and node.operation.name in CHEAP
        )
    return isinstance(node, Product) and not is_view(node) and bool(summed_labels(node))


def summed_labels(node: Product) -> set[int]:
    """Labels that are summed over."""
    return {label for own in node.subscripts for label in own} - set(node.output)


class Program:
    """A compiled function of those of ``variables`` that its results read, and of sizes."""

    def __init__(
        self,
        results: Sequence[Node],
        variables: Sequence[Variable],
        target: str,
        real: bool = False,
    ) -> None:
        read = set(free_variables(*results))
        #: Positions of the variables that are arguments.
        self.reads = [k for k, variable in enumerate(variables) if variable in read]
        self._results, self._target, self._real = list(results), target, real
        self._arguments = [variables[k] for k in self.reads]
        self._hints: Mapping[str, int] = {}

    def elsewhere(self, target: str) -> Program:
        """The same program for another target."""
        twin = copy(self)
        twin._target = target
        twin.__dict__.pop("compiled", None)
        return twin

    @cached_property
    def compiled(self) -> Any:
        """The compiled function; the first sizes that it was bound to are its hints."""
        return backends.compile(
            self._results,
            self._target,
            variables=self._arguments,
            sizes=self._hints,
            real=self._real,
        )

    def bind(self, arrays: Sequence[Any], sizes: Mapping[str, int]) -> Callable[..., Any]:
        """The plain function for arguments of the shapes and dtypes of these."""
        self._hints = self._hints or sizes
        given = [sizes[name] for name in self.compiled.symbols]
        function = self.compiled.prepared(*arrays, *given)
        return (lambda *arrays: function(*arrays, *given)) if given else function


class Operation:
    """Expressions over input variables.

    ``inputs`` are the variables that calls bind, ``bound`` further ones with the arrays they stand
    for (data that a function captures).
    """

    def __init__(
        self,
        name: str,
        inputs: Sequence[Variable],
        results: Sequence[Node],
        bound: dict[Variable, Any] | None = None,
        target: str = "numpy",
    ) -> None:
        self.name, self.target = name, target
        self.inputs, self.bound = list(inputs), bound or {}
        self.results = list(results)
        self._recordings: dict[tuple[int, ...], Recording] = {}

    @property
    def variables(self) -> list[Variable]:
        """All variables: those of calls, then those of captured data."""
        return [*self.inputs, *self.bound]

    @cached_property
    def forward(self) -> Program:
        """The program of the results alone."""
        return Program(simplify_all(self.results), self.variables, self.target)

    def recording(self, wanted: tuple[int, ...]) -> Recording:
        """The operation prepared for gradients of the inputs ``wanted``, by position."""
        if wanted not in self._recordings:
            self._recordings[wanted] = Recording(self, wanted)
        return self._recordings[wanted]


class Recording:
    """An operation whose pullback will be asked for, with respect to some of its inputs.

    ``seeds`` stand for the adjoints of results, then of kept nodes; ``stand_ins`` for those results
    and kept nodes that adjoints read, by position. ``adjoints`` are those that results give.
    """

    def __init__(self, operation: Operation, wanted: tuple[int, ...]) -> None:
        self.operation, self.wanted = operation, wanted
        self.xs = [operation.inputs[k] for k in wanted]
        self._taken = {variable.name for variable in operation.variables}
        self._pullbacks: dict[tuple[int, ...], Pullback] = {}
        self._derive()

    def _derive(self) -> None:
        """Derive what the results give, keep what that shares, and close under derivation."""
        results = list(self.operation.results)
        self.seeds = [self._seed(node) for node in results]
        simplified = simplify_all([*results, *summed_pullbacks(results, self.xs, self.seeds)])
        self.results, adjoints = simplified[: len(results)], simplified[len(results) :]
        forward = set(postorder(*self.results))
        shared = shared_nodes(adjoints, forward)
        known = dict.fromkeys([*self.results, *shared])
        self.kept = list(known)[len(dict.fromkeys(self.results)) :]
        kept_adjoints = []
        for node in self.kept:  # grows, by nodes of the forward DAG only
            self.seeds.append(self._seed(node))
            own = pullback(node, self.xs, self.seeds[-1], 0)
            kept_adjoints.append(own)
            for found in shared_nodes(own, forward):
                shared.append(found)
                if found not in known:
                    known[found] = None
                    self.kept.append(found)
        self._stand_for(shared)
        self.adjoints = self._read_back(adjoints)
        #: What kept nodes give, not simplified: needed only where a pullback is differentiated.
        self._kept_adjoints = [self._read_back(own) for own in kept_adjoints]

    def _seed(self, node: Node) -> Variable:
        return Variable(unique_name("adjoint", self._taken), node.extents)

    def _stand_for(self, shared: Sequence[Node]) -> None:
        """Variables that stand for shared nodes, by their position among results and kept nodes."""
        wanted = set(shared)
        nodes = [*self.results, *self.kept]
        self.stand_ins = {
            k: Variable(unique_name("kept", self._taken), node.extents, flags_of(node))
            for k, node in enumerate(nodes)
            if node in wanted
        }
        self._variables: dict[Node, Node] = {nodes[k]: v for k, v in self.stand_ins.items()}

    def _read_back(self, adjoints: Sequence[Node]) -> list[Node]:
        """Adjoints that read shared nodes instead of computing them again."""
        return rebuilt_above(adjoints, self._variables)

    @cached_property
    def reads(self) -> set[Node]:
        """All variables that some adjoint reads, those of kept nodes included."""
        every = [*self.adjoints, *(a for own in self._kept_adjoints for a in own)]
        return set(free_variables(*every))

    @cached_property
    def forward(self) -> Program:
        """The program of the results and of what is kept."""
        operation = self.operation
        return Program([*self.results, *self.kept], operation.variables, operation.target)

    def pullback(self, given: tuple[int, ...]) -> Pullback:
        """The pullback where only results and kept nodes ``given``, by position, have adjoints."""
        if given not in self._pullbacks:
            self._pullbacks[given] = Pullback(self, given, self._given(given))
        return self._pullbacks[given]

    def _given(self, given: tuple[int, ...]) -> list[Node]:
        count = len(self.results)
        if given == tuple(range(count)):
            return self.adjoints
        absent: dict[Node, Node] = {
            seed: zeros(seed.extents) for k, seed in enumerate(self.seeds[:count]) if k not in given
        }
        parts = [rebuilt_above(self.adjoints, absent)]
        parts += [self._kept_adjoints[k - count] for k in given if k >= count]
        return simplify_all([add(*column) for column in zip(*parts, strict=True)])


class Pullback:
    """Adjoints of wanted inputs as expressions of adjoints of given results and stored arrays."""

    def __init__(
        self, recording: Recording, given: tuple[int, ...], adjoints: Sequence[Node]
    ) -> None:
        operation = recording.operation
        self.seeds = [recording.seeds[k] for k in given]
        self.adjoints = list(adjoints)
        read = set(free_variables(*self.adjoints))
        #: Positions of the inputs, and of the results and kept nodes, whose values are read.
        self.read_inputs = [k for k, v in enumerate(operation.variables) if v in read]
        self.read_results = [k for k, v in recording.stand_ins.items() if v in read]
        values = [operation.variables[k] for k in self.read_inputs]
        values += [recording.stand_ins[k] for k in self.read_results]
        self.variables = [*self.seeds, *values]
        self.name, self.target = operation.name, operation.target

    @cached_property
    def computed(self) -> list[Node]:
        """Distinct adjoints that are not a seed itself."""
        seeds = set(self.seeds)
        return list(dict.fromkeys(a for a in self.adjoints if a not in seeds))

    @cached_property
    def routes(self) -> list[tuple[bool, int]]:
        """Per wanted input: whether its adjoint is a seed itself, and which seed or result."""
        seeds: dict[Node, int] = {seed: k for k, seed in enumerate(self.seeds)}
        computed = {node: k for k, node in enumerate(self.computed)}
        return [(a in seeds, seeds[a] if a in seeds else computed[a]) for a in self.adjoints]

    @cached_property
    def program(self) -> Program:
        """The program of those adjoints that are no seeds."""
        return Program(self.computed, self.variables, self.target, real=True)

    @cached_property
    def operation(self) -> Operation:
        """The pullback as an operation of its own, to be recorded and differentiated."""
        return Operation(
            f"pullback of {self.name}", self.variables, self.adjoints, target=self.target
        )


def summed_pullbacks(
    nodes: Sequence[Node], xs: Sequence[Node], seeds: Sequence[Node]
) -> list[Node]:
    """``sum over k of seeds[k] d nodes[k] / dx`` for every ``x``."""
    parts = [pullback(node, xs, seed, 0) for node, seed in zip(nodes, seeds, strict=True)]
    return [add(*column) for column in zip(*parts, strict=True)]


def shared_nodes(adjoints: Sequence[Node], forward: Container[Node]) -> list[Node]:
    """The first nodes below the adjoints that are in ``forward`` and worth keeping."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    stack = list(adjoints)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in forward and is_worth_keeping(node):
            found[node] = None
        else:
            stack.extend(node.operands)
    return list(found)


def rebuilt_above(roots: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """Expressions with nodes replaced, not looking below these."""
    if not replacements:
        return list(roots)
    new = dict(replacements)
    seen = set(replacements)
    stack: list[tuple[Node, bool]] = [(root, False) for root in roots]
    while stack:
        node, ready = stack.pop()
        if ready:
            new[node] = rebuilt(node, new)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((operand, False) for operand in node.operands)
    return [new[root] for root in roots]


def flags_of(node: Node) -> tuple[str, ...]:
    """The flags of a variable that stands for the node."""
    if isinstance(node, Apply) and node.operation.result != "real":
        return (node.operation.result,)
    return ()
