"""Huber regression: squares up to one, absolute values beyond; and a ridge."""

NAME = "Huber regression"
SIZES = (10, 100, 1000)


def make(size, rng):
    X = rng.normal(size=(2 * size, size)) / size**0.5
    return rng.normal(size=size), X, rng.normal(size=2 * size)


def loss(np, w, X, y):
    r = np.abs(X @ w - y)
    return np.sum(np.where(r < 1, 0.5 * r**2, r - 0.5)) + 0.5 * np.sum(w**2)
