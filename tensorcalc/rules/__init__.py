"""Rewriting rules, named as theorems, by family of operations."""

from . import algebra, stability

__all__ = ["algebra", "stability"]
