"""Negative log-likelihood of five Gaussians in ten dimensions by their means."""

import numpy

NAME = "Gaussian mixture"
SIZES = (10, 100, 1000, 10_000)
COMPONENTS, DIMENSIONS = 5, 10
NEWTON = False  # not convex


def make(size, rng):
    means = rng.normal(size=(COMPONENTS, DIMENSIONS))
    points = means[rng.integers(COMPONENTS, size=size)] + rng.normal(size=(size, DIMENSIONS))
    variances = rng.uniform(0.5, 2, size=(COMPONENTS, DIMENSIONS))
    return means + 0.1, points, variances, numpy.log(numpy.full(COMPONENTS, 1 / COMPONENTS))


def loss(np, means, points, variances, log_weights):
    squares = (points[:, None, :] - means) ** 2 / variances + np.log(variances)
    scores = log_weights - 0.5 * np.sum(squares, axis=2)
    return -np.sum(np.log(np.sum(np.exp(scores), axis=1)))
