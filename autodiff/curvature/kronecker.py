"""Kronecker factors of curvature (K-FAC) for any layer that index notation can write.

Of a layer ``s[r,o] = sum over i of a[r,i] w[o,i]`` with shared positions ``r`` (a linear layer has
one, a convolution one per window, a recurrent network one per step) the curvature matrix of the
weight is a sum over examples and pairs of positions of ``a a'`` and ``g M g'``, where ``g = dz/ds``
is the Jacobian of the output and ``M`` the curvature of the loss. K-FAC takes the two apart:

======  =====================================  ========================================
expand  ``A = sum over n, r of a a' / (N R)``  ``G = sum over n, r of g M g'``
reduce  ``A = sum over n of ā ā' / (N R²)``    ``G = sum over n of ḡ M ḡ'``
======  =====================================  ========================================

with ``ā`` and ``ḡ`` summed over the positions. Nothing here knows a layer: products linear in a
parameter are found in the expression of the network (:mod:`autodiff.curvature.linear_uses`), ``a``
is what multiplies the weight there and ``g`` comes from the calculus.

Sources: Martens and Grosse, *Optimizing neural networks with Kronecker-factored approximate
curvature* (2015); Grosse and Martens, *A Kronecker-factored approximate Fisher matrix for
convolution layers* (2016); Eschenhagen et al., *Kronecker-factored approximate curvature for modern
neural network architectures* (2023), who name expand and reduce.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tensorcalc.nodes import Constant, Node, extent_scalar
from tensorcalc.products import product
from tensorcalc.simplify import simplify_all
from tensorcalc.sums import add

from .network import Network
from .taps import Between, Layer, N, Taps, check_option

APPROXIMATIONS = ("expand", "reduce")


class Factors(NamedTuple):
    """Kronecker factors of one layer, as expressions of what flows through it.

    ``A`` has axes (block, input, input), ``G`` (block, output, output), each of as many axes as the
    layer's view of the weight has in that role. The curvature of the view is
    ``A[b,i,j] G[b,o,p]``.
    """

    layer: Layer
    A: Node
    G: Node


def factors_of(network: Network, taps: Taps, approximation: str = "expand") -> list[Factors]:
    """The factors of all parameters that learn.

    Raises ValueError for an unknown approximation.
    """
    check_option("approximation", approximation, APPROXIMATIONS)
    combine = _COMBINED[approximation]
    results = []
    for layer in taps.layers:
        A = combine(_input_terms(layer), None)
        G = combine(_output_terms(layer), taps.between)
        shares = layer.positions if approximation == "expand" else layer.positions**2
        A, G = simplify_all([A / (shares * extent_scalar(network.count)), G])
        results.append(Factors(layer, A, G))
    return results


class Term(NamedTuple):
    """A node whose first axes are examples and outputs, with labels of the others.

    ``core`` are the labels of which the factor has two copies, ``block`` those that it has once.
    """

    node: Node
    labels: tuple[Any, ...]
    block: tuple[Any, ...]
    core: tuple[Any, ...]


def _input_terms(layer: Layer) -> list[Term]:
    block, core = layer.labels("block"), layer.labels("input")
    return [Term(s.inputs, layer.site_labels(s, "input"), block, core) for s in layer.sites]


def _output_terms(layer: Layer) -> list[Term]:
    block, core = layer.labels("block"), layer.labels("output")
    return [Term(s.adjoint, layer.site_labels(s, "output"), block, core) for s in layer.sites]


def _expanded(terms: Sequence[Term], between: Between | None) -> Node:
    """``sum over uses, n, r of t[n,r,i] M t[n,r,j]``."""
    return add(*(_squared(term, between) for term in terms))


def _reduced(terms: Sequence[Term], between: Between | None) -> Node:
    """``sum over n of u[n,i] M u[n,j]``, ``u`` the sum over uses and positions."""
    summed = []
    for node, labels, block, core in terms:
        lead = [("lead", k) for k in range(node.ndim - len(labels))]
        summed.append(product((node,), ((*lead, *labels),), (*lead, *block, *core)))
    first = terms[0]
    labels = (*first.block, *first.core)
    return _squared(Term(add(*summed), labels, first.block, first.core), between)


_COMBINED: dict[str, Callable[[Sequence[Term], Between | None], Node]] = {
    "expand": _expanded,
    "reduce": _reduced,
}


def _squared(term: Term, between: Between | None) -> Node:
    """``out[b, i, j] = sum over n, c, d, r of t[n,c,r,b,i] M[n,c,d] t[n,d,r,b,j]``."""
    node, labels, block, core = term
    between = between or Between(Constant(1), (), (N,), (N,))
    copies = {label: ("copy", label) for label in core}
    left = (*between.rows, *labels)
    right = (*between.columns, *(copies.get(label, label) for label in labels))
    output = (*block, *core, *copies.values())
    return product((node, between.node, node), (left, between.labels, right), output)
