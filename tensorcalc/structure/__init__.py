"""Structure: what a Hessian is as a matrix, read off its expression, and exact restrictions."""

from .analysis import structure, structure_of_system
from .kinds import (
    Banded,
    BlockGram,
    Blocks,
    BlockSystem,
    Dense,
    Diagonal,
    Diagonals,
    Identity,
    Inverse,
    Kronecker,
    KroneckerSum,
    LowRank,
    PlusLowRank,
    Products,
    Scatter,
    Structure,
    Zero,
)
from .products import products_of
from .restrictions import diagonal, trace

__all__ = [
    "Banded",
    "BlockGram",
    "BlockSystem",
    "Blocks",
    "Dense",
    "Diagonal",
    "Diagonals",
    "Identity",
    "Inverse",
    "Kronecker",
    "KroneckerSum",
    "LowRank",
    "PlusLowRank",
    "Products",
    "Scatter",
    "Structure",
    "Zero",
    "diagonal",
    "products_of",
    "structure",
    "structure_of_system",
    "trace",
]
