"""Curvature times a direction, as expressions: Hessian, Gauss-Newton, Fisher, empirical Fisher.

With the output ``z``, the loss ``L``, its Jacobian ``J = dz/dw`` and a direction ``v``:

==================  ================================================================
Hessian             ``H v = d(dL/dw . v)/dw``
Gauss-Newton (GGN)  ``J' (d2L/dz2) J v``
Fisher              ``J' F J v``, ``F`` the expectation of ``g g'`` over the targets
empirical Fisher    ``sum over n of g_n (g_n . v)``, ``g_n`` of example ``n``
==================  ================================================================

Nothing is as large as the matrix. Sources: Pearlmutter, *Fast exact multiplication by the Hessian*
(1994); Schraudolph, *Fast curvature matrix-vector products* (2002); Kunstner, Balles, Hennig,
*Limitations of the empirical Fisher approximation* (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorcalc.derivatives import pullback, pushforward
from tensorcalc.nodes import Constant, Node, Variable
from tensorcalc.products import product
from tensorcalc.simplify import simplify_all
from tensorcalc.sums import add

from .likelihoods import output_fisher
from .network import Network, substituted
from .per_example import gradients_of_examples, share_of_examples


def directions(network: Network) -> list[Variable]:
    """A variable of the shape of every parameter that learns."""
    return [Variable(f"v_{x.name}", x.extents) for x in network.xs]


def hessian_product(network: Network, vs: Sequence[Node]) -> list[Node]:
    """``H v``: the derivative along ``v``, then its gradient."""
    slope = pushforward(network.objective, dict(zip(network.xs, vs, strict=True)), 0)
    return simplify_all(pullback(slope, network.xs, Constant(1), 0))


def ggn_product(network: Network, vs: Sequence[Node]) -> list[Node]:
    """``J' (d2L/dz2) J v``."""
    run = network.whole
    along = Variable("along", run.seen.extents)
    slope = pushforward(run.loss, {run.seen: along}, 0)
    (curved,) = simplify_all(pullback(slope, [run.seen], Constant(1), 0))
    return _sandwiched(network, vs, lambda z, u: substituted([curved], {run.seen: z, along: u})[0])


def fisher_product(network: Network, vs: Sequence[Node]) -> list[Node]:
    """``J' F J v`` with the Fisher information ``F`` of the outputs."""
    found = output_fisher(network.loss, network.whole.seen)

    def curved(z: Node, u: Node) -> Node:
        (block,) = substituted([found.block], {network.whole.seen: z})
        return product((block, u), (found.labels, found.columns), found.rows)

    return _sandwiched(network, vs, curved)


def empirical_fisher_product(network: Network, vs: Sequence[Node]) -> list[Node]:
    """``s sum over n of g_n (g_n . v)``, ``s`` the share of an example in the loss."""
    gradients = gradients_of_examples(network)
    parts = []
    for gradient, v in zip(gradients, vs, strict=True):
        axes = tuple(range(v.ndim))
        parts.append(product((gradient, v), (("n", *axes), axes), ("n",)))
    along = product((add(*parts), share_of_examples(network)), (("n",), ()), ("n",))
    results = []
    for gradient in gradients:
        axes = tuple(range(gradient.ndim - 1))
        results.append(product((gradient, along), (("n", *axes), ("n",)), axes))
    return simplify_all(results)


def _sandwiched(
    network: Network, vs: Sequence[Node], curved: Callable[[Node, Node], Node]
) -> list[Node]:
    """``J' curved(z, J v)``."""
    z = network.output
    along = pushforward(z, dict(zip(network.xs, vs, strict=True)), 0)
    z, along = simplify_all([z, along])
    return simplify_all(pullback(z, network.xs, curved(z, along), 0))
