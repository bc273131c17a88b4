"""Curvature matrices of networks at a point, as linear operators on the parameters that learn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator

from tensorcalc.nodes import Node, Variable, postorder

from ..graph import GraphError
from ..graph.operations import flags_of, rebuilt_above, shared_nodes
from . import diagonals, products
from .network import Batch, Network, Program, network_of
from .taps import Taps, taps_of


class Kind(NamedTuple):
    """How a matrix is derived: its product with a direction, and what is between Jacobians."""

    product: Callable[..., list[Node]]
    between: str | None


KINDS: dict[str, Kind] = {
    "Hessian": Kind(products.hessian_product, None),
    "GGN": Kind(products.ggn_product, "ggn"),
    "Fisher": Kind(products.fisher_product, "fisher"),
    "empirical Fisher": Kind(products.empirical_fisher_product, "empirical"),
}


class Split(NamedTuple):
    """A product in two programs: what depends on the point alone, and the rest."""

    formulas: list[Node]
    directions: list[Variable]
    point: Program
    stand_ins: list[Variable]
    product: Program


def split_product(network: Network, kind: str) -> Split:
    """The product with a direction, so that many directions at one point share what they can."""
    vs = products.directions(network)
    formulas = KINDS[kind].product(network, vs)
    moving: set[Node] = set(vs)
    for node in postorder(*formulas):
        if any(operand in moving for operand in node.operands):
            moving.add(node)
    fixed = {node for node in postorder(*formulas) if node not in moving}
    kept = shared_nodes(formulas, fixed)
    stand_ins = [Variable(f"kept_{k}", x.extents, flags_of(x)) for k, x in enumerate(kept)]
    rest = rebuilt_above(formulas, dict(zip(kept, stand_ins, strict=True)))
    return Split(formulas, vs, network.compiled(kept), stand_ins, network.compiled(rest))


class NetworkMatrix(LinearOperator):
    """A curvature matrix of a network's loss on one batch, at the parameters as they were.

    It acts on vectors that hold the parameters that learn one after the other, as
    :meth:`flattened` makes them, and is derived as expressions: ``expressions`` are those of the
    product with directions ``v_<parameter>``, ``diagonal_expressions`` those of the diagonal.
    """

    def __init__(self, kind: str, network: Network, batch: Batch) -> None:
        self.kind, self._network, self._batch = kind, network, batch
        self.names = list(network.parameters)
        self.shapes = [tuple(map(int, x.extents)) for x in network.xs]
        self._values = network.values(batch)
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        self._ends = np.cumsum(sizes)[:-1]
        dtype = np.result_type(*[self._values[x].dtype for x in network.xs])
        self._kept: Any = None
        super().__init__(dtype, (sum(sizes), sum(sizes)))

    @property
    def target(self) -> Any:
        """The last array of the batch."""
        return self._batch.arrays[-1]

    # -- vectors ------------------------------------------------------------------------------
    def flattened(self, arrays: Mapping[str, Any]) -> Any:
        """Arrays by parameter as one vector."""
        return np.concatenate([np.ravel(arrays[name]) for name in self.names])

    def unflattened(self, vector: Any) -> dict[str, Any]:
        """A vector as arrays by parameter."""
        parts = np.split(np.ravel(vector), self._ends)
        shaped = [part.reshape(s) for part, s in zip(parts, self.shapes, strict=True)]
        return dict(zip(self.names, shaped, strict=True))

    # -- the matrix ---------------------------------------------------------------------------
    def _matvec(self, vector: Any) -> Any:
        split = self._split
        if self._kept is None:
            self._kept = split.point.of(self._values, self._batch.size)
        arrays = self.unflattened(np.asarray(vector, self.dtype).ravel())
        values = {**self._values, **dict(zip(split.stand_ins, self._kept, strict=True))}
        values.update(zip(split.directions, arrays.values(), strict=True))
        results = split.product.of(values, self._batch.size)
        return np.concatenate([np.ravel(r) for r in results])

    _rmatvec = _matvec

    def _adjoint(self) -> NetworkMatrix:
        return self

    def todense(self) -> Any:
        """The matrix itself, column by column."""
        return self @ np.eye(self.shape[0], dtype=self.dtype)

    def diagonal(self) -> dict[str, Any]:
        """The exact diagonal by parameter, without the matrix."""
        program, taps = self._diagonal
        values = self._values
        if taps is not None:
            values = {**values, **taps.values(values, self._batch.size)}
        return program.of(values, self._batch.size)

    # -- expressions --------------------------------------------------------------------------
    @property
    def _split(self) -> Split:
        make = functools.partial(split_product, self._network, self.kind)
        return self._network.cached((self.kind, "product"), make)

    @property
    def _diagonal(self) -> tuple[Program, Taps | None]:
        network, between = self._network, KINDS[self.kind].between

        def make() -> Any:
            if between is None:
                return network.compiled(diagonals.hessian_diagonal(network)), None
            taps = taps_of(network, between)
            formulas = diagonals.jacobian_diagonal(network.parameters, taps)
            return network.compiled(formulas), taps

        return network.cached((self.kind, "diagonal"), make)

    @property
    def expressions(self) -> dict[str, Node]:
        """The product with directions, by parameter."""
        return dict(zip(self.names, self._split.formulas, strict=True))

    @property
    def diagonal_expressions(self) -> dict[str, Node]:
        """The diagonal by parameter, of the variables in :attr:`formulas` where it has any."""
        return self._diagonal[0].formulas

    @property
    def formulas(self) -> dict[Variable, Node]:
        """What flows through the layers: the variables of the diagonal."""
        taps = self._diagonal[1]
        return {} if taps is None else taps.formulas

    def __repr__(self) -> str:
        return f"<{self.kind} of {len(self.names)} parameters, {self.shape[0]} x {self.shape[1]}>"


def _matrix(kind: str, model: Any, loss: Callable[..., Any], batch: Any) -> NetworkMatrix:
    network, arrays = network_of(model, loss, batch)
    return NetworkMatrix(kind, network, arrays)


def hessian(model: Any, loss: Callable[..., Any], batch: Any) -> NetworkMatrix:
    """The Hessian of the loss of a batch ``(*inputs, target)`` by the parameters that learn.

    Raises DerivativeError for a loss that is no scalar; its diagonal needs no single examples.
    """
    return _matrix("Hessian", model, loss, batch)


def ggn(model: Any, loss: Callable[..., Any], batch: Any) -> NetworkMatrix:
    """The generalised Gauss-Newton matrix ``J' (d2L/dz2) J``: the Hessian of the linearised model.

    It is positive semidefinite where the loss is convex in the output. Its diagonal raises
    GraphError where the model mixes examples. Source: Schraudolph (2002).

    >>> import numpy as np, autodiff as ad
    >>> model = ad.nn.Linear(2, 1, bias=False).double()
    >>> x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((2, 1))
    >>> G = ad.curvature.ggn(model, ad.losses.MSELoss(), (x, y))
    >>> G.todense()  # x' x, for the mean of two examples and the 2 of a square
    array([[10., 14.],
           [14., 20.]])
    >>> print(G.diagonal_expressions["weight"])  # a_0 flows into the layer
    [i,j] -> 2*a_0[k,j]*a_0[k,j]*1[i]/examples where i: 1
    """
    return _matrix("GGN", model, loss, batch)


def fisher(model: Any, loss: Callable[..., Any], batch: Any) -> NetworkMatrix:
    """The Fisher information, its expectation over targets exact: ``J' E[g g'] J``.

    Raises GraphError for a loss that is no likelihood of the table in
    :mod:`autodiff.curvature.likelihoods`. For cross entropy, logits and squared errors it is the
    GGN. Source: Martens (2020), section 9.
    """
    matrix = _matrix("Fisher", model, loss, batch)
    ignored = getattr(loss, "options", {}).get("ignore_index")
    if ignored is not None and np.any(matrix.target == ignored):
        raise GraphError(
            "the Fisher information of a batch with ignored targets",
            [f"ignore_index: {ignored}"],
            "leave these examples out, or use the GGN",
        )
    return matrix


def empirical_fisher(model: Any, loss: Callable[..., Any], batch: Any) -> NetworkMatrix:
    """``s sum over n of g_n g_n'`` of the gradients of examples, ``s`` their share in the loss.

    Raises GraphError where the model mixes examples. It is no Fisher information: Kunstner, Balles,
    Hennig (2019).
    """
    return _matrix("empirical Fisher", model, loss, batch)
