"""Suites of the command: one module each, found by its contract.

A module offers ``DEFAULT``, whether the command runs it unasked, ``parts(options)``, the names of
what it measures in one go, and ``run(part, options)``, which yields :class:`~benchmarks.rows.Row`
after row of a part.
"""
