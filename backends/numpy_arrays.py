"""NumPy text of views, insertions and indicators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensorcalc.extents import same_extents
from tensorcalc.operations.helpers import helper

from .steps import Affine, AffineRow, Gather, Indicator, Insert, Labels, Scatter, View

if TYPE_CHECKING:
    from .numpy_scope import Scope
    from .numpy_writer import NumpyWriter


helper("""
def window_plan(extents, strides, item, shape, forms):
    # The shape to pad to and the place of the array in it, where the view starts, its strides.
    low = [c[0] + sum(min(d * (n - 1), 0) for d, n in zip(c[1:], shape)) for c in forms]
    high = [c[0] + sum(max(d * (n - 1), 0) for d, n in zip(c[1:], shape)) for c in forms]
    before = [max(-a, 0) for a in low]
    after = [max(b - n + 1, 0) for b, n in zip(high, extents)]
    padded = inner = None
    if any(before) or any(after):
        padded = tuple(a + n + b for a, n, b in zip(before, extents, after))
        inner = tuple(slice(a, a + n) for a, n in zip(before, extents))
        strides = [item]
        for size in padded[:0:-1]:
            strides.insert(0, strides[0] * size)
    first = tuple(c[0] + a for c, a in zip(forms, before))
    offset = sum(a * s for a, s in zip(first, strides))
    steps = [sum(c[1 + k] * s for c, s in zip(forms, strides)) for k in range(len(shape))]
    return padded, inner, first, offset, tuple(steps)
""")
helper("""
def affine_view(x, shape, forms, plans={}):
    if 0 in shape or 0 in x.shape:
        return np.zeros(shape, x.dtype)
    key = x.shape, x.strides, x.itemsize, shape, forms
    if key not in plans:
        if len(plans) > 4096:
            plans.clear()
        plans[key] = window_plan(x.shape, x.strides, x.itemsize, shape, forms)
    padded, inner, first, offset, steps = plans[key]
    if padded is not None:
        whole = np.zeros(padded, x.dtype)
        whole[inner] = x
        return np.ndarray(shape, x.dtype, whole, offset, steps)
    if x.flags.c_contiguous:
        return np.ndarray(shape, x.dtype, x, offset, steps)
    start = x[tuple([slice(k, None) for k in first])]
    return np.lib.stride_tricks.as_strided(start, shape, steps)
""")
helper("""
def add_inside(x, values, shape, forms):
    if 0 in shape or 0 in x.shape:
        return
    low = [min(c[0] + sum(min(d * (n - 1), 0) for d, n in zip(c[1:], shape)), 0) for c in forms]
    high = [c[0] + sum(max(d * (n - 1), 0) for d, n in zip(c[1:], shape)) for c in forms]
    whole = np.zeros([max(b + 1, n) - a for a, b, n in zip(low, high, x.shape)], x.dtype)
    shifted = tuple((c[0] - a, *c[1:]) for c, a in zip(forms, low))
    affine_view(whole, shape, shifted)[...] = values
    x += whole[tuple(slice(-a, n - a) for a, n in zip(low, x.shape))]
""")


helper("""
def add_rows(x, index, values):
    # x[index] += values, entries of one place added up; few places by a matrix product.
    rows, values = index.size, np.asarray(values)
    if values.size < 4096 or len(x) > 512 or values.shape != index.shape + x.shape[1:]:
        np.add.at(x, index, values)
        return
    if index.min() < -len(x) or index.max() >= len(x):
        raise IndexError(f"an index is out of range for an axis of size {len(x)}")
    hot = np.zeros((len(x), rows), x.dtype)
    hot[index.reshape(-1), np.arange(rows)] = 1
    x += hot.dot(values.reshape(rows, -1)).reshape(x.shape)
""")


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


def view(writer: NumpyWriter, step: View) -> str:
    """A transposition, diagonal, broadcast, slice or window of the source."""
    text = writer.names[step.source]
    labels = [
        _whole_axis(form, extent, step.value.extents)
        for form, extent in zip(step.axes, step.source.extents, strict=True)
    ]
    distinct = list(dict.fromkeys(labels))
    if None in labels:
        return writer.bind(_sliced(writer, step, text) or _window(writer, step, text))
    if len(distinct) < len(labels):
        left, right = subscript_text(labels), subscript_text(distinct)
        text = writer.bind(f'np.einsum("{left}->{right}", {text})')
    return _spread(writer, step, text, distinct)


def _whole_axis(form: Affine, extent: Any, sizes: Any) -> int | None:
    """The label that runs over a whole axis, if the form is just that label."""
    label = form.label
    return label if label is not None and same_extents((sizes[label],), (extent,)) else None


def _spread(writer: NumpyWriter, step: View, text: str, distinct: list[Any]) -> str:
    """Axes in order, and broadcast along those that the source lacks."""
    ordered = sorted(distinct)
    text = transposed(text, [distinct.index(label) for label in ordered])
    if len(ordered) == step.value.ndim:
        return text
    index = axis_index(tuple(ordered), tuple(range(step.value.ndim)))
    return f"np.broadcast_to({text}{index}, {writer.shape(step.value.extents)})"


def _sliced(writer: NumpyWriter, step: View, text: str) -> str:
    """``x[start:stop:step]`` where each axis is cut by a label of its own, in order."""
    cut = [_single(form) for form in step.axes]
    labels = [form.terms[0][0] for form in step.axes if form.terms]
    if not step.inside or None in cut or labels != list(range(step.value.ndim)):
        return ""
    return text + _slices(writer, step.axes, step.value.extents, step.source.extents)


def _slices(writer: NumpyWriter, axes: Sequence[Affine], sizes: Any, extents: Sequence[Any]) -> str:
    """Index text of axes cut by a label each; ``extents`` are those of the array that is cut."""
    slices = [
        (":", ":") if _whole_axis(form, extent, sizes) is not None else _slice(writer, form, sizes)
        for form, extent in zip(axes, extents, strict=True)
    ]
    counts = [count for form, (_, count) in zip(axes, slices, strict=True) if form.terms]
    text = f"[{', '.join(index for index, _ in slices)}]"
    return f"{text}[{', '.join(counts)}]" if any(c != ":" for c in counts) else text


def _single(form: Affine) -> int | None:
    """The number of labels of a form that a slice can say."""
    return len(form.terms) if len(form.terms) <= 1 else None


def _slice(writer: NumpyWriter, form: Affine, extents: Sequence[Any]) -> tuple[str, str]:
    """Index text, and the text that limits the count where the step is not 1."""
    offset = writer.size(form.offset)
    if not form.terms:
        return offset, ":"
    ((label, c),) = form.terms
    size = extents[label]
    if type(c) is int and c == 1:
        zero = type(form.offset) is int and form.offset == 0
        return f"{'' if zero else offset}:{writer.size(form.offset + size)}", ":"
    if type(c) is int and c > 0 and isinstance(size, int):
        stop = writer.size(form.offset + c * (size - 1) + 1)
        return f"{offset}:{stop}:{c}", ":"
    return f"{offset}::{writer.size(c)}", f":{writer.size(size)}"


def _window(writer: NumpyWriter, step: View, text: str) -> str:
    if not _is_smaller(step):
        writer.windows.add(step.value)
    return f"affine_view({text}, {writer.shape(step.value.extents)}, {forms_text(writer, step)})"


def _is_smaller(step: View) -> bool:
    """Whether the view surely has no more entries than the array that it shows."""
    mine, shown = step.value.extents, step.source.extents
    if not all(isinstance(extent, int) for extent in (*mine, *shown)):
        return False
    return bool(math.prod(mine) <= math.prod(shown))


def forms_text(writer: Scope, step: View | Insert) -> str:
    """Offset and coefficients of every axis as text."""
    rank = step.value.ndim if isinstance(step, View) else len(step.sizes)
    labels = step.sizes if isinstance(step, Insert) else range(rank)
    position = {label: k for k, label in enumerate(labels)}
    forms = []
    for form in step.axes:
        row = ["0"] * rank
        for label, c in form.terms:
            row[position[label]] = writer.size(c)
        forms.append(f"({', '.join([writer.size(form.offset), *row])}{'' if row else ','})")
    return f"({', '.join(forms)}{',' if len(forms) == 1 else ''})"


def subscript_text(labels: Sequence[int | None]) -> str:
    """Labels as einsum letters."""
    letters = [k for k in labels if k is not None]
    assert len(letters) == len(labels)
    return "".join(chr(ord("i") + k) if k < 18 else chr(ord("A") + k - 18) for k in letters)


def insertion(writer: NumpyWriter, step: Insert) -> str:
    """The base, or zeros, with the core added on an affine set."""
    if not step.inside:
        return _clipped_insertion(writer, step)
    name = _base(writer, step)
    core = _aligned_core(writer, step)
    operator = "=" if step.base is None else "+="
    writer.line(f"{_target(writer, step, name)} {operator} {core}")
    return name


def _aligned_core(writer: NumpyWriter, step: Insert) -> str:
    """The core with its labels in the order of the places it goes to."""
    order = _target_order(step)
    own = tuple(label for label in order if label in step.labels)
    core = transposed(writer.names[step.core], [step.labels.index(label) for label in own])
    return core + axis_index(own, order)


def _target_order(step: Insert) -> Labels:
    """Labels in the order of the axes that they cut, if each cuts one."""
    cut = [form.terms[0][0] for form in step.axes if form.terms]
    single = step.inside and all(len(form.terms) <= 1 for form in step.axes)
    return tuple(cut) if single and sorted(cut) == sorted(step.sizes) else tuple(step.sizes)


def _clipped_insertion(writer: NumpyWriter, step: Insert) -> str:
    core = _aligned_core(writer, step)
    sizes = writer.shape(list(step.sizes.values()))
    name = _base(writer, step)
    writer.line(f"add_inside({name}, {core}, {sizes}, {forms_text(writer, step)})")
    return name


def _base(writer: NumpyWriter, step: Insert) -> str:
    if step.base is None:
        zeros = "zeros" if writer.pooled else "np.zeros"
        return writer.bind(f"{zeros}({writer.shape(step.value.extents)}, {writer.dtype()})")
    if writer.dies(step.base) and writer.base(step.core) is not step.base:
        return writer.names[step.base]
    return writer.bind(f"{writer.names[step.base]}.copy()")


def _target(writer: NumpyWriter, step: Insert, name: str) -> str:
    pairs = zip(step.axes, step.value.extents, strict=True)
    labels = [_whole_axis(form, extent, step.sizes) for form, extent in pairs]
    order = _target_order(step)
    diagonal = len(labels) == 2 and labels[0] is not None and labels[0] == labels[1]
    if diagonal and (step.base is None or step.base in writer.row_major):
        return f"{name}.ravel()[::{writer.size(step.value.extents[1] + 1)}]"
    if step.base is None or step.base in writer.row_major:
        flat = _flat_diagonal(writer, step, name)
        if flat:
            return flat
    if all(len(form.terms) <= 1 for form in step.axes):
        cut = [form.terms[0][0] for form in step.axes if form.terms]
        if cut == list(order):
            return name + _slices(writer, step.axes, step.sizes, step.value.extents)
    if None in labels:
        sizes = writer.shape(list(step.sizes.values()))
        return f"affine_view({name}, {sizes}, {forms_text(writer, step)})[...]"
    left = subscript_text([order.index(label) for label in labels])
    return f'np.einsum("{left}->{subscript_text(range(len(order)))}", {name})[...]'


def _flat_diagonal(writer: NumpyWriter, step: Insert, name: str) -> str:
    """A diagonal beside the main one, as a slice of the raveled matrix."""
    diagonal = ((next(iter(step.sizes), 0), 1),)
    if len(step.axes) != 2 or len(step.sizes) != 1:
        return ""
    if any(form.terms != diagonal or type(form.terms[0][1]) is not int for form in step.axes):
        return ""
    (size,), n = step.sizes.values(), step.value.extents[1]
    start = writer.size(step.axes[0].offset * n + step.axes[1].offset)
    return f"{name}.ravel()[{start}::{writer.size(n + 1)}][:{writer.size(size)}]"


def indicator(writer: Scope, step: Indicator) -> str:
    """A comparison of open grids."""
    rank = step.value.ndim
    tests = [_test(writer, row, step.value.extents, rank) for row in step.rows]
    return " & ".join(tests)


def _test(writer: Scope, row: AffineRow, extents: Sequence[Any], rank: int) -> str:
    text = affine_text(writer, row.form, extents, rank)
    low, high = writer.size(row.low), writer.size(row.high)
    if (low, high) == ("0", "1"):
        return f"({text} == 0)"
    name = writer.bind(text)
    return f"({low} <= {name}) & ({name} < {high})"


def affine_text(writer: Scope, form: Affine, extents: Sequence[Any], rank: int) -> str:
    """An affine form as an integer array over all its labels."""
    parts = []
    for label, c in form.terms:
        index = axis_index((label,), tuple(range(rank)))
        arange = f"{writer.module}.arange({writer.size(extents[label])}){index}"
        parts.append(arange if type(c) is int and c == 1 else f"({writer.size(c)}) * {arange}")
    if type(form.offset) is not int or form.offset:
        parts.append(f"({writer.size(form.offset)})")
    return " + ".join(parts) or "0"


# -- integer indices ------------------------------------------------------------------------------
def gather(writer: Scope, step: Gather) -> str:
    """``source[:, index]``; with a grid for every axis if the index shares labels with the rest."""
    index = _integers(writer, step)
    source = writer.names[step.source]
    if not set(step.index_labels) & set(step.labels) and len(set(step.labels)) == len(step.labels):
        axis = step.labels.index(step.selected)
        return f"{source}[{':, ' * axis}{index}]"
    rank = len(step.output)
    parts = []
    for label, extent in zip(step.labels, step.source.extents, strict=True):
        if label == step.selected:
            own = step.index_labels
            ordered = tuple(k for k in step.output if k in own)
            text = transposed(index, [own.index(k) for k in ordered])
            parts.append(f"{text}{axis_index(ordered, step.output)}")
        else:
            grid = axis_index((label,), step.output[-rank:])
            parts.append(f"{writer.module}.arange({writer.size(extent)}){grid}")
    return f"{source}[{', '.join(parts)}]"


def scatter(writer: NumpyWriter, step: Scatter) -> str:
    """Entries added up along the selected axis of zeros."""
    name = writer.bind(f"np.zeros({writer.shape(step.value.extents)}, {writer.dtype()})")
    axis = step.output.index(step.selected)
    rest = [k for k in step.output if k != step.selected]
    order = (*step.index_labels, *rest)
    have = tuple(k for k in order if k in step.labels)
    core = transposed(writer.names[step.core], [step.labels.index(k) for k in have])
    core += axis_index(have, order) if len(have) < len(order) else ""
    target = f"np.moveaxis({name}, {axis}, 0)" if axis else name
    writer.line(f"add_rows({target}, {_integers(writer, step)}, {core})")
    return name


def _integers(writer: Scope, step: Gather | Scatter) -> str:
    text = writer.names[step.index]
    return text if step.index.kind == "integer" else f"{writer.module}.asarray({text}).astype(int)"
