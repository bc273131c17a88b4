"""Hessians as operators that store their cores and solve with those.

The modules are loaded when an operator is first asked for: they need SciPy's sparse algebra.
"""

from typing import TYPE_CHECKING

from ..lazy import later

if TYPE_CHECKING:
    from .base import NotPositiveDefinite, StructuredOperator
    from .block_gram import BlockGramOperator
    from .blocks import BlocksOperator
    from .build import structured_operator, system_maker, system_operator
    from .composite import InverseOperator, ProductOperator
    from .iterated_system import Coupling, IteratedSystemOperator
    from .kronecker import KroneckerOperator, KroneckerSumOperator
    from .low_rank import PlusLowRankOperator
    from .makers import maker_of, stacked_rank
    from .simple import DenseOperator, DiagonalOperator, ZeroOperator
    from .sparse_patterns import BandedOperator, SparseOperator
    from .system import SystemOperator

__getattr__, __dir__ = later(
    __name__,
    {
        **dict.fromkeys(["NotPositiveDefinite", "StructuredOperator"], "base"),
        "BlockGramOperator": "block_gram",
        "BlocksOperator": "blocks",
        **dict.fromkeys(["structured_operator", "system_maker", "system_operator"], "build"),
        **dict.fromkeys(["InverseOperator", "ProductOperator"], "composite"),
        **dict.fromkeys(["Coupling", "IteratedSystemOperator"], "iterated_system"),
        **dict.fromkeys(["KroneckerOperator", "KroneckerSumOperator"], "kronecker"),
        "PlusLowRankOperator": "low_rank",
        **dict.fromkeys(["maker_of", "stacked_rank"], "makers"),
        **dict.fromkeys(["DenseOperator", "DiagonalOperator", "ZeroOperator"], "simple"),
        **dict.fromkeys(["BandedOperator", "SparseOperator"], "sparse_patterns"),
        "SystemOperator": "system",
    },
)

__all__ = [
    "BandedOperator",
    "BlockGramOperator",
    "BlocksOperator",
    "Coupling",
    "DenseOperator",
    "DiagonalOperator",
    "InverseOperator",
    "IteratedSystemOperator",
    "KroneckerOperator",
    "KroneckerSumOperator",
    "NotPositiveDefinite",
    "PlusLowRankOperator",
    "ProductOperator",
    "SparseOperator",
    "StructuredOperator",
    "SystemOperator",
    "ZeroOperator",
    "maker_of",
    "stacked_rank",
    "structured_operator",
    "system_maker",
    "system_operator",
]
