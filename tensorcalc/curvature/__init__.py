"""Curvature: convexity certificates from Hessians, and the ranges of values they rest on."""

from .analysis import curvature
from .certificate import Curvature, Reason
from .intervals import Interval
from .ranges import Ranges

__all__ = ["Curvature", "Interval", "Ranges", "Reason", "curvature"]
