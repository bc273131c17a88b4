"""``|T - U V'|^2`` by ``U``: the Hessian is ``2 δ[i,k] (V'V)[j,l]``.

Dense it is zeros but for one part in ``m``; as an operator it stores ``V'V``.
"""

import numpy

from .problem import Problem, generator

RANK = 5


class MatrixFactorization(Problem):
    """The data: the digits, one column for each image."""

    name = "matrix factorization"
    variables = "U: m k, V: n k, T: m n"
    source = "digits, pixels by images"
    sizes = (10, 100, 200)
    structured_targets = {200: 1000}

    def function(self, np):
        return lambda U, V, T: np.sum((T - U @ V.T) ** 2)

    def make(self, size, dtype):
        rng = generator(size)
        U, V = rng.normal(size=(size, RANK)), rng.normal(size=(size, RANK))
        return U, V, rng.normal(size=(size, size))

    def data(self, dtype):
        from sklearn.datasets import load_digits

        T = load_digits().data.T / 16
        rng = generator(2)
        return rng.normal(size=(len(T), RANK)), rng.normal(size=(T.shape[1], RANK)), T

    def by_hand(self, U, V, T):
        m, k = U.shape
        out = numpy.zeros((m, k, m, k), U.dtype)
        numpy.einsum("ijil->ijl", out)[...] = 2 * (V.T @ V)
        return out
