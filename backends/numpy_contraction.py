"""NumPy text of a pairwise contraction: dot and matmul where BLAS can take it, else einsum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .numpy_arrays import subscript_text, transposed
from .steps import Contract, Labels

if TYPE_CHECKING:
    from .numpy_writer import NumpyWriter


def contraction(writer: NumpyWriter, step: Contract) -> str:
    """The text of ``left, right -> output``."""
    left, right = step.subscripts
    names = dict.fromkeys((*left, *right))
    letters = {label: k for k, label in enumerate(names)}
    a, b, out = (subscript_text([letters[x] for x in own]) for own in (left, right, step.output))
    return f'np.einsum("{a},{b}->{out}", {writer.names[step.left]}, {writer.names[step.right]})'


def _grouped(text: str, own: Labels, order: Sequence[int]) -> str:
    return transposed(text, [own.index(label) for label in order])
