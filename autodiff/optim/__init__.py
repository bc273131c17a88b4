"""Optimizers of networks as in torch.optim, and methods that minimise an objective."""

from ..objectives import Objective as Objective
from ..objectives import objective as objective
from .base import Optimizer
from .first_order import SGD
from .first_order import Adagrad
from .first_order import Adam
from .first_order import AdamW
from .first_order import Lion
from .first_order import RMSprop
from .curvature_base import CurvatureOptimizer
from .newton_cg import NewtonCG
from .kfac import KFAC
from .clipping import clip_grad_norm_
from .clipping import clip_grad_value_
from . import lr_scheduler, rules
from .newton import cubic_regularization, levenberg, newton, newton_conjugate_gradient
from .trust_region import trust_region
from .gauss_newton import gauss_newton, levenberg_marquardt
from .scipy_least_squares import least_squares
from .natural_gradient import natural_gradient
from .quasi_newton import bfgs, lbfgs
from .conjugate_gradient import nonlinear_conjugate_gradient
from .gradient_descent import gradient_descent, momentum, nesterov
from .proximal import proximal_newton
from .stochastic_search import (
    basin_hopping,
    differential_evolution,
    dual_annealing,
    random_directions,
)
