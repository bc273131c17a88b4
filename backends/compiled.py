"""Compiled functions: arguments bound and checked, variants chosen by size, costs and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tensorcalc.errors import TensorcalcError, UnknownNameError
from tensorcalc.extents import evaluate
from tensorcalc.nodes import Node, Variable, free_variables
from tensorcalc.oracle import axis_sizes

from .lowering import lower
from .numpy_writer import NumpyWriter
from .program import Program
from .step_costs import Cost, cost

TARGETS = ("numpy",)


class TargetError(TensorcalcError, ValueError):
    """A target that does not exist, or cannot be used here."""


def compile(
    expressions: Any,
    target: str = "numpy",
    variables: Sequence[Variable] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> CompiledFunction:
    """A function of the variables by name that computes ``expressions`` together.

    ``expressions`` is one expression or a list, tuple or dict of them, nested at will; calls return
    the same nesting of arrays. ``variables`` fixes the arguments where some are not used;
    ``sizes`` are hints of the extents for the order of contractions.

    Raises TargetError for an unknown target.
    """
    if target not in TARGETS:
        raise TargetError(
            f"target {target!r} is not available", [f"available: {', '.join(TARGETS)}"]
        )
    return CompiledFunction(expressions, target, variables, sizes)


class CompiledFunction:
    """What :func:`compile` returns: call it with arrays by name."""

    def __init__(
        self,
        expressions: Any,
        target: str,
        variables: Sequence[Variable] | None,
        sizes: Mapping[str, int] | None,
    ) -> None:
        roots: list[Node] = []
        template = _template(expressions, roots)
        self.target = target
        self.variables = tuple(variables or free_variables(*roots))
        self.program: Program = lower(roots, self.variables, sizes)
        self.source = NumpyWriter(self.program, "f", template).source()
        namespace: dict[str, Any] = {}
        exec(_compiled(self.source), namespace)  # noqa: S102 - our own text
        self._function = namespace["f"]

    def __call__(self, **arrays: Any) -> Any:
        return self._function(*self._bound(arrays))

    def _bound(self, arrays: Mapping[str, Any]) -> list[Any]:
        names = [variable.name for variable in self.variables]
        missing = [v.name for v in self.variables if v.name not in arrays and v.value is None]
        extra = [name for name in arrays if name not in names]
        if missing or extra:
            raise UnknownNameError(
                f"no value for {', '.join(missing)}" if missing else f"no variable {', '.join(extra)}",
                [f"the function needs: {', '.join(names)}", f"given: {', '.join(arrays) or 'none'}"],
            )
        values = {v: np.asarray(arrays.get(v.name, v.value)) for v in self.variables}
        axis_sizes(self.variables, values)
        kinds = {v: _promoted(v, a) for v, a in values.items()}
        return [kinds[v] for v in self.variables]

    def cost(self, **arrays: Any) -> Cost:
        """Operations and bytes of a call with these arrays."""
        values = {v: np.asarray(arrays.get(v.name, v.value)) for v in self.variables}
        sizes = axis_sizes(self.variables, values)
        costs = [cost(step) for step in self.program.steps]
        return Cost(
            sum(evaluate(c.flops, sizes) for c in costs), sum(evaluate(c.bytes, sizes) for c in costs)
        )

    def save(self, path: str | Path) -> None:
        """Write :attr:`source` to a file that does not need this library."""
        Path(path).write_text(self.source)


def _promoted(variable: Variable, array: Any) -> Any:
    if array.dtype.kind == "f" or variable.flags & {"integer", "boolean"}:
        return array
    return array.astype(float)


def _compiled(source: str) -> Any:
    import builtins

    return builtins.compile(source, "<tensorcalc>", "exec")


def _template(expressions: Any, roots: list[Node]) -> str:
    """The returned expression with ``{k}`` for the k-th root."""
    if isinstance(expressions, Node):
        roots.append(expressions)
        return f"{{{len(roots) - 1}}}"
    if isinstance(expressions, Mapping):
        items = [f"{key!r}: {_template(value, roots)}" for key, value in expressions.items()]
        return "{{" + ", ".join(items) + "}}"
    items = [_template(value, roots) for value in expressions]
    if isinstance(expressions, list):
        return f"[{', '.join(items)}]"
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
