"""How long a contestant is waited for, so that every table ends by itself.

Who took too long is left out of the rows that follow, with the reason. Whose time at the last size
lets one fear more is first tried in a process of its own (:mod:`benchmarks.trials`).
"""

from __future__ import annotations

from .calling import Refused
from .modelling import Model
from .ours import own_name
from .rows import OURS
from .trials import COMPILING, Trials

#: Seconds of a first call, and of a later one, after which the contestant is left out.
FIRST, LATER = 40.0, 2.0
#: Seconds that a call must be feared to take to be tried.
FEARED = 5.0
#: A call is feared to take as many times longer as the size is larger, to this power.
GROWTH = 4
#: Compiling, and looking for structure, are feared to take so many times longer than our formula
#: took to derive. What numba has compiled in a trial is on disk for the call that follows.
ANALYSING = 10


class Patience:
    """What the contestants of one result took at the sizes so far.

    ``part`` is the patience with a result that this one cannot be had without: who was too slow for
    that is not tried again.
    """

    def __init__(self, trials: Trials | None = None, part: Patience | None = None) -> None:
        self.trials = trials or Trials()
        #: Why, and from which size on.
        self.left_out: dict[str, tuple[str, int]] = dict(part.left_out) if part else {}
        self.latest: dict[str, tuple[int, float]] = {}
        self.derived = 0.0

    def check(self, model: Model, result: str, size: int, dtype: str, name: str) -> None:
        """Raise Refused if a contestant is not to be waited for; a trial may tell."""
        self._refuse(name, size)
        if self.feared(name, size) > FEARED:
            why = self.trials(model.name, result, size, dtype, name)
            if why:
                self.left_out[name] = f"{why} at size {size}", size
            else:
                self.latest[name] = size, 0.0
        self._refuse(name, size)

    def _refuse(self, name: str, size: int) -> None:
        why, least = self.left_out.get(name, ("", size + 1))
        if size >= least:
            raise Refused(why)

    def feared(self, name: str, size: int) -> float:
        """Seconds that a call may take, going by the last size; 0 if nothing is known.

        >>> patience = Patience()
        >>> patience.called("JAX", 10, 0.01)
        >>> patience.feared("JAX", 100)
        100.0
        """
        if name not in self.latest:
            return ANALYSING * self.derived if name.startswith(OURS) else 0.0
        last, seconds = self.latest[name]
        return seconds * (size / last) ** GROWTH

    def began(self, name: str, size: int, seconds: float) -> None:
        """Note a first call."""
        if name == own_name("numpy"):
            self.derived = max(self.derived, seconds)
        if seconds > (COMPILING if name == own_name("numba") else FIRST):
            self.left_out[name] = f"its first call took {seconds:.0f} s at size {size}", size

    def called(self, name: str, size: int, seconds: float) -> None:
        """Note the median of later calls."""
        self.latest[name] = size, seconds
        if seconds > LATER:
            why = f"a call took {seconds:.0f} s at size {size}"
            self.left_out.setdefault(name, (why, size))
