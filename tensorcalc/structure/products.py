"""Matrices that are not stored: their products with vectors, term by term."""

from __future__ import annotations

from collections.abc import Sequence

from ..nodes import Node, Variable
from ..products import product
from ..simplify import simplify_all
from ..sums import add
from .kinds import Products, Structure
from .terms import terms_of


def products_of(found: Structure) -> Products:
    """A matrix by its products: ``sum(H[r..., c...] v[c...] over c)``, and with its transpose.

    Each term is multiplied with the vector by itself, so that nothing of the size of the whole is
    formed where the term comes apart.

    >>> import numpy as np, tensorcalc as tc
    >>> T, U, V = tc.variables("T: m n, U: m k, V: n k")
    >>> block = tc.structure(tc.hessian(np.sum((T - U @ V.T) ** 2), U, V), 2)
    >>> products_of(block).forward.shape
    (m, k)
    """
    H, rank = found.formula, found.rank
    right = Variable("right_vector", found.columns)
    left = Variable("left_vector", found.rows)
    terms = [form.node() for form in terms_of(H, rank)]
    rows, columns = tuple(range(rank)), tuple(range(rank, H.ndim))
    forward = add(*(_applied(term, right, columns, rows) for term in terms))
    backward = add(*(_applied(term, left, rows, columns) for term in terms))
    forward, backward = simplify_all([forward, backward])
    return Products(H, rank, right, forward, left, backward, found)


def _applied(term: Node, vector: Node, summed: Sequence[int], kept: Sequence[int]) -> Node:
    return product((term, vector), (tuple(range(term.ndim)), tuple(summed)), tuple(kept))


__all__ = ["products_of"]
