"""Generated from the operation table: every spelling, partial and property of every row."""

import math
import re

import numpy as np
import pytest
from scipy import linalg, special

from tensorcalc.applications import apply
from tensorcalc.derivatives import derivative
from tensorcalc.errors import TraceError
from tensorcalc.nodes import Variable, free_variables
from tensorcalc.operations import TABLE, helpers
from tensorcalc.oracle import evaluate
from tensorcalc.table import DECOMPOSITIONS, row

NAMES = sorted(TABLE)
SIZES = {"m": 4, "n": 3, "k": 3}
BATCH = (2,)
#: Rows whose vectors are determined up to their sign.
SIGN_IS_OPEN = {"eigenvectors", "svd_u", "svd_vt"}


# -- values on the domain of a row ----------------------------------------------------------------
def _core_shape(axes):
    return tuple(SIZES[axis] for axis in axes)


def _value(kind, shape, rng, params):
    if isinstance(kind, tuple):
        return rng.uniform(*kind, shape)
    if kind == "boolean":
        return rng.random(shape) < 0.5
    if kind == "index":
        return rng.integers(-params["depth"], params["depth"], shape)
    square = rng.normal(size=shape)
    if kind in ("tall",):
        return square
    matrix = square + 3 * np.eye(shape[-1])
    if kind == "invertible":
        return matrix
    if kind == "symmetric":
        return square + np.swapaxes(square, -1, -2) + np.diag([-4.0, 0.0, 4.0])
    assert kind == "spd", f"unknown class of test values {kind!r}"
    return matrix @ np.swapaxes(matrix, -1, -2)


def _values(operation, seed=0, batch=BATCH):
    rng = np.random.default_rng(seed)
    return [
        _value(kind, batch + _core_shape(axes), rng, operation.test_params)
        for kind, axes in zip(operation.domain, operation.operand_cores, strict=True)
    ]


def _variables(values):
    return [
        Variable(f"x{k}", v.shape, {"b": ("boolean",), "i": ("integer",)}.get(v.dtype.kind, ()))
        for k, v in enumerate(values)
    ]


def _reference(operation, values):
    return operation.reference(*values, **operation.test_params)


def _close(name, got, want, rtol, atol=0.0):
    if name in SIGN_IS_OPEN:
        got, want = np.abs(got), np.abs(want)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


# -- columns --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_row_has_every_column(name):
    operation = TABLE[name]
    operands = [f"x{k}" for k in range(operation.arity)]
    targets = ["numpy", "jax", "latex", *(["numba", "cuda"] if operation.is_elementwise else [])]
    for target in targets:
        text = operation.spelled(target, *operands, **operation.test_params)
        reason = operation.lacks.get(target)
        assert bool(text) != bool(reason), f"{name} has no {target} spelling and no reason why"
        assert all(x in text for x in operands if text)


@pytest.mark.parametrize("name", NAMES)
def test_latex_braces_balance(name):
    operation = TABLE[name]
    text = operation.spelled("latex", *"abc"[: operation.arity], **operation.test_params)
    depth = 0
    for character in re.sub(r"\\[{}]", "", text):
        depth += (character == "{") - (character == "}")
        assert depth >= 0, text
    assert depth == 0 and text.count(r"\left") == text.count(r"\right"), text


def test_row_with_too_few_partials_is_refused():
    with pytest.raises(ValueError, match="row 'half': partials, monotone and domain need 2"):
        row("half", "(),()->()", None, reference=np.add, numpy="", domain=((0, 1),) * 2)


# -- spellings ------------------------------------------------------------------------------------
def _numpy_function(operation):
    operands = [f"x{k}" for k in range(operation.arity)]
    body = operation.spelled("numpy", *operands, **operation.test_params)
    source = "\n".join(
        [
            *helpers.imports(body),
            *helpers.required(body).values(),
            f"def f({', '.join(operands)}):\n    return {body}\n",
        ]
    )
    namespace = {}
    exec(compile(source, "<numpy spelling>", "exec"), namespace)
    return namespace["f"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
def test_numpy_spelling_agrees_with_reference(name):
    operation = TABLE[name]
    for batch in [(), (2,), (2, 3)]:
        values = [np.asarray(v)[()] for v in _values(operation, batch=batch)]
        got, want = _numpy_function(operation)(*values), _reference(operation, values)
        assert np.shape(got) == np.shape(want)
        _close(name, got, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_numpy_spelling_keeps_float32(name):
    operation = TABLE[name]
    values = [v.astype(np.float32) if v.dtype.kind == "f" else v for v in _values(operation)]
    got = np.asarray(_numpy_function(operation)(*values))
    kinds = {"real": [np.float32], "boolean": [np.bool_], "integer": [np.int64, np.int32]}
    assert got.dtype in kinds[operation.result]
    want = _reference(operation, [v.astype(float) for v in values])
    _close(name, got, want, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_jax_spelling_agrees_with_reference(name):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    operation = TABLE[name]
    values = _values(operation)
    operands = [f"x{k}" for k in range(operation.arity)]
    body = operation.spelled("jax", *operands, **operation.test_params)
    if not body:
        assert operation.lacks["jax"]
        return
    namespace = {"jax": jax, "jnp": jax.numpy}
    exec(f"def f({', '.join(operands)}): return {body}", namespace)
    got = np.asarray(namespace["f"](*map(jax.numpy.asarray, values)))
    _close(name, got, _reference(operation, values), rtol=1e-9, atol=1e-12)


def _sigmoid(x):
    return 1 / (1 + math.exp(-x))


MATH = "exp log log1p expm1 sin cos tan tanh sinh cosh erf erfc".split()
#: What scalar spellings may call, as ordinary Python.
SCALAR = {
    **{name: getattr(math, name) for name in MATH},
    "sigmoid": _sigmoid,
    "softplus": lambda x: math.log1p(math.exp(x)),
    "power": math.pow,
    **{name: getattr(np, name) for name in ("floor", "ceil", "rint", "trunc")},
    **{name: getattr(special, name) for name in ("erfcx", "erfinv", "digamma", "zeta")},
    "normcdfinv": special.ndtri,
    "math": math,
    "np": np,
}


@pytest.mark.parametrize("name", [name for name in NAMES if TABLE[name].is_elementwise])
def test_scalar_spelling_agrees_with_reference(name):
    operation = TABLE[name]
    values = [v.ravel() for v in _values(operation)]
    operands = [f"x{k}" for k in range(operation.arity)]
    for target in ("numba", "cuda"):
        body = operation.spelled(target, *operands, **operation.test_params)
        if not body:
            assert operation.lacks[target]
            continue
        namespace = dict(SCALAR)
        exec(f"def f({', '.join(operands)}): return {body}", namespace)
        got = [namespace["f"](*point) for point in zip(*(v.tolist() for v in values), strict=True)]
        _close(name, np.array(got, float), _reference(operation, values), rtol=1e-12)


def test_scalar_spellings_compile_with_numba():
    numba = pytest.importorskip("numba")
    from backends import vector_math

    operations = [op for op in TABLE.values() if op.is_elementwise and op.numba]
    names = [name for name in SCALAR if hasattr(vector_math, name)]
    namespace = {**{name: getattr(vector_math, name) for name in names}, "math": math, "np": np}
    lines = [
        f"    out[{k}] = "
        + op.spelled("numba", *[f"x[{k}, {j}]" for j in range(op.arity)], **op.test_params)
        for k, op in enumerate(operations)
    ]
    exec("def f(x, out):\n" + "\n".join(lines), namespace)
    points = np.zeros((len(operations), 3))
    for k, op in enumerate(operations):
        points[k, : op.arity] = [float(v) for v in _values(op, batch=())]
    out = np.empty(len(operations))
    numba.njit(namespace["f"])(points, out)
    want = [
        float(_reference(op, list(p[: op.arity]))) for op, p in zip(operations, points, strict=True)
    ]
    np.testing.assert_allclose(out, want, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(n for n in NAMES if TABLE[n].decomposition))
def test_decomposition_gives_the_result_of_its_row(name):
    operation = TABLE[name]
    (a,) = _values(operation)
    body = DECOMPOSITIONS[operation.decomposition]["numpy"].format("a")
    namespace = {"np": np, "special": special, "linalg": linalg, "a": a}
    exec("\n".join([*helpers.required(body).values(), f"results = {body}"]), namespace)
    got = namespace["results"][operation.result_index]
    np.testing.assert_allclose(got, _reference(operation, [a]), rtol=1e-12, atol=1e-12)


# -- derivatives ----------------------------------------------------------------------------------
def _differences(function, values, k, step):
    """Central differences: axes of the result, then axes of operand ``k``."""
    x = values[k].astype(float)
    slopes = []
    for index in np.ndindex(x.shape):
        moved = []
        for sign in (1, -1):
            shifted = x.copy()
            shifted[index] += sign * step
            moved.append(np.asarray(function(values[:k] + [shifted] + values[k + 1 :]), float))
        slopes.append((moved[0] - moved[1]) / (2 * step))
    stacked = np.stack(slopes, axis=-1)
    return stacked.reshape(*stacked.shape[:-1], *x.shape)


def _evaluated(node, values):
    names = {f"x{k}": value for k, value in enumerate(values)}
    return evaluate(node, **{v: names[v] for v in _names(node)})


def _names(node):
    return [v.name for v in free_variables(node)]


def _real_operands(operation):
    return [k for k, kind in enumerate(operation.domain) if kind not in ("boolean", "index")]


@pytest.mark.parametrize(
    "name, k", [(name, k) for name in NAMES for k in _real_operands(TABLE[name])]
)
def test_partial_agrees_with_differences(name, k):
    operation = TABLE[name]
    values = _values(operation)
    xs = _variables(values)
    node = apply(name, *xs, **operation.test_params)
    slope = derivative(node, xs[k])
    want = _differences(lambda v: _reference(operation, v), values, k, 1e-6)
    np.testing.assert_allclose(_evaluated(slope, values), want, rtol=2e-7, atol=1e-7)
    if operation.result == "real":
        forward = derivative(node, xs[k], mode="forward")
        np.testing.assert_allclose(
            _evaluated(forward, values), _evaluated(slope, values), rtol=1e-9, atol=1e-11
        )


SECOND = [
    (name, k, j)
    for name in NAMES
    for k in _real_operands(TABLE[name])
    for j in _real_operands(TABLE[name])
    if TABLE[name].partials[k] is not None
]


@pytest.mark.parametrize("name, k, j", SECOND)
def test_second_partial_agrees_with_differences(name, k, j):
    operation = TABLE[name]
    batch = BATCH if operation.is_elementwise else (1,)
    values = _values(operation, batch=batch)
    xs = _variables(values)
    slope = derivative(apply(name, *xs, **operation.test_params), xs[k])
    second = derivative(slope, xs[j])
    want = _differences(lambda v: _evaluated(slope, v), values, j, 1e-5)
    np.testing.assert_allclose(_evaluated(second, values), want, rtol=1e-5, atol=1e-7)


# -- properties -----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_values_lie_in_the_stated_range(name):
    operation = TABLE[name]
    low, high = operation.value_range(**operation.test_params)
    for seed in range(5):
        value = np.asarray(_reference(operation, _values(operation, seed)), float)
        assert (value >= low - 1e-12).all() and (value <= high + 1e-12).all()


@pytest.mark.parametrize("name", [name for name in NAMES if any(TABLE[name].monotone)])
def test_operation_is_monotone_as_stated(name):
    operation = TABLE[name]
    for k, direction in enumerate(operation.monotone):
        if direction:
            low, high = _values(operation, 1), _values(operation, 1)
            other = _values(operation, 2)[k]
            low[k], high[k] = np.minimum(low[k], other), np.maximum(low[k], other)
            difference = np.subtract(_reference(operation, high), _reference(operation, low))
            assert (direction * difference >= -1e-12).all()


@pytest.mark.parametrize("name", [name for name in NAMES if TABLE[name].convexity])
def test_operation_is_convex_as_stated(name):
    operation = TABLE[name]
    for seed in range(5):
        a, b = _values(operation, seed), _values(operation, seed + 100)
        middle = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
        chord = (np.add(_reference(operation, a), _reference(operation, b))) / 2
        excess = operation.convexity * (chord - _reference(operation, middle))
        assert (excess >= -1e-12).all()


@pytest.mark.parametrize("name", [name for name in NAMES if TABLE[name].symmetric != "never"])
def test_result_is_symmetric_as_stated(name):
    operation = TABLE[name]
    values = _values(operation)
    if operation.symmetric == "inherited":
        values = [v + np.swapaxes(v, -1, -2) for v in values]
    value = _reference(operation, values)
    np.testing.assert_allclose(value, np.swapaxes(value, -1, -2), rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if TABLE[name].triangular])
def test_result_is_triangular_as_stated(name):
    operation = TABLE[name]
    value = _reference(operation, _values(operation))
    half = {"lower": np.tril, "upper": np.triu}[operation.triangular]
    np.testing.assert_array_equal(value, half(value))


# -- ufuncs that are no row of their own ----------------------------------------------------------
COMPOSITES = {
    "degrees": (np.degrees, 1),
    "radians": (np.radians, 1),
    "square": (np.square, 1),
    "sqrt of a square": (lambda x: np.sqrt(np.square(x)), 1),
    "reciprocal": (np.reciprocal, 1),
    "fabs": (np.fabs, 1),
    "fmax": (np.fmax, 2),
    "fmin": (np.fmin, 2),
    "logaddexp2": (np.logaddexp2, 2),
    "divmod": (lambda x, y: np.divmod(x, y)[1] + np.divmod(x, y)[0], 2),
    "heaviside": (np.heaviside, 2),
    "power with a scalar base": (lambda x: 2.5**x, 1),
    "power with a scalar exponent": (lambda x: np.abs(x) ** 2.5, 1),
    "float_power": (lambda x: np.float_power(x, 3), 1),
    "logic": (
        lambda x, y: ((x > 0) & ~(y > 0)) * x + ((x > 1) | (y < x)) * y + ((x > 0) ^ (y > 0)),
        2,
    ),
    "clip": (lambda x: np.clip(x, -0.5, 1.0), 1),
    "log_expit": (special.log_expit, 1),
    "i0 and i1": (lambda x: special.i0(x) + special.i1(x), 1),
    "i0e and i1e": (lambda x: special.i0e(x) + special.i1e(x), 1),
    "kl_div": (lambda x, y: special.kl_div(x * x, y * y), 2),
    "betaln": (lambda x, y: special.betaln(x * x, y * y), 2),
    "digamma": (lambda x: special.digamma(x * x), 1),
    "reduce": (lambda x: np.add.reduce(x) + np.maximum.reduce(x) + np.multiply.reduce(x), 1),
    "outer": (np.multiply.outer, 2),
}


@pytest.mark.parametrize("text", COMPOSITES)
def test_ufunc_agrees_with_numpy_and_its_slope_with_differences(text):
    function, arity = COMPOSITES[text]
    values = [np.array([-1.3, 0.4, 2.1]), np.array([0.7, -0.3, 1.6])][:arity]
    xs = _variables(values)
    node = function(*xs)
    np.testing.assert_allclose(_evaluated(node, values), function(*values), rtol=1e-13)
    for k in range(arity):
        want = _differences(lambda v: function(*v), values, k, 1e-6)
        got = _evaluated(derivative(node, xs[k]), values)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


def test_unknown_ufunc_is_refused_with_near_names():
    (x,) = _variables([np.ones(2)])
    with pytest.raises(TraceError, match="the function erfcinv is not supported") as caught:
        special.erfcinv(x)
    assert "near names: erfinv" in str(caught.value)


def test_bitwise_operators_on_real_numbers_are_refused():
    (x,) = _variables([np.ones(2)])
    with pytest.raises(TraceError, match="bitwise_and of expressions that are not boolean"):
        x & (x > 0)
