"""Runs of commands as CUDA graphs: recorded when the same addresses come a second time.

The first call at new addresses issues its commands one by one, which also loads what is loaded
lazily; the second records them as one graph and launches it; later ones only launch. Addresses
that come once are never recorded, since that costs more than issuing. A graph whose addresses were
not seen for the longest time is updated to new ones: its nodes stay, their arguments change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from .binder import Run
from .device import Device, Graph

#: Graphs of one run, each for other addresses, and addresses that were met once.
GRAPHS = 4
MET = 16

Addresses = tuple[int, ...]


class Replay:
    """One run of commands and its graphs."""

    def __init__(self, run: Run) -> None:
        self.commands = run.commands
        #: A graph of one command is no faster than the command.
        self.recordable = run.recordable and len(run.commands) > 1
        self.graphs: OrderedDict[Addresses, Graph] = OrderedDict()
        self.met: OrderedDict[Addresses, None] = OrderedDict()

    def run(self, device: Device, addresses: Addresses) -> None:
        """Queue the commands with the slots at these addresses."""
        if addresses in self.graphs:
            self.graphs.move_to_end(addresses)
            self.graphs[addresses].launch()
        elif self.recordable and addresses in self.met:
            del self.met[addresses]
            self.graphs[addresses] = self._recorded(device, addresses)
            self.graphs[addresses].launch()
        else:
            self._issue(device, addresses)
            self._meet(addresses)

    def _issue(self, device: Device, addresses: Sequence[int]) -> None:
        for command in self.commands:
            command(device, addresses)

    def _meet(self, addresses: Addresses) -> None:
        if self.recordable:
            self.met[addresses] = None
            if len(self.met) > MET:
                self.met.popitem(last=False)

    def _recorded(self, device: Device, addresses: Addresses) -> Graph:
        """A graph for these addresses: a new one, or the one that was not used the longest."""

        def issue() -> None:
            self._issue(device, addresses)

        if len(self.graphs) < GRAPHS:
            return device.record(issue)
        _, graph = self.graphs.popitem(last=False)
        graph.update(issue)
        return graph
