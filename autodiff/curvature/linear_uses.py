"""Where an expression is linear in a weight, and what the roles of the weight's axes are there.

A layer is any product with the weight as a factor, ``s[r,b,o] = sum over i of a[r,b,i] w[b,o,i]``
in whatever notation: for a convolution ``i`` are channel and offset and ``a`` the windows, for a
recurrent network there is one product per step, for an embedding ``a`` is one-hot. The axes of the
weight have three roles: *input* axes are summed, *output* axes appear in the result and in no other
factor, *block* axes (groups, the channels of a scale) in both. All other axes of the result are
*positions* that share the weight. Deltas that only select or regroup entries of the weight, as
slices and groups do, belong to it: the layer's own weight is a *view*.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from tensorcalc.nodes import Constant, Delta, Node, Product, postorder
from tensorcalc.products import product, split_coefficient

Role = Literal["block", "input", "output"]
ROLES: tuple[Role, ...] = ("block", "input", "output")


class Use(NamedTuple):
    """A product that is linear in a weight.

    ``view`` is the weight as the layer reads it and ``roles`` say what its axes are; ``inputs`` is
    ``a`` with axes (positions, block, input), without its constant factor ``coefficient``. Of the
    layer's result with labels ``written`` (positions, block, output), ``node`` is a regrouping by
    the deltas ``regrouped``. Positions of extent 1 are left out.
    """

    node: Node
    view: Node
    roles: tuple[Role, ...]
    inputs: Node
    coefficient: float
    positions: int
    written: tuple[int, ...]
    node_labels: tuple[int, ...]
    regrouped: tuple[tuple[Node, tuple[int, ...]], ...] = ()

    def result_adjoint(self, adjoint: Node) -> Node:
        """The adjoint of what multiplies ``inputs``, from that of ``node``.

        Axes are leading ones of ``adjoint``, then positions, block and output.
        """
        lead = [("lead", k) for k in range(adjoint.ndim - self.node.ndim)]
        deltas, subscripts = [d for d, _ in self.regrouped], [own for _, own in self.regrouped]
        operands: list[Node] = [Constant(self.coefficient), adjoint, *deltas]
        labels: list[Any] = [(), (*lead, *self.node_labels), *subscripts]
        return product(operands, labels, (*lead, *self.written))


def uses(root: Node, weight: Node) -> list[Use] | None:
    """All uses of a weight below ``root``; None if some use is not linear."""
    found = []
    for node in postorder(root):
        count = sum(operand is weight for operand in node.operands)
        if count and (count > 1 or not isinstance(node, Product)):
            return None
        if count:
            assert isinstance(node, Product)
            found.append(_Reading(node, weight).use())
    return found


class _Reading:
    """A product taken apart: which deltas belong to the weight, which to the result."""

    def __init__(self, node: Product, weight: Node) -> None:
        self.node = node
        self.pairs = list(zip(node.operands, node.subscripts, strict=True))
        place = [operand is weight for operand in node.operands].index(True)
        #: Operands that make up the view, those that regroup the result, and all others.
        self.own = [self.pairs.pop(place)]
        self.regrouped: list[tuple[Node, tuple[int, ...]]] = []
        self.inside = list(self.own[0][1])
        self.result = list(node.output)
        while any(self._absorbs(k) for k in range(len(self.pairs))):
            pass

    def use(self) -> Use:
        extents = self.node.label_extents()
        elsewhere = {label for _, own in self.pairs for label in own}
        operands, subscripts = zip(*self.own, strict=True)
        view = product(operands, subscripts, self.inside)
        roles = [_role(x in self.result, x in elsewhere) for x in self.inside]
        positions = [x for x in self.result if x not in self.inside and extents[x] != 1]
        blocks, summed, outputs = (
            [x for x, own in zip(self.inside, roles, strict=True) if own == role] for role in ROLES
        )
        inputs = product(
            [operand for operand, _ in self.pairs] or [Constant(1)],
            [own for _, own in self.pairs] or [()],
            (*positions, *blocks, *summed),
            extents,
        )
        coefficient, inputs = split_coefficient(inputs)
        written = (*positions, *blocks, *outputs)
        return Use(
            self.node,
            view,
            tuple(roles),
            inputs,
            coefficient,
            len(positions),
            written,
            self.node.output,
            tuple(self.regrouped),
        )

    def _absorbs(self, k: int) -> bool:
        """Whether operand ``k`` only selects or regroups entries of the weight or the result."""
        delta, labels = self.pairs[k]
        if not isinstance(delta, Delta) or len(delta.rows) != 1 or len(set(labels)) < len(labels):
            return False
        others = {x for j, (_, own) in enumerate(self.pairs) if j != k for x in own}
        in_order = sorted(range(len(labels)), key=lambda axis: labels[axis] not in self.inside)
        for axis in in_order:
            if labels[axis] not in others and _regroups(delta, axis) and self._takes(k, axis):
                return True
        return False

    def _takes(self, k: int, axis: int) -> bool:
        """Replace a label of the view, the result or both by the others of a delta."""
        delta, labels = self.pairs[k]
        new = [x for j, x in enumerate(labels) if j != axis]
        sides = [side for side in (self.inside, self.result) if labels[axis] in side]
        if not sides or any(set(new) & set(side) for side in sides):
            return False
        for side, kept in ((self.inside, self.own), (self.result, self.regrouped)):
            if labels[axis] in side:
                kept.append((delta, labels))
                at = side.index(labels[axis])
                side[at : at + 1] = new
        del self.pairs[k]
        return True


def _role(in_result: bool, in_others: bool) -> Role:
    if not in_result:
        return "input"
    return "block" if in_others else "output"


def _regroups(delta: Delta, axis: int) -> bool:
    """Whether one axis of a delta is a function of the others, different for all their indices."""
    coefficients, _ = delta.rows[0]
    numbers = [abs(int(c)) for c in coefficients]  # extents are numbers here
    digits = [(numbers[j], int(n)) for j, n in enumerate(delta.extents) if j != axis]
    return numbers[axis] == 1 and _is_one_to_one(digits)


def _is_one_to_one(digits: list[tuple[int, int]]) -> bool:
    """Whether ``sum(c[k] i[k])`` differs for all indices: a number written in mixed radix."""
    reach = 0
    for coefficient, extent in sorted(digits, key=lambda digit: digit[0]):
        if coefficient <= reach:
            return False
        reach += coefficient * (extent - 1)
    return True
