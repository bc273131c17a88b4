"""Negative log-likelihood of ``N(0, diag(exp(d)) + F F')`` by ``d``; ``S`` is the second moment."""

NAME = "low-rank Gaussian"
SIZES = (10, 50, 200)
RANK = 3
NEWTON = False  # not convex in d


def make(size, rng):
    F = rng.normal(size=(size, RANK)) / RANK**0.5
    samples = rng.normal(size=(4 * size, size)) + rng.normal(size=(4 * size, RANK)) @ F.T
    return 0.1 * rng.normal(size=size), F, samples.T @ samples / len(samples)


def loss(np, d, F, S):
    covariance = np.diag(np.exp(d)) + F @ F.T
    return np.linalg.slogdet(covariance)[1] + np.sum(np.linalg.inv(covariance) * S)
