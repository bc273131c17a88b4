"""Exact diagonals of curvature matrices, parameter by parameter; no matrix is built.

``d[k] = sum over n, c, e of J[n,c,k] M[n,c,e] J[n,e,k]`` with the Jacobian ``J`` of the output of
every example and the curvature ``M`` between the Jacobians. Of a layer with one position per
example, ``J[n,c,o,i] = g[n,c,o] a[n,i]``, the sum is ``(g M g)[n,o] a[n,i]^2`` and no Jacobian is
stored. The diagonal of the Hessian is that of ``d2L/dw2`` with both indices the same.

Source for networks of layers: Dangel, Kunstner, Hennig, *BackPACK* (2020), appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensorcalc.derivatives import pullback, pushforward
from tensorcalc.nodes import Constant, Node
from tensorcalc.products import kronecker, product
from tensorcalc.simplify import simplify_all
from tensorcalc.structure.restrictions import diagonal
from tensorcalc.sums import add

from .network import Network
from .taps import Between, Layer, N, Site, Taps


def hessian_diagonal(network: Network) -> dict[str, Node]:
    """``d[k] = d2L / dw[k]2`` by parameter."""
    gradients = simplify_all(pullback(network.objective, network.xs, Constant(1), 0))
    found = [
        diagonal(pushforward(gradient, {x: kronecker(x.extents)}, x.ndim))
        for gradient, x in zip(gradients, network.xs, strict=True)
    ]
    return dict(zip(network.parameters, simplify_all(found), strict=True))


def jacobian_diagonal(parameters: Mapping[str, Node], taps: Taps) -> dict[str, Node]:
    """``d[k] = (J' M J)[k,k]`` by parameter, as an expression of what flows through the layers."""
    results = {}
    for name, x in parameters.items():
        layers = [layer for layer in taps.layers if layer.parameter == name]
        if len(layers) == 1 and layers[0].positions == 1:
            found = _spread(layers[0], x, _rank_one(layers[0], taps.between), 0)
        else:
            found = _squared(_jacobian(layers, x, taps.between.rows), x, taps.between)
        results[name] = found
    return dict(zip(results, simplify_all(list(results.values())), strict=True))


def _spread(layer: Layer, x: Node, values: Node, rank: int) -> Node:
    """What belongs to the entries of a view at their places in the parameter."""
    return pullback(layer.view, [x], values, rank)[0]


def _rank_one(layer: Layer, between: Between) -> Node:
    """``d = sum over n, c, e of g[n,c] M[n,c,e] g[n,e] a[n]^2`` where there is one position."""
    (site,) = layer.sites
    read, written = layer.site_labels(site, "input"), layer.site_labels(site, "output")
    operands = (site.adjoint, between.node, site.adjoint, site.inputs, site.inputs)
    labels = (
        (*between.rows, *written),
        between.labels,
        (*between.columns, *written),
        (N, *read),
        (N, *read),
    )
    return product(operands, labels, layer.view_labels)


def _jacobian(layers: Sequence[Layer], x: Node, rows: tuple[Any, ...]) -> Node:
    """``J[n,c...,k...] = sum over sites and positions r of g[n,c,r] a[n,r]``."""
    parts = []
    for layer in layers:
        total = add(*(_site_jacobian(layer, site, rows) for site in layer.sites))
        parts.append(_spread(layer, x, total, len(rows)))
    return add(*parts)


def _site_jacobian(layer: Layer, site: Site, rows: tuple[Any, ...]) -> Node:
    read, written = layer.site_labels(site, "input"), layer.site_labels(site, "output")
    labels = ((*rows, *written), (N, *read))
    return product((site.adjoint, site.inputs), labels, (*rows, *layer.view_labels))


def _squared(jacobian: Node, x: Node, between: Between) -> Node:
    axes = tuple(range(x.ndim))
    left, right = (*between.rows, *axes), (*between.columns, *axes)
    return product((jacobian, between.node, jacobian), (left, between.labels, right), axes)
