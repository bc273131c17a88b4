"""Poisson regression with the exponential as link, and a ridge."""

NAME = "Poisson regression"
SIZES = (10, 100, 1000)


def make(size, rng):
    X = rng.normal(size=(2 * size, size)) / size**0.5
    return 0.1 * rng.normal(size=size), X, rng.poisson(1.0, size=2 * size)


def loss(np, w, X, y):
    rate = X @ w
    return np.sum(np.exp(rate) - y * rate) + 0.5 * np.sum(w**2)
