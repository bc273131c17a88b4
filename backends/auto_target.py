"""The automatic target: NumPy at once, numba when it is compiled and was measured to be faster.

A signature that has been called :data:`CALLS` times and has taken :data:`SECONDS` is handed to one
background thread, which compiles the numba version and times both on the arguments at hand. The
faster of the two serves the following calls. A function that is called a few times compiles
nothing. All symbolic work is done by the calling thread; the background only compiles.
"""

from __future__ import annotations

import atexit
import queue
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from tensorcalc.nodes import Variable

from .compiled import CompiledFunction
from .numba_target import NumbaFunction, Recipe

#: Calls, and seconds in them, after which a signature is worth compiling.
CALLS = 10
SECONDS = 0.2
#: Lines of numba code that are worth compiling: 30 ms each, and the end of the process waits. The
#: Hessian of bundle adjustment has 4,966 and takes 150 s of CPU, its gradient 677 and 14 s
#: (``python -m benchmarks --suite models --problem "bundle adjustment"`` prints first calls).
LINES = 2000
#: Rounds of the comparison; the least time counts, since other threads go on working.
ROUNDS = 12

Function = Callable[..., Any]


class _Worker:
    """One daemon thread, started when there is work; the last job is finished at exit."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None
        self.lock = threading.Lock()
        self.closed = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job after those before it."""
        with self.lock:
            if self.thread is None:
                self.thread = threading.Thread(target=self._run, name="tensorcalc", daemon=True)
                self.thread.start()
                atexit.register(self._close)
        self.jobs.put(job)

    def _run(self) -> None:
        while (job := self.jobs.get()) is not None:
            if not self.closed:
                job()

    def _close(self) -> None:
        self.closed = True
        self.jobs.put(None)
        assert self.thread is not None
        self.thread.join()


_WORKER = _Worker()


def finish_compiling() -> None:
    """Wait until everything that the background is compiling is compiled and compared.

    For measurements; nobody else needs to wait.
    """
    done = threading.Event()
    _WORKER.submit(done.set)
    done.wait()


class _Trial:
    """The NumPy function of one signature, with a count of its calls; then the faster function."""

    def __init__(self, owner: AutoFunction, run: Function) -> None:
        self.owner = owner
        self.numpy = run
        self.calls = 0
        self.seconds = 0.0
        self.active: Function = self._counted

    def __call__(self, *arguments: Any) -> Any:
        return self.active(*arguments)

    def _counted(self, *arguments: Any) -> Any:
        start = perf_counter()
        result = self.numpy(*arguments)
        self.seconds += perf_counter() - start
        self.calls += 1
        if self.calls >= CALLS and self.seconds >= SECONDS:
            self.owner.consider(self, arguments)
        return result


class AutoFunction(CompiledFunction):
    """A compiled function that starts on the NumPy target and goes over to numba if that is faster.

    ``target`` is "numpy" until the last considered signature has gone over, then "numba". Without
    numba it stays on NumPy. An error of the background compilation is warned of once, and kept in
    ``failure``.
    """

    def __init__(
        self,
        roots: list[Any],
        template: str,
        variables: tuple[Variable, ...],
        target: str,
        real: bool,
        sizes: Mapping[str, int],
    ) -> None:
        super().__init__(roots, template, variables, "numpy", real, sizes)
        self.failure: Exception | None = None
        self._numba: NumbaFunction | None = None
        self._lock = threading.Lock()

    def _planned(self, arrays: Sequence[Any], given: Mapping[str, int]) -> Function:
        run = super()._planned(arrays, given)
        if find_spec("numba") is None or self.failure is not None:
            return run
        return _Trial(self, run)

    def consider(self, trial: _Trial, arguments: Sequence[Any]) -> None:
        """Compile this signature in the background, once."""
        with self._lock:
            if trial.active is trial.numpy:
                return
            trial.active = trial.numpy
        try:
            recipe, count = self._recipe(arguments)
        except Exception as error:
            self._failed(error)
            return
        if recipe.source.count("\n") > LINES:
            return
        _WORKER.submit(lambda: self._compare(trial, recipe, arguments, count))

    def _recipe(self, arguments: Sequence[Any]) -> tuple[Recipe, list[int]]:
        """The text, and which arguments it takes."""
        if self._numba is None:
            variables = tuple(self.variables)
            self._numba = NumbaFunction(
                self.roots, self._template, variables, "numba", self._real, {}
            )
        names = self._argument_names()
        wanted = self._numba._argument_names()
        given = dict(zip(names, arguments, strict=True))
        arrays = self._arrays([given[variable.name] for variable in self.variables])
        sizes = {name: given[name] for name in self._numba.symbols}
        return self._numba.recipe(arrays, sizes), [names.index(name) for name in wanted]

    def _compare(
        self, trial: _Trial, recipe: Recipe, arguments: Sequence[Any], places: list[int]
    ) -> None:
        """Time both on the arguments of a call; let the faster serve from now on."""
        try:
            compiled = _choosing(recipe.function(), places, len(arguments))
            compiled(*arguments)
            before, after = _seconds([trial.numpy, compiled], arguments)
            if after < before:
                self._switch(trial, compiled)
        except Exception as error:
            self._failed(error)

    def _switch(self, trial: _Trial, compiled: Function) -> None:
        trial.active = compiled
        for key, function in list(self.known.items()):
            if function is trial:
                self.known[key] = compiled
        self.target = "numba"

    def _failed(self, error: Exception) -> None:
        with self._lock:
            known, self.failure = self.failure, error
        if known is None:
            message = f"compiling for numba failed, NumPy goes on: {error}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def _choosing(function: Function, places: list[int], count: int) -> Function:
    """``function`` of those arguments that it takes."""
    if places == list(range(count)):
        return function

    def choosing(*arguments: Any) -> Any:
        return function(*(arguments[place] for place in places), *arguments[count:])

    choosing.results = function.results  # type: ignore[attr-defined]
    return choosing


def _seconds(functions: Sequence[Function], arguments: Sequence[Any]) -> list[float]:
    """Least time of a call of each, in turn, so that a slow spell falls on all alike."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(ROUNDS):
        for function, own in zip(functions, times, strict=True):
            start = perf_counter()
            function(*arguments)
            own.append(perf_counter() - start)
    return [min(own) for own in times]
