"""Linear algebra as decompositions of cuSOLVER; results of one decomposition are one action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..steps import Call, Value
from .actions import Buffer, Factorization
from .nests import product_of

if TYPE_CHECKING:
    from .lowering import PlanMaker

#: The decomposition that a row of the table comes from, and which of its results it is.
ROWS: dict[str, tuple[str, str]] = {
    "inv": ("lu", "inverse"),
    "det": ("lu", "det"),
    "logdet": ("lu", "logdet"),
    "sign_det": ("lu", "sign"),
    "solve": ("lu", "solution"),
    "cholesky": ("cholesky", "factor"),
    "eigvalsh": ("eigh", "values"),
    "eigenvectors": ("eigh", "vectors"),
    "svd_u": ("svd", "u"),
    "svdvals": ("svd", "s"),
    "svd_vt": ("svd", "vt"),
}


def is_decomposition(step: Call) -> bool:
    """Whether a step is a result of a decomposition."""
    return step.name in ROWS


def decomposed(maker: PlanMaker, step: Call) -> None:
    """The action that makes a step's result, with all others of the same decomposition."""
    if step.value in maker.decomposed:
        return
    kind, _ = ROWS[step.name]
    source = step.arguments[0]
    together = [step] if step.name == "solve" else _together(maker, kind, source)
    results: list[tuple[str, Buffer]] = []
    for each in together:
        results.append((ROWS[each.name][1], maker.buffer(each.value)))
        maker.decomposed.add(each.value)
    *batch, rows, columns = source.extents
    right, width = _right_side(maker, step)
    action: Any = Factorization(
        kind,  # type: ignore[arg-type]
        maker.laid_out(source),
        tuple(results),
        rows,
        columns,
        product_of(batch),
        right,
        width,
    )
    maker.plan.actions.append(action)


def _together(maker: PlanMaker, kind: str, source: Value) -> list[Call]:
    return [
        step
        for step in maker.program.steps
        if isinstance(step, Call)
        and is_decomposition(step)
        and step.name != "solve"
        and ROWS[step.name][0] == kind
        and step.arguments[0] is source
    ]


def _right_side(maker: PlanMaker, step: Call) -> tuple[Buffer | None, Any]:
    if step.name != "solve":
        return None, 1
    right = step.arguments[1]
    columns = right.extents[-1] if right.ndim == step.arguments[0].ndim else 1
    return maker.laid_out(right), columns
