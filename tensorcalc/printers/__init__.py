"""Expressions as text: index notation, matrix notation, LaTeX, DOT, SymPy."""
