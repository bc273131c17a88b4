"""Softmax regression by the weights of ten classes; labels are rows of an identity matrix."""

NAME = "softmax regression"
SIZES = (10, 50, 200)
CLASSES = 10


def make(size, rng):
    X = rng.normal(size=(5 * size, size)) / size**0.5
    return rng.normal(size=(size, CLASSES)), X, rng.multinomial(1, [0.1] * CLASSES, size=5 * size)


def loss(np, W, X, Y):
    scores = X @ W
    likelihood = np.sum(Y * scores) - np.sum(np.log(np.sum(np.exp(scores), axis=1)))
    return 0.5 * np.sum(W**2) - likelihood
