"""Expressions as SymPy: scalars as symbols, tensors as indexed entries with explicit sums.

``tc.to_sympy(e)`` is the entry of ``e`` at symbolic indices i, j, k, l as a SymPy expression:
variables become ``IndexedBase`` objects, summed indices ``Sum(..., (k, 0, n - 1))``, deltas
``KroneckerDelta``. A scalar expression has no free index. Functions of whole matrices and vectors
(inv, det, softmax, ...) become applied undefined functions of their operands' names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import NotationError
from ..nodes import Apply, Constant, Delta, Node, Product, Sum, Variable, as_expression
from .index_text import index_text

_NAMES = "ijklabcdefghpqrstuvwxyz"
#: SymPy's name of a row where it differs.
_FUNCTIONS: dict[str, str] = {
    "abs": "Abs",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "maximum": "Max",
    "minimum": "Min",
    "ceil": "ceiling",
    "gammaln": "loggamma",
}
_SAME = "exp log sin cos tan sinh cosh tanh sign floor erf erfc erfinv gamma digamma cbrt".split()
_RELATIONS = {
    "greater": "StrictGreaterThan",
    "greater_equal": "GreaterThan",
    "less": "StrictLessThan",
    "less_equal": "LessThan",
    "equal": "Equality",
    "not_equal": "Unequality",
}
_LOGIC = {"logical_not": "Not", "logical_and": "And", "logical_or": "Or"}


def _formulas(sympy: Any) -> dict[str, Callable[..., Any]]:
    """Rows that SymPy says by a formula."""
    return {
        "expit": lambda x: 1 / (1 + sympy.exp(-x)),
        "softplus": lambda x: sympy.log(1 + sympy.exp(x)),
        "log1p": lambda x: sympy.log(1 + x),
        "expm1": lambda x: sympy.exp(x) - 1,
        "exp2": lambda x: 2**x,
        "log2": lambda x: sympy.log(x, 2),
        "log10": lambda x: sympy.log(x, 10),
        "relu": lambda x: sympy.Max(x, 0),
        "pow": lambda x, y: x**y,
        "logit": lambda x: sympy.log(x / (1 - x)),
        "hypot": lambda x, y: sympy.sqrt(x**2 + y**2),
        "log_cosh": lambda x: sympy.log(sympy.cosh(x)),
        "logaddexp": lambda x, y: sympy.log(sympy.exp(x) + sympy.exp(y)),
    }


def to_sympy(expression: Node) -> Any:
    """``expression`` as a SymPy expression of its indices i, j, k, l.

    >>> import tensorcalc as tc
    >>> A, x = tc.variables("A: n n, x: n")
    >>> to_sympy(A @ x)
    Sum(A[i, j]*x[j], (j, 0, n - 1))

    Raises NotationError for an operation that SymPy has no function for.
    """
    import sympy

    expression = as_expression(expression)
    return _Export(sympy).entry(expression, tuple(map(sympy.Symbol, _NAMES[: expression.ndim])), 0)


class _Export:
    """Entries of nodes at given indices."""

    def __init__(self, sympy: Any) -> None:
        self.sympy = sympy
        self.formulas = _formulas(sympy)

    def entry(self, node: Node, indices: Sequence[Any], used: int) -> Any:
        """``node[indices]``; names before ``used`` may be taken outside."""
        used = max(used, len(indices))
        if isinstance(node, Constant):
            return self.number(node.value)
        if isinstance(node, Variable):
            if not node.ndim:
                return self.sympy.Symbol(node.name)
            return self.sympy.IndexedBase(node.name)[tuple(indices)]
        if isinstance(node, Delta):
            return self.delta(node, indices)
        if isinstance(node, Sum):
            return self.sympy.Add(*[self.entry(o, indices, used) for o in node.operands])
        if isinstance(node, Product):
            return self.product(node, indices, used)
        assert isinstance(node, Apply)
        return self.apply(node, indices, used)

    def number(self, value: float) -> Any:
        """A short fraction exactly, anything else as a float."""
        exact = self.sympy.nsimplify(value, rational=True) if value == value else value
        return exact if abs(getattr(exact, "q", 1)) <= 1000 else self.sympy.Float(value)

    def delta(self, node: Delta, indices: Sequence[Any]) -> Any:
        factors = []
        for coefficients, offset in node.rows:
            terms = zip(coefficients, indices, strict=True)
            left = sum(self.sympy.sympify(c) * i for c, i in terms) + self.sympy.sympify(offset)
            positive = self.sympy.Add(
                *[t for t in left.as_ordered_terms() if not t.could_extract_minus_sign()]
            )
            factors.append(self.sympy.KroneckerDelta(positive, positive - left))
        return self.sympy.Mul(*factors)

    def product(self, node: Product, indices: Sequence[Any], used: int) -> Any:
        names: dict[int, Any] = dict(zip(node.output, indices, strict=True))
        extents = node.label_extents()
        summed = [label for label in extents if label not in names]
        for label in summed:
            names[label] = self.sympy.Symbol(_NAMES[used] if used < len(_NAMES) else f"i{used}")
            used += 1
        pairs = zip(node.operands, node.subscripts, strict=True)
        body = self.sympy.Mul(*[self.entry(o, [names[x] for x in own], used) for o, own in pairs])
        if not summed:
            return body
        limits = [(names[x], 0, self.sympy.sympify(extents[x]) - 1) for x in summed]
        return self.sympy.Sum(body, *limits)

    def apply(self, node: Apply, indices: Sequence[Any], used: int) -> Any:
        name, params = node.operation.name, dict(node.params)
        if not node.operation.is_elementwise:
            return self.whole(node, indices)
        if name in _RELATIONS or name in _LOGIC:
            return self.sympy.Piecewise((1, self.condition(node, indices, used)), (0, True))
        if name == "where":
            x, y = (self.entry(o, indices if o.ndim else (), used) for o in node.operands[1:])
            condition = self.condition(node.operands[0], indices, used)
            return self.sympy.Piecewise((x, condition), (y, True))
        operands = [self.entry(o, indices if o.ndim else (), used) for o in node.operands]
        if name == "power":
            return operands[0] ** self.number(params["exponent"])
        if name in self.formulas:
            return self.formulas[name](*operands)
        if name in _FUNCTIONS or name in _SAME:
            return getattr(self.sympy, _FUNCTIONS.get(name, name))(*operands)
        raise NotationError(
            f"SymPy has no function for {name}",
            [f"expression: {index_text(node)}"],
            "print it with str() or to_latex()",
        )

    def condition(self, node: Node, indices: Sequence[Any], used: int) -> Any:
        """A boolean node as a SymPy condition."""
        name = node.operation.name if isinstance(node, Apply) else ""
        inner = [(o, indices if o.ndim else ()) for o in node.operands]
        if name in _RELATIONS:
            relation = getattr(self.sympy, _RELATIONS[name])
            return relation(*[self.entry(o, own, used) for o, own in inner])
        if name in _LOGIC:
            join = getattr(self.sympy, _LOGIC[name])
            return join(*[self.condition(o, own, used) for o, own in inner])
        return self.sympy.Ne(self.entry(node, indices if node.ndim else (), used), 0)

    def whole(self, node: Apply, indices: Sequence[Any]) -> Any:
        """A function of whole tensors at the indices of its result."""
        names = [
            self.sympy.Symbol(o.name if isinstance(o, Variable) else f"({index_text(o)})")
            for o in node.operands
        ]
        return self.sympy.Function(node.operation.name)(*names, *indices)
