"""Programs of nodes, and the targets that run them."""

from .compiled import CompiledFunction, TargetError
from .targets import TARGETS, compile

__all__ = ["TARGETS", "CompiledFunction", "TargetError", "compile"]
