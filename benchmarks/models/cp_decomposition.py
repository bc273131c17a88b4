"""``|T - [[A, B, C]]|^2`` by ``A`` of rank four: the Hessian is ``2 δ (B'B * C'C)``."""

NAME = "CP decomposition"
SIZES = (10, 50, 100)
HESSIAN_SIZES = (10, 50)
RANK = 4


def make(size, rng):
    factors = [rng.normal(size=(size, RANK)) for _ in range(3)]
    return *factors, rng.normal(size=(size, size, size))


def loss(np, A, B, C, T):
    return np.sum((T - np.einsum("ir,jr,kr->ijk", A, B, C)) ** 2)
