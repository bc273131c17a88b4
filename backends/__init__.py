"""Programs of nodes, and the targets that run them."""

from .compiled import CompiledFunction, TargetError, compile

__all__ = ["CompiledFunction", "TargetError", "compile"]
