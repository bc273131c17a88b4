"""NumPy functions that expressions understand, each as a row that the checks run through."""

from . import calculations, rearrangements
from .case import Case

CASES = {
    f"{group}: {each.name}": each
    for group, cases in {
        "reduction": calculations.REDUCTIONS,
        "product": calculations.PRODUCTS,
        "linear algebra": calculations.LINEAR_ALGEBRA,
        "shape": rearrangements.SHAPES,
        "selection": rearrangements.SELECTIONS,
        "window": rearrangements.WINDOWS,
        "index": rearrangements.INDEXING,
        "method": rearrangements.METHODS,
        "special": rearrangements.SPECIAL,
    }.items()
    for each in cases
}

__all__ = ["CASES", "Case"]
