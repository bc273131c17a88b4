"""Logistic regression with labels of ``+1`` and ``-1``."""

import numpy

from .problem import Problem, generator


def standardised(features):
    """Columns of mean zero and deviation one; constant columns stay zero."""
    centred = features - features.mean(axis=0)
    deviation = centred.std(axis=0)
    return centred / numpy.where(deviation == 0, 1, deviation)


class LogisticRegression(Problem):
    """The data: benign and malignant tumours, thirty features."""

    name = "logistic regression"
    variables = "w: n, X: m n, y: m"
    source = "breast cancer"
    targets = {1000: 2.4}

    def function(self, np):
        return lambda w, X, y: np.sum(np.log(1 + np.exp(-y * (X @ w))))

    def make(self, size, dtype):
        rng = generator(size)
        X = rng.normal(size=(2 * size, size))
        return 0.1 * rng.normal(size=size), X, rng.choice([-1.0, 1.0], size=2 * size)

    def data(self, dtype):
        from sklearn.datasets import load_breast_cancer

        features, target = load_breast_cancer(return_X_y=True)
        X = standardised(features)
        return 0.1 * generator(1).normal(size=X.shape[1]), X, 2.0 * target - 1

    def by_hand(self, w, X, y):
        s = 1 / (1 + numpy.exp(y * (X @ w)))
        return X.T @ ((s * (1 - s) * y * y)[:, None] * X)
