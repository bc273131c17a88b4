"""NumPy text of views, insertions and indicators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .steps import Affine, AffineRow, Indicator, Insert, Labels, View

if TYPE_CHECKING:
    from .numpy_writer import NumpyWriter


def transposed(text: str, axes: Sequence[int]) -> str:
    """``text`` with its axes permuted."""
    if list(axes) == list(range(len(axes))):
        return text
    if len(axes) == 2:
        return f"{text}.T"
    return f"{text}.transpose({', '.join(map(str, axes))})"


def axis_index(own: Labels, labels: Labels) -> str:
    """Index text that adds the axes that ``labels`` has and ``own`` lacks; "" if none is needed."""
    lead = next((k for k, label in enumerate(labels) if label in own), len(labels))
    if not own or len(own) == len(labels) - lead:
        return ""
    return "[" + ", ".join(":" if label in own else "None" for label in labels[lead:]) + "]"


def affine_view(writer: NumpyWriter, step: View) -> str:
    """A transposition, diagonal or broadcast of the source."""
    text = writer.names[step.source]
    labels = [form.label for form in step.axes]
    rank = step.value.ndim
    distinct = list(dict.fromkeys(labels))
    if len(distinct) < len(labels):
        left, right = subscript_text(labels), subscript_text(distinct)
        text = writer.bind(f'np.einsum("{left}->{right}", {text})')
    ordered = sorted(distinct)
    text = transposed(text, [distinct.index(label) for label in ordered])
    if len(ordered) == rank:
        return text
    index = axis_index(tuple(ordered), tuple(range(rank)))
    return f"np.broadcast_to({text}{index}, {writer.shape(step.value.extents)})"


def subscript_text(labels: Sequence[int | None]) -> str:
    """Labels as einsum letters."""
    assert None not in labels
    return "".join(chr(ord("i") + k) if k < 18 else chr(ord("A") + k) for k in labels)


def insertion(writer: NumpyWriter, step: Insert) -> str:
    """The base, or zeros, with the core added on an affine set."""
    name = _base(writer, step)
    order = tuple(step.sizes)
    core = writer.names[step.core]
    ordered = tuple(label for label in order if label in step.labels)
    core = transposed(core, [step.labels.index(label) for label in ordered]) + axis_index(ordered, order)
    operator = "=" if step.base is None else "+="
    writer.line(f"{_target(writer, step, name)} {operator} {core}")
    return name


def _base(writer: NumpyWriter, step: Insert) -> str:
    if step.base is None:
        return writer.bind(f"np.zeros({writer.shape(step.value.extents)}, {writer.dtype()})")
    if writer.dies(step.base):
        return writer.names[step.base]
    return writer.bind(f"{writer.names[step.base]}.copy()")


def _target(writer: NumpyWriter, step: Insert, name: str) -> str:
    labels = [form.label for form in step.axes]
    order = tuple(step.sizes)
    if len(labels) == 2 and labels[0] is not None and labels[0] == labels[1]:
        return f"{name}.ravel()[::{writer.size(step.value.extents[1] + 1)}]"
    if None in labels:
        return _strided_target(writer, step, name)
    left = subscript_text(labels)
    return f'np.einsum("{left}->{subscript_text(order)}", {name})[...]'


def _strided_target(writer: NumpyWriter, step: Insert, name: str) -> str:
    raise AssertionError("shifted insertions are lowered to masks")


def indicator(writer: NumpyWriter, step: Indicator) -> str:
    """A comparison of open grids."""
    rank = step.value.ndim
    tests = [_test(writer, row, step.value.extents, rank) for row in step.rows]
    return " & ".join(tests)


def _test(writer: NumpyWriter, row: AffineRow, extents: Sequence[Any], rank: int) -> str:
    text = affine_text(writer, row.form, extents, rank)
    low, high = writer.size(row.low), writer.size(row.high)
    if (low, high) == ("0", "1"):
        return f"({text} == 0)"
    name = writer.bind(text)
    return f"({low} <= {name}) & ({name} < {high})"


def affine_text(writer: NumpyWriter, form: Affine, extents: Sequence[Any], rank: int) -> str:
    """An affine form as an integer array over all its labels."""
    parts = []
    for label, c in form.terms:
        index = axis_index((label,), tuple(range(rank)))
        arange = f"np.arange({writer.size(extents[label])}){index}"
        parts.append(arange if type(c) is int and c == 1 else f"({writer.size(c)}) * {arange}")
    if type(form.offset) is not int or form.offset:
        parts.append(f"({writer.size(form.offset)})")
    return " + ".join(parts) or "0"
