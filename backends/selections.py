"""One-hot masks by integers: a summed axis is gathered, a result axis is scattered into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorcalc.nodes import Apply, Node

from .cores import Core, source_value
from .steps import Gather, Labels, Scatter, Value

if TYPE_CHECKING:
    from .lowering import Lowering


def use_up_selections(lowering: Lowering, core: Core) -> None:
    """Gather where the selected label is summed; note a scatter where it is the result's."""
    for mask in list(core.masks):
        source, own = mask
        if not isinstance(source, Apply) or source.operation.name != "one_hot":
            continue
        others = [f for f in core.masks if f is not mask]
        if any(own[-1] in labels for _, labels in others) or own[-1] in own[:-1]:
            continue
        holders = [f for f in core.factors if own[-1] in f[1]]
        if own[-1] not in core.output and holders:
            core.masks = others
            core.factors = [_gathered(lowering, core, f, source, own) for f in core.factors]
            del core.sizes[own[-1]]
        elif own[-1] in core.output and not holders and _can_scatter(core, own):
            core.masks = others
            core.scattered = source.operands[0], own
            core.output = (*(k for k in core.output if k != own[-1]), *own[:-1])


def _can_scatter(core: Core, own: Labels) -> bool:
    return (
        core.axes is None
        and core.scattered is None
        and len(own) > 1
        and len(set(own)) == len(own)
        and not set(own[:-1]) & set(core.output)
    )


def _gathered(
    lowering: Lowering, core: Core, factor: tuple[Node | Value, Labels], mask: Apply, own: Labels
) -> tuple[Node | Value, Labels]:
    """``source[..., index[batch], ...]``."""
    source, labels = factor
    if own[-1] not in labels:
        return factor
    value, labels = source_value(lowering, source, labels)
    index, index_labels = source_value(lowering, mask.operands[0], own[:-1])
    out: list[int] = []
    for label in labels:
        new = index_labels if label == own[-1] else (label,)
        out += [k for k in new if k not in out]
    extents = [core.sizes[k] for k in out]

    def make() -> Value:
        made = lowering.value(extents, value.kind)
        step = Gather(made, value, labels, own[-1], index, index_labels, tuple(out))
        return lowering.emit(step)

    key = ("gather", value, labels, own[-1], index, index_labels)
    return lowering.once(key, make), tuple(out)


def scattered(lowering: Lowering, core: Core, value: Value, axes: Labels, node: Any) -> Value:
    """The core added up at the places that the index names."""
    assert core.scattered is not None
    source, own = core.scattered
    index = lowering.laid_out(lowering.ref(source), source.extents)
    labels = node.output
    step = Scatter(lowering.value(node.extents), value, axes, own[-1], index, own[:-1], labels)
    return lowering.emit(step)
