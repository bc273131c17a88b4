"""``|Xw - y|^2 + |w|^2 / 2``: the Hessian does not read ``w``."""

NAME = "ridge regression"
SIZES = (10, 100, 1000)


def make(size, rng):
    X = rng.normal(size=(2 * size, size)) / size**0.5
    return rng.normal(size=size), X, rng.normal(size=2 * size)


def loss(np, w, X, y):
    return np.sum((X @ w - y) ** 2) + 0.5 * np.sum(w**2)
