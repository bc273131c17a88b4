"""The Hessian: dense, structured, or whatever fits into a memory budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backends.memory import SizeError
from backends.memory import text as size_text
from tensorcalc.errors import DerivativeError

from . import curvature_rules, rules
from .budget import BudgetedHessian, structured_bytes
from .transforms import StructuredTransform, Transform


def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    target: str = "auto",
    structured: bool = False,
    memory: str | int | float | None = None,
) -> Any:
    """Second derivatives: ``H[o..., i..., j...] = d^2 fun[o...] / d x[i...] d y[j...]``.

    The function may return a scalar, an array or a nesting of them; the nesting of the result is
    that of the output, then that of the argument twice: of ``{"U": ..., "V": ...}`` a dict of dicts
    of blocks. Each block has the axes of the output, then those of the two arguments.

    With ``structured`` the result is a ``scipy.sparse.linalg.LinearOperator`` between flattened
    arguments that stores and solves with what the formula of the Hessian is made of (see
    :mod:`autodiff.structured`); several leaves are one block system, in the order of the leaves.

    With ``memory``, a number of bytes or a text like ``"2 GB"``, it is such an operator as well,
    represented in the best way that fits; its ``choice`` says which, and what the others need.
    Several argnums are one matrix, in their order.

    >>> import numpy as np
    >>> hessian(lambda x: x[0] * x[1])(np.array([1.0, 2.0]))
    array([[0., 1.],
           [1., 0.]])
    >>> hessian(lambda x: x**3)(np.array([1.0, 2.0])).shape
    (2, 2, 2)
    >>> hessian(lambda x: np.sum(x**3), structured=True)(np.ones(1000))
    <diagonal, 1000 x 1000, 8000 bytes>
    >>> hessian(lambda x: np.sum(x**3), memory="1 MB")(np.ones(1000)).choice.kind
    'structured'

    Raises DerivativeError if the argument is not real or, with ``structured`` or ``memory``, the
    function not scalar; SizeError if the result does not fit into the memory.
    """
    if memory is not None:
        if has_aux or structured:
            raise TypeError("hessian: memory= goes without structured= and has_aux=")
        return BudgetedHessian(fun, memory, argnums, target)
    if structured:
        rule = curvature_rules.structured_hessian
        return StructuredHessian(fun, rule, "structured hessian", argnums, has_aux, target)
    return DenseHessian(fun, rules.hessian, "hessian", argnums, has_aux, target)


class StructuredHessian(StructuredTransform):
    """The Hessian as an operator; one without structure that does not fit is known by products."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The operator at these arguments."""
        try:
            return super().__call__(*args, **kwargs)
        except SizeError:
            if self._has_aux or structured_bytes(self.plan(args, kwargs), 1) is not None:
                raise
        found = BudgetedHessian(self._function, 0, self._argnums or 0, self.target)
        return found.products(*args, **kwargs)


class DenseHessian(Transform):
    """The Hessian as arrays; one that does not fit into memory is refused with what would."""

    def run(self, args: Sequence[Any], kwargs: dict[str, Any], extra: Any = None) -> Any:
        """The Hessian at ``args``."""
        try:
            return super().run(args, kwargs, extra)
        except SizeError as error:
            needs = self._needs(args, kwargs)
            if not needs:
                raise
            texts = [f"{kind} needs {size_text(size)}" for kind, size in needs.items()]
            raise SizeError(f"{error}\n  hint: {', '.join(texts)}") from None

    def _needs(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, int]:
        """Bytes of the representations that are no dense matrix."""
        if self._has_aux:
            return {}
        other = BudgetedHessian(self._function, 0, self._argnums or 0, self.target)
        try:
            found = other.needs(*args, **kwargs)
        except DerivativeError:  # not a scalar function
            return {}
        words = {"structured": "structured=True", "hvp": "hvp"}
        return {words[kind]: found[kind] for kind in words if kind in found}
