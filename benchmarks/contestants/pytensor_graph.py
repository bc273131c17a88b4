"""PyTensor: a graph compiled by ``pytensor.function``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..calling import Call
from ..modelling import Model

NAME = "PyTensor"
PACKAGE = "pytensor"


class _Tensor:
    """``pytensor.tensor`` under NumPy's names."""

    def __init__(self, pt: Any) -> None:
        self._pt = pt
        self.linalg = pt.linalg

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pt, name)


def contestant(model: Model, result: str, arguments: tuple[Any, ...], direction: Any) -> Call:
    """The compiled graph; what is differentiated enters as a vector, which its Hessian needs."""
    import pytensor
    import pytensor.tensor as pt

    x, *rest = arguments
    flat = pt.vector("x", dtype=str(x.dtype))
    others = [pt.tensor(f"a{k}", dtype=str(a.dtype), shape=a.shape) for k, a in enumerate(rest)]
    loss = model.loss(_Tensor(pt), flat.reshape(x.shape), *others)
    given: list[Any] = [x.ravel(), *rest]
    inputs = [flat, *others]
    outputs: Any = loss
    if result != "value":
        gradient = pytensor.grad(loss, flat)
        outputs = [loss, gradient]
    if result in ("Hessian", "Newton step"):
        outputs = pytensor.gradient.hessian(loss, flat)
    if result == "Newton step":
        outputs = pt.linalg.solve(outputs, gradient, assume_a="pos")
    if result == "Hessian product":
        v = pt.vector("v", dtype=str(x.dtype))
        inputs, given = [v, *inputs], [direction.ravel(), *given]
        outputs = pytensor.grad(pt.dot(gradient, v), flat)
    # The wheel finds no BLAS; the mode that its warning advises then is numba's.
    mode = None if pytensor.config.blas__ldflags else "NUMBA"
    function = pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")
    function.trust_input = True
    given = [np.ascontiguousarray(array) for array in given]
    return lambda: function(*given)
