"""Curvature of networks: expressions first, compiled for every batch size, printed on request."""

from .per_example import per_example_expressions, per_example_gradients
from .matrices import NetworkMatrix, empirical_fisher, fisher, ggn, hessian
from .kronecker import Factors
from .kronecker_operator import KFAC, KroneckerBlock, kfac
