"""Arguments of a call: names, ranks, extents and precisions checked once per signature."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError, TensorcalcError, UnknownNameError
from tensorcalc.extents import Extent, evaluate, symbol_name, symbols_of
from tensorcalc.nodes import Variable
from tensorcalc.operations.helpers import HELPERS


class ArgumentError(TensorcalcError, TypeError):
    """An argument that is no array of real numbers."""


MISSING: Any = type("Missing", (), {"__repr__": lambda self: "missing"})()


#: Names that generated code uses itself.
RESERVED = {"np", "special", "linalg", "dtype", "jax", "jnp", "f", *keyword.kwlist}
RESERVED |= {"self", "others", "known", "missing", "originals", "run", "written"}


def argument_names(variables: Sequence[Variable]) -> list[str]:
    """A Python name for each variable: its own where that is one."""
    names: list[str] = []
    for variable in variables:
        name = re.sub(r"\W", "_", variable.name)
        if not name.isidentifier() or name in RESERVED or name in HELPERS:
            name = f"{name}_" if name.isidentifier() else f"v{name}"
        while name in names:
            name += "_"
        names.append(name)
    return names


def check_names(
    given: Sequence[str], variables: Sequence[Variable], symbols: Sequence[str]
) -> None:
    """Raise UnknownNameError unless each variable without a value is given, and nothing else."""
    known = [*(variable.name for variable in variables), *symbols]
    wanted = [*(v.name for v in variables if v.value is None), *symbols]
    missing = [name for name in wanted if name not in given]
    extra = [name for name in given if name not in known]
    if not missing and not extra:
        return
    details = [f"the function takes: {', '.join(known) or 'nothing'}", f"given: {', '.join(given)}"]
    if missing:
        hint = _size_hint(missing, symbols)
        raise UnknownNameError(f"no value for {', '.join(missing)}", details, hint)
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(extra[0].lower(), lower, 1)
    hint = "declare it with variables=[...] when compiling"
    hint = f"did you mean {lower[near[0]]}?" if near else hint
    raise UnknownNameError(f"the function has no argument {', '.join(extra)}", details, hint)


def _size_hint(missing: Sequence[str], symbols: Sequence[str]) -> str:
    sizes = [name for name in missing if name in symbols]
    if not sizes:
        return "pass every argument by its name"
    return f"no argument has the extent {', '.join(sizes)}: pass the number, {sizes[0]}=..."


def sizes_of(
    variables: Sequence[Variable], arrays: Sequence[Any], given: Mapping[str, int]
) -> dict[str, int]:
    """The number that each extent symbol is, from shapes and given sizes.

    Raises ShapeError if a rank is wrong or an extent has two sizes.
    """
    sizes = dict(given)
    owner: dict[str, str] = {}
    for variable, array in zip(variables, arrays, strict=True):
        if array.ndim != variable.ndim:
            _fail(variable, array, f"it has {array.ndim} axes, not {variable.ndim}", variables)
        for extent, size in zip(variable.extents, array.shape, strict=True):
            name = symbol_name(extent)
            if name and sizes.setdefault(name, size) == size:
                owner.setdefault(name, variable.name)
            elif name:
                _fail(variable, array, _clash(name, sizes[name], owner, size), variables)
    for variable, array in zip(variables, arrays, strict=True):
        for extent, size in zip(variable.extents, array.shape, strict=True):
            if symbols_of(extent) <= sizes.keys() and evaluate(extent, sizes) != size:
                why = f"{extent} = {evaluate(extent, sizes)}, but here it is {size}"
                _fail(variable, array, why, variables)
    return sizes


def _clash(name: str, known: int, owner: Mapping[str, str], size: int) -> str:
    whose = f" from {owner[name]}" if name in owner else ""
    return f"{name} = {known}{whose}, but here it is {size}"


def _fail(variable: Variable, array: Any, why: str, variables: Sequence[Variable]) -> None:
    raise ShapeError(
        f"the argument {variable.name} does not fit",
        [
            f"declared: {variable.name}, shape {_shape_text(variable.extents)}",
            f"given: shape {array.shape}",
            why,
        ],
        "pass an array of the declared shape",
    )


def _shape_text(extents: Sequence[int | Extent]) -> str:
    return f"({', '.join(map(str, extents))}{',' if len(extents) == 1 else ''})"


def as_arrays(variables: Sequence[Variable], values: Sequence[Any]) -> list[Any]:
    """Arguments as arrays; a Python number takes the precision of the arrays.

    Raises ArgumentError for what is no array of real numbers.
    """
    arrays = [np.asarray(value) for value in values]
    for variable, array in zip(variables, arrays, strict=True):
        if array.dtype.kind not in "fiub":
            raise ArgumentError(
                f"the argument {variable.name} has dtype {array.dtype}",
                [f"{variable.name}: {array!r:.60}"],
                "pass real numbers, integers or booleans",
            )
    numbers = [isinstance(v, (float, int)) and not isinstance(v, np.generic) for v in values]
    if any(numbers):
        pairs = zip(arrays, numbers, strict=True)
        common = precision([array for array, is_number in pairs if not is_number])
        arrays = [a.astype(common) if n else a for a, n in zip(arrays, numbers, strict=True)]
    return arrays


def precision(arrays: Sequence[Any]) -> Any:
    """The floating precision of a call: the widest among its arrays; float64 without any."""
    dtypes = [array.dtype for array in arrays]
    if not any(dtype.kind == "f" for dtype in dtypes):
        return np.dtype(float)
    return np.result_type(*dtypes)


def conversions(variables: Sequence[Variable], arrays: Sequence[Any]) -> list[Any]:
    """For each argument the dtype it must be converted to, None if it can stay."""
    real = [not variable.flags & {"integer", "boolean"} for variable in variables]
    common = precision([a for a, is_real in zip(arrays, real, strict=True) if is_real])
    return [
        common if is_real and array.dtype != common else None
        for array, is_real in zip(arrays, real, strict=True)
    ]
