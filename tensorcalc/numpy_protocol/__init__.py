"""What NumPy asks of expressions: operators and ufuncs, functions, indexing, array methods.

Importing this package fills the dispatch tables of :mod:`tensorcalc.nodes`.
"""

from . import convert, ufuncs, functions, shapes, indexing, reductions, linear_algebra, methods
