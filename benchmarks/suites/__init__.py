"""Suites of the command: one module each, found by its contract.

A module offers ``DEFAULT``, whether the command runs it unasked, and ``run(options)``, which yields
:class:`~benchmarks.rows.Row` after row.
"""
