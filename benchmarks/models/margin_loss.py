"""``sum(log1p(exp(-y z)))``: elementwise, up to four million margins."""

NAME = "margin loss"
SIZES = (10, 1000, 100_000, 4_000_000)
NEWTON = False  # the Hessian is a diagonal
HESSIAN_SIZES = (10, 1000)


def make(size, rng):
    return rng.normal(size=size), rng.choice([-1.0, 1.0], size=size)


def loss(np, z, y):
    return np.sum(np.log1p(np.exp(-y * z)))
