"""The squared hinge loss of a linear classifier, and a ridge."""

NAME = "squared hinge"
SIZES = (10, 100, 1000)


def make(size, rng):
    X = rng.normal(size=(2 * size, size)) / size**0.5
    return rng.normal(size=size), X, rng.choice([-1.0, 1.0], size=2 * size)


def loss(np, w, X, y):
    return np.sum(np.maximum(0.0, 1 - y * (X @ w)) ** 2) + 0.5 * np.sum(w**2)
