"""Rosenbrock's function in n dimensions; its Hessian has three diagonals."""

NAME = "Rosenbrock"
SIZES = (10, 100, 2000)


def make(size, rng):
    return (1 + 0.002 * rng.normal(size=size),)  # near the minimum: positive definite at all sizes


def loss(np, x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
