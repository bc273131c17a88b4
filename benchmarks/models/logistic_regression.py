"""Logistic regression with labels of ``+1`` and ``-1``, twice as many rows as columns."""

NAME = "logistic regression"
SIZES = (10, 100, 1000)


def make(size, rng):
    X = rng.normal(size=(2 * size, size)) / size**0.5
    return rng.normal(size=size), X, rng.choice([-1.0, 1.0], size=2 * size)


def loss(np, w, X, y):
    return np.sum(np.log1p(np.exp(-y * (X @ w)))) + 0.5 * np.sum(w**2)
