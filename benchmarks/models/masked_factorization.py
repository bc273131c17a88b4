"""Matrix factorization where half of the entries are known: one block of the Hessian per row."""

NAME = "masked factorization"
SIZES = (10, 100, 200)
RANK = 5


def make(size, rng):
    U, V = rng.normal(size=(size, RANK)), rng.normal(size=(size, RANK))
    return U, V, rng.normal(size=(size, size)), rng.random((size, size)) < 0.5


def loss(np, U, V, T, M):
    return np.sum(M * (T - U @ V.T) ** 2) + 0.1 * np.sum(U**2)
