"""Rewriting rules, named as theorems, by family of operations."""

from . import algebra, contractions, reductions, stability

__all__ = ["algebra", "contractions", "reductions", "stability"]
