"""Rosenbrock's function in n dimensions; its Hessian has three diagonals."""

NAME = "Rosenbrock"
SIZES = (10, 100, 2000)


def make(size, rng):
    return (0.1 * rng.normal(size=size) - 1,)  # where the Hessian is surely positive definite


def loss(np, x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
