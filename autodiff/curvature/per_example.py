"""Gradients of every example: the sum over examples that a gradient has is simply not taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorcalc.derivatives import pullback
from tensorcalc.errors import DerivativeError
from tensorcalc.nodes import Constant, Node, extent_scalar
from tensorcalc.simplify import simplify_all

from .network import Network, network_of, substituted


def per_example_gradients(model: Any, loss: Callable[..., Any], batch: Any) -> dict[str, Any]:
    """``G[n, k...] = d loss_n / d w[k...]`` by name of every parameter ``w`` that learns.

    ``batch`` is ``(*inputs, target)`` with examples along the first axes, ``loss_n`` the loss of
    example ``n`` alone. With ``reduction="sum"`` the gradients of the examples add up to that of
    the batch, with ``"mean"`` it is their mean.

    The gradient of one example is derived as an expression and lifted to all examples: nothing is
    looped over, and there is no rule for any layer. :func:`per_example_expressions` gives the
    formulas.

    >>> import numpy as np, autodiff as ad
    >>> model = ad.nn.Linear(2, 1, bias=False).double()
    >>> x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((2, 1))
    >>> model.weight.data = np.ones((1, 2))
    >>> ad.per_example_gradients(model, ad.losses.MSELoss(), (x, y))["weight"]
    array([[[ 6., 12.]],
    <BLANKLINE>
           [[42., 56.]]])

    Raises GraphError where the model mixes examples (batch normalisation while training),
    ShapeError for arrays of different lengths, DerivativeError for a loss that is no scalar.
    Source: Goodfellow, *Efficient per-example gradient computations* (2015), for linear layers.
    """
    network, batch = network_of(model, loss, batch)
    return network.program("per example", lambda: _gradients(network)).call(batch)


def per_example_expressions(model: Any, loss: Callable[..., Any], batch: Any) -> dict[str, Node]:
    """The formulas of :func:`per_example_gradients`, to be printed."""
    network, _ = network_of(model, loss, batch)
    return network.program("per example", lambda: _gradients(network)).formulas


def _gradients(network: Network) -> dict[str, Node]:
    return dict(zip(network.parameters, gradients_of_examples(network), strict=True))


def gradients_of_examples(network: Network) -> list[Node]:
    """``G[n, k...]`` for every parameter that learns."""
    single = network.single
    (value,) = substituted([single.loss], {single.seen: single.output})
    return network.each(*simplify_all(pullback(value, network.xs, Constant(1), 0)))


def share_of_examples(network: Network) -> Node:
    """``s`` with ``loss = s sum over n of loss_n``: 1 of a sum of examples, ``1/n`` of a mean.

    Found by comparing the loss of the batch with those of its examples, at outputs drawn at random.
    Raises DerivativeError where it is neither.
    """
    single, whole = network.single, network.whole
    (each,) = network.each(single.loss, also={single.seen: whole.seen})
    outputs = np.random.default_rng(0).uniform(0.1, 0.9, network.output_shape)
    value, total = network.compiled([whole.loss, np.sum(each)], [whole.seen]).call(
        network.first, outputs
    )
    share: Node
    for share, count in ((Constant(1), 1), (1 / extent_scalar(network.count), network.first.size)):
        if np.isclose(value * count, total, rtol=1e-5):
            return share
    raise DerivativeError(
        "the loss of the batch is neither the sum nor the mean of those of its examples",
        [f"batch: {value:.6g}", f"examples: sum {total:.6g} of {network.first.size}"],
        "use reduction='sum' or 'mean' without weights of classes or ignored targets",
    )
