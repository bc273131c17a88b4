"""The operation table: one row is everything the library knows about one nonlinear operation.

A row is an :class:`Operation`. Adding an operation means adding a row to one of the modules beside
this file; derivatives, targets, printers and generated tests follow from its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

#: Every row by name.
TABLE: dict[str, Operation] = {}

#: ``partial(out, *operands, **params)`` with axes ``batch + core of out + core of operand``.
Partial = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Operation:
    """One row of the table.

    ``signature`` names core axes as in NumPy's generalised ufuncs; batch axes come before them and
    core axes are always the last axes. An elementwise operation is ``()->()``, ``(),()->()``, ...;
    its operands have one shape or are scalars.

    ``partials[k]`` builds the partial derivative tensor with respect to operand ``k`` from nodes;
    None says the derivative is zero. The spellings are templates with ``{0}``, ``{1}`` for the
    operands and ``{name}`` for parameters.
    """

    name: str
    signature: str = "()->()"
    partials: tuple[Partial | None, ...] = (None,)
    #: The oracle's function of arrays, called with operands and parameters.
    reference: Callable[..., Any] = field(kw_only=True)
    numpy: str = field(kw_only=True)
    jax: str = field(default="", kw_only=True)
    numba: str = field(default="", kw_only=True)
    cuda: str = field(default="", kw_only=True)
    latex: str = field(default="", kw_only=True)
    #: Python source that the NumPy spelling needs beside numpy itself, by name of the helper.
    helpers: tuple[str, ...] = field(default=(), kw_only=True)
    #: Interval of test values per operand, or the name of a class of matrices ("spd", ...).
    domain: tuple[Any, ...] = field(default=((-2.0, 2.0),), kw_only=True)
    #: Parameters that the generated tests use.
    test_params: dict[str, Any] = field(default_factory=dict, kw_only=True)
    result: Literal["real", "boolean", "integer"] = field(default="real", kw_only=True)
    #: Interval that contains every value, for curvature certificates.
    range: tuple[float, float] = field(default=(-float("inf"), float("inf")), kw_only=True)
    #: +1 nondecreasing, -1 nonincreasing, 0 neither, in each operand.
    monotone: tuple[int, ...] = field(default=(0,), kw_only=True)
    #: +1 convex, -1 concave, 0 neither (jointly in the operands, on the domain).
    convexity: int = field(default=0, kw_only=True)
    #: Whether the result is symmetric in its last two axes: "always", if the operand is, "never".
    symmetric: Literal["never", "inherited", "always"] = field(default="never", kw_only=True)
    #: Contracts an adjoint ``(extra + batch + core of out)`` where no compact partial tensor exists.
    pullback: Callable[..., Any] | None = field(default=None, kw_only=True)
    #: Extents of the result's core axes from operands and parameters, if the signature leaves them open.
    core_extents: Callable[..., Sequence[Any]] | None = field(default=None, kw_only=True)
    #: What to read for the formula: a paper's section or an identity's name.
    source: str = field(default="", kw_only=True)

    @property
    def is_elementwise(self) -> bool:
        return not any(self.operand_cores) and not self.result_core

    @property
    def operand_cores(self) -> tuple[tuple[str, ...], ...]:
        return parse_signature(self.signature)[0]

    @property
    def result_core(self) -> tuple[str, ...]:
        return parse_signature(self.signature)[1]

    @property
    def arity(self) -> int:
        return len(self.operand_cores)


@lru_cache(maxsize=None)
def parse_signature(signature: str) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """Core axis names of the operands and of the result.

    >>> parse_signature("(n,n),(n)->(n)")
    ((('n', 'n'), ('n',)), ('n',))
    """
    left, right = signature.split("->")
    operands = [part.strip("()") for part in left.split("),(")]
    return tuple(_axes(part) for part in operands), _axes(right.strip("()"))


def row(name: str, signature: str = "()->()", *partials: Partial | None, **columns: Any) -> Operation:
    """Add a row to the table."""
    operation = Operation(name, signature, partials, **columns)
    if len(partials) not in (0, operation.arity):
        raise ValueError(f"row {name!r}: {len(partials)} partials for {operation.arity} operands")
    if not partials:
        object.__setattr__(operation, "partials", (None,) * operation.arity)
    TABLE[name] = operation
    return operation


def _axes(text: str) -> tuple[str, ...]:
    return tuple(axis.strip() for axis in text.split(",") if axis.strip())
