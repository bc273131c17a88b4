"""The operation table: one row is everything the library knows about one nonlinear operation.

A row is an :class:`Operation`. Adding an operation means adding a row to one of the modules beside
this file; derivatives, targets, printers and generated tests follow from its columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from typing import Any, Literal

import numpy as np

#: Every row by name.
TABLE: dict[str, Operation] = {}

#: Spellings of functions with several results by name and target; see ``Operation.decomposition``.
DECOMPOSITIONS: dict[str, dict[str, str]] = {}

#: ``partial(out, *operands, **params)`` with axes ``batch + core of out + core of operand``.
Partial = Callable[..., Any]
#: A template, or a function of the parameters that returns one ("" where it has none).
Spelling = str | Callable[..., str]


@dataclass(frozen=True, eq=False)
class Operation:
    """One row of the table.

    ``signature`` names core axes as in NumPy's generalised ufuncs; batch axes come before them and
    core axes are always the last axes. An elementwise operation is ``()->()``, ``(),()->()``, ...;
    its operands have one shape or are scalars.

    ``partials[k]`` builds the partial derivative tensor with respect to operand ``k`` from nodes;
    None says the derivative is zero. The spellings are templates with ``{0}``, ``{1}`` for the
    operands and ``{name}`` for parameters; :meth:`spelled` fills them in. A NumPy spelling may use
    ``np``, ``special`` (``scipy.special``) and the functions of :mod:`.operations.helpers`;
    a numba or CUDA spelling is a scalar expression of ``math.*`` and the functions of
    ``backends.vector_math`` (CUDA: also ``backends.cuda.device_functions``) by their plain names;
    a JAX spelling uses ``jax`` and ``jnp``.
    """

    name: str
    signature: str = "()->()"
    partials: tuple[Partial | None, ...] = (None,)
    #: The oracle's function of arrays, called with operands and parameters; never warns.
    reference: Callable[..., Any] = field(kw_only=True)
    numpy: Spelling = field(kw_only=True)
    jax: Spelling = field(default="", kw_only=True)
    numba: Spelling = field(default="", kw_only=True)
    #: The numba spelling unless another is given.
    cuda: Spelling = field(default="", kw_only=True)
    latex: Spelling = field(default="", kw_only=True)
    #: Why a spelling is missing, by target: said by the generated tests.
    lacks: dict[str, str] = field(default_factory=dict, kw_only=True)
    #: Interval of test values per operand, or the name of a class of test values
    #: ("boolean", "invertible", "spd", "symmetric", "tall", "wide", "logits", "distinct").
    domain: tuple[Any, ...] = field(default=((-2.0, 2.0),), kw_only=True)
    #: Parameters that the generated tests use.
    test_params: dict[str, Any] = field(default_factory=dict, kw_only=True)
    result: Literal["real", "boolean", "integer"] = field(default="real", kw_only=True)
    #: Whether real results are whole numbers: "always", if all operands are, "never".
    integral: Literal["never", "inherited", "always"] = field(default="never", kw_only=True)
    #: Interval that contains every value, for curvature certificates; see :meth:`value_range`.
    range: Any = field(default=(-math.inf, math.inf), kw_only=True)
    #: +1 nondecreasing, -1 nonincreasing, 0 neither, in each operand.
    monotone: tuple[int, ...] = field(default=(), kw_only=True)
    #: +1 convex, -1 concave, 0 neither (jointly in the operands, on the domain).
    convexity: int = field(default=0, kw_only=True)
    #: Whether the result is symmetric in its last two axes: "always", if the operand is, "never".
    symmetric: Literal["never", "inherited", "always"] = field(default="never", kw_only=True)
    #: Whether the result is a triangular matrix, so that a solve with it is a substitution.
    triangular: Literal["", "lower", "upper"] = field(default="", kw_only=True)
    #: Rows of one decomposition of one operand can be computed together: result ``result_index``
    #: of what :data:`DECOMPOSITIONS` spells.
    decomposition: str = field(default="", kw_only=True)
    result_index: int = field(default=0, kw_only=True)
    #: Contracts an adjoint ``(extra + batch + core of out)`` where no compact partial exists:
    #: ``pullback(k, adjoint, rank, out, *operands, **params)``, ``rank`` extra axes.
    pullback: Callable[..., Any] | None = field(default=None, kw_only=True)
    #: Extents of the result's core axes from operands and parameters, where the signature
    #: leaves them open.
    core_extents: Callable[..., Sequence[Any]] | None = field(default=None, kw_only=True)
    #: What to read for the formula: a paper's section or an identity's name.
    source: str = field(default="", kw_only=True)

    def spelled(self, target: str, *operands: str, **params: Any) -> str:
        """The spelling for "numpy", "jax", "numba", "cuda" or "latex" with operands filled in.

        Empty if the row has none for these parameters.

        >>> TABLE["exp"].spelled("numpy", "x")
        'np.exp(x)'
        """
        template = getattr(self, target)
        if callable(template):
            template = template(**params)
        literals = {name: _literal(value, target) for name, value in params.items()}
        return template.format(*operands, **literals)

    def value_range(self, **params: Any) -> tuple[float, float]:
        """Interval that contains every value of the operation with these parameters."""
        return self.range(**params) if callable(self.range) else self.range

    @property
    def is_elementwise(self) -> bool:
        """Whether neither the operands nor the result have core axes."""
        return not any(self.operand_cores) and not self.result_core

    @property
    def operand_cores(self) -> tuple[tuple[str, ...], ...]:
        """Names of the core axes of each operand."""
        return parse_signature(self.signature)[0]

    @property
    def result_core(self) -> tuple[str, ...]:
        """Names of the core axes of the result."""
        return parse_signature(self.signature)[1]

    @property
    def arity(self) -> int:
        """Number of operands."""
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


def row(
    name: str, signature: str = "()->()", *partials: Partial | None, **columns: Any
) -> Operation:
    """Add a row to the table; partials that are left out are zero.

    Raises ValueError if a column has not one entry for each operand.
    """
    arity = len(parse_signature(signature)[0])
    if "cuda" not in columns and "numba" in columns.get("lacks", {}):
        columns["lacks"] = {**columns["lacks"], "cuda": columns["lacks"]["numba"]}
    columns.setdefault("cuda", columns.get("numba", ""))
    columns.setdefault("monotone", (0,) * arity)
    columns["reference"] = _quiet(columns["reference"])
    operation = Operation(name, signature, partials or (None,) * arity, **columns)
    if not len(operation.partials) == len(operation.monotone) == arity == len(operation.domain):
        raise ValueError(f"row {name!r}: partials, monotone and domain need {arity} entries")
    TABLE[name] = operation
    return operation


def decomposition(name: str, *, numpy: str, jax: str) -> None:
    """Register a function with several results, of which rows are one each."""
    DECOMPOSITIONS[name] = {"numpy": numpy, "jax": jax}


def _quiet(reference: Callable[..., Any]) -> Callable[..., Any]:
    """Values at poles and beyond the range are the documented ones; no warning says so again."""

    @wraps(reference)
    def quiet(*operands: Any, **params: Any) -> Any:
        with np.errstate(all="ignore"):
            return reference(*map(_numeric, operands), **params)

    return quiet


def _numeric(value: Any) -> Any:
    """Booleans as float64: NumPy's functions would compute them in float16."""
    array = np.asarray(value)
    return array.astype(float) if array.dtype == bool else value


def _literal(value: Any, target: str) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"{math.copysign(1, value):+.0f}"[0] + (
            "math.inf" if target in ("numba", "cuda") else "np.inf"
        )
    return f"{value:g}" if target == "latex" and isinstance(value, float) else repr(value)


def _axes(text: str) -> tuple[str, ...]:
    return tuple(axis.strip() for axis in text.split(",") if axis.strip())
