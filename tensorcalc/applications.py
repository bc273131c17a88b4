"""The constructor of table rows applied to operands: shape rule, folding, rewriting rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import normal_form, products
from .broadcasts import constant_axes, permutation_of, without_axes
from .errors import ShapeError
from .extents import is_equal
from .nodes import Apply, Constant, Node, Product, Sum
from .products import broadcast, transpose
from .table import TABLE, Operation

#: Rewriting rules by name of the operation: ``rule(*operands, **params) -> Node | None``.
RULES: dict[str, list[Callable[..., Node | None]]] = {}
#: Rewriting rules for whole products and sums, applied by the simplification pass.
PRODUCT_RULES: list[Callable[[Product], Node | None]] = []
SUM_RULES: list[Callable[[Sum], Node | None]] = []


def rule(*names: str) -> Callable[[Callable[..., Node | None]], Callable[..., Node | None]]:
    """Register a rewriting rule for the operations ``names``."""

    def register(function: Callable[..., Node | None]) -> Callable[..., Node | None]:
        for name in names:
            RULES.setdefault(name, []).append(function)
        return function

    return register


def apply(name: str, *operands: Node, **params: Any) -> Node:
    """The table row ``name`` applied to ``operands``; elementwise operands may be scalars.

    Raises ShapeError if batch or core axes do not fit the row's signature.
    """
    operation = TABLE[name]
    for rewrite in RULES.get(name, ()):
        rewritten = rewrite(*operands, **params)
        if rewritten is not None:
            return rewritten
    if operation.is_elementwise and all(isinstance(operand, Constant) for operand in operands):
        return Constant(operation.reference(*[o.value for o in operands], **params))
    extents = result_extents(operation, operands, params)
    if operation.is_elementwise:
        hoisted = _views_commute(name, operands, params, extents)
        if hoisted is not None:
            return hoisted
    return Apply(operation, operands, tuple(sorted(params.items())), extents)


def result_extents(operation: Operation, operands: Sequence[Node], params: Any) -> tuple[Any, ...]:
    """Shape of the result: the common batch axes, then the core axes of the signature."""
    core: dict[str, Any] = {}
    batch: tuple[Any, ...] | None = None
    for operand, axes in zip(operands, operation.operand_cores, strict=True):
        split = operand.ndim - len(axes)
        if split < 0:
            raise _signature_error(operation, operands, "an operand has too few axes")
        for axis, extent in zip(axes, operand.extents[split:], strict=True):
            if not is_equal(core.setdefault(axis, extent), extent):
                raise _signature_error(operation, operands, f"core axis {axis} has two extents")
        own = operand.extents[:split]
        if operation.is_elementwise and not own:
            continue
        if batch is None:
            batch = own
        elif len(batch) != len(own) or not all(map(is_equal, batch, own)):
            raise _signature_error(operation, operands, "the batch axes differ")
    if operation.core_extents is not None:
        return (batch or ()) + tuple(operation.core_extents(*operands, **params))
    return (batch or ()) + tuple(core[axis] for axis in operation.result_core)


def _signature_error(operation: Operation, operands: Sequence[Node], why: str) -> ShapeError:
    return ShapeError(
        f"{operation.name} {operation.signature}: {why}",
        [f"operand {k}: {operand}, shape {operand.extents}" for k, operand in enumerate(operands)],
        "core axes are the last ones; batch axes before them must agree",
    )


def _views_commute(
    name: str, operands: Sequence[Node], params: Any, extents: tuple[Any, ...]
) -> Node | None:
    """``f(broadcast(x)) = broadcast(f(x))`` and ``f(x') = f(x)'``."""
    tensors = [operand for operand in operands if operand.ndim]
    if not tensors:
        return None
    constant = set.intersection(*map(constant_axes, tensors))
    if constant:
        kept = [axis for axis in range(len(extents)) if axis not in constant]
        inner = apply(name, *[without_axes(o, kept) for o in operands], **params)
        return broadcast(inner, kept if inner.ndim else (), extents)
    if len(tensors) == 1 and (axes := permutation_of(tensors[0])) is not None:
        base = [o.operands[0] if o is tensors[0] else o for o in operands]
        return transpose(apply(name, *base, **params), axes)
    return None


class _Powers:
    """How equal factors of a product merge: ``x**a * x**b = x**(a+b)``."""

    #: Exponents up to this one are written as repeated factors.
    REPEATED = 3

    @staticmethod
    def base(node: Node) -> Node:
        exponent = _Powers.exponent(node)
        return node if exponent == 1 else node.operands[0]

    @staticmethod
    def exponent(node: Node) -> float:
        """The exponent if ``node`` is a power with its natural value at zero, else 1.

        A nested product of equal factors is such a power.
        """
        if isinstance(node, Product):
            is_power = all(each is node.operands[0] for each in node.operands)
            aligned = all(own == node.output for own in node.subscripts)
            return len(node.operands) if is_power and aligned else 1
        if isinstance(node, Apply) and node.operation.name == "power":
            params = dict(node.params)
            return params["exponent"] if params.get("at_zero") is None else 1
        return 1

    @staticmethod
    def merged(nodes: Sequence[Node]) -> list[Node]:
        base = _Powers.base(nodes[0])
        total = sum(map(_Powers.exponent, nodes))
        if total == 0:
            return []
        if total in range(1, _Powers.REPEATED + 1):
            return [base] * int(total)
        return [power(base, total)]


def power(base: Node, exponent: float, at_zero: float | None = None) -> Node:
    """``base ** exponent`` elementwise; ``at_zero`` replaces the value where the base is zero.

    Small positive integer exponents are repeated factors.
    """
    if at_zero is None and exponent in range(1, _Powers.REPEATED + 1):
        return products.multiply(*[base] * int(exponent))
    if exponent == 0 and at_zero is None:
        return broadcast(Constant(1), (), base.extents)
    exponent = int(exponent) if float(exponent).is_integer() else exponent
    return apply("power", base, exponent=exponent, at_zero=at_zero)


normal_form.power_of = _Powers
