"""What a Program becomes for a CUDA device: the :mod:`.actions` in the order they run.

A plan holds for all sizes and both precisions: sizes are extents, evaluated when a call's shapes
are known (:meth:`Plan.layout`, :meth:`.actions.Grid.at`), and ``real`` is float32 or float64.
Nothing here imports a CUDA library.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tensorcalc.extents import evaluate, symbols_of

from ..distribution import ASSUMED_SIZE
from ..program import ProgramError
from .actions import Action, Buffer, HostCall, Kernel, Launch

#: Bytes that every buffer of the workspace begins at a multiple of.
ALIGNMENT = 256


class Decision(NamedTuple):
    """A choice of the plan that depends on sizes: whether a product of extents is small."""

    extents: tuple[Any, ...]
    limit: int
    small: bool

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether the choice is also the right one for these sizes."""
        return (math.prod(evaluate(e, sizes) for e in self.extents) <= self.limit) == self.small


class Smallness:
    """Whether products of extents are small at the sizes that a plan is for; answers are noted."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes
        self.decisions: list[Decision] = []

    def known(self, extents: Sequence[Any]) -> dict[str, int]:
        """The sizes that extents need; those nobody said are assumed."""
        names = set().union(*(symbols_of(extent) for extent in extents))
        return {name: self.sizes.get(name, ASSUMED_SIZE) for name in names}

    def __call__(self, extents: Sequence[Any], limit: int) -> bool:
        """Whether their product is at most so much."""
        known = self.known(extents)
        volume = math.prod(max(evaluate(extent, known), 0) for extent in extents)
        small = volume <= limit
        if known:
            self.decisions.append(Decision(tuple(extents), limit, small))
        return small


class Layout(NamedTuple):
    """Where buffers of the workspace begin, in bytes, and how much there is."""

    offsets: dict[Buffer, int]
    nbytes: int
    #: Bytes at the beginning that must be zero before the first call.
    zeroed: int


@dataclass
class Plan:
    """Actions in the order they run on one stream."""

    arguments: list[Buffer] = field(default_factory=list)
    results: list[Buffer] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    #: Where kernels report an index out of range (a number that is not 0), if any can.
    status: Buffer | None = None
    #: What was chosen for the sizes that the plan was made for.
    decisions: list[Decision] = field(default_factory=list)

    def suits(self, sizes: Mapping[str, int]) -> bool:
        """Whether no other plan is better for these sizes; any plan is right for all."""
        return all(decision.holds(sizes) for decision in self.decisions)

    def verify(self) -> None:
        """Check that everything is written before it is read, and written at all.

        Raises ProgramError, which is a bug of the library.
        """
        known = {buffer.memory for buffer in self.arguments}
        known |= {b.memory for a in self.actions for b in a.writes() if b.role == "zeroed"}
        for action in self.actions:
            for buffer in action.reads():
                if buffer.memory not in known:
                    raise ProgramError(f"{buffer.name} is read before it is written")
            for buffer in action.writes():
                if buffer.role == "argument":
                    raise ProgramError(f"the argument {buffer.name} is written")
                known.add(buffer.memory)
            if isinstance(action, Launch):
                kinds = tuple(buffer.kind for buffer in action.pointers)
                if kinds != action.kernel.pointers or len(action.sizes) != action.kernel.sizes:
                    raise ProgramError(f"{action.kernel.name} is launched with other arguments")
        for result in self.results:
            if result.memory not in known:
                raise ProgramError(f"result {result.name} is never written")

    @property
    def kernels(self) -> list[Kernel]:
        """The different kernels, in order of first use."""
        launches = (action for action in self.flat() if isinstance(action, Launch))
        return list(dict.fromkeys(launch.kernel for launch in launches))

    @property
    def on_device(self) -> bool:
        """Whether nothing needs the host, so that the plan can be captured as a CUDA graph."""
        return not any(isinstance(action, HostCall) for action in self.flat())

    def flat(self) -> Iterator[Action]:
        """All actions, those of blocks among them."""
        for action in self.actions:
            yield from action.flat()

    def layout(self, sizes: Mapping[str, int], precision: str) -> Layout:
        """Offsets of the workspace's buffers: memory is used again once nobody reads it.

        First fit over the intervals from the first write to the last read.
        """
        spans = self._spans()
        offsets: dict[Buffer, int] = {}
        zeroed = 0
        for buffer in spans:
            if buffer.role == "zeroed":
                offsets[buffer] = zeroed
                zeroed += aligned(buffer.nbytes(sizes, precision))
        placed: list[tuple[Buffer, int, int]] = []
        total = zeroed
        for buffer, (first, last) in spans.items():
            if buffer.role == "zeroed":
                continue
            size = aligned(buffer.nbytes(sizes, precision))
            busy = sorted(
                (begin, end)
                for other, begin, end in placed
                if spans[other][0] <= last and first <= spans[other][1]
            )
            start = zeroed
            for begin, end in busy:
                if start + size <= begin:
                    break
                start = max(start, end)
            offsets[buffer] = start
            placed.append((buffer, start, start + size))
            total = max(total, start + size)
        return Layout(offsets, total, zeroed)

    def _spans(self) -> dict[Buffer, tuple[int, int]]:
        """Positions of the first and the last action that touch each buffer of the workspace."""
        outside = {buffer.memory for buffer in self.arguments}
        spans: dict[Buffer, tuple[int, int]] = {}
        for position, action in enumerate(self.actions):
            for buffer in (*action.reads(), *action.writes()):
                memory = buffer.memory
                if memory.role in ("workspace", "zeroed") and memory not in outside:
                    spans[memory] = spans.get(memory, (position, position))[0], position
        return spans


def aligned(size: int) -> int:
    """The next multiple of :data:`ALIGNMENT`."""
    return -(-size // ALIGNMENT) * ALIGNMENT
