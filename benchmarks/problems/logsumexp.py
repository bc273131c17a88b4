"""``log(sum(exp(x)))``: the Hessian is ``diag(p) - p p'`` with ``p = softmax(x)``."""

import numpy

from .problem import Problem, generator


class LogSumExp(Problem):
    """The data: the ink of each of the digits' images."""

    name = "logsumexp"
    variables = "x: n"
    source = "digits, mean of each image"
    sizes = (10, 100, 2048)
    targets = {2048: 2}

    def function(self, np):
        return lambda x: np.log(np.sum(np.exp(x)))

    def make(self, size, dtype):
        return (generator(size).normal(size=size),)

    def data(self, dtype):
        from sklearn.datasets import load_digits

        return (load_digits().data.mean(axis=1),)

    def by_hand(self, x):
        weights = numpy.exp(x - x.max())
        p = weights / weights.sum()
        return numpy.diag(p) - numpy.outer(p, p)
