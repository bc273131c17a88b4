"""Losses, likelihoods and models of machine learning and statistics."""

from .example import Example


def expit(np, z):
    return np.special.expit(z)


def softmax(np, z):
    weights = np.exp(z)
    return weights / np.sum(weights, axis=-1, keepdims=True)


def log_softmax(np, z):
    return z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))


def squared_distances(np, X, Z):
    return np.sum((X[:, None, :] - Z[None, :, :]) ** 2, axis=-1)


def gaussian_kernel(np, X, Z):
    return np.exp(-0.5 * squared_distances(np, X, Z))


def cross_entropy(np, W, X, Y):
    return -np.sum(Y * log_softmax(np, X @ W))


def gaussian_process(np, theta, D, y):
    K = theta[0] * np.exp(-theta[1] * D) + theta[2] * np.eye(D.shape[0])
    return 0.5 * y @ np.linalg.solve(K, y) + 0.5 * np.linalg.slogdet(K)[1]


def attention(np, Q, K, V):
    return softmax(np, Q @ K.T) @ V


REGRESSION = [
    Example(
        "least squares", "w: n, X: m n, y: m", lambda np, w, X, y: np.sum((X @ w - y) ** 2),
        "norm2(X*w - y)^2", "2*X'*(X*w - y)", "2*X'*X",
    ),
    Example(
        "least squares by norm", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.linalg.norm(X @ w - y) ** 2, "norm2(X*w - y)^2",
        "2*X'*(X*w - y)", "2*X'*X",
    ),
    Example(
        "mean squared error", "w: n, X: m n, y: m", lambda np, w, X, y: np.mean((X @ w - y) ** 2),
    ),
    Example(
        "ridge regression", "w: n, X: m n, y: m, c",
        lambda np, w, X, y, c: np.sum((X @ w - y) ** 2) + c * (w @ w),
        "norm2(X*w - y)^2 + c*w'*w", domain={"c": "positive"},
    ),
    Example(
        "weighted least squares", "w: n, X: m n, y: m, s: m",
        lambda np, w, X, y, s: np.sum(s * (X @ w - y) ** 2), "sum(s.*(X*w - y).^2)",
        "2*X'*(s.*(X*w - y))", "2*X'*diag(s)*X",
    ),
    Example(
        "multivariate least squares", "W: n k, X: m n, Y: m k",
        lambda np, W, X, Y: np.sum((X @ W - Y) ** 2), "norm2(X*W - Y)^2", "2*X'*(X*W - Y)",
    ),
    Example(
        "logistic regression", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(np.log(1 + np.exp(-y * (X @ w)))),
        "sum(log(vector(1) + exp(-y.*(X*w))))", domain={"y": "signs"},
    ),
    Example(
        "logistic regression by log1p", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(np.log1p(np.exp(-y * (X @ w)))), domain={"y": "signs"},
    ),
    Example(
        "logistic regression by logaddexp", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(np.logaddexp(0, -y * (X @ w))), domain={"y": "signs"},
    ),
    Example(
        "logistic regression by log of expit", "w: n, X: m n, y: m",
        lambda np, w, X, y: -np.sum(np.log(expit(np, y * (X @ w)))), domain={"y": "signs"},
    ),
    Example(
        "binary cross-entropy", "w: n, X: m n, y: m",
        lambda np, w, X, y: -np.sum(
            y * np.log(expit(np, X @ w)) + (1 - y) * np.log(1 - expit(np, X @ w))
        ),
        domain={"y": "zero or one"},
    ),
    Example(
        "binary cross-entropy from logits", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(np.logaddexp(0, X @ w) - y * (X @ w)),
        domain={"y": "zero or one"},
    ),
    Example(
        "Poisson regression", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(np.exp(X @ w) - y * (X @ w)), "sum(exp(X*w) - y.*(X*w))",
        "X'*(exp(X*w) - y)", "X'*diag(exp(X*w))*X", domain={"y": "counts", "X": "small"},
    ),
    Example(
        "gamma regression", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(y * np.exp(-(X @ w)) + X @ w), domain={"y": "positive"},
    ),
    Example(
        "probit regression", "w: n, X: m n, y: m",
        lambda np, w, X, y: -np.sum(np.special.log_ndtr(y * (X @ w))),
        domain={"y": "signs", "X": "small"},
    ),
    Example(
        "negative binomial regression", "w: n, X: m n, y: m, r",
        lambda np, w, X, y, r: np.sum((y + r) * np.log(r + np.exp(X @ w)) - y * (X @ w)),
        domain={"y": "counts", "r": "positive"},
    ),
    Example(
        "Huber loss", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(
            np.where(np.abs(X @ w - y) < 1, 0.5 * (X @ w - y) ** 2, np.abs(X @ w - y) - 0.5)
        ),
        order=2,
    ),
    Example(
        "squared hinge loss", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(np.maximum(0, 1 - y * (X @ w)) ** 2), domain={"y": "signs"},
        order=2,
    ),
    Example(
        "log-cosh loss", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(np.log(np.cosh(X @ w - y))),
    ),
    Example(
        "Cauchy loss", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(np.log1p((X @ w - y) ** 2)),
        "sum(log(vector(1) + (X*w - y).^2))",
    ),
    Example(
        "quantile loss", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum(np.maximum(0.3 * (y - X @ w), -0.7 * (y - X @ w))), order=1,
    ),
    Example(
        "elastic net", "w: n, X: m n, y: m",
        lambda np, w, X, y: np.sum((X @ w - y) ** 2) + np.sum(np.abs(w)) + w @ w,
        "norm2(X*w - y)^2 + norm1(w) + norm2(w)^2",
    ),
    Example(
        "Cox partial likelihood without ties", "w: n, X: m n",
        lambda np, w, X: np.sum(np.log(np.cumsum(np.exp(X @ w))) - X @ w),
    ),
]

CLASSIFICATION = [
    Example(
        "softmax regression", "W: n k, X: m n, Y: m k", cross_entropy,
        domain={"Y": "distribution"}, order=2,
    ),
    Example(
        "softmax cross-entropy of logits", "z: k, y: k",
        lambda np, z, y: -np.sum(y * log_softmax(np, z)), domain={"y": "distribution"},
    ),
    Example(
        "cross-entropy of picked labels", "Z: m 2, labels: m integer",
        lambda np, Z, labels: -np.sum(log_softmax(np, Z) * (labels[:, None] == np.arange(2))),
        domain={"labels": "labels"}, order=2,
    ),
    Example("softmax", "z: n", softmax, order=2),
    Example("log-softmax", "z: n", log_softmax, order=2),
    Example("softmax of rows", "Z: m n", softmax, order=2),
    Example(
        "logsumexp", "x: n", lambda np, x: np.log(np.sum(np.exp(x))), "log(sum(exp(x)))",
    ),
    Example(
        "logsumexp of rows", "X: m n", lambda np, X: np.sum(np.log(np.sum(np.exp(X), axis=1))),
    ),
    Example(
        "logsumexp of A x", "x: n, A: m n", lambda np, x, A: np.log(np.sum(np.exp(A @ x))),
        "log(sum(exp(A*x)))",
    ),
    Example(
        "entropy of a softmax", "z: n",
        lambda np, z: -np.sum(softmax(np, z) * log_softmax(np, z)),
    ),
    Example(
        "Kullback-Leibler divergence", "p: n, q: n", lambda np, p, q: np.sum(p * np.log(p / q)),
        "sum(p.*log(p./q))", domain={"p": "positive", "q": "positive"},
    ),
    Example(
        "focal loss", "w: n, X: m n",
        lambda np, w, X: -np.sum((1 - expit(np, X @ w)) ** 2 * np.log(expit(np, X @ w))),
    ),
]

DENSITIES = [
    Example(
        "Mahalanobis distance", "x: n, mu: n, S: n n symmetric",
        lambda np, x, mu, S: (x - mu) @ np.linalg.inv(S) @ (x - mu),
        "(x - mu)'*inv(S)*(x - mu)", "2*inv(S)*(x - mu)", "2*inv(S)", domain={"S": "spd"},
    ),
    Example(
        "Gaussian log-density by its covariance", "S: n n, x: n",
        lambda np, S, x: -0.5 * x @ np.linalg.inv(S) @ x - 0.5 * np.linalg.slogdet(S)[1],
        "-1/2*x'*inv(S)*x - 1/2*logdet(S)", domain={"S": "spd"}, order=2,
    ),
    Example(
        "Gaussian log-density by its precision", "P: n n symmetric, x: n",
        lambda np, P, x: -0.5 * x @ P @ x + 0.5 * np.linalg.slogdet(P)[1],
        "1/2*logdet(P) - 1/2*x'*P*x", "1/2*(inv(P) - x*x')", domain={"P": "spd"}, order=2,
    ),
    Example(
        "Gaussian likelihood of a sample", "S: n n, X: m n",
        lambda np, S, X: np.trace(np.linalg.inv(S) @ X.T @ X) + np.linalg.slogdet(S)[1],
        domain={"S": "spd"}, order=2,
    ),
    Example(
        "low-rank plus diagonal Gaussian", "U: n k, d: n, x: n",
        lambda np, U, d, x: x @ np.linalg.solve(U @ U.T + np.diag(d), x)
        + np.linalg.slogdet(U @ U.T + np.diag(d))[1],
        domain={"d": "positive"}, order=2,
    ),
    Example(
        "Gaussian process likelihood", "theta: 3, D: 4 4 symmetric, y: 4", gaussian_process,
        domain={"theta": "positive", "D": "unit symmetric"}, order=2,
    ),
    Example(
        "Gaussian process likelihood by Cholesky", "s, D: 4 4 symmetric, y: 4",
        lambda np, s, D, y: 0.5 * np.sum(
            np.linalg.solve(np.linalg.cholesky(D + s * np.eye(4)), y) ** 2
        ) + np.sum(np.log(np.diagonal(np.linalg.cholesky(D + s * np.eye(4))))),
        domain={"D": "spd", "s": "positive"}, order=2,
    ),
    Example(
        "Gaussian mixture", "mu: k n, X: m n",
        lambda np, mu, X: -np.sum(
            np.log(np.sum(np.exp(-0.5 * squared_distances(np, X, mu)), axis=1))
        ),
        order=2,
    ),
    Example(
        "Student log-density", "x: n, nu",
        lambda np, x, nu: np.special.gammaln((nu + 1) / 2) - np.special.gammaln(nu / 2)
        - 0.5 * np.log(nu) - (nu + 1) / 2 * np.sum(np.log1p(x**2 / nu)),
        domain={"nu": "above one"},
    ),
    Example(
        "gamma log-density by its shape", "a, x: n",
        lambda np, a, x: np.sum((a - 1) * np.log(x) - x) - 3 * np.special.gammaln(a),
        domain={"a": "positive", "x": "positive"},
    ),
]

MODELS = [
    Example(
        "matrix factorization", "U: m k, V: n k, T: m n",
        lambda np, U, V, T: np.sum((T - U @ V.T) ** 2), "norm2(T - U*V')^2",
        "-2*(T - U*V')*V",
    ),
    Example(
        "masked matrix factorization", "U: m k, V: n k, T: m n, M: m n",
        lambda np, U, V, T, M: np.sum(M * (T - U @ V.T) ** 2), domain={"M": "zero or one"},
    ),
    Example(
        "nonnegative factorization, Kullback-Leibler", "U: m k, V: n k, T: m n",
        lambda np, U, V, T: np.sum(U @ V.T - T * np.log(U @ V.T)),
        domain={"U": "positive", "V": "positive", "T": "positive"}, order=2,
    ),
    Example(
        "tensor decomposition", "A: m r, B: n r, C: k r, T: m n k",
        lambda np, A, B, C, T: np.sum((T - np.einsum("ir,jr,kr->ijk", A, B, C)) ** 2), order=2,
    ),
    Example("attention by queries", "Q: m k, K: n k, V: n k", attention, order=2),
    Example(
        "attention by keys", "K: n k, Q: m k, V: n k",
        lambda np, K, Q, V: np.sum(attention(np, Q, K, V) ** 2), order=2,
    ),
    Example(
        "two-layer network", "W: n k, X: m n, v: k, y: m",
        lambda np, W, X, v, y: np.sum((np.tanh(X @ W) @ v - y) ** 2), "norm2(tanh(X*W)*v - y)^2",
        order=2,
    ),
    Example(
        "two-layer ReLU network", "W: n k, X: m n, v: k, y: m",
        lambda np, W, X, v, y: np.sum((np.maximum(X @ W, 0) @ v - y) ** 2),
        "norm2(relu(X*W)*v - y)^2", order=2,
    ),
    Example(
        "deep tanh chain", "x: n, W: n n",
        lambda np, x, W: np.sum(np.tanh(W @ np.tanh(W @ np.tanh(W @ x)))), order=2,
    ),
    Example(
        "kernel density", "x: n, X: m n",
        lambda np, x, X: -np.log(np.sum(np.exp(-0.5 * np.sum((x - X) ** 2, axis=1)))),
        order=2,
    ),
    Example(
        "all-pairs potential", "X: m n",
        lambda np, X: np.sum(1 / (1 + squared_distances(np, X, X))), order=2,
    ),
    Example(
        "kernel matrix", "X: m n, Z: k n", gaussian_kernel, order=2,
    ),
    Example(
        "LSTM gate", "w: n, u: n, x: n, h: n",
        lambda np, w, u, x, h: np.sum(
            expit(np, w * x + u * h) * np.tanh(w * h) + (1 - expit(np, w * x)) * h
        ),
        order=2,
    ),
    Example(
        "layer normalisation", "x: n, g: n, s: n",
        lambda np, x, g, s: g * (x - np.mean(x)) / np.sqrt(np.var(x) + 1e-5) + s, order=2,
    ),
    Example(
        "factorization machine", "V: n k, x: n",
        lambda np, V, x: 0.5 * np.sum((x @ V) ** 2 - (x**2) @ (V**2)),
    ),
    Example(
        "word embedding", "E: n k, v: k, labels: m integer",
        lambda np, E, v, labels: np.sum(expit(np, E[labels] @ v)), domain={"labels": "labels"},
    ),
]

LEARNING = [*REGRESSION, *CLASSIFICATION, *DENSITIES, *MODELS]
