"""Elementwise functions, reductions, views and contractions, and expressions from calculus."""

from .example import Example

SMOOTH = [
    ("exp", "normal"), ("expm1", "normal"), ("log", "positive"), ("log1p", "positive"),
    ("sqrt", "positive"), ("sin", "normal"), ("cos", "normal"), ("tan", "small"),
    ("arctan", "normal"), ("arcsin", "small"), ("tanh", "normal"), ("sinh", "normal"),
    ("cosh", "normal"), ("arcsinh", "normal"), ("square", "normal"), ("reciprocal", "positive"),
    ("cbrt", "positive"), ("log2", "positive"), ("exp2", "normal"),
]
SPECIAL = [
    ("expit", "normal"), ("erf", "normal"), ("gammaln", "positive"), ("ndtr", "normal"),
    ("xlog1py", "positive"), ("entr", "positive"), ("logit", "unit"),
]


def elementwise(name, kind):
    """``sum(a .* f(x))``: first derivative, second derivative diagonal."""
    return Example(
        f"a'{name}(x)", "x: n, a: n", lambda np, x, a: a @ getattr(np, name)(x),
        domain={"x": kind},
    )


def special(name, kind):
    """The same for functions of scipy.special; ``f(x, x)`` for those of two arguments."""

    def formula(np, x, a):
        function = getattr(np.special, name)
        return a @ (function(x, x) if name == "xlog1py" else function(x))

    return Example(
        f"a'{name}(x)", "x: n, a: n", formula, domain={"x": kind},
    )


REDUCTIONS = [
    Example("sum", "x: n", lambda np, x: np.sum(x), "sum(x)", "vector(1, n)"),
    Example("sum of squares", "x: n", lambda np, x: x @ x, "x'*x", "2*x", "2*eye(n)"),
    Example("product", "x: n", lambda np, x: np.prod(x), domain={"x": "positive"}, order=2),
    Example("maximum", "x: n", lambda np, x: np.max(x), domain={"x": "spread"}),
    Example("minimum of rows", "X: m n", lambda np, X: np.min(X, axis=1), domain={"X": "spread"}),
    Example("mean", "x: n", lambda np, x: np.mean(x)),
    Example("variance", "x: n", lambda np, x: np.var(x)),
    Example("standard deviation", "x: n", lambda np, x: np.std(x), order=2),
    Example("sum of absolute values", "x: n", lambda np, x: np.sum(np.abs(x)), "norm1(x)",
            "sign(x)"),
    Example("largest of two", "x: n, y: n", lambda np, x, y: np.sum(np.maximum(x, y))),
    Example("sum over both axes in turn", "X: m n",
            lambda np, X: np.sum(np.sum(X, axis=0) ** 2) + np.sum(np.sum(X, axis=1) ** 3)),
    Example("cumulated sum", "x: n", lambda np, x: np.cumsum(x) ** 2, order=2),
    Example("norm of rows", "X: m n", lambda np, X: np.sum(np.linalg.norm(X, axis=1)), order=2),
]

VIEWS = [
    Example("transpose", "X: m n, Y: n m", lambda np, X, Y: np.sum(X.T * Y), "",
            "Y'"),
    Example("diagonal", "X: n n, a: n", lambda np, X, a: np.diagonal(X) @ a, "", "diag(a)"),
    Example("diagonal matrix", "x: n, A: n n", lambda np, x, A: np.diag(x) @ A, "diag(x)*A",
            order=2),
    Example("first difference", "x: n", lambda np, x: np.sum((x[1:] - x[:-1]) ** 2)),
    Example("second difference", "x: 5",
            lambda np, x: np.sum((x[2:] - 2 * x[1:-1] + x[:-2]) ** 2)),
    Example("reversal", "x: n, a: n", lambda np, x, a: np.flip(x) @ a**2),
    Example("every other", "x: m", lambda np, x: np.sum(x[::2] ** 3)),
    Example("outer product", "x: m, y: n", lambda np, x, y: np.outer(x, y), "x*y'", order=2),
    Example("flattened matrix", "X: m n, A: m n", lambda np, X, A: np.ravel(X) ** 2 @ np.ravel(A)),
    Example("concatenation", "x: m, y: n", lambda np, x, y: np.concatenate([x, y, x]) ** 2,
            order=2),
    Example("stack", "x: n, y: n", lambda np, x, y: np.sum(np.stack([x, y, x * y]) ** 2)),
    Example("gather", "x: k, labels: m integer", lambda np, x, labels: np.sum(x[labels] ** 3),
            domain={"labels": "labels"}),
    Example("lower triangle", "X: n n", lambda np, X: np.sum(np.tril(X) ** 2)),
    Example("masked entries", "x: n, y: n", lambda np, x, y: np.sum(np.where(y > 0, x**3, x * y))),
]

SIGNALS = [
    Example("convolution by its kernel", "u: 2, x: 5", lambda np, u, x: np.convolve(x, u, "valid"),
            order=2),
    Example("convolution by its signal", "x: 5, u: 2",
            lambda np, x, u: np.sum(np.convolve(x, u, "valid") ** 2)),
    Example("full convolution", "u: k, x: m", lambda np, u, x: np.convolve(x, u), order=2),
    Example("correlation", "u: 2, x: 5", lambda np, u, x: np.correlate(x, u, "valid"), order=2),
    Example("max-pooling", "X: b m c", lambda np, X: np.sum(np.max(X, axis=2) ** 2),
            domain={"X": "spread"}),
    Example("overlapping max-pooling", "x: m",
            lambda np, x: np.sum(np.maximum(x[1:], x[:-1]) ** 2), domain={"x": "spread"}),
    Example("average-pooling", "X: b m c", lambda np, X: np.mean(X, axis=2) ** 2, order=2),
]

CONTRACTIONS = [
    Example("quadratic form", "x: n, A: n n", lambda np, x, A: x @ A @ x, "x'*A*x", "(A + A')*x",
            "A + A'"),
    Example("quadratic form, A symmetric", "x: n, A: n n symmetric", lambda np, x, A: x @ A @ x,
            "x'*A*x", "2*A*x", "2*A"),
    Example("bilinear form", "x: m, y: n, A: m n", lambda np, x, y, A: x @ A @ y, "x'*A*y", "A*y"),
    Example("matrix times vector", "x: n, A: m n", lambda np, x, A: A @ x, "A*x", "A"),
    Example("cubic form", "x: n, T: n n n", lambda np, x, T: np.einsum("ijk,i,j,k->", T, x, x, x)),
    Example("batched matrix product", "A: b m n, B: b n k", lambda np, A, B: A @ B, order=2),
    Example("Gram matrix", "X: m n", lambda np, X: X.T @ X, "X'*X", order=2),
    Example("Kronecker product", "A: k k, B: k k", lambda np, A, B: np.kron(A, B), "A ⊗ B",
            order=2),
    Example("commutator", "A: n n, B: n n", lambda np, A, B: A @ B - B @ A, "A*B - B*A", order=2),
    Example("Hadamard product", "A: m n, B: m n", lambda np, A, B: np.sum((A * B) ** 2),
            "sum((A.*B).^2)"),
    Example("linear system", "b: n, A: n n", lambda np, b, A: np.linalg.solve(A, b),
            "inv(A)*b", "inv(A)", domain={"A": "invertible"}, order=2),
    Example("linear system by its matrix", "A: n n, b: n", lambda np, A, b: np.linalg.solve(A, b),
            "inv(A)*b", domain={"A": "invertible"}, order=2),
    Example("Rayleigh quotient", "x: n, A: n n symmetric",
            lambda np, x, A: (x @ A @ x) / (x @ x), "(x'*A*x)/(x'*x)"),
    Example("exp of a quadratic form", "x: n, A: n n symmetric",
            lambda np, x, A: np.exp(-0.5 * x @ A @ x), "exp(-1/2*x'*A*x)", domain={"A": "spd"}),
    Example("nested elementwise", "x: n, A: m n", lambda np, x, A: np.sin(A @ np.exp(x)),
            "sin(A*exp(x))", order=2),
    Example("powers", "x: n", lambda np, x: np.sum(x**5 - x**2.5 + x**-2),
            domain={"x": "positive"}),
    Example("power of two variables", "x: n, y: n", lambda np, x, y: np.sum(x**y),
            domain={"x": "positive"}),
    Example("sinusoidal fit", "a: 2, t: m, y: m",
            lambda np, a, t, y: np.sum((a[0] * np.sin(a[1] * t) - y) ** 2), order=2),
    Example("Rosenbrock function", "x: m",
            lambda np, x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)),
    Example("polar angle", "x: n, y: n", lambda np, x, y: np.sum(np.arctan2(y, x)),
            domain={"x": "positive"}),
]

CALCULUS = [
    *(elementwise(*row) for row in SMOOTH), *(special(*row) for row in SPECIAL), *REDUCTIONS,
    *VIEWS, *SIGNALS, *CONTRACTIONS,
]
