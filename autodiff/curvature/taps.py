"""What flows through every layer: inputs ``a``, Jacobians ``g``; and curvature ``M`` of the loss.

For a layer ``s[r,b,o] = sum over i of a[r,b,i] w[b,o,i]`` of example ``n`` the Jacobian of the
output is ``dz[n,c]/dw[b,o,i] = sum over r of g[n,c,r,b,o] a[n,r,b,i]`` with ``g = dz/ds``: the
derivative of a product is the product of its other factors. Whatever is made of Jacobians within
examples is made of ``a``, ``g`` and ``M``, each of which is an expression of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tensorcalc.derivatives import pullback, pushforward
from tensorcalc.nodes import Constant, Node, Variable, free_variables
from tensorcalc.products import kronecker, product
from tensorcalc.simplify import simplify_all
from tensorcalc.sums import add

from ..graph import GraphError
from .likelihoods import output_fisher
from .linear_uses import Role, Use, uses
from .network import Network, substituted
from .per_example import share_of_examples

#: Entries of a parameter that no layer is linear in, up to which Jacobians are stored for it.
EXACT_LIMIT = 4096

#: What stands between the Jacobians: the Hessian of the loss by the output, the Fisher information
#: of the outputs, or the outer products of the gradients that the targets give.
CURVATURES = ("ggn", "fisher", "empirical")

#: The label of the examples; the axes of the output have labels ``("axis", k)``.
N = ("axis", 0)


class Between(NamedTuple):
    """A node with its labels, and the labels of the output for the two Jacobians around it."""

    node: Node
    labels: tuple[Any, ...]
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]


class Site(NamedTuple):
    """What flows through a layer at one place of the network.

    ``inputs`` has axes (examples, positions, block, input), ``adjoint`` (examples, outputs of the
    network, positions, block, output), without outputs for gradients of the loss.
    """

    inputs: Node
    adjoint: Node
    positions: int


class Layer(NamedTuple):
    """One view of one parameter in one role, and the sites where the network applies it."""

    parameter: str
    view: Node
    roles: tuple[str, ...]
    sites: tuple[Site, ...]

    def labels(self, *roles: str) -> tuple[Any, ...]:
        """Labels of the axes in these roles."""
        return tuple((role, k) for role in roles for k in range(self.roles.count(role)))

    @property
    def view_labels(self) -> tuple[Any, ...]:
        """Labels of the view's axes."""
        return tuple((role, self.roles[:k].count(role)) for k, role in enumerate(self.roles))

    def site_labels(self, site: Site, role: str) -> tuple[Any, ...]:
        """Labels of positions, block axes and the axes in a role."""
        positions = tuple(("position", k) for k in range(site.positions))
        return (*positions, *self.labels("block", role))

    @property
    def positions(self) -> int:
        """Positions that share the weight, of all sites."""
        return sum(math.prod(map(int, s.inputs.extents[1 : 1 + s.positions])) for s in self.sites)


class Taps:
    """The layers of a network, and variables for what flows through them.

    ``formulas`` says what the variables are.
    """

    def __init__(self, network: Network, curvature: str) -> None:
        check_option("curvature", curvature, CURVATURES)
        self.formulas: dict[Variable, Node] = {}
        found = _uses(network)
        nodes = list(dict.fromkeys(use.node for group in found.values() for use in group))
        adjoints = dict(zip(nodes, _adjoints(network, nodes, curvature), strict=True))
        self.layers = [
            Layer(name, view, roles, tuple(self._sites(network, group, adjoints)))
            for (name, view, roles), group in found.items()
        ]
        between = _BETWEEN[curvature](network)
        self.between = between._replace(node=self._named("M", between.node))
        self.program = network.compiled(list(self.formulas.values()))

    def _sites(
        self, network: Network, group: Sequence[Use], adjoints: Mapping[Node, Node]
    ) -> Iterator[Site]:
        """The places of a layer; uses with the same input are one place, written in several ways.

        The adjoint of a place is the sum of those of the ways.
        """
        places: dict[Node, list[Use]] = {}
        for use in group:
            places.setdefault(use.inputs, []).append(use)
        lifted = network.each(*places)
        for inputs, own in zip(lifted, places.values(), strict=True):
            (adjoint,) = simplify_all(
                [add(*(use.result_adjoint(adjoints[use.node]) for use in own))]
            )
            yield Site(self._named("a", inputs), self._named("g", adjoint), own[0].positions)

    def _named(self, name: str, node: Node) -> Node:
        """A variable for a formula; what no variable is in stays as it is."""
        known: dict[Node, Node] = {formula: own for own, formula in self.formulas.items()}
        if node in known or not free_variables(node):
            return known.get(node, node)
        count = sum(variable.name.startswith(f"{name}_") for variable in self.formulas)
        variable = Variable(f"{name}_{count}", node.extents)
        self.formulas[variable] = node
        return variable

    def values(self, arrays: Mapping[Variable, Any], examples: int) -> dict[Variable, Any]:
        """The arrays of the variables."""
        found = self.program.of(arrays, examples)
        return dict(zip(self.formulas, found, strict=True))


def taps_of(network: Network, curvature: str) -> Taps:
    """The layers of a network with what flows through them."""
    return network.cached(("taps", curvature), lambda: Taps(network, curvature))


def check_option(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise ValueError for a value that is not allowed."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: use one of {', '.join(map(repr, allowed))}")


# -- layers ---------------------------------------------------------------------------------------
def _uses(network: Network) -> dict[Any, list[Use]]:
    """Uses that share a weight: same parameter, same view of it, same roles of its axes."""
    groups: dict[Any, list[Use]] = {}
    for name, x in network.parameters.items():
        found = uses(network.single.raw_output, x)
        if found is None:
            found = [_exact(name, x)]
        for use in found:
            groups.setdefault((name, use.view, use.roles), []).append(use)
    return groups


def _exact(name: str, x: Variable) -> Use:
    """The whole parameter as output axes of a layer with the input 1."""
    size = math.prod(map(int, x.extents))
    if size > EXACT_LIMIT:
        raise GraphError(
            f"parameter {name} is in no product that is linear in it, and its Jacobian is large",
            [f"{name}: {size:,} entries, at most {EXACT_LIMIT:,} are stored"],
            "use it in products, or freeze it",
        )
    labels = tuple(range(x.ndim))
    output: Role = "output"
    return Use(x, x, (output,) * x.ndim, Constant(1), 1, 0, labels, labels)


# -- Jacobians ------------------------------------------------------------------------------------
def _adjoints(network: Network, nodes: Sequence[Node], curvature: str) -> list[Node]:
    """``dz/ds`` of every example with axes (n, c..., s...), or ``dL_n/ds`` with axes (n, s...)."""
    single = network.single
    z = single.raw_output
    if curvature == "empirical":
        (slope,) = simplify_all(pullback(single.loss, [single.seen], Constant(1), 0))
        (seed,) = substituted([slope], {single.seen: z})
        return network.each(*pullback(z, nodes, seed, 0))
    found = network.each(*pullback(z, nodes, kronecker(z.extents), z.ndim))
    return [_without_second_axis(node) for node in found]


def _without_second_axis(node: Node) -> Node:
    """The batch of one that the output of an example has is dropped."""
    labels = range(node.ndim)
    return product((node,), (labels,), (0, *labels[2:]))


# -- what stands between Jacobians ----------------------------------------------------------------
def loss_curvature(network: Network) -> Between:
    """``M[n,i,j] = d2L / dz[n,i] dz[n,j]`` at the outputs, within examples."""
    run = network.whole
    z = run.seen
    (slope,) = simplify_all(pullback(run.loss, [z], Constant(1), 0))
    hessian = simplify_all([pushforward(slope, {z: kronecker(z.extents)}, z.ndim)])[0]
    rows = tuple(("axis", k) for k in range(z.ndim))
    columns = (N, *(("column", k) for k in range(1, z.ndim)))
    block = product((hessian,), ((*rows, *columns),), (*rows, *columns[1:]))
    (block,) = simplify_all(substituted(simplify_all([block]), {z: network.rows}))
    return Between(block, (*rows, *columns[1:]), rows, columns)


def fisher_curvature(network: Network) -> Between:
    """The Fisher information of the outputs."""
    found = output_fisher(network.loss, network.whole.seen)
    (block,) = substituted(simplify_all([found.block]), {network.whole.seen: network.rows})
    return Between(block, found.labels, found.rows, found.columns)


def _share(network: Network) -> Between:
    """The share of an example in the loss: gradients have no axes of the output."""
    return Between(share_of_examples(network), (), (N,), (N,))


_BETWEEN = {"ggn": loss_curvature, "fisher": fisher_curvature, "empirical": _share}
