"""Where forward, reverse and cross-country mode meet in value but not in one node, and why.

Each reason has the examples it holds for, with the last order of derivative at which they meet.
"""

APART: dict[str, dict[str, int]] = {
    "contractions that occur twice are shared, and which of the nested ones are found first "
    "depends on the order in which the mode multiplies": {
        "det(X A') inv(A') along X": 1,
        "det(A X B)": 1,
        "det(X' A X), square": 1,
        "det(X' A X), A symmetric": 1,
        "det(X' A X)": 1,
        "log det(X' X)": 1,
        "det(X X X)": 1,
        "inv(c Y)": 1,
        "a' inv(X X) b": 1,
        "a' (X X)' X X b": 1,
        "tr(B' X' C X X' C X B)": 0,
        "tr(inv(X' C X) A)": 0,
        "tr(inv(X' C X) X' B X)": 1,
        "tr(inv(A + X' C X) X' B X)": 1,
        "low-rank plus diagonal Gaussian": 0,
        "Gaussian process likelihood": 0,
        "Gaussian process likelihood by Cholesky": 0,
        "two-layer network": 1,
        "deep tanh chain": 1,
        "attention by queries": 1,
        "attention by keys": 0,
        "word embedding": 1,
    },
    "a sum of products has several factored forms, and which is found depends on the order in "
    "which its terms arrive": {
        "s(x)' A r(x)": 1,
        "|A x|^2 / |B x|^2": 1,
        "(x - a) / norm(x - a)": 1,
        "Cox partial likelihood without ties": 1,
        "entropy of a softmax": 0,
        "focal loss": 1,
        "LSTM gate": 1,
        "layer normalisation": 0,
        "variance": 0,
        "standard deviation": 0,
        "Rayleigh quotient": 1,
        "sinusoidal fit": 1,
    },
}

#: Order up to which the modes of an example meet, if that is less than 2.
MEETS = {name: order for names in APART.values() for name, order in names.items()}
