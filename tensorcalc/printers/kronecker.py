"""Kronecker products in matrix notation: of merged axes, and of tensors of order four."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import NotationError
from ..products import is_kronecker
from .factors import between, diagonal_item, kronecker_item, merged_labels
from .network import Chain, Item, Network
from .pieces import extent_word


class KroneckerPrinter:
    """The part of the printer that finds Kronecker products among factors."""

    _fill: Callable[[Network, Any], None]

    # -- Kronecker products -------------------------------------------------------------------
    def _kronecker_products(self, network: Network, items: Any, merges: Any) -> Any:
        """Rows ``i = p*a + c`` in pairs: what lies between the parts is a Kronecker product."""
        if not merges:
            return items
        parts = [merged_labels(n, own) for n, own in merges]
        if len(parts) == 1:
            ((whole, major, minor),) = parts
            left, rest = between({major}, items)
            right, rest = between({minor}, rest)
            chains = [
                self._sub_chain(part, (label,)) for part, label in ((left, major), (right, minor))
            ]
            network.add_vector(whole, (kronecker_item(chains),))
            return rest
        if len(parts) != 2:
            raise NotationError("shifts or reshapes of axes")
        (rows, a, c), (columns, b, d) = parts
        left, rest = between({a, b}, items)
        right, rest = between({c, d}, rest)
        chains = [self._sub_chain(part, own) for part, own in ((left, (a, b)), (right, (c, d)))]
        network.add_matrix(rows, columns, (kronecker_item(chains),))
        return rest

    def _sub_chain(self, items: Any, output: tuple[Any, ...]) -> Chain:
        """The product of a part of the factors as one matrix or vector."""
        if not items:
            raise NotationError("axes that no matrix connects")
        network = Network(output)
        self._fill(network, items)
        network.reduce()
        if network.scalars:
            raise NotationError("a Kronecker product with a scalar inside")
        return network.matrix() if len(output) == 2 else network.vector()

    def _split_in_two(
        self, network: Network, items: Any, units: Any, output: tuple[int, ...], pairs: Any
    ) -> Chain:
        """``H[i,j,k,l] = P[i,k] Q[j,l]`` as ``P ⊗ Q`` on row-major vecs."""
        i, j, k, d = output
        found: list[Chain] = []
        scalars = [item for item in items if not item[1]]
        rest = [item for item in items if item[1]]
        for own in ((i, k), (j, d)):
            unit = [n for n, labels in units if set(labels) == set(own) and is_kronecker(n)]
            part, rest = between(set(own), rest)
            if any(
                label in output and label not in own for _, labels, _ in part for label in labels
            ):
                raise NotationError("a tensor of order four that is no Kronecker product")
            if unit:
                extent = unit[0].extents[0]
                if part:
                    network_part = Network(own[:1])
                    self._fill(network_part, part)
                    network_part.reduce()
                    found.append((diagonal_item(network_part),))
                else:
                    found.append((Item(f"eye({extent_word(extent)})", symmetric=True),))
            else:
                found.append(self._sub_chain(part, own))
        known = {frozenset(own) for own in ((i, k), (j, d))}
        if rest or any(frozenset(labels) not in known for _, labels in units):
            raise NotationError("a tensor of order four that is no Kronecker product")
        self._fill(network, scalars)
        return (kronecker_item(found),)
