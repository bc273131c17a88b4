"""Notation: declared variables, index notation and the meaning of formulas."""

from .variables import declared_variables, variables
from .indices import Index, Indexed, indices, tensor
