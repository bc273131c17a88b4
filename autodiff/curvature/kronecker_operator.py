"""Kronecker-factored curvature as numbers: blocks of factors that multiply and solve."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

import tensorcalc as tc

from .kronecker import Factors, factors_of
from .network import Batch, Network, Program, network_of
from .taps import Layer, Taps, taps_of

#: Axes of a block's entries.
ORDER = ("block", "output", "input")


class KroneckerBlock:
    """``C[b,o,i,p,j] = A[b,i,j] G[b,o,p]`` for the entries of a parameter that a layer reads.

    ``A`` and ``G`` are stacks of symmetric matrices, one per block (a group, a channel of a scale;
    mostly there is one).
    """

    def __init__(self, layer: Layer, shape: Sequence[int], A: Any, G: Any) -> None:
        self.parameter, self.layer = layer.parameter, layer
        self.places = _places(layer, shape)
        blocks, outputs, inputs = self.places.shape
        self.A = np.asarray(A).reshape(blocks, inputs, inputs)
        self.G = np.asarray(G).reshape(blocks, outputs, outputs)

    def taken(self, array: Any) -> Any:
        """Entries of the parameter's array as (block, output, input)."""
        return np.ravel(array)[self.places]

    def put(self, array: Any, values: Any) -> None:
        """Add values to the entries of a parameter's array."""
        np.ravel(array)[self.places] += values  # every entry occurs once

    def product(self, values: Any) -> Any:
        """``sum over p, j of G[b,o,p] V[b,p,j] A[b,j,i]``."""
        return self.G @ values @ self.A

    def diagonal(self) -> Any:
        """``A[b,i,i] G[b,o,o]``."""
        return np.einsum("boo,bii->boi", self.G, self.A)

    @functools.cached_property
    def eigen(self) -> tuple[Any, Any, Any]:
        """Eigenvectors of ``G`` and ``A``, and all products of their eigenvalues."""
        g, U = np.linalg.eigh(self.G)
        a, V = np.linalg.eigh(self.A)
        return U, V, np.maximum(g, 0)[:, :, None] * np.maximum(a, 0)[:, None, :]

    def solve(self, values: Any, damping: float) -> Any:
        """``(C + damping I)^-1`` times values, exactly, by the eigenvectors of the factors."""
        U, V, eigenvalues = self.eigen
        rotated = np.swapaxes(U, 1, 2) @ values @ V
        return U @ (rotated / (eigenvalues + damping)) @ np.swapaxes(V, 1, 2)


def _places(layer: Layer, shape: Sequence[int]) -> Any:
    """Positions in the flat parameter of the view's entries, as (block, output, input)."""
    count = math.prod(shape)
    (weight,) = tc.free_variables(layer.view)
    numbered = np.arange(1, count + 1, dtype=float).reshape(shape)
    places = np.asarray(tc.evaluate(layer.view, **{weight.name: numbered})).astype(int) - 1
    axes = [[k for k, own in enumerate(layer.roles) if own == role] for role in ORDER]
    sizes = [math.prod(places.shape[k] for k in own) for own in axes]
    return places.transpose([k for own in axes for k in own]).reshape(sizes)


class KFAC(LinearOperator):
    """Kronecker-factored curvature of a network: a block for every weight and view of it.

    It acts on vectors of the parameters that learn, as other matrices of networks do. ``blocks``
    holds the factors as arrays, ``factors`` as expressions of what flows
    through the layers, ``formulas`` what that is.
    """

    def __init__(self, network: Network, plan: FactorPlan, arrays: Sequence[Any]) -> None:
        self.names = list(network.parameters)
        self.shapes = {n: tuple(map(int, x.extents)) for n, x in network.parameters.items()}
        self.factors, self.formulas = plan.factors, plan.taps.formulas
        self.blocks = [
            KroneckerBlock(own.layer, self.shapes[own.layer.parameter], *pair)
            for own, pair in zip(plan.factors, arrays, strict=True)
        ]
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        self._ends = np.cumsum(sizes)[:-1]
        super().__init__(np.result_type(*[b.A for b in self.blocks]), (sum(sizes), sum(sizes)))

    def flattened(self, arrays: Mapping[str, Any]) -> Any:
        """Arrays by parameter as one vector."""
        return np.concatenate([np.ravel(arrays[name]) for name in self.names])

    def unflattened(self, vector: Any) -> dict[str, Any]:
        """A vector as arrays by parameter."""
        parts = np.split(np.ravel(vector), self._ends)
        return {n: p.reshape(self.shapes[n]) for n, p in zip(self.names, parts, strict=True)}

    def _matvec(self, vector: Any) -> Any:
        return self.flattened(self._each(self.unflattened(vector), KroneckerBlock.product))

    _rmatvec = _matvec

    def _adjoint(self) -> KFAC:
        return self

    def _each(self, arrays: Mapping[str, Any], apply: Callable[..., Any]) -> dict[str, Any]:
        results = {name: np.zeros(self.shapes[name], self.dtype) for name in self.names}
        for block in self.blocks:
            name = block.parameter
            block.put(results[name], apply(block, block.taken(arrays[name])))
        return results

    def diagonal(self) -> dict[str, Any]:
        """The diagonal by parameter."""
        arrays = {name: np.zeros(shape) for name, shape in self.shapes.items()}
        return self._each(arrays, lambda block, _: block.diagonal())

    def todense(self) -> Any:
        """The matrix itself."""
        return self @ np.eye(self.shape[0], dtype=self.dtype)

    def solve(self, vector: Any, damping: float) -> Any:
        """``(K + damping I)^-1`` times a vector.

        Exact where no entry of a parameter is in two blocks. A weight that layers read in different
        roles, such as an embedding that is also the last layer, has a sum of blocks, which is
        solved by conjugate gradients to a relative residual of 1e-6.
        Raises ValueError unless ``damping`` is positive.
        """
        if not damping > 0:
            raise ValueError(f"damping={damping!r}: it must be positive")
        arrays = self.unflattened(vector)
        results = {}
        for name, array in arrays.items():
            own = [block for block in self.blocks if block.parameter == name]
            solve = _solved_together if _overlap(own) else _solved_one_by_one
            results[name] = solve(own, array, damping)
        return self.flattened(results)

    def __repr__(self) -> str:
        return f"<K-FAC with {len(self.blocks)} blocks, {self.shape[0]} x {self.shape[1]}>"


def _overlap(blocks: Sequence[KroneckerBlock]) -> bool:
    every = np.concatenate([block.places.ravel() for block in blocks] or [np.zeros(0, int)])
    return len(np.unique(every)) < len(every)


def _solved_one_by_one(blocks: Sequence[KroneckerBlock], array: Any, damping: float) -> Any:
    result = np.array(array) / damping  # entries that no layer reads have no curvature
    for block in blocks:
        np.ravel(result)[block.places] = block.solve(block.taken(array), damping)
    return result


def _solved_together(blocks: Sequence[KroneckerBlock], array: Any, damping: float) -> Any:
    def times(vector: Any) -> Any:
        result = damping * vector
        for block in blocks:
            block.put(result, block.product(block.taken(vector)))
        return result

    operator = LinearOperator((array.size, array.size), times, dtype=array.dtype)
    solution, _ = cg(operator, np.ravel(array), rtol=1e-6)
    return solution.reshape(array.shape)


def kfac(
    model: Any,
    loss: Callable[..., Any],
    batch: Any,
    *,
    curvature: str = "ggn",
    approximation: str = "expand",
) -> KFAC:
    """Kronecker-factored curvature of the loss of a batch ``(*inputs, target)``.

    ``curvature`` is ``"ggn"``, ``"fisher"`` (exact, for likelihoods) or ``"empirical"`` (gradients
    for the targets given); ``approximation`` says how positions that share a weight are treated,
    ``"expand"`` or ``"reduce"``. Weights and biases are blocks of their own. A parameter that no
    layer is linear in has its exact block.

    >>> import numpy as np, autodiff as ad
    >>> model = ad.nn.Linear(2, 1, bias=False).double()
    >>> x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((2, 1))
    >>> K = ad.curvature.kfac(model, ad.losses.MSELoss(), (x, y))
    >>> print(K.factors[0].A)
    a_0[k,i]*a_0[k,j]/examples
    >>> {variable.name: str(formula) for variable, formula in K.formulas.items()}
    {'a_0': 'x0'}
    >>> K.todense()  # one layer and a constant G: this is the GGN
    array([[10., 14.],
           [14., 20.]])

    Raises GraphError where the model mixes examples, ValueError for unknown options. Sources: see
    :mod:`autodiff.curvature.kronecker`.
    """
    network, arrays = network_of(model, loss, batch)
    plan = factor_plan(network, curvature, approximation)
    return KFAC(network, plan, plan.values(network.values(arrays), arrays))


class FactorPlan(NamedTuple):
    """The factors of a network in two programs: what flows through layers, and the factors."""

    taps: Taps
    factors: list[Factors]
    program: Program

    def values(self, arrays: Mapping[Any, Any], batch: Batch) -> list[Any]:
        """Pairs ``(A, G)`` of arrays."""
        return self.program.of({**arrays, **self.taps.values(arrays, batch.size)}, batch.size)


def factor_plan(network: Network, curvature: str, approximation: str) -> FactorPlan:
    """The factors, derived once."""

    def make() -> FactorPlan:
        taps = taps_of(network, curvature)
        factors = factors_of(network, taps, approximation)
        program = network.compiled([(own.A, own.G) for own in factors])
        return FactorPlan(taps, factors, program)

    return network.cached(("K-FAC", curvature, approximation), make)
