"""Formulas as text: index notation and matrix notation."""

from .parse import parse
