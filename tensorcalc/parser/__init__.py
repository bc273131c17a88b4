"""Formulas as text: index notation and matrix notation."""
