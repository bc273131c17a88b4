"""A Program as a pure function of jax.numpy arrays: jit, vmap, grad and sharding work on it."""

from __future__ import annotations

from typing import Any

from tensorcalc.extents import Extent
from tensorcalc.table import DECOMPOSITIONS

from .numpy_arrays import axis_index, forms_text, gather, indicator, subscript_text, transposed
from .numpy_scope import Scope, SizeText
from .program import Program
from .steps import (
    Call,
    Contract,
    Gather,
    Indicator,
    Input,
    Insert,
    Labels,
    Nest,
    Reshape,
    Scatter,
    Step,
    Term,
    View,
)

#: Functions that the generated text may call.
HELPERS = {
    "affine_indices": """
def affine_indices(shape, sizes, forms):
    grids = jnp.indices(sizes, sparse=True)
    places = [c[0] + sum((d * g for d, g in zip(c[1:], grids)), 0) for c in forms]
    inside = [(0 <= p) & (p < n) for p, n in zip(places, shape)]
    return [jnp.where(ok, p, n) for ok, p, n in zip(inside, places, shape)]
""",
    "affine_view": """
def affine_view(x, sizes, forms):
    return x.at[tuple(affine_indices(x.shape, sizes, forms))].get(mode="fill", fill_value=0)
""",
    "affine_add": """
def affine_add(x, values, sizes, forms):
    return x.at[tuple(affine_indices(x.shape, sizes, forms))].add(values, mode="drop")
""",
}


class JaxWriter(Scope):
    """Writes one Program; every step is a pure expression, which XLA fuses."""

    module = "jnp"

    def __init__(self, program: Program, name: str, returned: str) -> None:
        super().__init__(program)
        self.function_name = name
        self.returned = returned
        self.open_symbols: list[str] = []
        self.order: Labels = ()

    def source(self) -> str:
        """The whole text: imports, helpers, the function."""
        for step in self.program.steps:
            value = step.value
            self.names[value] = value.name if isinstance(step, Input) else self._bound(step)
        known = self.size_names()
        self.open_symbols = sorted(self.sizes - known.keys())
        sizes = [f"{name} = {text}" for name, text in known.items() if name in self.sizes]
        body = "\n".join(f"    {line}" for line in [*sizes, *self._dtype_line(), *self.lines])
        returned = self.returned.format(*(self.names[value] for value in self.program.outputs))
        parameters = ", ".join([*self.parameters, *self.open_symbols])
        text = f"def {self.function_name}({parameters}):\n{body}\n    return {returned}\n"
        text = text.replace(":\n\n", ":\n")
        helpers = [code for name, code in HELPERS.items() if f"{name}(" in text]
        if len(helpers) > 0 and HELPERS["affine_indices"] not in helpers:
            helpers.insert(0, HELPERS["affine_indices"])
        return "import jax\nimport jax.numpy as jnp\n\n" + "\n".join([*helpers, "", text])

    def _dtype_line(self) -> list[str]:
        floats = [step.value.name for step in self.program.inputs if step.value.kind == "real"]
        like = floats[0] if floats else "float"
        return [f"dtype = jnp.result_type({like})"] if self.needs_dtype else []

    def _bound(self, step: Step) -> str:
        write: Any = {
            Nest: self._nest,
            Contract: self._contract,
            View: self._view,
            Reshape: self._reshape,
            Insert: self._insert,
            Gather: lambda own: gather(self, own),
            Scatter: self._scatter,
            Indicator: lambda own: indicator(self, own),
            Call: self._call,
        }[type(step)]
        return self.bind(write(step))

    # -- steps ------------------------------------------------------------------------------
    def _nest(self, step: Nest) -> str:
        self.order = (*step.output, *step.reduced)
        text, labels = self.piece(step.term)
        if step.reduced:
            axes = tuple(axis for axis, label in enumerate(labels) if label in step.reduced)
            return f"jnp.sum({text}, axis={axes})"
        if labels == step.output and labels:
            return text
        kind = "" if step.value.kind != "real" else f", {self.dtype()}"
        text = f"jnp.asarray({text}{kind}){axis_index(labels, step.output)}"
        return f"jnp.broadcast_to({text}, {self.shape(step.value.extents)})"

    def _contract(self, step: Contract) -> str:
        numbers = dict.fromkeys((*step.subscripts[0], *step.subscripts[1]))
        letters = {label: k for k, label in enumerate(numbers)}
        left, right, out = (
            subscript_text([letters[x] for x in own]) for own in (*step.subscripts, step.output)
        )
        names = f"{self.names[step.left]}, {self.names[step.right]}"
        return f'jnp.einsum("{left},{right}->{out}", {names})'

    def _view(self, step: View) -> str:
        sizes = self.shape(step.value.extents)
        return f"affine_view({self.names[step.source]}, {sizes}, {forms_text(self, step)})"

    def _reshape(self, step: Reshape) -> str:
        return f"{self.names[step.source]}.reshape({self.shape(step.value.extents)})"

    def _insert(self, step: Insert) -> str:
        zeros = f"jnp.zeros({self.shape(step.value.extents)}, {self.dtype()})"
        base = self.names[step.base] if step.base is not None else zeros
        order = tuple(step.sizes)
        own = tuple(label for label in order if label in step.labels)
        core = transposed(self.names[step.core], [step.labels.index(label) for label in own])
        sizes = self.shape(list(step.sizes.values()))
        places = forms_text(self, step)
        return f"affine_add({base}, {core}{axis_index(own, order)}, {sizes}, {places})"

    def _scatter(self, step: Scatter) -> str:
        axis = step.output.index(step.selected)
        rest = [k for k in step.output if k != step.selected]
        order = (*step.index_labels, *rest)
        own = tuple(k for k in order if k in step.labels)
        core = transposed(self.names[step.core], [step.labels.index(k) for k in own])
        extents = [step.value.extents[step.output.index(k)] for k in (step.selected, *rest)]
        index = f"jnp.asarray({self.names[step.index]}).astype(int)"
        core += axis_index(own, order) if len(own) < len(order) else ""
        text = f"jnp.zeros({self.shape(extents)}, {self.dtype()}).at[{index}].add({core})"
        return f"jnp.moveaxis({text}, 0, {axis})" if axis else text

    def _call(self, step: Call) -> str:
        arguments = [self.names[argument] for argument in step.arguments]
        if isinstance(step.operation, str):
            return f"jnp.linalg.{step.operation}({', '.join(arguments)})"
        if step.operation.decomposition:
            both = DECOMPOSITIONS[step.operation.decomposition]["jax"].format(*arguments)
            return f"{both}[{step.operation.result_index}]"
        return self._spelled(step.operation, arguments, step.params)

    def _spelled(self, operation: Any, arguments: list[str], params: Any) -> str:
        values = {
            name: SizeText(self.size(value)) if isinstance(value, Extent) else value
            for name, value in params
        }
        return operation.spelled("jax", *arguments, **values)

    # -- terms ------------------------------------------------------------------------------
    def piece(self, term: Term) -> tuple[str, Labels]:
        """A scalar expression as array text, and the labels of its axes."""
        if term.operator == "load":
            value, labels = term.payload
            ordered = tuple(label for label in self.order if label in labels)
            text = transposed(self.names[value], [labels.index(label) for label in ordered])
            return text, ordered
        if term.operator == "constant":
            return f"({term.payload!r})", ()
        if term.operator == "size":
            return f"({self.size(term.payload)})", ()
        pieces = [self.piece(argument) for argument in term.arguments]
        present = {label for _, own in pieces for label in own}
        labels = tuple(label for label in self.order if label in present)
        return self._combined(term, [t + axis_index(own, labels) for t, own in pieces]), labels

    def _combined(self, term: Term, texts: list[str]) -> str:
        if term.operator == "apply":
            operation, params = term.payload
            sized = [
                f"jnp.asarray({text}, {self.dtype()})" if argument.operator == "size" else text
                for text, argument in zip(texts, term.arguments, strict=True)
            ]
            return f"({self._spelled(operation, sized, params)})"
        if term.operator == "select":
            return f"jnp.where({texts[0]}, jnp.asarray({texts[1]}, {self.dtype()}), 0)"
        return f"({(' + ' if term.operator == 'add' else ' * ').join(texts)})"
