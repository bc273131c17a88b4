"""Indexing of expressions."""
