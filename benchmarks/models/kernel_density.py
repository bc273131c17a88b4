"""Log-density of a Gaussian kernel estimate, summed over the points where it is wanted."""

NAME = "kernel density"
SIZES = (10, 100, 1000)
NEWTON = False  # not concave
DIMENSIONS = 2


def make(size, rng):
    return rng.normal(size=(size, DIMENSIONS)), rng.normal(size=(size, DIMENSIONS))


def loss(np, points, centres):
    squares = np.sum((points[:, None, :] - centres) ** 2, axis=2)
    return np.sum(np.log(np.sum(np.exp(-0.5 * squares), axis=1)))
