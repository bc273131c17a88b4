"""Hessians as operators that store their cores and solve with those."""

from .base import NotPositiveDefinite, StructuredOperator
from .block_gram import BlockGramOperator
from .blocks import BlocksOperator
from .build import operator_of, structured_operator, system_of, system_operator
from .composite import InverseOperator, ProductOperator, SystemOperator
from .kronecker import KroneckerOperator, KroneckerSumOperator
from .low_rank import PlusLowRankOperator
from .simple import DenseOperator, DiagonalOperator, ZeroOperator
from .sparse_patterns import BandedOperator, SparseOperator

__all__ = [
    "BandedOperator",
    "BlockGramOperator",
    "BlocksOperator",
    "DenseOperator",
    "DiagonalOperator",
    "InverseOperator",
    "KroneckerOperator",
    "KroneckerSumOperator",
    "NotPositiveDefinite",
    "PlusLowRankOperator",
    "ProductOperator",
    "SparseOperator",
    "StructuredOperator",
    "SystemOperator",
    "ZeroOperator",
    "operator_of",
    "structured_operator",
    "system_of",
    "system_operator",
]
