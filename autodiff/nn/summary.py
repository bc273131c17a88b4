"""Tables and drawings of networks, made from the records of one forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.step_costs import cost
from tensorcalc.extents import evaluate

from .. import pytrees
from ..graph import Tensor, enable_grad
from ..graph.modes import Scope
from ..graph.record import Record
from . import module
from .module import Module
from .parameter import Parameter


@dataclass
class Row:
    """One layer of a summary."""

    name: str
    kind: str
    shape: Any = ""
    parameters: int = 0
    #: Parameters that learn.
    trainable: int = 0
    flops: int = 0


@dataclass
class Summary:
    """Layers with shapes, parameters and operations of one forward pass; prints as a table."""

    rows: list[Row]
    parameters: int
    trainable: int
    flops: int

    def __str__(self) -> str:
        head = ["layer", "type", "output shape", "parameters", "flops"]
        lines = [
            [r.name or "(itself)", r.kind, _text(r.shape), f"{r.parameters:,}", f"{r.flops:,}"]
            for r in self.rows
        ]
        total = ["total", "", "", f"{self.parameters:,}", f"{self.flops:,}"]
        widths = [max(map(len, column)) for column in zip(head, *lines, total, strict=True)]
        rule = "  ".join("-" * width for width in widths)
        table = [_line(head, widths), rule, *(_line(line, widths) for line in lines)]
        frozen = self.parameters - self.trainable
        return "\n".join([*table, rule, _line(total, widths), f"frozen parameters: {frozen:,}"])

    __repr__ = __str__


def summary(model: Module, *inputs: Any, **kwargs: Any) -> Summary:
    """Shapes, parameters and operations of every layer, for these inputs.

    Inputs are arrays or tensors, or tuples that are shapes of inputs of zeros. The operations are
    those of the compiled programs that ran: their cost polynomials at the sizes of the call.
    Operations that a layer does itself count for it, those of its children for them.

    >>> import numpy as np, autodiff as ad
    >>> print(ad.nn.summary(ad.nn.Linear(3, 2), (5, 3)))
    layer     type    output shape  parameters  flops
    --------  ------  ------------  ----------  -----
    (itself)  Linear  (5, 2)                 8     70
    --------  ------  ------------  ----------  -----
    total                                    8     70
    frozen parameters: 0
    """
    rows = {id(layer): Row(name, type(layer).__name__) for name, layer in model.named_modules()}
    for layer in model.modules():
        own = [place.value for place in layer._places(Parameter)]
        rows[id(layer)].parameters = sum(p.size for p in own)
        rows[id(layer)].trainable = sum(p.size for p in own if p.requires_grad)

    def note(layer: Module, args: Any, result: Any) -> None:
        rows[id(layer)].shape = pytrees.map_leaves(np.shape, result)

    outputs = _run(model, inputs, kwargs, note)
    other = 0
    for record in records(outputs):
        flops = record_flops(record)
        owner = record.scope.layer if record.scope is not None else None
        if id(owner) in rows:
            rows[id(owner)].flops += flops
        else:
            other += flops
    parameters = list(model.parameters())
    return Summary(
        list(rows.values()),
        sum(p.size for p in parameters),
        sum(p.size for p in parameters if p.requires_grad),
        sum(row.flops for row in rows.values()) + other,
    )


def _run(model: Module, inputs: Sequence[Any], kwargs: Any, note: Any = None) -> list[Tensor]:
    """Outputs of one forward pass in which everything is recorded; the model stays as it was."""
    asked = [(p, p.requires_grad) for p in model.parameters()]
    modes = [(layer, layer.training) for layer in model.modules()]
    removers = [layer.register_forward_hook(note) for layer in model.modules()] if note else []
    model.eval().requires_grad_(True)
    dtype = next((p.dtype for p, _ in asked), np.dtype(np.float32))
    try:
        with enable_grad():
            result = model(*[_input(x, dtype) for x in inputs], **kwargs)
    finally:
        for remove in removers:
            remove()
        for parameter, value in asked:
            parameter.requires_grad = value
        for layer, mode in modes:
            layer.training = mode
    return [leaf for leaf in pytrees.flatten(result)[0] if isinstance(leaf, Tensor)]


def _input(x: Any, dtype: Any) -> Any:
    data = np.zeros(x, dtype) if isinstance(x, tuple) else np.asarray(getattr(x, "data", x))
    if isinstance(x, np.ndarray):
        data = x
    return Tensor(data, requires_grad=data.dtype.kind == "f")


def records(outputs: Sequence[Tensor]) -> list[Record]:
    """Every record that outputs depend on, in the order they were made."""
    found: dict[int, Record] = {}
    stack = [t.record for t in outputs if t.record is not None]
    while stack:
        record = stack.pop()
        if record.number not in found:
            found[record.number] = record
            stack.extend(target for target, index in record.edges or () if index >= 0)
    return [found[number] for number in sorted(found)]


def record_flops(record: Record) -> int:
    """Arithmetic operations of the forward program of a record."""
    program = getattr(record.plan, "program", None)
    if program is None:
        return 0
    flops = [cost(step).flops for step in program.compiled.program.steps]
    return int(sum(evaluate(f, record.plan.sizes) for f in flops))


# -- drawing --------------------------------------------------------------------------------------
def to_dot(outputs: Any, names: dict[int, str] | None = None) -> str:
    """The recorded graph below tensors as text for Graphviz; layers are boxes around operations.

    ``names`` maps the ids of leaf tensors to what they are called.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.ones(2), requires_grad=True)
    >>> ad.nn.to_dot(np.sum(w**2)).splitlines()[0]
    'digraph network {'
    """
    outs = [leaf for leaf in pytrees.flatten(outputs)[0] if isinstance(leaf, Tensor)]
    lines = ["digraph network {", "  rankdir=TB; node [shape=box, fontname=Helvetica];"]
    clusters: dict[tuple[Any, ...], list[Record]] = {}
    made = records(outs)
    for record in made:
        clusters.setdefault(_layers(record.scope), []).append(record)
    for number, (path, members) in enumerate(clusters.items()):
        inner = [f'r{r.number} [label="{r.plan.name}"];' for r in members]
        if path:
            label = path[-1]
            lines.append(f'  subgraph cluster{number} {{ label="{label}"; {" ".join(inner)} }}')
        else:
            lines.append(f"  {' '.join(inner)}")
    lines.extend(f"  {line}" for record in made for line in _edges(record, names or {}))
    return "\n".join([*lines, "}"])


def _layers(inner: Scope | None) -> tuple[Any, ...]:
    path: list[str] = []
    while inner is not None:
        parent = inner.parent
        name = parent.layer.child_name(inner.layer) if parent is not None else None
        kind = type(inner.layer).__name__
        path.append(f"{name}: {kind}" if name else kind)
        inner = parent
    return tuple(reversed(path))


def _edges(record: Record, names: dict[int, str]) -> Iterator[str]:
    for target, index in record.edges or ():
        if index >= 0:
            yield f"r{target.number} -> r{record.number};"
        else:
            label = names.get(id(target)) or target.name or "input"
            shape = "x".join(map(str, target.shape)) or "scalar"
            yield f'l{id(target)} [shape=ellipse, label="{label} {shape}"];'
            yield f"l{id(target)} -> r{record.number};"


def draw(model: Module, *inputs: Any, **kwargs: Any) -> str:
    """The graph that ``model`` records for inputs (as in :func:`summary`) as Graphviz text.

    >>> import numpy as np, autodiff as ad
    >>> print(ad.nn.draw(ad.nn.Linear(2, 1), np.ones((1, 2))).splitlines()[0])
    digraph network {
    """
    outputs = _run(model, inputs, kwargs)
    return to_dot(outputs, {id(p): name for name, p in model.named_parameters()})


def _text(shape: Any) -> str:
    return str(shape).replace("'", "")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(cells[:3], widths[:3], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True)]
    return "  ".join(left + right)


module.summary_of = summary
module.drawing_of = draw
