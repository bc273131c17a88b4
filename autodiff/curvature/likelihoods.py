"""Losses as negative log-likelihoods: their expected outer products, exact over the targets.

The Fisher information of an output ``z`` is ``F = sum over y of p(y) g(y) g(y)'`` with the gradient
``g(y) = d nll(z, y) / dz`` of one observation and ``p(y) = exp(-nll(z, y))``. A row of the table
says which targets there are: the classes; 0 and 1; and for squared errors, whose density is that of
a Gaussian of variance 1/2, the two points ``z +- sqrt(1/2)``, which integrate everything quadratic
in ``y`` exactly (Gauss-Hermite). All else is derived.

Source: Martens, *New insights and perspectives on the natural gradient method* (2020), section 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tensorcalc.derivatives import pullback
from tensorcalc.nodes import Constant, Node, Variable, extent_scalar
from tensorcalc.numpy_protocol.convert import as_node
from tensorcalc.products import broadcast, product

from ..graph import GraphError, default_generator
from ..losses import classification, regression
from .mapping import lifted, mapped, repeated

#: Axes of one observation of the output: its classes, or none where every entry is one.
CLASSES, ENTRY = 1, 0


class Likelihood(NamedTuple):
    """What one observation is, and the targets and probabilities that an expectation runs over."""

    core: int
    #: ``targets(z)``: all targets of an observation ``z`` along a new first axis.
    targets: Callable[[Node], Any]
    #: Probabilities of the targets; None if they are ``exp(-nll)``.
    probabilities: Any = None
    #: ``draw(z, generator)``: targets of outputs ``z``, an array with classes last.
    draw: Callable[..., Any] = NotImplemented


def _classes(z: Node) -> Any:
    return np.arange(int(z.extents[0]))


def _outcomes(z: Node) -> Any:
    return np.array([0.0, 1.0])


def _gauss_points(z: Node) -> Any:
    return repeated(z, 2) + as_node(np.array([-1.0, 1.0]) * math.sqrt(0.5))


def _draw_class(z: Any, generator: Any) -> Any:
    gumbel = -np.log(-np.log(generator.random(z.shape)))
    return np.argmax(z + gumbel, axis=-1)


def _draw_outcome(z: Any, generator: Any) -> Any:
    return (generator.random(z.shape) < 1 / (1 + np.exp(-z))).astype(z.dtype)


def _draw_probable(p: Any, generator: Any) -> Any:
    return (generator.random(p.shape) < p).astype(p.dtype)


def _draw_normal(z: Any, generator: Any) -> Any:
    return (z + math.sqrt(0.5) * generator.standard_normal(z.shape)).astype(z.dtype)


#: Likelihoods by loss function.
LIKELIHOODS: dict[Any, Likelihood] = {
    classification.cross_entropy: Likelihood(CLASSES, _classes, draw=_draw_class),
    classification.nll_loss: Likelihood(CLASSES, _classes, draw=_draw_class),
    classification.binary_cross_entropy: Likelihood(ENTRY, _outcomes, draw=_draw_probable),
    classification.binary_cross_entropy_with_logits: Likelihood(
        ENTRY, _outcomes, draw=_draw_outcome
    ),
    regression.mse_loss: Likelihood(ENTRY, _gauss_points, np.array([0.5, 0.5]), draw=_draw_normal),
}

#: Options that leave a loss a likelihood.
PLAIN_OPTIONS: dict[str, Any] = {"weight": None, "pos_weight": None, "label_smoothing": 0.0}


def likelihood_of(loss: Any) -> Likelihood:
    """The row of a loss. Raises GraphError for one that is no likelihood of the table."""
    function = getattr(loss, "function", loss)
    options = getattr(loss, "options", {})
    changed = [
        k
        for k, plain in PLAIN_OPTIONS.items()
        if options.get(k, plain) is not plain and options.get(k) != plain
    ]
    if function not in LIKELIHOODS or changed:
        known = ", ".join(f.__name__ for f in LIKELIHOODS)
        raise GraphError(
            f"the Fisher information of {loss!r}, which is no likelihood that is known",
            [f"likelihoods: {known}", f"options in the way: {', '.join(changed) or 'none'}"],
            "use the GGN, or the empirical Fisher, which any loss has",
        )
    return LIKELIHOODS[function]


def observation_fisher(loss: Any, z: Node) -> Node:
    """``F[i, j]`` of one observation with output ``z[i]``, or of one entry ``z``."""
    row = likelihood_of(loss)
    targets = as_node(row.targets(z))
    y = Variable("outcome", (1,), ("integer",) if row.core == CLASSES else ())
    value = getattr(loss, "function", loss)(z[None], y, reduction="sum")
    slope = pullback(value, [z], Constant(1), 0)[0]
    each: dict[Node, Node] = {y: broadcast(targets, (0,), (targets.extents[0], 1))}
    slopes, values = mapped([slope, value], each, targets.extents[0])
    weights = np.exp(-values) if row.probabilities is None else as_node(row.probabilities)
    i, j = [("i", k) for k in range(row.core)], [("j", k) for k in range(row.core)]
    return product((weights, slopes, slopes), (("y",), ("y", *i), ("y", *j)), (*i, *j))


class OutputFisher(NamedTuple):
    """``F`` of all outputs ``z[n, c, d...]``: ``block`` with axes ``others, core, core``.

    ``rows`` and ``columns`` are labels of the axes of ``z``; observations are independent, so both
    have the same labels but for the core.
    """

    block: Node
    labels: tuple[Any, ...]
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]


def output_fisher(loss: Any, z: Node) -> OutputFisher:
    """The Fisher information of outputs, scaled as the loss is: a mean or a sum of observations."""
    core = likelihood_of(loss).core
    rows = tuple(("axis", k) for k in range(z.ndim))
    cores = rows[1 : 1 + core]
    others = tuple(label for label in rows if label not in cores)
    values = product((z,), (rows,), (*others, *cores))
    inner: Node = Variable("observation", values.extents[len(others) :])
    block = observation_fisher(loss, inner)
    for k in reversed(range(len(others))):
        outer = Variable(f"observations_{k}", values.extents[k:]) if k else values
        (block,) = lifted([block], {inner: outer}, values.extents[k])
        inner = outer
    if reduction_of(loss) == "mean":
        block = block / math.prod([extent_scalar(e) for e in values.extents[: len(others)]])
    columns = tuple(("column", k) if k in cores else k for k in rows)
    return OutputFisher(block, (*others, *cores, *(("column", k) for k in cores)), rows, columns)


def reduction_of(loss: Any) -> str:
    """How the loss reduces observations; the functions of the table take the mean by default."""
    return getattr(loss, "options", {}).get("reduction", "mean")


def drawn_targets(network: Any, batch: Any, generator: Any = None) -> Any:
    """The batch with targets drawn from the model's own distribution.

    The gradients that they give have the Fisher information as the expectation of their products.
    """
    row = likelihood_of(network.loss)
    outputs = np.asarray(network.program("output", lambda: network.output).call(batch))
    last = np.moveaxis(outputs, 1, -1) if row.core == CLASSES else outputs
    targets = row.draw(last, generator or default_generator())
    return batch.replaced(targets.astype(batch.arrays[-1].dtype))
