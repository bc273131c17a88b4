"""Ten layers of ReLU and a softmax cross-entropy, by the weights of the first layer.

Source: Laue, Mitterreiter, Giesen, *A Simple and Efficient Tensor Calculus* (AAAI 2020), section
Experiments.
"""

NAME = "ten-layer network"
SIZES = (10, 20, 40)
NEWTON = False  # singular: the loss is piecewise smooth
LAYERS = 10


def make(size, rng):
    weights = [rng.normal(size=(size, size)) * (2 / size) ** 0.5 for _ in range(LAYERS)]
    label = rng.multinomial(1, [1 / size] * size)
    return weights[0], rng.normal(size=size), label, *weights[1:]


def loss(np, first, x, label, *weights):
    for W in (first, *weights[:-1]):
        x = np.maximum(W @ x, 0.0)
    x = weights[-1] @ x
    return np.log(np.sum(np.exp(x))) - np.sum(label * x)
