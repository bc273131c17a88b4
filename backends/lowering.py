"""Nodes to a Program: every distinct node once, elementwise work fused into loop nests.

A node becomes a :class:`Ref`: a value and, for each of its axes, the axis of the node it runs
over. Transposes and broadcasts are such references and cost nothing until an array must be laid
out. Elementwise nodes with one user are not made at all: they become part of the user's nest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from tensorcalc.contraction_order import Choice
from tensorcalc.extents import evaluate, same_extents, symbols_of
from tensorcalc.nodes import (
    Apply,
    Constant,
    Delta,
    Node,
    Product,
    Sum,
    Variable,
    postorder,
    use_counts,
)

from .affine_rows import has_rows, reduced_to_core
from .binding import argument_names
from .block_solves import block_solves
from .contractions import contracted
from .cores import Core
from .distribution import ASSUMED_SIZE, distributed
from .filter_chains import chained
from .gathers import filled
from .grams import GramChoice
from .hoisting import hoisted
from .liveness import read_steps
from .node_kinds import (
    as_wanted,
    is_elementwise,
    is_scaling,
    is_stored,
    is_trivial,
    kind_of,
    real,
    result_kind,
    variable_kind,
)
from .partial_products import PartialProducts
from .program import Program
from .selections import scattered
from .solves import solvable
from .steps import (
    Affine,
    Call,
    Indicator,
    Input,
    Insert,
    Labels,
    Nest,
    Ref,
    Reshape,
    Step,
    Term,
    Value,
    View,
    constant,
    load,
)
from .unrolling import unrolled

#: A nest of more operations than this is cut: its text stays readable, its recursion shallow.
NEST_LIMIT = 24


class Lowered(NamedTuple):
    """A Program, and the choices in it that depend on sizes."""

    program: Program
    choices: list[Choice | GramChoice]


def lower(
    roots: Sequence[Node],
    variables: Sequence[Variable],
    sizes: Mapping[str, int] | None = None,
    real: bool = False,
) -> Lowered:
    """The Program that computes ``roots`` from ``variables``; ``sizes`` are hints of extents."""
    lowering = Lowering(chained(distributed(hoisted(roots))), variables, sizes or {}, real)
    lowering.run()
    lowering.program.verify()
    return Lowered(block_solves(lowering.program), lowering.choices)


class Lowering:
    """One pass over the DAG."""

    def __init__(
        self,
        roots: Sequence[Node],
        variables: Sequence[Variable],
        sizes: Mapping[str, int],
        real: bool,
    ) -> None:
        self.roots = roots
        self.variables = variables
        self.program = Program()
        self.makers: dict[Value, Step] = {}
        self.refs: dict[Node, Ref] = {}
        self.made: dict[Any, Any] = {}
        self.uses = use_counts(*roots)
        self.weights: dict[Node, int] = {}
        self.hints = sizes
        self.real = real
        self.choices: list[Choice | GramChoice] = []
        self.results = set(roots)
        self.solvable = solvable(list(roots))
        self.cores: dict[Node, Core] = {}
        self.shared: list[Value] = []
        self.partial = PartialProducts()

    def run(self) -> None:
        """Make everything, operands before users."""
        names = argument_names(self.variables)
        for variable, name in zip(self.variables, names, strict=True):
            kind: Any = variable_kind(variable)
            value = Value(name, variable.extents, kind)
            self.emit(Input(value, variable))
            self.refs[variable] = Ref(value, tuple(range(variable.ndim)))
        for node in postorder(*self.roots):
            if not self._is_lazy(node):
                self.ref(node)
        for root in self.roots:
            self.program.outputs.append(self._output(root))
        #: Views that went into other views are read by nobody.
        self.program.steps = read_steps(self.program.steps, self.program.outputs)

    # -- making values ----------------------------------------------------------------------
    def emit(self, step: Step) -> Value:
        """Append a step and return its value."""
        self.program.steps.append(step)
        self.makers[step.value] = step
        return step.value

    def value(self, extents: Sequence[Any], kind: Any = "real") -> Value:
        """A new value under a new name."""
        number = self.made["counter"] = self.made.get("counter", 0) + 1
        return Value(f"t{number}", tuple(extents), kind)

    def size(self, extent: Any) -> float:
        """The number that is assumed for an extent when orders are chosen."""
        if isinstance(extent, int):
            return max(extent, 1)
        sizes = {name: self.hints.get(name, ASSUMED_SIZE) for name in symbols_of(extent)}
        return max(evaluate(extent, sizes), 1)

    def once(self, key: Any, make: Any) -> Any:
        """``make()`` the first time, and its result whenever the key comes again."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    # -- nodes ------------------------------------------------------------------------------
    def ref(self, node: Node) -> Ref:
        """The node's array; makes it if nobody did."""
        if node not in self.refs:
            self.refs[node] = self._lowered(node)
        return self.refs[node]

    def _lowered(self, node: Node) -> Ref:
        if is_stored(node):
            return self.ref(node.operands[0])
        written_out = unrolled(node)
        if written_out is not None:
            for new, count in use_counts(written_out).items():
                self.uses.setdefault(new, count)
            return self.ref(written_out)
        if isinstance(node, Apply) and not node.operation.is_elementwise:
            return self._call(node)
        if isinstance(node, (Product, Delta)):
            return self._product(node)
        if isinstance(node, Sum):
            return self._sum(node)
        return self.nest(self.body(node, tuple(range(node.ndim))), dict(enumerate(node.extents)))

    def nest(
        self,
        term: Term,
        sizes: Mapping[int, Any],
        reduced: Labels = (),
        output: Labels | None = None,
    ) -> Ref:
        """The value of a term over the labels it depends on; others are broadcast."""
        depends = term.labels()
        if output is None:
            output = tuple(label for label in sizes if label in depends and label not in reduced)
            given = {v for v, _ in term.loads() if isinstance(self.makers.get(v), Input)}
            output = _as_in_memory(term, output, given)
        if term.operator == "load" and not reduced and term.payload[1] == output:
            return Ref(term.payload[0], output)
        used = {label: sizes[label] for label in (*output, *reduced)}

        def make() -> Value:
            value = self.value([sizes[label] for label in output], kind_of(term))
            return self.emit(Nest(value, term, output, reduced, used))

        numbers = {label: k for k, label in enumerate(used)}
        key = (term.renamed(numbers), tuple(used.values()), len(output))
        return Ref(self.once(key, make), output)

    def _call(self, node: Apply) -> Ref:
        arguments = tuple(self.laid_out(self.ref(o), o.extents) for o in node.operands)
        value = self.value(node.extents, result_kind(node))
        self.emit(Call(value, node.operation, arguments, node.params))
        return Ref(value, tuple(range(node.ndim)))

    def _product(self, node: Product | Delta) -> Ref:
        core = self.core_of(node)
        if core.scattered is not None:
            ref = self.core(core)
            return Ref(scattered(self, core, ref.value, ref.axes, node), tuple(range(node.ndim)))
        if core.axes is None:
            return self.core(core)
        return self._inserted(None, node, [[core]])

    def core_of(self, node: Node) -> Core:
        """The node's product freed of deltas; found once."""
        if node not in self.cores:
            self.cores[node] = reduced_to_core(self, node)
        return self.cores[node]

    def core(self, core: Core) -> Ref:
        """The value of a product that is free of structural deltas, over its own labels."""
        if core.is_elementwise:
            return self.nest(core.term(self), core.output_sizes())
        return contracted(self, core)

    def _sum(self, node: Sum) -> Ref:
        """Dense terms in one nest, structured ones written into its result."""
        labels = tuple(range(node.ndim))
        sizes = dict(enumerate(node.extents))
        dense: list[Term] = []
        sparse: list[Core] = []
        for operand in node.operands:
            core = self._structured(operand)
            if core is None:
                dense.append(real(self.term(operand, labels)))
            elif (term := filled(self, core, node.extents)) is not None:
                dense.append(term)
            else:
                sparse.append(core)
        if not sparse:
            return self.nest(Term("add", tuple(dense)), sizes)
        base = self._base(dense, sizes)
        return self._inserted(base, node, _grouped(sparse))

    def _inserted(self, base: Value | None, node: Node, groups: list[list[Core]]) -> Ref:
        """Cores, those that go to the same places added up, written into ``base`` or zeros.

        Axes of the zeros lie in memory as those of the first core, unless they are a result.
        """
        refs = [self._added(cores) for cores in groups]
        extents = node.extents
        order = list(range(len(extents)))
        if base is None and node not in self.results:
            order = _as_placed(groups[0][0], refs[0])
        for (core, *_), ref in zip(groups, refs, strict=True):
            assert core.axes is not None
            value, sizes = self.value([extents[k] for k in order]), core.output_sizes()
            axes = tuple(core.axes[k] for k in order)
            base = self.emit(Insert(value, base, ref.value, ref.axes, axes, sizes, core.inside))
        assert base is not None
        return Ref(base, tuple(order))

    def _added(self, cores: list[Core]) -> Ref:
        if len(cores) == 1:
            return self.core(cores[0])
        terms = [real(self._core_term(core)) for core in cores]
        return self.nest(Term("add", tuple(terms)), cores[0].output_sizes())

    def _core_term(self, core: Core) -> Term:
        if core.is_elementwise:
            return core.term(self)
        ref = self.core(core)
        return self.loaded(ref.value, ref.axes)

    def _base(self, dense: list[Term], sizes: Mapping[int, Any]) -> Value | None:
        if not dense:
            return None
        term = dense[0] if len(dense) == 1 else Term("add", tuple(dense))
        return self.nest(term, sizes, output=tuple(sizes)).value

    def _structured(self, operand: Node) -> Core | None:
        """The core of a term that a structural delta confines, if the term has no other user."""
        if not isinstance(operand, (Product, Delta)) or operand in self.refs:
            return None
        core = self.core_of(operand)
        return core if core.axes is not None else None

    # -- terms ------------------------------------------------------------------------------
    def term(self, node: Node, labels: Labels) -> Term:
        """The node as part of a nest whose labels are given: inlined, or loaded."""
        if isinstance(node, Constant):
            return constant(node.value)
        if self._is_inlined(node):
            return self.body(node, labels)
        ref = self.ref(node)
        return self.loaded(ref.value, tuple(labels[axis] for axis in ref.axes))

    def loaded(self, value: Value, labels: Labels) -> Term:
        """A load; a label that repeats takes the diagonal."""
        if len(set(labels)) == len(labels):
            return load(value, labels)
        distinct = tuple(dict.fromkeys(labels))
        axes = tuple(Affine(((distinct.index(label), 1),)) for label in labels)
        extents = [value.extents[labels.index(label)] for label in distinct]
        view = self.once(
            ("diagonal", value, axes),
            lambda: self.emit(View(self.value(extents, value.kind), value, axes)),
        )
        return load(view, distinct)

    def body(self, node: Node, labels: Labels) -> Term:
        """The node's own operation over the terms of its operands."""
        if isinstance(node, Constant):
            return constant(node.value)
        if is_stored(node):
            return self.term(node.operands[0], labels)
        if isinstance(node, Sum):
            return Term("add", tuple(real(self.term(o, labels)) for o in node.operands))
        if isinstance(node, Apply):
            arguments = [self.term(o, labels if o.ndim else ()) for o in node.operands]
            return Term("apply", as_wanted(node, arguments), (node.operation, node.params))
        core = self.core_of(node)
        return core.term(self, dict(zip(core.output, labels, strict=True)))

    def _is_lazy(self, node: Node) -> bool:
        """Whether the node is made only when somebody asks for all of it."""
        lazy = isinstance(node, Constant) or has_rows(node) or node in self.solvable
        lazy = lazy or (isinstance(node, Apply) and node.operation.name == "one_hot")
        return lazy or self._is_inlined(node)

    def _is_inlined(self, node: Node) -> bool:
        """Whether the node becomes part of its user's nest."""
        if node in self.refs or node in self.results:
            return False
        if is_trivial(node) or is_scaling(node):
            return True
        return self.uses[node] == 1 and self._weight(node) <= NEST_LIMIT

    def _weight(self, node: Node) -> int:
        """Operations of the node with what is inlined into it; beyond the limit if it cannot be."""
        if node not in self.weights:
            self.weights[node] = (
                1 + sum(self._weight(o) for o in node.operands if self._is_inlined(o))
                if is_elementwise(node)
                else NEST_LIMIT + 1
            )
        return self.weights[node]

    # -- laying out -------------------------------------------------------------------------
    def laid_out(self, ref: Ref, extents: Sequence[Any]) -> Value:
        """The value with exactly the node's axes in the node's order; a view where it can be."""
        rank = len(extents)
        if ref.axes == tuple(range(rank)):
            return ref.value
        axes = tuple(Affine(((axis, 1),)) for axis in ref.axes)
        return self.once(
            ("view", ref, tuple(extents)),
            lambda: self.emit(View(self.value(extents, ref.value.kind), ref.value, axes)),
        )

    def _output(self, root: Node) -> Value:
        """An array of its own: no view of an input, no array twice."""
        labels = tuple(range(root.ndim))
        ref = self.ref(root)
        if self.real and ref.value.kind == "boolean":
            return self._copied(root, real(load(ref.value, ref.axes)))
        if is_trivial(root):
            return self._copied(root, self.body(root, labels))
        base = self._base_of(ref.value)
        whole = len(ref.axes) == root.ndim
        if whole and base is not None and not any(base is other for other in self.shared):
            self.shared.append(base)
            return self.laid_out(ref, root.extents)
        return self._copied(root, load(ref.value, ref.axes))

    def _copied(self, root: Node, term: Term) -> Value:
        """A new array of a term over the axes of ``root``."""
        sizes = dict(enumerate(root.extents))
        value = self.value(root.extents, kind_of(term))
        return self.emit(Nest(value, term, tuple(sizes), (), sizes))

    def _base_of(self, value: Value) -> Value | None:
        """Whose memory the value is, each entry once; None if it belongs to an argument."""
        step = self.makers[value]
        while isinstance(step, Reshape) or (isinstance(step, View) and _permutes(step)):
            step = self.makers[step.source]
        return None if isinstance(step, (Input, View, Indicator)) else step.value


def _as_in_memory(term: Term, output: Labels, given: Container[Value]) -> Labels:
    """Output labels in the order in which most arrays that have all of them lie.

    Of orders that are as frequent, that of an array that is ``given``, else that of the node.
    """
    fixed = {own for value, own in term.loads() if value in given}
    votes = Counter(
        tuple(label for label in own if label in output)
        for _, own in term.loads()
        if set(output) <= set(own)
    )
    weights = {order: (votes[order], order in fixed, order == output) for order in votes}
    return max(weights, key=weights.__getitem__, default=output)


def _as_placed(core: Core, ref: Ref) -> list[int]:
    """Axes of the whole in the order in which the core has the labels that place them."""
    assert core.axes is not None
    position = {label: k for k, label in enumerate(ref.axes)}
    firsts = [
        min((position[label] for label, _ in form.terms if label in position), default=-1)
        for form in core.axes
    ]
    return sorted(range(len(firsts)), key=firsts.__getitem__)


def _permutes(step: View) -> bool:
    """Whether a view only orders the axes anew."""
    labels = [form.label for form in step.axes]
    pairs = zip(labels, step.source.extents, strict=True)
    return sorted(map(str, labels)) == sorted(map(str, range(step.value.ndim))) and all(
        same_extents((step.value.extents[k],), (e,)) for k, e in pairs if k is not None
    )


def _grouped(cores: Sequence[Core]) -> list[list[Core]]:
    """Cores by the places they go to."""
    groups: dict[Any, list[Core]] = {}
    for core in cores:
        places = core.axes, tuple(core.output_sizes().items()), core.inside
        groups.setdefault(places, []).append(core)
    return list(groups.values())
