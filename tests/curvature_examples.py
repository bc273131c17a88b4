"""Losses with the curvature that is certified, and losses that must stay unknown."""

import numpy as np

import tensorcalc as tc
from tensorcalc.applications import apply

DECLARED = (
    "X: m n, w: n, y: m, A: n n symmetric, S: n n psd, Q: n n, a: n, p: n positive, "
    "q: n nonnegative, r: m positive, W: n k, Y: m k, c: positive, s, t, U: m k, V: n k, "
    "M: m n nonnegative, T: m n, P: n n psd, u: n in [-1, 1], h: n in (0, 1), "
    "z: n+2, e: m n boolean"
)
NAMES = {v.name: v for v in tc.notation.declared_variables(DECLARED)}
X, w, y, A, S, Q, a, p, q, r, W, Y, c, s, t, U, V, M, T, P, u, h, z, e = NAMES.values()
SIZES = {"m": 4, "n": 3, "k": 2}


def logsumexp(x):
    return apply("logsumexp", x)


def softplus(x):
    return apply("softplus", x)


def relu(x):
    return np.maximum(x, 0)


def norm(x):
    return np.linalg.norm(x)


def huber(r, t):
    return np.sum(np.where(np.abs(r) < t, r**2 / 2, t * np.abs(r) - t**2 / 2))


def expectile(r, tau):
    return np.sum(np.where(r < 0, (1 - tau) * r**2, tau * r**2))


def elu(x, alpha):
    return np.sum(np.where(x > 0, x, alpha * (np.exp(x) - 1)))


RISK = tc.variables("R: m m nonnegative")
#: Four positive numbers: a geometric mean needs their count.
FOUR = tc.variables("four: 4 positive")

#: loss, variable, what it is certified to be
CERTIFIED = {
    # two pieces that meet
    "expectiles": (expectile(X @ w - y, 0.2), w, "convex"),
    "expectiles of the residual turned": (expectile(y - X @ w, 0.7), w, "convex"),
    "quantiles": (np.sum(np.where(w - a < 0, -0.2 * (w - a), 0.8 * (w - a))), w, "convex"),
    "leaky relu": (np.sum(np.where(w > 0, w, 0.1 * w)), w, "convex"),
    "leak above one": (np.sum(np.where(w > 0, w, 3 * w)), w, "concave"),
    "elu": (elu(w, 1.0), w, "convex"),
    "elu of an affine argument": (elu(X @ w - y, 0.5), w, "convex"),
    "elu by expm1": (np.sum(np.where(w <= 0, np.expm1(w), w)), w, "convex"),
    "huber of one side": (np.sum(np.where(w < 1, w**2 / 2, w - 0.5)), w, "convex"),
    "line before a parabola": (np.sum(np.where(w > 0, w - w**2, w)), w, "concave"),
    "line after a square": (np.sum(np.where(w < 2, w**2, 5 * w - 6)), w, "convex"),
    # norms of any order
    "norm of order three": (np.sum(np.abs(w) ** 3) ** (1 / 3), w, "convex"),
    "norm of order three halves": (np.sum(np.abs(X @ w - y) ** 1.5) ** (2 / 3), w, "convex"),
    "norm of order four": (np.sum(w**4) ** 0.25, w, "convex"),
    "norm of order 2.5 by name": (np.linalg.norm(w, 2.5), w, "convex"),
    "norm of hinges": (np.sum(relu(w) ** 3) ** (1 / 3), w, "convex"),
    "weighted norm": (np.sum(q * np.abs(w) ** 3) ** (1 / 3), w, "convex"),
    "norm of order four squared": (np.sum(w**4) ** 0.5, w, "convex"),
    "cube of the euclidean norm": (np.sum(w**2) ** 1.5, w, "convex"),
    # powers of the variable
    "power of itself": (np.sum(p**p), p, "strictly convex"),
    "geometric mean of four": (np.prod(FOUR) ** 0.25, FOUR, "concave"),
    "root below the geometric mean": (-(np.prod(FOUR) ** 0.1), FOUR, "convex"),
    # affine
    "linear": (a @ w, w, "affine"),
    "bilinear in one": (y @ X @ w, w, "affine"),
    "trace": (np.sum(Q * S), S, "affine"),
    "constant": (a @ a, w, "affine"),
    "sum of a matrix product": (np.sum(U @ V.T), U, "affine"),
    # quadratics
    "square": (w @ w, w, "strictly convex"),
    "negative square": (-(w @ w), w, "strictly concave"),
    "gram": (w @ (X.T @ X) @ w, w, "convex"),
    "psd form": (w @ S @ w, w, "convex"),
    "psd plus ridge": (w @ S @ w + 0.1 * (w @ w), w, "strictly convex"),
    "least squares": (np.sum((X @ w - y) ** 2), w, "convex"),
    "ridge": (np.sum((X @ w - y) ** 2) + c * (w @ w), w, "strictly convex"),
    "weighted least squares": (np.sum(r * (X @ w - y) ** 2), w, "convex"),
    "factorization in one factor": (np.sum((T - U @ V.T) ** 2), U, "convex"),
    "masked factorization": (np.sum(e * (T - U @ V.T) ** 2), U, "convex"),
    "differences": (np.sum((w[1:] - w[:-1]) ** 2), w, "convex"),
    "second differences": (np.sum((z[2:] - 2 * z[1:-1] + z[:-2]) ** 2), z, "convex"),
    "whitened": (
        (X @ w - y) @ (X @ w - y) + (w - a) @ np.linalg.inv(S) @ (w - a),
        w,
        "strictly convex",
    ),
    "quadratic of a matrix": (np.einsum("ik,ij,jk->", W, S, W), W, "convex"),
    # elementwise
    "logistic": (np.sum(np.log(1 + np.exp(-y * (X @ w)))), w, "convex"),
    "logistic with ridge": (np.sum(softplus(-y * (X @ w))) + c / 2 * (w @ w), w, "strictly convex"),
    "poisson": (np.sum(np.exp(X @ w) - y * (X @ w)), w, "convex"),
    "exponential": (np.sum(np.exp(w)), w, "strictly convex"),
    "quartic": (np.sum(w**4), w, "convex"),
    "cosh": (np.sum(np.cosh(X @ w)), w, "convex"),
    "pseudo huber": (np.sum(np.sqrt(1 + w**2)), w, "strictly convex"),
    "entropy": (np.sum(w * np.log(w)), w, "strictly convex"),
    "entropy row": (np.sum(apply("entr", w)), w, "strictly concave"),
    "barrier": (-np.sum(np.log(y - X @ w)), w, "convex"),
    "logarithm": (np.sum(np.log(w)), w, "strictly concave"),
    "roots": (np.sum(np.sqrt(q)), q, "strictly concave"),
    "reciprocals": (np.sum(1 / p), p, "strictly convex"),
    "cubes above zero": (np.sum(q**3), q, "convex"),
    "log of sigmoid": (np.sum(np.log(apply("expit", X @ w))), w, "concave"),
    "power 1.5": (np.sum(q**1.5), q, "strictly convex"),
    "log cosh": (np.sum(np.log(np.cosh(w))), w, "strictly convex"),
    "sine where it is concave": (np.sum(-(h**2) + h), h, "strictly concave"),
    "gamma deviance": (np.sum(r * np.exp(-(X @ w)) + X @ w), w, "convex"),
    "probit": (-np.sum(apply("log_ndtr", X @ w)), w, "convex"),
    "linear over exponential": (a @ w + np.exp(-s) * (w @ w), w, "strictly convex"),
    # softmax and norms, smooth
    "logsumexp": (logsumexp(w), w, "convex"),
    "logsumexp of scores": (logsumexp(X @ w), w, "convex"),
    "softmax regression": (np.sum(logsumexp(X @ W)) - np.sum(Y * (X @ W)), W, "convex"),
    "softmax regression with ridge": (
        np.sum(logsumexp(X @ W)) + 0.1 * np.sum(W * W),
        W,
        "strictly convex",
    ),
    "log of a sum of exponentials": (np.log(r @ np.exp(X @ w)), w, "convex"),
    "posynomial in logarithms": (np.log(np.sum(np.exp(X @ w)) + 1), w, "convex"),
    "logsumexp of rows": (np.sum(logsumexp(T)), T, "convex"),
    "length": (np.sqrt(1 + w @ w), w, "strictly convex"),
    "length of residuals": (np.sqrt(c + np.sum((X @ w - y) ** 2)), w, "convex"),
    "norm": (norm(X @ w - y), w, "convex"),
    # matrices
    "logdet": (-apply("logdet", S), S, "strictly convex"),
    "logdet of a sum": (-apply("logdet", P + S), S, "strictly convex"),
    "trace of the inverse": (np.sum(np.linalg.inv(S) * P), S, "convex"),
    "gaussian precision": (np.sum(S * P) - apply("logdet", S), S, "strictly convex"),
    "experiment design": (-apply("logdet", (X.T * r) @ X + P), r, "convex"),
    "trace of a cube": (np.sum((S @ S) * S), S, "convex"),
    "root of exponentials": (np.sqrt(np.sum(np.exp(w))), w, "strictly convex"),
    "square of a sum and exponential": (
        np.sum(1 - q) ** 2 + np.exp(np.sum(q + q**3)),
        q,
        "convex",
    ),
    # composition
    "lasso": (np.sum((X @ w - y) ** 2) + c * np.sum(np.abs(w)), w, "convex"),
    "elastic net": (
        np.sum((X @ w - y) ** 2) + np.sum(np.abs(w)) + c * (w @ w),
        w,
        "strictly convex",
    ),
    "absolute deviation": (np.sum(np.abs(X @ w - y)), w, "convex"),
    "hinge": (np.sum(relu(1 - y * (X @ w))), w, "convex"),
    "squared hinge": (np.sum(relu(1 - y * (X @ w)) ** 2), w, "convex"),
    "svm": (np.sum(relu(1 - y * (X @ w))) + w @ w, w, "strictly convex"),
    "pinball": (np.sum(np.maximum(0.3 * (y - X @ w), -0.7 * (y - X @ w))), w, "convex"),
    "largest": (np.max(X @ w), w, "convex"),
    "smallest": (np.min(X @ w), w, "concave"),
    "largest square": (np.maximum(w @ w, np.sum(np.abs(w))), w, "convex"),
    "exponential of a norm": (np.exp(norm(w)), w, "convex"),
    "minimum of logarithms": (np.min(np.log(w)), w, "concave"),
    "chosen": (np.sum(np.where(e, T, X * w) ** 2), w, "convex"),
    # wholes whose parts do not bend so
    "huber": (huber(X @ w - y, 1.35), w, "convex"),
    "huber of a parameter": (huber(w - a, c), w, "convex"),
    "huber written from outside": (
        np.sum(np.where(np.abs(w) > c, c * np.abs(w) - c * c / 2, w**2 / 2)),
        w,
        "convex",
    ),
    "reverse huber": (
        np.sum(np.where(np.abs(w) < c, np.abs(w), (w**2 + c**2) / (2 * c))),
        w,
        "convex",
    ),
    "cox partial likelihood": (np.sum(np.log(M @ np.exp(w))) - a @ w, w, "convex"),
    "cox with covariates": (
        np.sum(np.log(np.einsum("ij,j->i", RISK, np.exp(X @ w)))) - y @ (X @ w),
        w,
        "convex",
    ),
    "logsumexp of quadratics": (
        np.log(np.exp(w @ w) + np.exp((w - a) @ (w - a))),
        w,
        "strictly convex",
    ),
    "logsumexp of squares": (np.log(np.sum(np.exp((X @ w) ** 2))), w, "convex"),
    "sum of eigenvalues": (np.sum(np.linalg.eigvalsh(A)), A, "affine"),
    "largest eigenvalue": (np.max(np.linalg.eigvalsh(A + P)), A, "convex"),
    "smallest eigenvalue": (np.min(np.linalg.eigvalsh(A)), A, "concave"),
    "spread of eigenvalues": (
        np.max(np.linalg.eigvalsh(A)) - np.min(np.linalg.eigvalsh(A)),
        A,
        "convex",
    ),
    "norm one": (np.linalg.norm(X @ w - y, 1), w, "convex"),
    "norm infinity": (np.linalg.norm(X @ w - y, np.inf), w, "convex"),
    "nuclear norm": (np.linalg.norm(Q, "nuc"), Q, "convex"),
    "spectral norm": (np.linalg.norm(Q, 2), Q, "convex"),
    "frobenius norm": (np.linalg.norm(Q), Q, "convex"),
    "power 1.5 of sizes": (np.sum(np.abs(w) ** 1.5), w, "convex"),
    "quadratic over linear": ((w @ w) / c, w, "strictly convex"),
    "quadratic over linear below": ((w @ w) / c, c, "convex"),
    "kullback leibler": (np.sum(w * (np.log(w) - np.log(p))), w, "strictly convex"),
    "relative entropy row": (np.sum(apply("rel_entr", p, q)), p, "convex"),
    "geometric mean": (np.exp(np.mean(np.log(p))), p, "concave"),
    "weighted geometric mean": (np.exp(0.25 * np.log(p[0]) + 0.5 * np.log(c)), p, "concave"),
    "matrix fractional": (a @ np.linalg.inv(S) @ a, S, "convex"),
    "matrix fractional in the vector": (a @ np.linalg.inv(S) @ a, a, "strictly convex"),
    "logdet of the inverse": (apply("logdet", np.linalg.inv(S)), S, "strictly convex"),
}

#: losses that are neither, or that no rule covers: never more than "unknown"
UNKNOWN = {
    "elu that bends down at zero": (elu(w, 2.0), w),
    "pieces with a gap": (np.sum(np.where(w > 0, w + 1, 0.1 * w)), w),
    "root after a line": (np.sum(np.where(w > 0, np.sqrt(np.abs(w)), 2 * w)), w),
    "pieces that bend both ways": (np.sum(np.where(w > 0, w - w**2, w + w**2)), w),
    "kink inside of a piece": (np.sum(np.where(w > 0, -np.abs(w - 5) + 5, w)), w),
    "pole inside of a piece": (np.sum(np.where(w > 0, (w - 1) ** -2.0, 1 + 2 * w)), w),
    "norm of order one half": (np.sum(np.abs(w) ** 0.5) ** 2, w),
    "root of a norm": (np.sum(np.abs(w) ** 3) ** 0.2, w),
    "norm of what bends down": (np.sum(np.abs(np.sin(w)) ** 3) ** (1 / 3), w),
    "root above the geometric mean": (np.prod(FOUR) ** 0.5, FOUR),
    "other power of itself": (np.sum(p ** (-p)), p),
    "cube": (np.sum(w**3), w),
    "quartic double well": (np.sum((w**2 - 1) ** 2), w),
    "indefinite form": (w @ A @ w, w),
    "any form": (w @ Q @ w, w),
    "sine": (np.sum(np.sin(w)), w),
    "sigmoid": (np.sum(apply("expit", w)), w),
    "tanh network": (np.sum((y - np.tanh(X @ w)) ** 2), w),
    "reciprocals across the pole": (np.sum(1 / w), w),
    "inverse squares across the pole": (np.sum(w**-2.0), w),
    "bilinear saddle": (z[0] * z[1], z),
    "cauchy loss": (np.sum(np.log(1 + w**2)), w),
    "root of absolute value": (np.sum(np.sqrt(np.abs(w))), w),
    "root of a square root": (np.sum((w**2) ** 0.25), w),
    "difference of squares": (np.sum((X @ w) ** 2) - w @ w, w),
    "signed weights": (np.sum(y * (X @ w) ** 2), w),
    "logdet of any matrix": (-apply("logdet", Q), Q),
    "determinant": (apply("det", Q), Q),
    "gaussian bump": (np.exp(-(w @ w)), w),
    "step": (np.sum(np.sign(w)), w),
    "rounded": (np.sum(np.floor(w)), w),
    "jump": (np.sum(np.where(w > 0, 0.0, 1.0)), w),
    "kink down": (-np.sum(np.abs(w)) + w @ w, w),
    "product of norms": (norm(w) * norm(w - a) * s, w),
    "log of unknown weights": (np.log(y @ np.exp(X @ w)), w),
    "max of concave": (np.maximum(np.log(s), -s * s), s),
    "square of a signed convex": ((w @ w - 1) ** 2, w),
    "outer minus too much diagonal": (w @ w - 2 * np.sum(w) ** 2, w),
    "softmax entry": (apply("softmax", w)[0], w),
    "trace of a cube": (np.sum((A @ A) * A), A),
    "transposition": (np.trace(Q @ Q), Q),
    "transposition with weights": (np.einsum("ij,jk,kl,li->", Q, S, Q, P), Q),
    "min of squares": (np.minimum(w @ w, np.sum((w - a) ** 2)), w),
    "power of an unknown sign": (np.sum(w**1.0 * np.abs(w)), w),
    "gamma across poles": (np.sum(apply("gammaln", w)), w),
    "huber with a jump": (np.sum(np.where(np.abs(w) < 1, w**2, 2 * np.abs(w) - 0.5)), w),
    "huber with a kink down": (np.sum(np.where(np.abs(w) < 1, w**2 / 2, 0.5 * np.abs(w))), w),
    "huber of any sign": (huber(w, t), w),
    "cube inside": (np.sum(np.where(np.abs(w) < 1, w**3, 3 * np.abs(w) - 2)), w),
    "cap": (np.sum(np.where(np.abs(w) < c, w**2 / 2, 0 * w + c**2 / 2)), w),
    "cox with signed weights": (np.sum(np.log(Q @ np.exp(w))), w),
    "squares of eigenvalues less the largest": (
        np.sum(np.linalg.eigvalsh(A) ** 2) - 9 * np.max(np.linalg.eigvalsh(A)),
        A,
    ),
    "second eigenvalue": (np.linalg.eigvalsh(A)[0] * s, A),
    "smallest singular value": (np.min(np.linalg.svd(Q, compute_uv=False)), Q),
    "more than a geometric mean": (np.exp(2 * np.mean(np.log(p))), p),
    "root of a square plus one": (np.sqrt(np.sum(w**4 + w * w)), w),
}
