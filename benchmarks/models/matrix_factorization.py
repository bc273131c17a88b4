"""``|T - U V'|^2`` by ``U`` of rank five: the Hessian is ``2 δ[i,k] (V'V)[j,l]``."""

NAME = "matrix factorization"
SIZES = (10, 100, 200)
RANK = 5


def make(size, rng):
    U, V = rng.normal(size=(size, RANK)), rng.normal(size=(size, RANK))
    return U, V, rng.normal(size=(size, size))


def loss(np, U, V, T):
    return np.sum((T - U @ V.T) ** 2)
