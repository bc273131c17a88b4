"""Rewriting rules, named as theorems, by family of operations."""

from . import stability

__all__ = ["stability"]
