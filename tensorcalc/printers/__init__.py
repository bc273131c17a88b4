"""Expressions as text: index notation, matrix notation, LaTeX, DOT, SymPy."""

from .index_text import index_text
from .matrix import to_matrix
from .latex import to_latex, typeset
from .dot import to_dot
from .sympy_export import to_sympy
