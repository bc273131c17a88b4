"""What NumPy asks of expressions: operators and ufuncs, functions, indexing, array methods.

Importing this package fills the dispatch tables of :mod:`tensorcalc.nodes`. Its files in order:
``convert`` (numbers and arrays as expressions), ``ufuncs`` (operators), ``functions`` (the table of
NumPy functions and its dispatch), then the functions by what they do, then the array methods.
"""

from . import convert, ufuncs, functions
from . import shapes, indexing, joining, reductions, selections, windows, tensor_products
from . import creation, without_nan, sorted_search, linear_algebra, special, activations, methods

__all__ = [
    "activations",
    "convert",
    "creation",
    "functions",
    "indexing",
    "joining",
    "linear_algebra",
    "methods",
    "reductions",
    "selections",
    "shapes",
    "sorted_search",
    "special",
    "tensor_products",
    "ufuncs",
    "windows",
    "without_nan",
]
