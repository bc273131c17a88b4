"""Calls that kernels of the numba target make themselves, by the name of the row."""

from __future__ import annotations

from typing import Any, NamedTuple

from .numba_contractions import NumbaContractions
from .numba_nests import DTYPES
from .steps import FROM_FACTORS, SIGNED_GRAM, Call, Value


class Compiled(NamedTuple):
    """A function of an array of shape (batch, ...) and where its results go.

    ``core`` axes of the argument are merged into one unless the function takes matrices.
    """

    function: str
    core: int = 1
    matrices: bool = False
    kinds: tuple[str, ...] = ("real",)


#: What is compiled, by the name of the row.
COMPILED = {
    "softmax": Compiled("rows.softmax"),
    "logsumexp": Compiled("rows.logsumexp"),
    "norm": Compiled("rows.norm"),
    "normalize": Compiled("rows.normalize"),
    "frobenius_norm": Compiled("rows.norm", 2),
    "frobenius_normalize": Compiled("rows.normalize", 2),
    "max": Compiled("rows.largest"),
    "min": Compiled("rows.smallest"),
    "argmax": Compiled("rows.place_of_largest"),
    "argmin": Compiled("rows.place_of_smallest"),
    "argmax_mask": Compiled("rows.is_largest"),
    "argmin_mask": Compiled("rows.is_smallest"),
    "prod": Compiled("rows.product"),
    "cumprod": Compiled("rows.cumulative_product"),
    "prefix_sum": Compiled("rows.cumulative_sum"),
    "prod_others": Compiled("rows.product_of_others"),
    "inv": Compiled("matrices.inverse", 2, True),
    "det": Compiled("matrices.determinant", 2, True),
    "logdet": Compiled("matrices.log_determinant", 2, True),
    "sign_det": Compiled("matrices.sign_of_determinant", 2, True),
    "cholesky": Compiled("matrices.cholesky", 2, True),
}

#: Of these, the ones that work along the last axis of one argument.
ROW_WISE = frozenset(name for name, row in COMPILED.items() if row.core == 1)


class NumbaCalls(NumbaContractions):
    """Writes calls of compiled functions."""

    def compiled_call(self, step: Call) -> bool:
        """Write a call if there is a compiled function for it."""
        if step.operation == "solve":
            return self._solve(step)
        if step.name in FROM_FACTORS:
            return self._from_factors(step)
        if step.operation == SIGNED_GRAM:
            names = [f"np.ascontiguousarray({self.laid_out(v)})" for v in step.arguments]
            self.line(f"{SIGNED_GRAM}({', '.join([*names, self.new_array(step.value)])})")
            return True
        row = COMPILED.get(step.name)
        if row is None or step.arguments[0].kind not in row.kinds:
            return False
        (argument,) = step.arguments
        batch = argument.extents[: argument.ndim - row.core]
        core = argument.extents[argument.ndim - row.core :]
        source = self._stacked(self.laid_out(argument), batch, core, row, True)
        more = [repr(value) for _, value in step.params]
        if not step.value.ndim:
            self._single(step.value, row.function, [source], more)
            return True
        name = self.new_array(step.value)
        own = step.value.extents[len(batch) :]
        target = self._stacked(name, batch, own, row, False)
        self.line(f"{row.function}({', '.join([source, target, *more])})")
        return True

    def _single(self, value: Value, function: str, arguments: list[str], more: list[str]) -> None:
        """A result without axes goes through an array of one entry."""
        name = self.fresh()
        self.line(f"{name}_out = np.empty(1, {DTYPES[value.kind]})")
        self.line(f"{function}({', '.join([*arguments, f'{name}_out', *more])})")
        self.line(f"{name} = {name}_out[0]")
        self.arrays[value] = name, ()

    def _stacked(self, name: str, batch: Any, core: Any, row: Compiled, argument: bool) -> str:
        """The array with one axis for the batch, and one for the core unless it is a matrix."""
        sizes = [_volume(batch)]
        sizes += [*core] if row.matrices else [_volume(core)] if core else []
        if argument:
            name = f"np.ascontiguousarray({name})"
        return f"{name}.reshape({self.shape(sizes)})"

    def _solve(self, step: Call) -> bool:
        matrix, side = step.arguments
        batched = matrix.ndim == side.ndim == 3
        if not (matrix.ndim == 2 or batched) or {matrix.kind, side.kind} != {"real"}:
            return False
        names = [f"np.ascontiguousarray({self.laid_out(value)})" for value in step.arguments]
        names.append(self.new_array(step.value))
        if side.ndim == 1:
            names[1:] = [f"{name}.reshape({self.shape([*side.extents, 1])})" for name in names[1:]]
        self.line(f"matrices.{'solve_each' if batched else 'solve'}({', '.join(names)})")
        return True

    def _from_factors(self, step: Call) -> bool:
        """Factors that several steps share, or what one of them asks of these."""
        names = [f"np.ascontiguousarray({self.laid_out(value)})" for value in step.arguments]
        if step.value.ndim:
            names.append(self.new_array(step.value))
            self.line(f"matrices.{step.name}({', '.join(names)})")
        else:
            self._single(step.value, f"matrices.{step.name}", names, [])
        return True


def _volume(extents: Any) -> Any:
    volume: Any = 1
    for extent in extents:
        volume = volume * extent
    return volume


__all__ = ["COMPILED", "NumbaCalls"]
