"""Hypothesis strategies: random well-typed expressions whose values stay of moderate size."""

import numpy as np
from hypothesis import strategies as st

import tensorcalc as tc

DECLARATIONS = "c, x: n, p: n positive, y: m, A: n n, S: n n psd, X: m n, Z: n m"
VARIABLES = {variable.name: variable for variable in tc.variables(DECLARATIONS)}
SIZES = {"n": 3, "m": 2}
SHAPES = ("", "n", "m", "nn", "mn", "nm", "mm")
LEAVES = {"": "c", "n": "xp", "m": "y", "nn": "AS", "mn": "X", "nm": "Z", "mm": ""}


def softmax(z):
    return np.exp(z) / np.sum(np.exp(z))


#: Smooth functions of one argument whose values and slopes stay moderate.
FUNCTIONS = (
    np.tanh,
    np.sin,
    np.cos,
    np.arctan,
    lambda z: np.exp(np.tanh(z)),
    lambda z: np.log(1 + np.exp(z)),
    lambda z: np.sqrt(1 + z**2),
    lambda z: 1 / (1 + np.exp(-z)),
    lambda z: 1 / (2 + np.sin(z)),
    lambda z: 0.2 * z**2,
    lambda z: 0.1 * z**3,
    lambda z: np.log(1 + z**2),
)

#: Ways to make a tensor of a shape of others: the shapes of the parts, and what is done with them.
MAKERS = {
    "": [
        (("n",), np.sum),
        (("n", "n"), lambda a, b: a @ b),
        (("nn",), np.trace),
        (("mn",), np.mean),
        (("n",), lambda z: np.log(np.sum(np.exp(z)))),
        (("n", "nn", "n"), lambda a, M, b: a @ M @ b),
        (("n",), lambda z: np.sum(z[1:] * z[:-1])),
        (("nm",), lambda M: np.linalg.slogdet(M @ M.T + VARIABLES["S"])[1]),
        (("m",), lambda z: np.linalg.norm(z) ** 2),
    ],
    "n": [
        (("nn", "n"), lambda M, z: M @ z),
        (("mn", "m"), lambda M, z: z @ M),
        (("n",), softmax),
        (("nn",), np.diagonal),
        (("mn",), lambda M: np.sum(M, axis=0)),
        (("n", "nm"), lambda z, M: np.linalg.solve(M @ M.T + VARIABLES["S"], z)),
        (("n",), np.flip),
        (("n",), lambda z: np.concatenate([z[1:], z[:1]])),
        (("n", ""), lambda z, a: a * z),
        (("n",), np.cumsum),
        (("n", "n"), lambda a, b: np.where(VARIABLES["x"] > 0, a, b)),
    ],
    "m": [
        (("mn", "n"), lambda M, z: M @ z),
        (("mm", "m"), lambda M, z: M @ z),
        (("nm",), lambda M: np.mean(M, axis=0)),
    ],
    "nn": [
        (("nm", "mn"), lambda M, N: M @ N),
        (("nn",), np.transpose),
        (("n", "n"), np.outer),
        (("n",), np.diag),
        (("nm",), lambda M: np.linalg.inv(M @ M.T + VARIABLES["S"])),
        (("nn",), np.tril),
        (("nn", "n"), lambda M, z: M * z),
        (("n",), lambda z: z[:, None] - z),
    ],
    "mn": [
        (("mm", "mn"), lambda M, N: M @ N),
        (("nm",), np.transpose),
        (("m", "n"), np.outer),
        (("mn", "m"), lambda M, z: M * z[:, None]),
    ],
    "nm": [(("mn",), np.transpose), (("nn", "nm"), lambda M, N: M @ N)],
    "mm": [(("mn", "nm"), lambda M, N: M @ N), (("m", "m"), np.outer)],
}


@st.composite
def expressions(draw, shape=None, depth=3):
    """An expression in ``VARIABLES`` of a shape written as letters, ``"nn"`` for square."""
    if shape is None:
        shape = draw(st.sampled_from(SHAPES[:6]))
    leaves = LEAVES[shape]
    if depth == 0 and leaves:
        return VARIABLES[draw(st.sampled_from(leaves))]
    kind = draw(st.sampled_from(("made", "made", "function", "sum", "product", "leaf")))
    part = expressions(shape, max(depth - 1, 0))
    if kind == "leaf" and leaves:
        return VARIABLES[draw(st.sampled_from(leaves))]
    if kind == "function" and depth > 0:
        return draw(st.sampled_from(FUNCTIONS))(draw(part))
    if kind == "sum" and depth > 0:
        factor = draw(st.sampled_from((1, 2, -1, 0.5)))
        return draw(part) + factor * draw(part)
    if kind == "product" and depth > 0:
        return draw(part) * draw(part)
    shapes, make = draw(st.sampled_from(MAKERS[shape]))
    return make(*[draw(expressions(each, max(depth - 1, 0))) for each in shapes])


def values(seed=0):
    """An array of moderate size for every variable, and the extents' numbers."""
    rng = np.random.default_rng(seed)
    arrays = {
        name: 0.7 * rng.normal(size=[SIZES[str(extent)] for extent in variable.shape])
        for name, variable in VARIABLES.items()
    }
    arrays["p"] = np.abs(arrays["p"]) + 0.1
    arrays["S"] = arrays["S"] @ arrays["S"].T + np.eye(SIZES["n"])
    return {**SIZES, **arrays}
