"""Tensor calculus: expressions with explicit indices and compact derivatives of any order."""

from .derivatives import derivative, gradient, hessian, hvp, jvp, vjp
from .nodes import free_variables, node_count
from .oracle import evaluate
from . import operations, numpy_protocol, rules
from .simplify import simplify
from .numpy_protocol.activations import (
    elu,
    gelu,
    leaky_relu,
    polygamma,
    relu,
    silu,
    softplus,
)
from .numpy_protocol.special import (
    adjugate,
    expm,
    log_softmax,
    logdet,
    logsumexp,
    norm,
    normalize,
    one_hot,
    softmax,
)
from .numpy_protocol.tensor_products import einsum
from .notation import indices, tensor, variables
from .parser import parse
from .printers import to_dot, to_latex, to_matrix, to_sympy
from .cost import cost
from .curvature import curvature
from .structure import diagonal, structure, trace
