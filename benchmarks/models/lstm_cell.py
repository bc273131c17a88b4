"""One step of an LSTM cell on a batch, by its input weights; half the square of its output."""

NAME = "LSTM cell"
SIZES = (4, 10, 20)
NEWTON = False  # not convex
BATCH = 8


def make(size, rng):
    W, R = (rng.normal(size=(4 * size, size)) / size**0.5 for _ in range(2))
    x, hidden, cell = (rng.normal(size=(BATCH, size)) for _ in range(3))
    return W, R, rng.normal(size=4 * size), x, hidden, cell


def loss(np, W, R, b, x, hidden, cell):
    n = x.shape[1]
    gates = x @ W.T + hidden @ R.T + b
    entry, forget, output = (1 / (1 + np.exp(-gates[:, k * n : k * n + n])) for k in (0, 1, 3))
    cell = forget * cell + entry * np.tanh(gates[:, 2 * n : 3 * n])
    return 0.5 * np.sum((output * np.tanh(cell)) ** 2)
