"""The energy of charges in space, softened: ``sum_ij q_i q_j / sqrt(|x_i - x_j|^2 + 1) / 2``."""

NAME = "pair potential"
SIZES = (10, 100, 500)
NEWTON = False  # not convex


def make(size, rng):
    return rng.normal(size=(size, 3)), rng.normal(size=size)


def loss(np, x, charges):
    squares = np.sum((x[:, None, :] - x) ** 2, axis=2) + 1
    return 0.5 * np.sum(charges[:, None] * charges / np.sqrt(squares))
