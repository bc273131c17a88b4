"""Expressions as text: index notation, matrix notation, LaTeX, DOT, SymPy."""

from .index_text import index_text
from .matrix import to_matrix
