"""Structured operators equal the dense matrix: products, solves, determinants, spectra."""

import numpy as np
import pytest
from scipy import sparse

from autodiff.structured import (
    BandedOperator,
    BlockGramOperator,
    BlocksOperator,
    DenseOperator,
    DiagonalOperator,
    InverseOperator,
    KroneckerOperator,
    KroneckerSumOperator,
    NotPositiveDefinite,
    PlusLowRankOperator,
    ProductOperator,
    SparseOperator,
    SystemOperator,
    ZeroOperator,
)
from tensorcalc.errors import TensorcalcError


@pytest.fixture(autouse=True)
def eliminating(monkeypatch):
    """Systems are solved as large ones are."""
    monkeypatch.setattr("autodiff.structured.system.FORMED", 0)


def spd(rng, n, *batch):
    root = rng.normal(size=(*batch, n, n))
    return root @ np.swapaxes(root, -1, -2) + np.eye(n)


def positive_band(rng, n, depth):
    dense = np.triu(np.tril(rng.normal(size=(n, n)), depth), -depth)
    dense = dense + dense.T + 4 * (depth + 1) * np.eye(n)
    band = np.zeros((n, 2 * depth + 1))
    for b in range(2 * depth + 1):
        for i in range(n):
            if 0 <= i + b - depth < n:
                band[i, b] = dense[i, i + b - depth]
    return band


def sparse_spd(rng, n):
    matrix = sparse.random_array((n, n), density=0.2, rng=rng)
    return (matrix + matrix.T + 8 * sparse.eye_array(n)).tocsr()


def plus_low_rank(rng, base, r, matrix=False):
    n = base.shape[0]
    M = spd(rng, r) if matrix else rng.uniform(0.5, 1, size=r)
    return PlusLowRankOperator(base, rng.normal(size=(r, n)), M)


def block_gram(rng, m, n, shape, base, own=(0,)):
    blocks = spd(rng, int(np.prod(shape)) // n, m) / m
    return BlockGramOperator(rng.normal(size=(m, n)), blocks, base, own, shape)


def negative_update(rng):
    base = DiagonalOperator(rng.uniform(5, 6, size=9), (9,))
    return PlusLowRankOperator(base, rng.normal(size=(1, 9)) / 3, np.array([-1.0]))


#: A random positive definite instance of every class of operator.
INSTANCES = {
    "scaled identity": lambda r: DiagonalOperator(np.float64(2.5), (3, 4)),
    "diagonal": lambda r: DiagonalOperator(r.uniform(1, 2, size=(3, 4)), (3, 4)),
    "dense": lambda r: DenseOperator(spd(r, 7), (7,)),
    "blocks": lambda r: BlocksOperator(spd(r, 3, 5), (0,), (0,), (5, 3)),
    "repeated block": lambda r: BlocksOperator(spd(r, 3), (0,), (), (5, 3)),
    "block on the first axis": lambda r: BlocksOperator(spd(r, 5), (1,), (), (5, 3)),
    "blocks over middle axes": lambda r: BlocksOperator(
        spd(r, 6, 4).reshape(4, 2, 3, 2, 3), (1,), (1,), (2, 4, 3)
    ),
    "blocks partly repeated": lambda r: BlocksOperator(spd(r, 2, 3), (0, 2), (2,), (4, 2, 3)),
    "kronecker": lambda r: KroneckerOperator([spd(r, 3), spd(r, 4)], [(0,), (1,)], (3, 4)),
    "kronecker in another order": lambda r: KroneckerOperator(
        [spd(r, 4), spd(r, 6), spd(r, 5)], [(1,), (0, 3), (2,)], (2, 4, 5, 3)
    ),
    "kronecker of two negative factors": lambda r: KroneckerOperator(
        [-spd(r, 3), -spd(r, 4)], [(0,), (1,)], (3, 4)
    ),
    "kronecker plus identity": lambda r: KroneckerOperator(
        [spd(r, 4), spd(r, 3)], [(1,), (0,)], (3, 4), 0.8
    ),
    "kronecker sum": lambda r: KroneckerSumOperator([spd(r, 3), spd(r, 4)], [(0,), (1,)], (3, 4)),
    "kronecker sum crosswise": lambda r: KroneckerSumOperator(
        [spd(r, 4), spd(r, 3)], [(1,), (0,)], (3, 4)
    ),
    "diagonal plus low rank": lambda r: plus_low_rank(
        r, DiagonalOperator(r.uniform(1, 2, size=9), (9,)), 3
    ),
    "diagonal minus rank one": negative_update,
    "diagonal plus a form": lambda r: plus_low_rank(
        r, DiagonalOperator(r.uniform(1, 2, size=9), (9,)), 3, True
    ),
    "blocks plus low rank": lambda r: plus_low_rank(
        r, BlocksOperator(spd(r, 3, 4), (0,), (0,), (4, 3)), 2
    ),
    "low rank that is not low": lambda r: plus_low_rank(
        r, DiagonalOperator(r.uniform(1, 2, size=5), (5,)), 8
    ),
    "indefinite diagonal made definite": lambda r: PlusLowRankOperator(
        DiagonalOperator(np.array([-0.5, 1.0, 2.0, 3.0]), (4,)), np.eye(1, 4), np.array([2.0])
    ),
    "gram with blocks, tall": lambda r: block_gram(r, 9, 4, (4, 3), 0.5),
    "gram with blocks, wide": lambda r: block_gram(r, 3, 5, (5, 3), 0.5),
    "gram with blocks plus a diagonal": lambda r: block_gram(
        r, 3, 5, (5, 3), r.uniform(0.5, 1, size=(5, 3))
    ),
    "gram with blocks over the second axis": lambda r: block_gram(r, 9, 4, (3, 4), 0.5, (1,)),
    "gram with blocks, wide, over the middle axis": lambda r: block_gram(
        r, 2, 4, (2, 4, 3), 0.5, (1,)
    ),
    "gram with blocks over two axes": lambda r: block_gram(r, 12, 8, (2, 3, 4), 0.5, (0, 2)),
    "tridiagonal": lambda r: BandedOperator(positive_band(r, 8, 1), -1, (8,)),
    "pentadiagonal": lambda r: BandedOperator(positive_band(r, 9, 2), -2, (9,)),
    "band wider than the matrix": lambda r: BandedOperator(positive_band(r, 3, 4), -4, (3,)),
    "sparse": lambda r: SparseOperator(sparse_spd(r, 20), (20,)),
    "band plus low rank": lambda r: plus_low_rank(
        r, BandedOperator(positive_band(r, 9, 1), -1, (9,)), 2
    ),
    "sparse plus low rank": lambda r: plus_low_rank(r, SparseOperator(sparse_spd(r, 15), (15,)), 2),
    "kronecker plus low rank": lambda r: plus_low_rank(
        r, KroneckerOperator([spd(r, 3), spd(r, 4)], [(0,), (1,)], (3, 4)), 2
    ),
    "inverse plus identity": lambda r: InverseOperator(
        BlocksOperator(spd(r, 3, 4), (0,), (0,), (4, 3)), 0.6
    ),
    "inverse minus identity": lambda r: InverseOperator(
        DiagonalOperator(r.uniform(0.5, 1, size=6), (6,)), -0.5
    ),
    "inverse of diagonal plus low rank": lambda r: InverseOperator(
        plus_low_rank(r, DiagonalOperator(r.uniform(1, 2, size=9), (9,)), 3)
    ),
    "inverse of blocks": lambda r: InverseOperator(
        BlocksOperator(spd(r, 3, 4), (0,), (0,), (4, 3))
    ),
    "inverse of a band": lambda r: InverseOperator(
        BandedOperator(positive_band(r, 7, 1), -1, (7,))
    ),
    "arrow head": lambda r: SystemOperator(
        [DiagonalOperator(r.uniform(3, 4, size=6), (6,)), DenseOperator(spd(r, 2), (2,))],
        {(0, 1): 0.3 * r.normal(size=(6, 2))},
    ),
    "arrow head with the head first": lambda r: SystemOperator(
        [DenseOperator(spd(r, 2), (2,)), BlocksOperator(spd(r, 2, 3), (0,), (0,), (3, 2))],
        {(0, 1): 0.3 * r.normal(size=(2, 6))},
    ),
    "system of a band and a kronecker product": lambda r: SystemOperator(
        [
            BandedOperator(positive_band(r, 8, 1), -1, (8,)),
            KroneckerOperator([spd(r, 2) + np.eye(2), spd(r, 3)], [(0,), (1,)], (2, 3)),
        ],
        {(0, 1): 0.1 * r.normal(size=(8, 6))},
    ),
    "system of two gram matrices with blocks": lambda r: SystemOperator(
        [block_gram(r, 9, 4, (4, 3), 1.0), block_gram(r, 2, 3, (3, 2), 1.0)],
        {(0, 1): 0.05 * r.normal(size=(12, 6))},
    ),
    "system without coupling": lambda r: SystemOperator(
        [DiagonalOperator(r.uniform(1, 2, size=4), (4,)), DenseOperator(spd(r, 3), (3,))], {}
    ),
    "system with numbers": lambda r: SystemOperator(
        [DiagonalOperator(np.float64(3.0), ()), DiagonalOperator(r.uniform(3, 4, size=4), (4,))],
        {(0, 1): 0.4 * r.normal(size=(1, 4))},
    ),
    "two diagonals joined by a diagonal": lambda r: SystemOperator(
        [DiagonalOperator(r.uniform(3, 4, size=5), (5,)) for _ in range(2)],
        {(0, 1): sparse.diags_array(r.normal(size=5))},
    ),
    "sparse parameters joined sparsely, with a dense head": lambda r: SystemOperator(
        [
            BandedOperator(positive_band(r, 6, 1), -1, (6,)),
            DenseOperator(spd(r, 2) + np.eye(2), (2,)),
            BlocksOperator(spd(r, 2, 3) + np.eye(2), (0,), (0,), (3, 2)),
        ],
        {
            (0, 1): 0.2 * r.normal(size=(6, 2)),
            (0, 2): 0.2 * sparse.random_array((6, 6), density=0.3, rng=r),
            (1, 2): 0.2 * r.normal(size=(2, 6)),
        },
    ),
    "three parameters": lambda r: SystemOperator(
        [
            DenseOperator(spd(r, 2), (2,)),
            DiagonalOperator(r.uniform(3, 4, size=5), (5,)),
            DenseOperator(spd(r, 3), (3,)),
        ],
        {(0, 1): 0.2 * r.normal(size=(2, 5)), (0, 2): 0.2 * r.normal(size=(2, 3))},
    ),
}


def close(actual, expected):
    scale = 1 + np.abs(expected).max(initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10 * scale)


def check(op, dense, rng):
    """Everything an operator can do against the dense matrix."""
    n = op.shape[0]
    v, V = rng.normal(size=n), rng.normal(size=(n, 3))
    close(op.todense(), dense)
    close(op @ v, dense @ v)
    close(op @ V, dense @ V)
    close(op.T @ v, dense.T @ v)
    close(op.diagonal().reshape(-1), np.diagonal(dense))
    close(op.trace(), np.trace(dense))
    for damping in (0.0, 0.7):
        damped = dense + damping * np.eye(n)
        inverse = np.linalg.inv(damped)
        close(op.solve(v, damping=damping), inverse @ v)
        close(op.solve(V, damping=damping), inverse @ V)
        shaped = v.reshape(op.parameter_shape)
        close(op.solve(shaped, damping=damping), (inverse @ v).reshape(op.parameter_shape))
        close(op.logdet(damping=damping), np.linalg.slogdet(damped)[1])
        close(op.inverse_diagonal(damping=damping).reshape(-1), np.diagonal(inverse))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", INSTANCES)
def test_operator_equals_the_dense_matrix(name, seed):
    rng = np.random.default_rng(seed)
    op = INSTANCES[name](rng)
    dense = op @ np.eye(op.shape[0])
    close(dense, dense.T)
    check(op, dense, rng)


@pytest.mark.parametrize("name", INSTANCES)
def test_functions_and_entries_of_numpy(name):
    rng = np.random.default_rng(2)
    op = INSTANCES[name](rng)
    dense = op.todense()
    n = len(dense)
    for found, wanted in (
        (np.trace(op), np.trace(dense)),
        (np.einsum("ii->", op), np.trace(dense)),
        (np.einsum("ii->i", op), np.diagonal(dense)),
        (np.diag(op), np.diagonal(dense)),
        (np.diagonal(op), np.diagonal(dense)),
        (np.linalg.solve(op, dense[0]), np.eye(n)[0]),
        (np.linalg.slogdet(op)[1], np.linalg.slogdet(dense)[1]),
        (np.asarray(op), dense),
        (op[0, n - 1], dense[0, n - 1]),
        (op[-1], dense[-1]),
        (op[1:3, ::2], dense[1:3, ::2]),
        (op[:, 0], dense[:, 0]),
    ):
        close(found, wanted)


def test_entries_do_not_need_the_whole():
    op = DiagonalOperator(np.arange(1.0, 1_000_001.0), (1_000_000,))
    assert op[5, 5] == 6 and op[5, 6] == 0 and np.trace(op) == 500_000_500_000
    with pytest.raises(TensorcalcError, match=r"dense 8e\+03 GB"):
        np.asarray(op)


def test_what_an_operator_cannot_do_names_what_it_can():
    op = DiagonalOperator(np.ones(3), (3,))
    with pytest.raises(TensorcalcError, match=r"np.linalg.inv of a structured(.|\n)*H.solve\(b\)"):
        np.linalg.inv(op)
    with pytest.raises(TensorcalcError, match=r"operator: \(3, 3\)(.|\n)*x: shape \(4,\)"):
        op @ np.ones(4)
    with pytest.raises(TensorcalcError, match="integers or slices"):
        op[[0, 1], [0, 1]]
    with pytest.raises(TypeError, match="damping='auto' is no number"):
        op.solve(np.ones(3), damping="auto")


@pytest.mark.parametrize("seed", range(20))
def test_variances_of_a_sparse_matrix_are_found_inside_of_its_factor(seed):
    """Also where entries of the factor cancel, as small integers make them do."""
    rng = np.random.default_rng(seed)
    root = rng.integers(-1, 2, size=(14, 14)) * (rng.random((14, 14)) < 0.25)
    dense = (root @ root.T + np.eye(14)).astype(float)
    op = SparseOperator(sparse.csr_array(dense), (14,))
    close(op.inverse_diagonal(), np.diagonal(np.linalg.inv(dense)))


def test_variances_on_a_grid_are_those_of_single_solves():
    path = sparse.diags_array([2.0 * np.ones(60), -np.ones(59), -np.ones(59)], offsets=[0, -1, 1])
    one = sparse.eye_array(60)
    op = SparseOperator(sparse.kron(path, one) + sparse.kron(one, path), (3600,))
    variances = op.inverse_diagonal()
    for k in (0, 1234, 3599):
        unit = np.zeros(3600)
        unit[k] = 1
        close(variances[k], op.solve(unit)[k])


@pytest.mark.parametrize("name", INSTANCES)
def test_spectrum_and_smallest_eigenvalue(name):
    rng = np.random.default_rng(5)
    op = INSTANCES[name](rng)
    values = np.linalg.eigvalsh(op @ np.eye(op.shape[0]))
    k = min(2, op.shape[0])
    for which, wanted in (("LA", values[-k:]), ("SA", values[:k])):
        found, vectors = op.eigsh(k, which)
        close(np.sort(found), wanted)
        close(op @ vectors, vectors * found)
    close(op.smallest_eigenvalue(), values[0])


@pytest.mark.parametrize(
    "name", ["diagonal", "blocks", "blocks partly repeated", "tridiagonal", "sparse"]
)
def test_sparse_form(name):
    op = INSTANCES[name](np.random.default_rng(1))
    close(op.to_scipy_sparse().toarray(), op.todense())


def test_dense_has_no_sparse_form():
    op = INSTANCES["kronecker"](np.random.default_rng(1))
    with pytest.raises(TensorcalcError, match="sparse"):
        op.to_scipy_sparse()


def shifted(op, amount):
    """The operator minus a multiple of the identity, in the same class where that is easy."""
    if isinstance(op, DiagonalOperator):
        return DiagonalOperator(op.core - amount, op.parameter_shape)
    if isinstance(op, DenseOperator):
        return DenseOperator(op.matrix - amount * np.eye(op.shape[0]), op.parameter_shape)
    if isinstance(op, SparseOperator):
        return SparseOperator(
            op.matrix - amount * sparse.eye_array(op.shape[0]), op.parameter_shape
        )
    if isinstance(op, BandedOperator):
        band = op.band.copy()
        band[:, -op.low] -= amount
        return BandedOperator(band, op.low, op.parameter_shape)
    if isinstance(op, KroneckerSumOperator):
        first = op.factors[0] - amount * np.eye(len(op.factors[0]))
        return KroneckerSumOperator([first, *op.factors[1:]], [(0,), (1,)], op.parameter_shape)
    if isinstance(op, PlusLowRankOperator):
        return PlusLowRankOperator(shifted(op.base, amount), op.Z, op.M)
    raise AssertionError(type(op))


INDEFINITE = [
    "diagonal",
    "dense",
    "tridiagonal",
    "sparse",
    "kronecker sum",
    "diagonal plus low rank",
]


@pytest.mark.parametrize("name", INDEFINITE)
def test_indefinite_matrix_is_refused_with_its_smallest_eigenvalue(name):
    rng = np.random.default_rng(2)
    op = INSTANCES[name](rng)
    amount = np.linalg.eigvalsh(op.todense())[:2].mean()
    op = shifted(op, amount)
    values = np.linalg.eigvalsh(op @ np.eye(op.shape[0]))
    b = rng.normal(size=op.shape[0])
    with pytest.raises(NotPositiveDefinite, match="smallest eigenvalue") as caught:
        op.solve(b)
    assert caught.value.smallest == pytest.approx(values[0], abs=1e-9)
    with pytest.raises(NotPositiveDefinite):
        op.logdet()
    damped = op.solve(b, damping=1.0 - values[0])
    close((op @ damped) + (1.0 - values[0]) * damped, b)
    moved = op.solve(b, modified="shift")
    assert moved @ b > 0 and np.isfinite(moved).all()


def indefinite(rng):
    """An indefinite instance of every class that has its own way to eigenvalues."""
    blocks = spd(rng, 3, 4) - 2 * np.eye(3)
    band = positive_band(rng, 8, 1)
    band[:, 1] -= 7
    form = block_gram(rng, 3, 5, (5, 3), 0.5)
    form.D[:, :, 0] *= -1
    return {
        "diagonal": DiagonalOperator(rng.normal(size=(3, 4)), (3, 4)),
        "dense": DenseOperator(spd(rng, 6) - 3 * np.eye(6), (6,)),
        "blocks": BlocksOperator(blocks, (0,), (0,), (4, 3)),
        "kronecker": KroneckerOperator([blocks[0], spd(rng, 4)], [(0,), (1,)], (3, 4), -0.3),
        "kronecker sum": KroneckerSumOperator([blocks[0], blocks[1]], [(0,), (1,)], (3, 3)),
        "plus low rank": plus_low_rank(rng, DiagonalOperator(rng.normal(size=9), (9,)), 2),
        "band": BandedOperator(band, -1, (8,)),
        "sparse": SparseOperator(sparse_spd(rng, 12) - 8 * sparse.eye_array(12), (12,)),
        "gram with blocks, wide": form,
        "gram with blocks plus a diagonal": block_gram(rng, 3, 5, (5, 3), rng.normal(size=(5, 3))),
        "system": SystemOperator(
            [DiagonalOperator(rng.normal(size=5), (5,)), DenseOperator(spd(rng, 2), (2,))],
            {(0, 1): rng.normal(size=(5, 2))},
        ),
        "products": ProductOperator((spd(rng, 5) - 4 * np.eye(5)).dot, (5,)),
    }


@pytest.mark.parametrize("name", indefinite(np.random.default_rng(0)))
def test_absolute_eigenvalues(name):
    rng = np.random.default_rng(2)
    op = indefinite(rng)[name]
    n = op.shape[0]
    b = rng.normal(size=n)
    values, vectors = np.linalg.eigh(op @ np.eye(n))
    assert values[0] < 0 < values[-1]
    for damping in (0.0, 0.4):
        expected = vectors @ ((vectors.T @ b) / (np.abs(values) + damping))
        close(op.solve(b, damping=damping, modified="absolute"), expected)
    close(op.smallest_eigenvalue(), values[0])


def test_all_eigenvalues_of_a_matrix_too_large_for_them_are_refused_with_a_remedy():
    op = BandedOperator(np.ones((100_000, 3)), -1, (100_000,))
    with pytest.raises(TensorcalcError, match="modified='shift'"):
        op.solve(np.ones(100_000), modified="absolute")


def test_singular_blocks_and_singular_updates_are_refused():
    block = np.ones((2, 2))
    with pytest.raises(NotPositiveDefinite):
        BlocksOperator(np.stack([np.eye(2), block]), (0,), (0,), (2, 2)).solve(np.ones(4))
    p = np.array([0.2, 0.3, 0.5])
    softmax = PlusLowRankOperator(DiagonalOperator(p, (3,)), p[None], np.array([-1.0]))
    with pytest.raises(NotPositiveDefinite):
        softmax.solve(np.ones(3))
    assert np.isfinite(softmax.solve(np.ones(3), damping=1e-3)).all()


def test_asymmetric_matrix_is_not_factorized():
    matrix = np.array([[2.0, 1.0], [0.0, 2.0]])
    with pytest.raises(TensorcalcError, match="not symmetric"):
        DenseOperator(matrix, (2,)).solve(np.ones(2))


def test_low_rank_alone_needs_damping():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(2, 6))
    op = PlusLowRankOperator(ZeroOperator((6,)), Z, np.ones(2))
    with pytest.raises(NotPositiveDefinite):
        op.solve(np.ones(6))
    close(op.solve(np.ones(6), damping=0.5), np.linalg.solve(Z.T @ Z + 0.5 * np.eye(6), np.ones(6)))


def test_low_rank_with_a_damping_that_is_small_beside_it_does_not_cancel():
    rng = np.random.default_rng(0)
    Z = 1e3 * rng.normal(size=(2, 6))
    b = Z.T @ rng.normal(size=2)
    for base in (ZeroOperator((6,)), DiagonalOperator(np.float64(1e-9), (6,))):
        x = PlusLowRankOperator(base, Z, np.ones(2)).solve(b, damping=1e-2)
        np.testing.assert_allclose(x, np.linalg.pinv(Z) @ np.linalg.pinv(Z.T) @ b, rtol=1e-5)


def test_right_hand_side_of_a_wrong_shape_names_both_shapes():
    op = INSTANCES["blocks"](np.random.default_rng(0))
    with pytest.raises(TensorcalcError, match=r"shape \(4,\)"):
        op.solve(np.ones(4))


def test_products_alone_are_solved_by_iteration_with_a_preconditioner():
    rng = np.random.default_rng(0)
    diagonal = rng.uniform(1, 1e4, size=40)
    H = np.diag(diagonal) + 0.1 * spd(rng, 40) / 40
    inner = DiagonalOperator(diagonal, (40,))
    b = rng.normal(size=40)
    counted = []

    def product(v):
        counted.append(1)
        return H @ v

    x = ProductOperator(product, (40,), preconditioner=inner).solve(b)
    preconditioned = len(counted)
    np.testing.assert_allclose(H @ x, b, atol=1e-7)
    counted.clear()
    ProductOperator(product, (40,)).solve(b)
    assert preconditioned < len(counted)
    indefinite = ProductOperator(lambda v: H @ v - 50 * v, (40,), definite=False)
    np.testing.assert_allclose(H @ indefinite.solve(b) - 50 * indefinite.solve(b), b, atol=1e-5)


@pytest.mark.parametrize("shift", [0.0, -1.5])
def test_the_smallest_eigenvalue_of_a_large_sparse_matrix_is_found(shift):
    n = 900
    chain = sparse.diags_array(
        [-np.ones(n - 1), np.full(n, 2 + shift), -np.ones(n - 1)], offsets=[-1, 0, 1]
    )
    expected = 2 - 2 * np.cos(np.pi / (n + 1)) + shift
    op = SparseOperator(chain, (n,))
    assert op.smallest_eigenvalue() == pytest.approx(expected, abs=1e-10)
    halves = SystemOperator(
        [SparseOperator(chain.tocsr()[s, s], (n // 2,)) for s in (slice(n // 2), slice(n // 2, n))],
        {(0, 1): chain.tocsr()[: n // 2, n // 2 :]},
    )
    assert halves.smallest_eigenvalue() == pytest.approx(expected, abs=1e-10)
    if shift < 0:
        with pytest.raises(NotPositiveDefinite) as raised:
            halves.logdet()
        assert raised.value.smallest == pytest.approx(expected, abs=1e-10)
