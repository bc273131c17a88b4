"""Rewriting rules, named as theorems, by family of operations."""

from . import algebra, branches, contractions, reductions, selections, stability

__all__ = ["algebra", "branches", "contractions", "reductions", "selections", "stability"]
