"""The Matrix Cookbook (Petersen and Pedersen, November 15, 2012), sections 2.1 to 2.8.

Rows are named by what is differentiated; ``derivative`` is the right-hand side of the equation.
Equations about complex values and about unstated functions have no row.
"""

from .example import Example

SQUARE = {"X": "invertible"}


def tr(matrix):
    return matrix.trace()


def det(np, matrix):
    return np.linalg.det(matrix)


def inv(np, matrix):
    return np.linalg.inv(matrix)


def logdet(np, matrix):
    return np.linalg.slogdet(matrix)[1]


DETERMINANTS = [
    Example(
        "det(X)", "X: n n", det, "det(X)", "det(X)*inv(X)'", domain=SQUARE, cookbook="(49)",
    ),
    Example(
        "det(X A') inv(A') along X", "X: n n, A: n n",
        lambda np, X, A: np.einsum("ik,jk->ij", det(np, X) * inv(np, X).T, A),
        domain={"X": "invertible"}, order=2, cookbook="(47)",
    ),
    Example(
        "det(A X B)", "X: n n, A: n n, B: n n", lambda np, X, A, B: det(np, A @ X @ B),
        "det(A*X*B)", domain={"X": "invertible", "A": "invertible", "B": "invertible"},
        order=2, cookbook="(51)",
    ),
    Example(
        "det(X' A X), square", "X: n n, A: n n", lambda np, X, A: det(np, X.T @ A @ X),
        "det(X'*A*X)", domain={"X": "invertible", "A": "invertible"}, order=2,
        cookbook="(52)",
    ),
    Example(
        "det(X' A X), A symmetric", "X: m k, A: m m symmetric",
        lambda np, X, A: det(np, X.T @ A @ X), "det(X'*A*X)",
        "2*det(X'*A*X)*A*X*inv(X'*A*X)", domain={"A": "spd"}, order=2,
        cookbook="(53)",
    ),
    Example(
        "det(X' A X)", "X: m k, A: m m", lambda np, X, A: det(np, X.T @ A @ X),
        "det(X'*A*X)", "det(X'*A*X)*(A*X*inv(X'*A*X) + A'*X*inv(X'*A*X)')",
        domain={"A": "spd"}, order=2, cookbook="(54)",
    ),
    Example(
        "log det(X' X)", "X: m k", lambda np, X: logdet(np, X.T @ X), "logdet(X'*X)",
        "2*X*inv(X'*X)", order=2, cookbook="(55)",
    ),
    Example(
        "log |det(X)|", "X: n n", logdet, "logdet(X)", "inv(X)'", domain=SQUARE, cookbook="(57)",
    ),
    Example(
        "det(X X X)", "X: n n", lambda np, X: det(np, X @ X @ X), "det(X*X*X)",
        domain=SQUARE, order=2, cookbook="(58)",
    ),
]

INVERSES = [
    Example(
        "inv(c Y)", "c, Y: n n", lambda np, c, Y: inv(np, c * Y),
        domain={"Y": "invertible", "c": "positive"}, cookbook="(59)",
    ),
    Example("inv(X)", "X: n n", inv, "inv(X)", domain=SQUARE, order=2, cookbook="(60)"),
    Example(
        "a' inv(X) b", "X: n n, a: n, b: n", lambda np, X, a, b: a @ inv(np, X) @ b,
        "a'*inv(X)*b", "-inv(X)'*a*b'*inv(X)'", domain=SQUARE, order=2, cookbook="(61)",
    ),
    Example(
        "det(inv(X))", "X: n n", lambda np, X: det(np, inv(np, X)), "det(inv(X))",
        domain=SQUARE, order=2, cookbook="(62)",
    ),
    Example(
        "tr(A inv(X) B)", "X: n n, A: n n, B: n n", lambda np, X, A, B: tr(A @ inv(np, X) @ B),
        "tr(A*inv(X)*B)", "-inv(X)'*A'*B'*inv(X)'", domain=SQUARE, order=2, cookbook="(63) (124)",
    ),
    Example(
        "tr(inv(X + A))", "X: n n, A: n n", lambda np, X, A: tr(inv(np, X + A)), "tr(inv(X + A))",
        "-(inv(X + A)*inv(X + A))'", domain=SQUARE, order=2, cookbook="(64)",
    ),
    Example(
        "a' inv(X X) b", "X: n n, a: n, b: n", lambda np, X, a, b: a @ inv(np, X @ X) @ b,
        "a'*inv(X*X)*b", domain=SQUARE, order=2, cookbook="2.2, W = inv(X X)",
    ),
]

EIGENVALUES = [
    Example(
        "sum of eigenvalues", "X: n n symmetric", lambda np, X: np.sum(np.linalg.eigvalsh(X)),
        order=2,
        cookbook="(65)",
    ),
    Example(
        "product of eigenvalues", "X: n n symmetric",
        lambda np, X: np.prod(np.linalg.eigvalsh(X)), order=2,
        cookbook="(66)",
    ),
    Example(
        "eigenvalues", "X: n n symmetric", lambda np, X: np.linalg.eigvalsh(X), order=2,
        cookbook="(67)",
    ),
]

FIRST_ORDER = [
    Example("a'x", "x: n, a: n", lambda np, x, a: a @ x, "a'*x", "a", cookbook="(69)"),
    Example(
        "a' X b", "X: m n, a: m, b: n", lambda np, X, a, b: a @ X @ b, "a'*X*b", "a*b'",
        cookbook="(70)",
    ),
    Example(
        "a' X' b", "X: m n, a: n, b: m", lambda np, X, a, b: a @ X.T @ b, "a'*X'*b", "b*a'",
        cookbook="(71)",
    ),
    Example(
        "a' X a", "X: n n, a: n", lambda np, X, a: a @ X @ a, "a'*X*a", "a*a'", cookbook="(72)",
    ),
    Example("X", "X: m n", lambda np, X: X, "X", cookbook="(73)"),
    Example("X A", "X: m n, A: n k", lambda np, X, A: X @ A, "X*A", cookbook="(74)"),
    Example("X' A", "X: m n, A: m k", lambda np, X, A: X.T @ A, "X'*A", cookbook="(75)"),
]

SECOND_ORDER = [
    Example(
        "sum of all X X", "X: m n", lambda np, X: np.einsum("kl,mn->", X, X), cookbook="(76)",
    ),
    Example(
        "b' X' X c", "X: m n, b: n, c: n", lambda np, X, b, c: b @ X.T @ X @ c, "b'*X'*X*c",
        "X*(b*c' + c*b')", cookbook="(77)",
    ),
    Example(
        "(B x + b)' C (D x + d)", "x: n, B: m n, b: m, C: m k, D: k n, d: k",
        lambda np, x, B, b, C, D, d: (B @ x + b) @ C @ (D @ x + d),
        "(B*x + b)'*C*(D*x + d)", "B'*C*(D*x + d) + D'*C'*(B*x + b)", "B'*C*D + D'*C'*B",
        cookbook="(78)",
    ),
    Example(
        "X' B X", "X: m n, B: m m", lambda np, X, B: X.T @ B @ X, "X'*B*X", order=2,
        cookbook="(79) (80)",
    ),
    Example(
        "x' B x", "x: n, B: n n", lambda np, x, B: x @ B @ x, "x'*B*x", "(B + B')*x", "B + B'",
        cookbook="(81)",
    ),
    Example(
        "b' X' D X c", "X: m n, b: n, c: n, D: m m",
        lambda np, X, b, c, D: b @ X.T @ D @ X @ c, "b'*X'*D*X*c", "D'*X*b*c' + D*X*c*b'",
        cookbook="(82)",
    ),
    Example(
        "(X b + c)' D (X b + c)", "X: m n, b: n, c: m, D: m m",
        lambda np, X, b, c, D: (X @ b + c) @ D @ (X @ b + c), "(X*b + c)'*D*(X*b + c)",
        "(D + D')*(X*b + c)*b'", cookbook="(83)",
    ),
    Example(
        "(x - A s)' W (x - A s) by s", "s: n, x: m, A: m n, W: m m symmetric",
        lambda np, s, x, A, W: (x - A @ s) @ W @ (x - A @ s), "(x - A*s)'*W*(x - A*s)",
        "-2*A'*W*(x - A*s)", "2*A'*W*A", cookbook="(84)",
    ),
    Example(
        "(x - s)' W (x - s) by x", "x: n, s: n, W: n n symmetric",
        lambda np, x, s, W: (x - s) @ W @ (x - s), "(x - s)'*W*(x - s)", "2*W*(x - s)", "2*W",
        cookbook="(85)",
    ),
    Example(
        "(x - s)' W (x - s) by s", "s: n, x: n, W: n n symmetric",
        lambda np, s, x, W: (x - s) @ W @ (x - s), "(x - s)'*W*(x - s)", "-2*W*(x - s)", "2*W",
        cookbook="(86)",
    ),
    Example(
        "(x - A s)' W (x - A s) by x", "x: m, s: n, A: m n, W: m m symmetric",
        lambda np, x, s, A, W: (x - A @ s) @ W @ (x - A @ s), "(x - A*s)'*W*(x - A*s)",
        "2*W*(x - A*s)", "2*W", cookbook="(87)",
    ),
    Example(
        "(x - A s)' W (x - A s) by A", "A: m n, x: m, s: n, W: m m symmetric",
        lambda np, A, x, s, W: (x - A @ s) @ W @ (x - A @ s), "(x - A*s)'*W*(x - A*s)",
        "-2*W*(x - A*s)*s'", cookbook="(88)",
    ),
]

HIGHER_ORDER = [
    Example(
        "X X X", "X: n n", lambda np, X: X @ X @ X, "X*X*X", order=2,
        cookbook="(91)",
    ),
    Example(
        "a' X X X b", "X: n n, a: n, b: n", lambda np, X, a, b: a @ X @ X @ X @ b, "a'*X*X*X*b",
        order=2, cookbook="(92)",
    ),
    Example(
        "a' (X X)' X X b", "X: n n, a: n, b: n",
        lambda np, X, a, b: a @ (X @ X).T @ (X @ X) @ b, "a'*(X*X)'*(X*X)*b", order=2,
        cookbook="(93)",
    ),
    Example(
        "s(x)' A r(x)", "x: n, A: n n", lambda np, x, A: np.sin(x) @ A @ np.exp(x),
        "sin(x)'*A*exp(x)", "cos(x).*(A*exp(x)) + exp(x).*(A'*sin(x))", order=2, cookbook="(94)",
    ),
    Example(
        "|A x|^2 / |B x|^2", "x: n, A: m n, B: m n",
        lambda np, x, A, B: ((A @ x) @ (A @ x)) / ((B @ x) @ (B @ x)),
        "((A*x)'*(A*x)) / ((B*x)'*(B*x))", order=2, cookbook="(95)",
    ),
    Example(
        "x' A x + b'x", "x: n, A: n n, b: n", lambda np, x, A, b: x @ A @ x + b @ x,
        "x'*A*x + b'*x", "(A + A')*x + b", "A + A'", cookbook="(96) to (98)",
    ),
]

TRACES = [
    Example("tr(X)", "X: n n", lambda np, X: np.trace(X), "tr(X)", "eye(n)", cookbook="(99)"),
    Example(
        "tr(X A)", "X: m n, A: n m", lambda np, X, A: tr(X @ A), "tr(X*A)", "A'", cookbook="(100)",
    ),
    Example(
        "tr(A X B)", "X: m n, A: k m, B: n k", lambda np, X, A, B: tr(A @ X @ B), "tr(A*X*B)",
        "A'*B'", cookbook="(101)",
    ),
    Example(
        "tr(A X' B)", "X: m n, A: k n, B: m k", lambda np, X, A, B: tr(A @ X.T @ B),
        "tr(A*X'*B)", "B*A", cookbook="(102)",
    ),
    Example(
        "tr(X' A)", "X: m n, A: m n", lambda np, X, A: tr(X.T @ A), "tr(X'*A)", "A",
        cookbook="(103)",
    ),
    Example(
        "tr(A X')", "X: m n, A: m n", lambda np, X, A: tr(A @ X.T), "tr(A*X')", "A",
        cookbook="(104)",
    ),
    Example(
        "tr(A kron X)", "X: n n, A: k k", lambda np, X, A: tr(np.kron(A, X)), "tr(A ⊗ X)",
        "tr(A)*eye(n)", cookbook="(105)",
    ),
    Example("tr(X X)", "X: n n", lambda np, X: tr(X @ X), "tr(X*X)", "2*X'", cookbook="(106)"),
    Example(
        "tr(X X B)", "X: n n, B: n n", lambda np, X, B: tr(X @ X @ B), "tr(X*X*B)",
        "(X*B + B*X)'", cookbook="(107)",
    ),
    Example(
        "tr(X' B X)", "X: m n, B: m m", lambda np, X, B: tr(X.T @ B @ X), "tr(X'*B*X)",
        "(B + B')*X", cookbook="(108)",
    ),
    Example(
        "tr(B X X')", "X: m n, B: m m", lambda np, X, B: tr(B @ X @ X.T), "tr(B*X*X')",
        "(B + B')*X", cookbook="(109)",
    ),
    Example(
        "tr(X X' B)", "X: m n, B: m m", lambda np, X, B: tr(X @ X.T @ B), "tr(X*X'*B)",
        "(B + B')*X", cookbook="(110)",
    ),
    Example(
        "tr(X B X')", "X: m n, B: n n", lambda np, X, B: tr(X @ B @ X.T), "tr(X*B*X')",
        "X*(B + B')", cookbook="(111)",
    ),
    Example(
        "tr(B X' X)", "X: m n, B: n n", lambda np, X, B: tr(B @ X.T @ X), "tr(B*X'*X)",
        "X*(B + B')", cookbook="(112)",
    ),
    Example(
        "tr(X' X B)", "X: m n, B: n n", lambda np, X, B: tr(X.T @ X @ B), "tr(X'*X*B)",
        "X*(B + B')", cookbook="(113)",
    ),
    Example(
        "tr(A X B X)", "X: m n, A: n m, B: n m", lambda np, X, A, B: tr(A @ X @ B @ X),
        "tr(A*X*B*X)", "A'*X'*B' + B'*X'*A'", cookbook="(114)",
    ),
    Example("tr(X' X)", "X: m n", lambda np, X: tr(X.T @ X), "tr(X'*X)", "2*X", cookbook="(115)"),
    Example(
        "tr(B' X' C X B)", "X: m n, B: n k, C: m m",
        lambda np, X, B, C: tr(B.T @ X.T @ C @ X @ B), "tr(B'*X'*C*X*B)", "(C + C')*X*B*B'",
        cookbook="(116)",
    ),
    Example(
        "tr(X' B X C)", "X: m n, B: m m, C: n n", lambda np, X, B, C: tr(X.T @ B @ X @ C),
        "tr(X'*B*X*C)", "B*X*C + B'*X*C'", cookbook="(117)",
    ),
    Example(
        "tr(A X B X' C)", "X: m n, A: k m, B: n n, C: m k",
        lambda np, X, A, B, C: tr(A @ X @ B @ X.T @ C), "tr(A*X*B*X'*C)",
        "A'*C'*X*B' + C*A*X*B", cookbook="(118)",
    ),
    Example(
        "tr((A X B + C) (A X B + C)')", "X: m n, A: k m, B: n l, C: k l",
        lambda np, X, A, B, C: tr((A @ X @ B + C) @ (A @ X @ B + C).T),
        "tr((A*X*B + C)*(A*X*B + C)')", "2*A'*(A*X*B + C)*B'", cookbook="(119)",
    ),
    Example(
        "tr(X kron X)", "X: n n", lambda np, X: tr(np.kron(X, X)), "tr(X ⊗ X)", "2*tr(X)*eye(n)",
        cookbook="(120)",
    ),
    Example(
        "tr(X X X)", "X: n n", lambda np, X: tr(X @ X @ X), "tr(X*X*X)", "3*(X*X)'",
        cookbook="(121)",
    ),
    Example(
        "tr(A X X X)", "X: n n, A: n n", lambda np, X, A: tr(A @ X @ X @ X), "tr(A*X*X*X)",
        order=2, cookbook="(122)",
    ),
    Example(
        "tr(B' X' C X X' C X B)", "X: m n, B: n k, C: m m",
        lambda np, X, B, C: tr(B.T @ X.T @ C @ X @ X.T @ C @ X @ B),
        "tr(B'*X'*C*X*X'*C*X*B)", order=2, cookbook="(123)",
    ),
    Example(
        "tr(inv(X' C X) A)", "X: m k, A: k k, C: m m symmetric",
        lambda np, X, A, C: tr(inv(np, X.T @ C @ X) @ A), "tr(inv(X'*C*X)*A)",
        domain={"C": "spd"}, order=2, cookbook="(125)",
    ),
    Example(
        "tr(inv(X' C X) X' B X)", "X: m k, B: m m symmetric, C: m m symmetric",
        lambda np, X, B, C: tr(inv(np, X.T @ C @ X) @ (X.T @ B @ X)),
        "tr(inv(X'*C*X)*(X'*B*X))", domain={"C": "spd"}, order=2, cookbook="(126)",
    ),
    Example(
        "tr(inv(A + X' C X) X' B X)",
        "X: m k, A: k k symmetric, B: m m symmetric, C: m m symmetric",
        lambda np, X, A, B, C: tr(inv(np, A + X.T @ C @ X) @ (X.T @ B @ X)),
        "tr(inv(A + X'*C*X)*(X'*B*X))", domain={"A": "spd", "C": "spd"}, order=2,
        cookbook="(127)",
    ),
]

NORMS = [
    Example(
        "norm(x - a)", "x: n, a: n", lambda np, x, a: np.linalg.norm(x - a), "norm2(x - a)",
        cookbook="(129)",
    ),
    Example(
        "(x - a) / norm(x - a)", "x: n, a: n",
        lambda np, x, a: (x - a) / np.linalg.norm(x - a), "(x - a)/norm2(x - a)", order=2,
        cookbook="(130)",
    ),
    Example(
        "norm(x)^2", "x: n", lambda np, x: np.linalg.norm(x) ** 2, "norm2(x)^2", "2*x", "2*eye(n)",
        cookbook="(131)",
    ),
    Example(
        "norm(X)^2", "X: m n", lambda np, X: np.linalg.norm(X) ** 2, "norm2(X)^2", "2*X",
        cookbook="(132)",
    ),
]

STRUCTURED = [
    Example(
        "tr(A X), X symmetric by its lower triangle", "L: n n, A: n n",
        lambda np, L, A: tr(A @ (np.tril(L) + np.tril(L, -1).T)), cookbook="(138) (139)",
    ),
    Example(
        "log det(X), X symmetric by its lower triangle", "L: n n",
        lambda np, L: logdet(np, np.tril(L) + np.tril(L, -1).T),
        domain={"L": "invertible"}, order=2, cookbook="(141)",
    ),
    Example(
        "tr(A X), X diagonal", "x: n, A: n n", lambda np, x, A: tr(A @ np.diag(x)),
        "tr(A*diag(x))", "diag(A)", cookbook="(142)",
    ),
    Example(
        "tr(A T), T Toeplitz", "t: k, A: n n, index: n n integer",
        lambda np, t, A, index: tr(A @ t[index]), domain={"index": "labels"}, cookbook="(143)",
    ),
]

COOKBOOK = [
    *DETERMINANTS, *INVERSES, *EIGENVALUES, *FIRST_ORDER, *SECOND_ORDER, *HIGHER_ORDER, *TRACES,
    *NORMS, *STRUCTURED,
]
