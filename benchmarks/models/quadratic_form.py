"""``x'Ax`` with a matrix that is not symmetric: the Hessian is ``A + A'``."""

NAME = "quadratic form"
SIZES = (10, 100, 1000, 4000)
NEWTON = False  # indefinite


def make(size, rng):
    return rng.normal(size=size), rng.normal(size=(size, size))


def loss(np, x, A):
    return x @ A @ x
