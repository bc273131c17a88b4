"""A launch plan as readable text: the kernels, then what the host does with them, in order."""

from __future__ import annotations

from .actions import (
    Action,
    Buffer,
    Copy,
    Factorization,
    Fill,
    Gemm,
    HostCall,
    Kernel,
    Launch,
    Matrix,
)
from .blocks import Blocks
from .plan import Plan

HEAD = """\
# Kernels for numba.cuda, in float64 or float32 as the arguments are: `real` is that type. Pointers
# are to dense row-major memory, n0, n1, ... are sizes; select, softplus, team_sum, grid_sum, ...
# are functions of backends.cuda.device_functions.
"""


def source_of(plan: Plan) -> str:
    """The text; it needs neither a GPU nor numba.

    >>> import tensorcalc as tc, backends
    >>> from backends.cuda.lowering import plan_of
    >>> x = tc.variables("x: n")
    >>> print(source_of(plan_of(backends.compile(x * x).program)).partition("return")[2].strip())
    t1
    """
    names = kernel_names(plan)
    kernels = [_renamed(kernel, name) for kernel, name in names.items()]
    arguments = ", ".join(buffer.name for buffer in plan.arguments)
    lines = [f"# arguments: {', '.join(map(repr, plan.arguments)) or 'none'}"]
    lines += _lines(plan, names)
    lines.append(f"return {', '.join(result.name for result in plan.results)}")
    body = "\n".join(f"    {line}" for line in lines)
    return "\n\n".join([HEAD, *kernels, f"def f({arguments}):\n{body}\n"])


def _lines(plan: Plan, names: dict[Kernel, str]) -> list[str]:
    """The actions of a plan, with what they are for."""
    lines = []
    for action in plan.actions:
        if isinstance(action, Launch) and action.comment:
            lines.append(f"# {action.comment}")
        if isinstance(action, Blocks):
            lines.append(f"for {action.rows} in blocks({action.extent}):")
            for part, whole in action.parts.items():
                lines.append(f"    {part!r} = rows of {whole.name}")
            lines += [f"    {line}" for line in _lines(action.plan, names)]
        else:
            lines.append(action_text(action, names))
    return lines


def kernel_names(plan: Plan) -> dict[Kernel, str]:
    """A name for each kernel: what it does, numbered if several do that."""
    counts: dict[str, int] = {}
    names: dict[Kernel, str] = {}
    for kernel in plan.kernels:
        counts[kernel.name] = counts.get(kernel.name, 0) + 1
        names[kernel] = f"{kernel.name}_{counts[kernel.name]}"
    return {k: name if counts[k.name] > 1 else k.name for k, name in names.items()}


def _renamed(kernel: Kernel, name: str) -> str:
    return kernel.text.replace(f"def {kernel.name}(", f"def {name}(", 1)


def action_text(action: Action, names: dict[Kernel, str]) -> str:
    """What the host does, as a line of Python."""
    if isinstance(action, Launch):
        grid = f"{action.grid.rule}({', '.join(map(str, action.grid.extents))})"
        given = [*(buffer.name for buffer in action.pointers), *map(str, action.sizes)]
        read = "" if action.entries is None else f"  # reads {action.entries} entries"
        return f"{names[action.kernel]}[{grid}]({', '.join(given)}){read}"
    if isinstance(action, Gemm):
        return _gemm_text(action)
    if isinstance(action, Factorization):
        return _factorization_text(action)
    if isinstance(action, HostCall):
        given = [buffer.name for buffer in action.arguments]
        given += [f"{name}={value}" for name, value in action.params]
        return f"{action.out!r} = {action.name}({', '.join(given)})  # on the host"
    if isinstance(action, Fill):
        return f"{action.out!r} = {action.number:g}"
    assert isinstance(action, Copy)
    return f"{action.out!r} = {action.source.name}"


def _gemm_text(action: Gemm) -> str:
    what = "syrk" if action.symmetric else "gemm"
    sizes = f"{action.rows}, {action.columns}, {action.inner}"
    batch = "" if type(action.batch) is int and action.batch == 1 else f", batch {action.batch}"
    factors = f"{_matrix_text(action.left)} @ {_matrix_text(action.right)}"
    scale = "" if action.alpha == 1 else f"{action.alpha:g} * "
    return f"{action.out.buffer!r} = {scale}{factors}  # {what} {sizes}{batch}"


def _matrix_text(matrix: Matrix) -> str:
    return f"{matrix.buffer.name}{'.T' if matrix.transposed else ''}"


def _factorization_text(action: Factorization) -> str:
    results = ", ".join(f"{_result_text(name, buffer)}" for name, buffer in action.results)
    right = f", {action.right.name}" if action.right is not None else ""
    return f"{results} = {action.kind}({action.source.name}{right})  # cuSOLVER"


def _result_text(name: str, buffer: Buffer) -> str:
    return f"{name} {buffer!r}"
