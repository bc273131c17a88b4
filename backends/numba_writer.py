"""The text of a module for the numba target: compiled kernels and the function that calls them."""

from __future__ import annotations

import re
from typing import NamedTuple

from tensorcalc.extents import Extent
from tensorcalc.operations.helpers import imports, required

from .factorizations import shared_factorizations
from .host_calls import with_host_calls
from .nest_fusion import fused
from .nest_groups import grouped
from .numba_kernels import Kernel, NumbaKernels
from .numba_terms import spelling
from .numpy_scope import SizeText
from .prefix_sums import prefix_sums
from .program import Program
from .row_tiles import Tile
from .signed_grams import signed_grams
from .steps import Call, Term

HEAD = """\
import math

import numpy as np
from numba import njit, prange
import backends.numba_matrices as matrices
import backends.numba_rows as rows
import backends.vector_math as vm
from backends.numba_runtime import (
    batched, clear, dot, gram, matrix_matrix, matrix_vector, row_gram, signed_gram, vector_matrix
)
from backends.vector_math.primitives import select

real = np.{precision}
empty = np.empty
"""
OPTIONS = 'cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}, nogil=True'
#: Only loops that say so run on several cores.
PARALLEL = (
    'parallel={"prange": True, "comprehension": False, "numpy": False, "reduction": False, '
    '"inplace_binop": False, "setitem": False, "stencil": False, "fusion": False}'
)


def prepared(program: Program) -> Program:
    """The program as loops want it: fused, grouped, with what they cannot say between them."""
    program = prefix_sums(signed_grams(shared_factorizations(program)))
    return grouped(fused(with_host_calls(program, can_say)))


def can_say(term: Term) -> bool:
    """Whether kernels have a spelling for the operation."""
    operation, params = term.payload
    return bool(spelling(operation, dict(params)))


class _Piece(NamedTuple):
    """Compiled functions, the last of which is called, with the arrays that are lent to it."""

    texts: list[str]
    name: str
    parameters: list[str]
    returns: list[str]
    filled: dict[str, str]


class NumbaWriter(NumbaKernels):
    """Writes one prepared program in one precision, for one core or several."""

    def __init__(
        self,
        program: Program,
        returned: str,
        precision: str,
        parallel: bool = False,
        large: frozenset[str] = frozenset(),
        region: Tile | None = None,
    ) -> None:
        super().__init__(program, precision, large, region)
        self.returned = returned
        self.parallel = parallel
        self.open_symbols: list[str] = []
        #: For each result the name of the argument that may hold an array for it, or "".
        self.accepted: list[str] = []

    def source(self) -> str:
        """The whole module; its function ``f`` takes the arguments of the program in order."""
        self.write()
        known = self.size_names()
        used = set().union(*(k.sizes for k in self.segments if isinstance(k, Kernel)))
        used -= self.local_sizes
        results = [self.output_name(output) for output in self.program.outputs]
        self.accepted = [self._acceptable(*each) for each in results]
        kernels, calls = self._assembled(known, {name for name, _ in results})
        used |= self.host_sizes
        calls[:0] = [f"{name} = {text}" for name, text in known.items() if name in self.host_sizes]
        self.open_symbols = sorted(used - known.keys())
        optional = [f"{name}=None" for name in self.accepted if name]
        parameters = ", ".join([*self.parameters, *self.open_symbols, *optional])
        texts = [self._result(*each, k) for k, each in enumerate(results)]
        body = "\n".join(f"    {line}" for line in calls)
        function = f"def f({parameters}):\n{body}\n    return {self.returned.format(*texts)}\n"
        helpers = "\n\n".join(required(function).values())
        extra = "\n".join(imports(function + helpers)[1:])
        parts = [HEAD.format(precision=self.precision), extra, *kernels, helpers, function]
        return "\n\n".join(part for part in parts if part).replace(":\n\n", ":\n")

    def _acceptable(self, name: str, axes: tuple[int, ...]) -> str:
        """The name of a result that a kernel fills as it is, "" of any other."""
        lent = any(name in k.filled for k in self.segments if isinstance(k, Kernel))
        return name if lent and axes == tuple(range(len(axes))) else ""

    def _result(self, name: str, axes: tuple[int, ...], position: int) -> str:
        value = self.program.outputs[position]
        if not axes:
            return f"{'real' if value.kind == 'real' else 'np.' + _TYPES[value.kind]}({name})"
        if axes == tuple(range(len(axes))):
            return name
        return f"{name}.transpose({', '.join(str(axes.index(k)) for k in range(len(axes)))})"

    def _assembled(self, known: dict[str, str], results: set[str]) -> tuple[list[str], list[str]]:
        """The compiled functions, and the lines that call them and NumPy in turn."""
        needed = set(results)
        found: list[tuple[list[str], str]] = []
        chain: list[_Piece] = []
        after = set(needed)
        for number in reversed(range(len(self.segments))):
            segment = self.segments[number]
            if isinstance(segment, Kernel):
                chain[:0] = self._kernel(segment, number, known, needed)
                continue
            found += self._chained(chain, after)
            step, arguments, name = segment
            needed |= set(arguments)
            found.append(([], self._host(step, arguments, name)))
            chain, after = [], set(needed)
        found += self._chained(chain, after)
        found.reverse()
        return [text for texts, _ in found for text in texts], [line for _, line in found]

    def _kernel(
        self, kernel: Kernel, number: int, known: dict[str, str], needed: set[str]
    ) -> list[_Piece]:
        """One compiled function; ``needed`` are names wanted after it, then before."""
        made = _assigned(kernel.lines)
        returns = sorted(made & needed)
        if not returns and not (kernel.filled.keys() | kernel.changed) & needed:
            return []
        sizes = {name: text for name, text in known.items() if name in kernel.sizes}
        reads = {*kernel.reads, *(text.partition(".")[0] for text in sizes.values())} - made
        reads |= kernel.sizes - known.keys() - self.local_sizes
        needed |= reads - kernel.filled.keys()
        parameters = sorted(reads | kernel.filled.keys())
        parallel = self.parallel and any("prange" in line for line in kernel.lines)
        head = [f"    {name} = {text}" for name, text in sizes.items()]
        body = "\n".join([*head, *kernel.lines])
        if not parallel:
            body = body.replace("prange(", "range(")
        name = f"kernel{number}" if len(self.segments) > 1 else "kernel"
        body += f"\n    return {_tuple(returns)}\n" if returns else "\n"
        options = f"{OPTIONS}, {PARALLEL}" if parallel else OPTIONS
        text = f"@njit({options})\ndef {name}({', '.join(parameters)}):\n{body}"
        return [_Piece([text], name, parameters, returns, kernel.filled)]

    def _chained(self, pieces: list[_Piece], needed: set[str]) -> list[tuple[list[str], str]]:
        """Compiled functions with nothing between them, called by one that is compiled as well.

        What passes between them is no Python object then, which each array would have to be
        unpacked from and packed into. ``needed`` are names wanted after them.
        """
        if not pieces:
            return []
        piece = pieces[0] if len(pieces) == 1 else _joined(pieces, needed)
        name, own = piece.name, piece.parameters
        arguments = ", ".join(f"{n}[()]" if n in self._scalars() else n for n in own)
        call = f"{name}({arguments})"
        if piece.returns:
            call = f"{_tuple(piece.returns)} = {call}"
        makes = {
            n: f"{make} if {n} is None else {n}" if n in self.accepted else make
            for n, make in piece.filled.items()
        }
        lines = [*(f"{n} = {make}" for n, make in makes.items()), call]
        between = [n for n in piece.returns if n in self._numbers() and len(self.segments) > 1]
        return [(piece.texts, "; ".join([*lines, *(f"{n} = real({n})" for n in between)]))]

    def _scalars(self) -> set[str]:
        """Names of arguments without axes: kernels take them as numbers."""
        pairs = zip(self.program.inputs, self.parameters, strict=True)
        return {name for step, name in pairs if not step.value.ndim}

    def _numbers(self) -> set[str]:
        """Local names of real numbers: numba hands them out in double precision."""
        pairs = self.arrays.items()
        return {name for value, (name, axes) in pairs if not axes and value.kind == "real"}

    def _host(self, step: Call, arguments: list[str], name: str) -> str:
        if isinstance(step.operation, str):
            text = f"np.linalg.{step.operation}({', '.join(arguments)})"
        else:
            self.sizes = self.host_sizes
            values = {
                key: SizeText(self.size(value)) if isinstance(value, Extent) else value
                for key, value in step.params
            }
            text = step.operation.spelled("numpy", *arguments, **values)
        return f"{name} = np.ascontiguousarray({text})" if step.value.ndim else f"{name} = {text}"


_TYPES = {"boolean": "bool_", "integer": "int64"}


def _tuple(names: list[str]) -> str:
    return ", ".join(names)


def _joined(pieces: list[_Piece], needed: set[str]) -> _Piece:
    """Functions called one after the other; ``needed`` are names wanted after them."""
    name = f"run{pieces[0].name.removeprefix('kernel')}"
    lines, made, reads = [], set[str](), set[str]()
    for piece in pieces:
        call = f"{piece.name}({_tuple(piece.parameters)})"
        lines.append(f"    {_tuple(piece.returns)} = {call}" if piece.returns else f"    {call}")
        reads |= {*piece.parameters} - made
        made |= {*piece.returns}
    returns, parameters = sorted(made & needed), sorted(reads)
    if returns:
        lines.append(f"    return {_tuple(returns)}")
    text = f"@njit({OPTIONS})\ndef {name}({_tuple(parameters)}):\n" + "\n".join(lines) + "\n"
    filled = {name: make for piece in pieces for name, make in piece.filled.items()}
    texts = [*(text for piece in pieces for text in piece.texts), text]
    return _Piece(texts, name, parameters, returns, filled)


def _assigned(lines: list[str]) -> set[str]:
    """Local names of arrays and numbers that lines make."""
    matches = (re.match(r" *(t\d+) = ", line) for line in lines)
    return {match.group(1) for match in matches if match}
