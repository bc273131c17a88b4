"""Negative log marginal likelihood by the logarithms of variance, length and noise."""

import numpy

NAME = "Gaussian process"
SIZES = (10, 100, 500)
NEWTON = False  # three parameters: the work is in the Hessian


def make(size, rng):
    x = rng.uniform(0, size**0.5, size=size)
    theta = numpy.array([0.1, -0.1, -1.0])
    y = numpy.sin(x) + 0.5 * rng.normal(size=size)
    return theta, (x[:, None] - x) ** 2, y, numpy.eye(size)


def loss(np, theta, squared, y, identity):
    K = np.exp(theta[0] - squared / (2 * np.exp(2 * theta[1]))) + np.exp(theta[2]) * identity
    return 0.5 * (y @ np.linalg.inv(K) @ y) + 0.5 * np.linalg.slogdet(K)[1]
