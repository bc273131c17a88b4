"""The oracle: the slow, obvious NumPy value of an expression; never optimised."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ShapeError, UnknownNameError
from .extents import Extent, symbol_name, symbols_of
from .extents import evaluate as extent_value
from .nodes import (
    Apply,
    Constant,
    Delta,
    Node,
    Product,
    Sum,
    Variable,
    as_expression,
    free_variables,
    postorder,
)
from .products import is_boolean


def evaluate(expression: Node, /, **values: Any) -> Any:
    """The value of ``expression`` where each variable has the given array.

    An extent that no variable of the expression has is given by its name, ``evaluate(eye, n=3)``.
    Materialises every node densely. Raises UnknownNameError for a missing name and ShapeError if
    an array does not fit its variable.

    >>> import tensorcalc as tc
    >>> x = tc.variables("x: n")
    >>> float(tc.evaluate(x @ x, x=[3.0, 4.0]))
    25.0
    """
    expression = as_expression(expression)
    variables = free_variables(expression)
    arrays = _bound(variables, values)
    sizes = {name: size for name, size in values.items() if isinstance(size, int)}
    sizes |= axis_sizes(variables, arrays)
    _check_sizes(expression, sizes)
    results: dict[Node, Any] = dict(arrays.items())
    for node in postorder(expression):
        if node not in results:
            results[node] = _value(node, results, sizes)
    return results[expression]


def _check_sizes(expression: Node, sizes: dict[str, int]) -> None:
    """An extent that no array tells must be given by name."""
    extents = {extent for node in postorder(expression) for extent in node.extents}
    missing = {name for extent in extents for name in symbols_of(extent)} - sizes.keys()
    if missing:
        first = min(missing)
        raise UnknownNameError(
            f"no size for {', '.join(sorted(missing))}",
            ["no variable of the expression has such an axis"],
            f"give it by name: evaluate(..., {first}=3)",
        )


def _bound(variables: tuple[Variable, ...], values: dict[str, Any]) -> dict[Variable, Any]:
    names = {variable.name: variable for variable in variables}
    missing = [n for n, v in names.items() if n not in values and v.value is None]
    if missing:
        raise UnknownNameError(
            f"no value for {', '.join(missing)}",
            [f"the expression needs: {', '.join(names)}", f"given: {', '.join(values) or 'none'}"],
        )
    return {v: np.asarray(values.get(n, v.value)) for n, v in names.items()}


def axis_sizes(variables: tuple[Variable, ...], arrays: dict[Variable, Any]) -> dict[str, int]:
    """The number that each extent symbol is, from the shapes of the arrays.

    An extent like ``4*n`` is compared when every symbol is known, whatever the order of variables.
    """
    axes: list[tuple[Variable, Any, int]] = []
    for variable in variables:
        shape = arrays[variable].shape
        if len(shape) != variable.ndim:
            raise _misfit(variable, shape, f"it has {len(shape)} axes, not {variable.ndim}")
        axes += ((variable, *axis) for axis in zip(variable.extents, shape, strict=True))
    sizes: dict[str, int] = {}
    owner: dict[str, str] = {}
    for variable, extent, size in sorted(axes, key=lambda axis: symbol_name(axis[1]) is None):
        name = symbol_name(extent)
        known = sizes.setdefault(name, size) if name else extent_value(extent, sizes)
        if known != size:
            whose = f" from {owner[name]}" if name in owner else ""
            shape = arrays[variable].shape
            raise _misfit(variable, shape, f"{extent} = {known}{whose}, but here it is {size}")
        owner.setdefault(name or "", variable.name)
    return sizes


def _misfit(variable: Variable, shape: tuple[int, ...], why: str) -> ShapeError:
    return ShapeError(
        f"the value of {variable.name} does not fit",
        [f"declared: {variable.name}, shape {variable.extents}", f"given: shape {shape}", why],
        "pass an array of the declared shape",
    )


def _value(node: Node, results: dict[Node, Any], sizes: dict[str, int]) -> Any:
    if isinstance(node, Constant):
        return np.float64(node.value)
    if isinstance(node, Delta):
        return delta_value(node, sizes)
    if isinstance(node, Product):
        return _product_value(node, [results[o] for o in node.operands], sizes)
    if isinstance(node, Sum):
        with np.errstate(invalid="ignore"):  # inf - inf under a mask
            return sum(np.asarray(results[o], dtype=_numeric(results[o])) for o in node.operands)
    assert isinstance(node, Apply)
    params = {
        key: extent_value(value, sizes) if isinstance(value, Extent) else value
        for key, value in node.params
    }
    return node.operation.reference(*[results[o] for o in node.operands], **params)


def delta_value(node: Delta, sizes: dict[str, int]) -> Any:
    """The 0/1 tensor of a Delta."""
    shape = tuple(extent_value(extent, sizes) for extent in node.extents)
    indices = np.indices(shape)
    holds = np.ones(shape, dtype=bool)
    for coefficients, offset in node.rows:
        total = sum(extent_value(c, sizes) * i for c, i in zip(coefficients, indices, strict=True))
        holds &= total + extent_value(offset, sizes) == 0
    return holds


def _product_value(node: Product, values: list[Any], sizes: dict[str, int]) -> Any:
    labels = sorted({label for own in node.subscripts for label in own})
    numeric: Any = 1.0
    mask: Any = True
    for operand, value, own in zip(node.operands, values, node.subscripts, strict=True):
        aligned = _aligned(np.asarray(value), own, labels)
        if is_boolean(operand):
            mask = np.logical_and(mask, aligned)
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                numeric = numeric * aligned
    dense = np.where(mask, numeric, 0.0) if mask is not True else np.asarray(numeric)
    summed = tuple(k for k, label in enumerate(labels) if label not in node.output)
    kept = [label for label in labels if label in node.output]
    total = dense.sum(axis=summed)
    return np.transpose(total, [kept.index(label) for label in node.output])


def _aligned(value: Any, own: tuple[int, ...], labels: list[int]) -> Any:
    """Diagonals taken, axes in the order of ``labels``, size-1 axes where a label is absent."""
    letters = list(own)
    distinct = sorted(set(letters))
    taken = np.einsum(value, letters, distinct)
    return taken.reshape([taken.shape[distinct.index(k)] if k in distinct else 1 for k in labels])


def _numeric(value: Any) -> Any:
    return np.result_type(value, np.float32) if np.asarray(value).dtype == bool else None
