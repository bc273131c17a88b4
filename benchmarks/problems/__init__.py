"""The problems of the Hessian benchmark, in the order in which they are shown."""

from .logistic_regression import LogisticRegression
from .logsumexp import LogSumExp
from .matrix_factorization import MatrixFactorization
from .newton_step import NewtonStep
from .problem import DATA, Problem
from .quadratic_form import QuadraticForm

PROBLEMS: list[Problem] = [
    QuadraticForm(),
    LogisticRegression(),
    MatrixFactorization(),
    LogSumExp(),
    NewtonStep(),
]

__all__ = ["DATA", "PROBLEMS", "Problem"]
