"""Which products are nests, which tiles and which calls of cuBLAS, and what tiles take along.

=========  ========================================================================================
nest       little work: a thread for each entry, or sums along rows for a matrix with a vector
tiles      sums of middling length, up to :data:`MEDIUM` multiplications: :mod:`.panels`, which
           takes elementwise neighbours along
call       anything larger: cuBLAS
=========  ========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..program import Program
from ..steps import Contract, Nest, Step, Value
from .contractions import groups_of
from .memory_roles import Roles
from .panels import Panels

#: Multiplications of one product up to which a thread takes an entry.
SMALL = 32**3
#: Terms of a sum up to which a batch of products is one.
SHORT = 32
#: Multiplications of one product up to which tiles take it: one launch for what cuBLAS needs
#: copies, elementwise kernels and the mirror of a triangle for. Not measured on a GPU yet.
MEDIUM = 128**3
#: Terms of a sum up to which they do: a tile is added up by one block, a panel after the other.
DEEPEST = 512

#: Whether a product of extents is at most a number.
IsSmall = Callable[[Sequence[Any], int], bool]


def way(step: Contract, is_small: IsSmall) -> str:
    """``"nest"``, ``"tiles"`` or ``"call"``."""
    groups = groups_of(step)
    if groups is None or not groups.rows or not groups.columns:
        return "nest"
    sizes = step.sizes()
    summed = [sizes[k] for k in groups.summed]
    entries = [sizes[k] for k in (*groups.rows, *groups.columns)]
    short = is_small(summed, SHORT)
    if short and (groups.batch or is_small([*entries, *summed], SMALL)):
        return "nest"
    middling = is_small(summed, DEEPEST) and is_small([*entries, *summed], MEDIUM)
    return "tiles" if middling else "call"


def tiled(program: Program, roles: Roles, is_small: IsSmall) -> list[Panels]:
    """The products in tiles, each with the elementwise steps that only it needs or that need it."""
    steps = [step for step in program.steps if isinstance(step, Contract)]
    chosen = [step for step in steps if way(step, is_small) == "tiles"]
    before = [_before(step, roles) for step in chosen]
    taken = {value for found in before for value in found}
    products = []
    for step, factors in reversed(list(zip(chosen, before, strict=True))):  # a sum of two: the last
        groups, after = groups_of(step), _after(step, roles)
        assert groups is not None
        if after is not None and after.value in taken:
            after = None
        elif after is not None:
            taken.add(after.value)
        products.append(Panels(step, groups, factors, after))
    return products


def _before(step: Contract, roles: Roles) -> dict[Value, Nest]:
    found = {}
    for value in step.operands():
        maker = roles.makers[value]
        if _is_elementwise(maker, roles) and _only_reader(value, roles) is step:
            found[value] = maker
    return found  # type: ignore[return-value]


def _after(step: Contract, roles: Roles) -> Nest | None:
    """The elementwise step that alone reads a product, entry by entry."""
    reader = _only_reader(step.value, roles)
    if not isinstance(reader, Nest) or not _is_elementwise(reader, roles, "boolean"):
        return None
    reads = {own for value, own in reader.term.loads() if value is step.value}
    whole = len(reads) == 1 and sorted(*reads) == sorted(reader.output)
    return reader if whole else None


def _is_elementwise(step: Step, roles: Roles, *kinds: str) -> bool:
    """Whether a step could as well be computed where it is read."""
    return (
        isinstance(step, Nest)
        and not step.reduced
        and step.value.kind in ("real", *kinds)
        and step.value not in roles.inlined
        and step.value not in roles.shared
    )


def _only_reader(value: Value, roles: Roles) -> Step | None:
    """Who reads a value that is no result, if it is one step."""
    readers = [step for _, step in roles.readers.get(value, [])]
    return readers[0] if len(readers) == 1 and value not in roles.outputs else None
