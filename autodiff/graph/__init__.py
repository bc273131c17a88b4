"""The define-by-run graph: tensors, records and backward passes whose every rule is derived.

Its files in order: ``modes`` (switches), ``operations`` (expressions and derived pullbacks),
``placement`` (host or device), ``plans`` (caches), ``record``, ``tensor``, ``calls``,
``tensor_methods``, ``backward``, ``random_state``, ``checkpointing``, ``functions``.
"""

from .modes import GraphError, enable_grad, is_recording, no_grad
from .plans import clear_caches
from .tensor import Tensor
from . import tensor_methods
from .backward import gradients
from .random_state import default_generator, manual_seed
from .checkpointing import checkpoint
from .functions import function, layer_function

__all__ = [
    "GraphError",
    "Tensor",
    "checkpoint",
    "clear_caches",
    "default_generator",
    "enable_grad",
    "function",
    "gradients",
    "is_recording",
    "layer_function",
    "manual_seed",
    "no_grad",
]
