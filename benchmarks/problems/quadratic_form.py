"""``x'Ax``: the Hessian is ``A + A'`` and does not read ``x``."""

from .problem import Problem, generator


class QuadraticForm(Problem):
    """The data: ``A`` is the second moment of the digits' pixels, ``x`` their mean."""

    name = "quadratic form"
    variables = "x: n, A: n n"
    source = "digits, pixels"
    targets = {1000: 20}

    def function(self, np):
        return lambda x, A: x @ A @ x

    def make(self, size, dtype):
        rng = generator(size)
        return rng.normal(size=size), rng.normal(size=(size, size))

    def data(self, dtype):
        from sklearn.datasets import load_digits

        pixels = load_digits().data / 16
        return pixels.mean(axis=0), pixels.T @ pixels / len(pixels)

    def by_hand(self, x, A):
        return A + A.T
