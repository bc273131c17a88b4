"""Rewriting rules, named as theorems, by family of operations."""

from . import algebra, contractions, stability

__all__ = ["algebra", "contractions", "stability"]
