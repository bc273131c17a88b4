"""Derivatives that must come out as one formula: the very node, of the very size.

Each case names what is differentiated and writes the result by hand; ``nodes`` pins its length.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import expit, xlogy

import tensorcalc as tc
from tensorcalc.applications import apply
from tensorcalc.nodes import Node
from tensorcalc.products import kronecker

A, B, S, x, mu, q = tc.variables("A: n n, B: n n, S: n n symmetric, x: n, mu: n, q: n")
X, w, y, s = tc.variables("X: m n, w: n, y: m, s: m")
U, V, T, Y = tc.variables("U: m k, V: n k, T: m n, Y: n k")
inv, det = np.linalg.inv, np.linalg.det


def logdet(matrix):
    return np.linalg.slogdet(matrix)[1]


def kron(left, right):
    """``left[i, k] right[j, l]``: the second derivative by a matrix with these blocks."""
    return np.einsum("ik,jl->ijkl", left, right)


def eye(extent):
    return kronecker((extent,))


@dataclass(frozen=True)
class Case:
    name: str
    loss: Node
    variable: Node
    gradient: Node | None
    hessian: Node | None
    #: Number of nodes of the gradient and of the Hessian.
    nodes: tuple[int, int]

    def __str__(self):
        return self.name


z = X @ w
sigma, complement = apply("expit", z), apply("expit", -z)
yz = np.einsum("i,ij,j->i", y, X, w)
signed = apply("expit", -yz)
LOGISTIC = (
    X.T @ (sigma - y),
    np.einsum("ij,i,i,ik->jk", X, sigma, complement, X),
)
SIGNED_LOGISTIC = (
    -X.T @ (y * signed),
    np.einsum("ij,i,i,i,i,ik->jk", X, y, y, signed, apply("expit", yz), X),
)
p = apply("softmax", x)
SOFTMAX_HESSIAN = np.diag(p) - np.outer(p, p)
residual = T - U @ V.T
d = x - mu
u = inv(S) @ d

SIGNED_LOSSES = {
    "log(1 + exp)": np.sum(np.log(1 + np.exp(-y * z))),
    "log1p(exp)": np.sum(np.log1p(np.exp(-y * z))),
    "logaddexp(0, z)": np.sum(np.logaddexp(0, -y * z)),
    "-log(expit)": -np.sum(np.log(expit(y * z))),
    "-log(1/(1 + exp))": -np.sum(np.log(1 / (1 + np.exp(-y * z)))),
    "log(1 + 1/exp)": np.sum(np.log(1 + 1 / np.exp(y * z))),
}
LOSSES = {
    "softplus(z) - y z": np.sum(np.log(1 + np.exp(z)) - y * z),
    "logaddexp(0, z) - y z": np.sum(np.logaddexp(0, z) - y * z),
    "cross-entropy of expit": -np.sum(y * np.log(expit(z)) + (1 - y) * np.log(1 - expit(z))),
    "cross-entropy of 1/(1 + exp)": -np.sum(
        y * np.log(1 / (1 + np.exp(-z))) + (1 - y) * np.log(1 - 1 / (1 + np.exp(-z)))
    ),
    "cross-entropy by xlogy": -np.sum(xlogy(y, expit(z)) + xlogy(1 - y, expit(-z))),
}
FACTORIZATIONS = {
    "sum of squares": np.sum(residual**2),
    "squared norm": np.linalg.norm(residual) ** 2,
    "trace": np.trace(residual @ residual.T),
}
LOGSUMEXPS = {
    "log(sum(exp))": np.log(np.sum(np.exp(x))),
    "shifted by its maximum": np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x),
}
CROSS_ENTROPIES = {
    "q (x - log(sum(exp)))": -np.sum(q * (x - np.log(np.sum(np.exp(x))))),
    "q log(exp/sum(exp))": -np.sum(q * np.log(np.exp(x) / np.sum(np.exp(x)))),
}
LEAST_SQUARES = {
    "sum of squares": np.sum((X @ w - y) ** 2),
    "squared norm": np.linalg.norm(X @ w - y) ** 2,
    "inner product": (X @ w - y) @ (X @ w - y),
    "multiplied out": w @ X.T @ X @ w - 2 * y @ X @ w + y @ y,
}

CASES = [
    Case("x'Ax", x @ A @ x, x, (A + A.T) @ x, A + A.T, (5, 3)),
    Case("x'Ax, A symmetric", x @ S @ x, x, 2 * S @ x, 2 * S, (4, 3)),
    *(
        Case(f"logistic regression: {name}", loss, w, *SIGNED_LOGISTIC, (7, 9))
        for name, loss in SIGNED_LOSSES.items()
    ),
    *(
        Case(f"logistic regression: {name}", loss, w, *LOGISTIC, (9, 8))
        for name, loss in LOSSES.items()
    ),
    *(
        Case(
            f"matrix factorization: {name}",
            loss,
            U,
            -2 * residual @ V,
            2 * kron(eye(U.shape[0]), V.T @ V),
            (9, 4),
        )
        for name, loss in FACTORIZATIONS.items()
    ),
    *(
        Case(f"logsumexp: {name}", loss, x, p, SOFTMAX_HESSIAN, (2, 7))
        for name, loss in LOGSUMEXPS.items()
    ),
    *(
        Case(
            f"softmax cross-entropy: {name}",
            loss,
            x,
            np.sum(q) * p - q,
            np.sum(q) * SOFTMAX_HESSIAN,
            (8, 10),
        )
        for name, loss in CROSS_ENTROPIES.items()
    ),
    Case(
        "softmax cross-entropy: logsumexp - q'x",
        np.log(np.sum(np.exp(x))) - q @ x,
        x,
        p - q,
        SOFTMAX_HESSIAN,
        (6, 7),
    ),
    Case("logdet(A)", logdet(A), A, inv(A).T, -np.einsum("li,jk->ijkl", inv(A), inv(A)), (3, 4)),
    Case("log(det(A))", np.log(det(A)), A, inv(A).T, None, (3, 0)),
    Case(
        "det(A)",
        det(A),
        A,
        det(A) * inv(A).T,
        det(A)
        * (np.einsum("ji,lk->ijkl", inv(A), inv(A)) - np.einsum("li,jk->ijkl", inv(A), inv(A))),
        (4, 8),
    ),
    Case(
        "tr(inv(A) B)",
        np.trace(inv(A) @ B),
        A,
        -(inv(A) @ B @ inv(A)).T,
        np.einsum("li,ja,ab,bk->ijkl", inv(A), inv(A), B, inv(A))
        + np.einsum("la,ab,bi,jk->ijkl", inv(A), B, inv(A), inv(A)),
        (5, 6),
    ),
    *(
        Case(f"least squares: {name}", loss, w, 2 * X.T @ (X @ w - y), 2 * X.T @ X, (9, 3))
        for name, loss in LEAST_SQUARES.items()
    ),
    Case(
        "weighted least squares",
        np.sum(s * (X @ w - y) ** 2),
        w,
        2 * X.T @ (s * (X @ w - y)),
        2 * X.T @ np.diag(s) @ X,
        (10, 4),
    ),
    Case(
        "tr(X'AX)",
        np.trace(Y.T @ A @ Y),
        Y,
        (A + A.T) @ Y,
        kron(A + A.T, eye(Y.shape[1])),
        (5, 5),
    ),
    Case("Mahalanobis distance", d @ inv(S) @ d, x, 2 * inv(S) @ d, 2 * inv(S), (9, 4)),
    Case(
        "Gaussian log-density by its mean",
        -0.5 * d @ inv(S) @ d - 0.5 * logdet(S),
        mu,
        inv(S) @ d,
        -inv(S),
        (8, 4),
    ),
    Case(
        "Gaussian log-density by solve",
        -0.5 * d @ np.linalg.solve(S, d) - 0.5 * logdet(S),
        mu,
        inv(S) @ d,
        -inv(S),
        (8, 4),
    ),
    Case(
        "Gaussian log-density by its covariance",
        -0.5 * d @ inv(S) @ d - 0.5 * logdet(S),
        S,
        0.5 * (np.outer(u, u) - inv(S)),
        None,
        (13, 0),
    ),
    Case(
        "Poisson regression",
        np.sum(np.exp(z) - y * z),
        w,
        X.T @ (np.exp(z) - y),
        np.einsum("ij,i,ik->jk", X, np.exp(z), X),
        (9, 5),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_the_formula(case):
    found = tc.gradient(case.loss, case.variable)
    assert found is tc.simplify(case.gradient), f"{found}\nexpected {tc.simplify(case.gradient)}"
    assert tc.node_count(found) == case.nodes[0]


@pytest.mark.parametrize("case", [case for case in CASES if case.hessian is not None], ids=str)
def test_hessian_is_the_formula(case):
    found = tc.hessian(case.loss, case.variable)
    assert found is tc.simplify(case.hessian), f"{found}\nexpected {tc.simplify(case.hessian)}"
    assert tc.node_count(found) == case.nodes[1]


@pytest.mark.parametrize("case", [case for case in CASES if case.hessian is not None], ids=str)
def test_symmetric_hessian_is_known_to_be_symmetric(case):
    """Transposing a Hessian gives the same node."""
    found = tc.hessian(case.loss, case.variable)
    half = found.ndim // 2
    swapped = np.transpose(found, [*range(half, found.ndim), *range(half)])
    assert tc.simplify(swapped) is found


def test_hessian_of_quadratic_form_does_not_read_x():
    assert [v.name for v in tc.free_variables(tc.hessian(x @ A @ x, x))] == ["A"]


def test_second_derivative_of_logdet_has_two_inverses():
    found = tc.hessian(logdet(A), A)
    assert sum(operand is inv(A) for operand in found.operands) == 2
