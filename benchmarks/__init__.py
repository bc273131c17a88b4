"""Measurements of this library against its peers; every row is checked before it is timed."""
