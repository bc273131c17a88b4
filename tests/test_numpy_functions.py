"""NumPy functions on expressions give NumPy's values, derivatives, and pin no size they need not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tensorcalc as tc
from tensorcalc.extents import assuming, symbol
from tensorcalc.nodes import Node, Variable
from tensorcalc.numpy_protocol import special

SIZES = {"m": 4, "n": 5, "k": 3}


class Case(NamedTuple):
    """A function of arrays whose axes are named by letters or numbers."""

    name: str
    function: Callable[..., Any]
    shapes: tuple[str, ...] = ("m n",)
    pins: bool = False
    smooth: bool = True
    domain: str = "real"


def case(name: str, function: Callable[..., Any], *shapes: str, **options: Any) -> Case:
    return Case(name, function, shapes or ("m n",), **options)


MASK = np.array([True, False, True, True, False])
POSITIONS = np.array([[0, 3], [3, 1]])

REDUCTIONS = [
    case("sum", np.sum),
    case("sum axis", lambda x: np.sum(x, axis=0)),
    case("sum axes keepdims", lambda x: np.sum(x, (0, -1), keepdims=True), "m k n"),
    case("sum of a mask counts", lambda x: np.sum(x > 0, axis=1), smooth=False),
    case("mean", lambda x: np.mean(x, axis=-1)),
    case("mean all", lambda x: x.mean()),
    case("average weights", lambda x, w: np.average(x, axis=1, weights=w), "m n", "n", domain="positive"),
    case("average", lambda x: np.average(x, axis=0)),
    case("var", lambda x: np.var(x, axis=0)),
    case("var ddof", lambda x: x.var(1, ddof=1, keepdims=True)),
    case("std", lambda x: np.std(x)),
    case("std ddof", lambda x: np.std(x, axis=1, ddof=1)),
    case("max", np.max),
    case("max axis", lambda x: np.max(x, axis=1, keepdims=True)),
    case("amax axes", lambda x: np.amax(x, axis=(0, 2)), "m k n"),
    case("min", lambda x: x.min(axis=0)),
    case("max initial", lambda x: np.max(x, axis=0, initial=0.3)),
    case("ptp", lambda x: np.ptp(x, axis=1)),
    case("prod", lambda x: np.prod(x, axis=1)),
    case("prod all", lambda x: x.prod(), "n"),
    case("argmax", lambda x: np.argmax(x, axis=1), smooth=False),
    case("argmax all", lambda x: np.argmax(x), smooth=False),
    case("argmin keepdims", lambda x: np.argmin(x, axis=0, keepdims=True), smooth=False),
    case("any", lambda x: np.any(x > 1, axis=0), smooth=False),
    case("all", lambda x: np.all(x > -1), smooth=False),
    case("count_nonzero", lambda x: np.count_nonzero(x > 0, axis=1), smooth=False),
    case("trace", np.trace, "n n"),
    case("trace offset", lambda x: np.trace(x, 1), "n n"),
    case("trace axes", lambda x: np.trace(x, axis1=0, axis2=2), "n k n"),
    case("cumsum", lambda x: np.cumsum(x, axis=1)),
    case("cumsum all", lambda x: np.cumsum(x)),
    case("cumulative_sum", lambda x: np.cumulative_sum(x, axis=0, include_initial=True)),
    case("cumprod", lambda x: np.cumprod(x, axis=1)),
    case("cumulative_prod", lambda x: np.cumulative_prod(x), "n"),
    case("sort", lambda x: np.sort(x, axis=0)),
    case("median odd", lambda x: np.median(x, axis=1)),
    case("median even", lambda x: np.median(x, axis=0)),
    case("median all", lambda x: np.median(x)),
    case("trapezoid", lambda y: np.trapezoid(y, dx=0.5)),
    case("trapezoid x", lambda y, x: np.trapezoid(y, x, axis=0), "m n", "m"),
    case("cov", lambda x: np.cov(x)),
    case("cov columns", lambda x: np.cov(x, rowvar=False, bias=True)),
    case("add.reduce", lambda x: np.add.reduce(x, axis=1)),
]

PRODUCTS = [
    case("dot vectors", np.dot, "n", "n"),
    case("dot", np.dot, "m n", "n k"),
    case("dot tensors", np.dot, "2 m n", "k n 3"),
    case("dot scalar", lambda x: np.dot(x, 2.0)),
    case("vdot", np.vdot, "m n", "m n"),
    case("inner", np.inner, "m n", "k n"),
    case("outer", np.outer, "m n", "k"),
    case("linalg.outer", np.linalg.outer, "m", "n"),
    case("tensordot", lambda a, b: np.tensordot(a, b), "k m n", "m n 2"),
    case("tensordot axes", lambda a, b: np.tensordot(a, b, ([0, 2], [1, 0])), "k m n", "n k 2"),
    case("tensordot axis", lambda a, b: np.tensordot(a, b, axes=([-1], [0])), "m n", "n"),
    case("tensordot none", lambda a, b: np.tensordot(a, b, 0), "m", "n"),
    case("einsum", lambda a, b: np.einsum("ij,jk->ki", a, b), "m n", "n k"),
    case("einsum implicit", lambda a, b: np.einsum("ij,jk", a, b), "m n", "n k"),
    case("einsum implicit sorted", lambda a: np.einsum("ba", a)),
    case("einsum repeated", lambda a: np.einsum("ii", a), "n n"),
    case("einsum diagonal", lambda a: np.einsum("...ii->...i", a), "k n n"),
    case("einsum ellipsis", lambda a, b: np.einsum("...ij,...jk->...ik", a, b), "2 m n", "n k"),
    case("einsum implicit ellipsis", lambda a, b: np.einsum("...j,j", a, b), "k m n", "n"),
    case("einsum lists", lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [2, 0]), "m n", "n k"),
    case("einsum lists implicit", lambda a, b: np.einsum(a, [0, 1], b, [1, 2]), "m n", "n k"),
    case("einsum list ellipsis", lambda a: np.einsum(a, [..., 0, 1], [..., 1, 0]), "k m n"),
    case("einsum size one", lambda a, b: np.einsum("ij,ij->i", a, b), "m n", "m 1"),
    case("einsum optimize", lambda a, b: np.einsum("ij,j->i", a, b, optimize=True), "m n", "n"),
    case("einsum one operand", lambda a: np.einsum("ij->", a)),
    case("matmul", np.matmul, "m n", "n k"),
    case("matmul vector", lambda a, b: a @ b, "n", "n k"),
    case("matmul batched", lambda a, b: a @ b, "2 m n", "n k"),
    case("matmul broadcast", lambda a, b: a @ b, "2 1 m n", "3 n k"),
    case("matmul by array", lambda a: a @ np.arange(10.0).reshape(5, 2), "m 5"),
    case("array matmul", lambda a: np.arange(10.0).reshape(2, 5) @ a, "5 m"),
    case("kron", np.kron, "m n", "2 k"),
    case("kron vectors", np.kron, "m", "n"),
    case("kron ranks", np.kron, "n", "2 k"),
    case("cross", np.cross, "n 3", "n 3"),
    case("cross axis", lambda a, b: np.cross(a, b, axis=0), "3 n", "3 n"),
    case("vecdot", np.vecdot, "m n", "n"),
    case("linalg.vecdot", lambda a, b: np.linalg.vecdot(a, b, axis=0), "n k", "n k"),
    case("matvec", np.matvec, "2 m n", "n"),
    case("vecmat", np.vecmat, "m", "m n"),
    case("multi_dot", lambda a, b, c: np.linalg.multi_dot([a, b, c]), "m n", "n k", "k"),
    case("polyval", lambda p, x: np.polyval(p, x), "3", "n"),
    case("vander", lambda x: np.vander(x, 3), "n"),
]

LINEAR_ALGEBRA = [
    case("inv", np.linalg.inv, "n n", domain="invertible"),
    case("inv batched", np.linalg.inv, "2 k k", domain="invertible"),
    case("det", np.linalg.det, "k k", domain="invertible"),
    case("slogdet", lambda a: np.linalg.slogdet(a).logabsdet, "n n", domain="invertible"),
    case("slogdet sign", lambda a: np.linalg.slogdet(a)[0], "n n", domain="invertible", smooth=False),
    case("solve", np.linalg.solve, "n n", "n", domain="invertible"),
    case("solve matrix", np.linalg.solve, "n n", "n 2", domain="invertible"),
    case("solve batched", np.linalg.solve, "2 k k", "2 k 4", domain="invertible"),
    case("cholesky", lambda a: np.linalg.cholesky(a @ a.T + np.eye(3)), "3 3"),
    case("cholesky upper", lambda a: np.linalg.cholesky(a @ a.T + np.eye(3), upper=True), "3 3"),
    case("eigvalsh", lambda a: np.linalg.eigvalsh(a + a.T), "k k"),
    case("eigh values", lambda a: np.linalg.eigh(a + a.T).eigenvalues, "k k"),
    case("eigh vectors", lambda a: np.linalg.eigh(a + a.T)[1] ** 2, "k k"),
    case("svdvals", np.linalg.svdvals, "4 3"),
    case("svd values", lambda a: np.linalg.svd(a, compute_uv=False), "4 3"),
    case("svd vectors", lambda a: np.linalg.svd(a, full_matrices=False).U ** 2, "4 3"),
    case("svd square", lambda a: np.linalg.svd(a)[2] ** 2, "k k"),
    case("pinv", np.linalg.pinv, "4 3"),
    case("matrix_power", lambda a: np.linalg.matrix_power(a, 5), "k k"),
    case("matrix_power 0", lambda a: a @ np.linalg.matrix_power(a, 0), "k k"),
    case("matrix_power negative", lambda a: np.linalg.matrix_power(a, -2), "k k", domain="invertible"),
    case("norm", np.linalg.norm, "n"),
    case("norm matrix", np.linalg.norm),
    case("norm tensor", np.linalg.norm, "2 m k"),
    case("norm axis", lambda x: np.linalg.norm(x, axis=0)),
    case("norm keepdims", lambda x: np.linalg.norm(x, axis=1, keepdims=True)),
    case("norm axes", lambda x: np.linalg.norm(x, axis=(0, 2)), "m k n"),
    case("norm all keepdims", lambda x: np.linalg.norm(x, keepdims=True)),
    *[
        case(f"norm {order}", lambda x, order=order: np.linalg.norm(x, order), "n")
        for order in (1, 2, np.inf, -np.inf, 3, 0.5)
    ],
    case("norm 0", lambda x: np.linalg.norm(x, 0), "n", smooth=False),
    *[
        case(f"matrix norm {order}", lambda x, order=order: np.linalg.norm(x, order), "4 3")
        for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    ],
    case("vector_norm", lambda x: np.linalg.vector_norm(x, axis=(0, 1), ord=3), "m k n"),
    case("matrix_norm", lambda x: np.linalg.matrix_norm(x, ord=1), "2 m k"),
    case("cond", np.linalg.cond, "k k"),
]

SHAPES = [
    case("reshape merge", lambda x: np.reshape(x, (-1,))),
    case("reshape split", lambda x: x.reshape(2, -1), "4 n"),
    case("reshape regroup", lambda x: x.reshape(3, 4, -1), "6 2 n"),
    case("reshape insert", lambda x: x.reshape(x.shape[0], 1, x.shape[1])),
    case("reshape symbols", lambda x: x.reshape(x.shape[1] * x.shape[2], -1), "m n k"),
    case("reshape back", lambda x: x.reshape(-1).reshape(x.shape)),
    case("ravel", np.ravel, "2 m k"),
    case("flatten", lambda x: x.T.flatten()),
    case("transpose", np.transpose, "m n k"),
    case("transpose axes", lambda x: np.transpose(x, (1, -1, 0)), "m n k"),
    case("transpose method", lambda x: x.transpose(2, 0, 1), "m n k"),
    case("matrix_transpose", lambda x: np.matrix_transpose(x), "m n k"),
    case("swapaxes", lambda x: x.swapaxes(0, -1), "m n k"),
    case("moveaxis", lambda x: np.moveaxis(x, [0, 1], [-1, 0]), "m n k"),
    case("rollaxis", lambda x: np.rollaxis(x, 2, 1), "m n k"),
    case("rollaxis up", lambda x: np.rollaxis(x, 0, 3), "m n k"),
    case("expand_dims", lambda x: np.expand_dims(x, (0, -1))),
    case("squeeze", np.squeeze, "1 m 1 n"),
    case("squeeze axis", lambda x: x.squeeze(-2), "1 m 1 n"),
    case("broadcast_to", lambda x: np.broadcast_to(x, (3, x.shape[0], 4)), "m 1"),
    case("broadcast_arrays", lambda x, y: sum(np.broadcast_arrays(x, y)), "m n", "n"),
    case("atleast_1d", lambda x: np.atleast_1d(x), ""),
    case("atleast_2d", lambda x: np.atleast_2d(x), "n"),
    case("atleast_3d", lambda x: np.atleast_3d(x)),
    case("atleast_3d vector", lambda x: np.atleast_3d(x), "n"),
    case("tile", lambda x: np.tile(x, 2), "n"),
    case("tile axes", lambda x: np.tile(x, (2, 1, 3))),
    case("repeat", lambda x: np.repeat(x, 3, axis=1)),
    case("repeat all", lambda x: x.repeat(2)),
    case("repeat counts", lambda x: np.repeat(x, [1, 0, 3, 2], axis=0), "4 n"),
    case("concatenate", lambda x, y: np.concatenate([x, y]), "m n", "k n"),
    case("concatenate axis", lambda x, y: np.concatenate((x, y, x), axis=-1), "m n", "m k"),
    case("concatenate none", lambda x, y: np.concatenate([x, y], axis=None), "m n", "k"),
    case("concatenate array", lambda x: np.concatenate([np.zeros(2), x, np.arange(2.0)]), "n"),
    case("stack", lambda x, y: np.stack([x, y]), "m n", "m n"),
    case("stack axis", lambda x, y: np.stack([x, 2 * y, x], axis=-1), "m n", "m n"),
    case("stack scalars", lambda x: np.stack([x[0], 1.0, np.sin(x[1])]), "3"),
    case("vstack", lambda x, y: np.vstack([x, y]), "m n", "n"),
    case("hstack", lambda x, y: np.hstack([x, y]), "m", "n"),
    case("hstack matrices", lambda x, y: np.hstack([x, y]), "m n", "m 2"),
    case("dstack", lambda x, y: np.dstack([x, y]), "m n", "m n"),
    case("column_stack", lambda x, y: np.column_stack([x, y]), "m", "m n"),
    case("block", lambda x, y: np.block([[x, np.ones((4, 2))], [np.zeros((2, 5)), y]]), "4 5", "2 2"),
    case("block scalars", lambda t: np.block([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]), ""),
    case("append", lambda x: np.append(x, 3.0)),
    case("append axis", lambda x, y: np.append(x, y, axis=0), "m n", "k n"),
    case("meshgrid", lambda x, y: np.divide(*np.meshgrid(x, y)), "m", "n"),
    case("meshgrid ij", lambda x, y: np.divide(*np.meshgrid(x, y, indexing="ij")), "m", "n"),
    case("split", lambda x: np.split(x, 2)[1], "4 n"),
    case("split symbols", lambda x: np.split(x.reshape(-1), x.shape[0])[1], "3 n"),
    case("split positions", lambda x: np.split(x, [1, 3], axis=1)[1], "m 5"),
    case("array_split", lambda x: np.array_split(x, 3)[0], "n", pins=True),
    case("hsplit", lambda x: np.hsplit(x, 5)[2], "m 5"),
    case("unstack", lambda x: np.unstack(x)[1], "2 n"),
    case("roll", lambda x: np.roll(x, 1), "n"),
    case("roll back", lambda x: np.roll(x, -1, axis=0)),
    case("roll axes", lambda x: np.roll(x, (2, -1), axis=(1, 0)), "4 5"),
    case("roll all", lambda x: np.roll(x, 1)),
    case("flip", np.flip),
    case("flip axis", lambda x: np.flip(x, 1)),
    case("fliplr", np.fliplr),
    case("flipud", np.flipud),
    *[case(f"rot90 {k}", lambda x, k=k: np.rot90(x, k)) for k in (-1, 0, 1, 2, 3)],
    case("pad", lambda x: np.pad(x, 1)),
    case("pad widths", lambda x: np.pad(x, ((1, 2), (0, 3)))),
    case("pad value", lambda x: np.pad(x, (2, 1), constant_values=1.5)),
    case("pad values", lambda x: np.pad(x, (2, 1), constant_values=(3.0, 0.0)), "n"),
    case("pad edge", lambda x: np.pad(x, ((2, 1), (0, 3)), mode="edge")),
    case("pad reflect", lambda x: np.pad(x, (2, 1), mode="reflect"), "5"),
    case("pad symmetric", lambda x: np.pad(x, (2, 3), mode="symmetric"), "5 4"),
    case("pad wrap", lambda x: np.pad(x, (2, 3), mode="wrap"), "5"),
    case("pad wrap once", lambda x: np.pad(x, 1, mode="wrap"), "n"),
]

SELECTIONS = [
    case("diag", np.diag, "n"),
    case("diag offset", lambda x: np.diag(x, 2), "n"),
    case("diag below", lambda x: np.diag(x, -1), "n"),
    case("diag of matrix", np.diag, "n n"),
    case("diagflat", lambda x: np.diagflat(x, 1), "2 2"),
    case("diagonal", lambda x: np.diagonal(x, 1), "n n"),
    case("diagonal below", lambda x: x.diagonal(-2), "5 5"),
    case("diagonal wide", lambda x: np.diagonal(x, 1), "4 6"),
    case("diagonal axes", lambda x: np.diagonal(x, axis1=0, axis2=2), "n k n"),
    case("linalg.diagonal", lambda x: np.linalg.diagonal(x), "k n n"),
    case("linalg.trace", lambda x: np.linalg.trace(x), "k n n"),
    *[case(f"tril {k}", lambda x, k=k: np.tril(x, k)) for k in (-2, -1, 0, 1, 2)],
    *[case(f"triu {k}", lambda x, k=k: np.triu(x, k)) for k in (-2, -1, 0, 1, 2)],
    case("tril batched", np.tril, "2 n n"),
    case("where", lambda x, y: np.where(x > 0, x, y), "m n", "m n"),
    case("where broadcast", lambda x, y: np.where(x > 0, y, 1.0), "m n", "n"),
    case("where array", lambda x: np.where(MASK, x, -x), "m 5"),
    case("where nonzero", lambda x: np.where(np.floor(x), x, 2 * x)),
    case("select", lambda x: np.select([x < -0.5, x < 0.5], [x**2, 3 * x], 1.0)),
    case("clip", lambda x: np.clip(x, -0.5, 0.7)),
    case("clip one side", lambda x: x.clip(min=0.1)),
    case("clip by expressions", lambda x, y: np.clip(x, y, y + 1), "m n", "n"),
    case("nan_to_num", np.nan_to_num),
    case("isclose", lambda x: np.isclose(x, 0.3, atol=0.5), smooth=False),
    case("take", lambda x: np.take(x, [2, 0, -1], axis=1), "m 5"),
    case("take flat", lambda x: np.take(x, POSITIONS), "4 5"),
    case("take_along_axis", lambda x: np.take_along_axis(x, np.array([[0], [2], [1], [-1]]), 1), "4 5"),
    case("take_along argsort", lambda x: np.take_along_axis(x, np.argmax(x, 1, keepdims=True), 1)),
    case("choose", lambda x: np.choose(np.array([0, 2, 1]), [x, 2 * x, x**2]), "3"),
    case("compress", lambda x: np.compress(MASK, x, axis=1), "m 5"),
    case("delete", lambda x: np.delete(x, 1, axis=0), pins=True),
    case("zeros_like", lambda x: x + np.zeros_like(x)),
    case("ones_like", lambda x: np.ones_like(x) + x),
    case("full_like", lambda x: x * np.full_like(x, 2.5)),
    case("round", lambda x: np.round(x), smooth=False),
    case("round decimals", lambda x: x.round(1), smooth=False),
    case("fix", np.fix, smooth=False),
    case("sinc", np.sinc),
    case("diff", lambda x: np.diff(x)),
    case("diff axis", lambda x: np.diff(x, axis=0)),
    case("diff twice", lambda x: np.diff(x, n=2), "m 5"),
    case("diff prepend", lambda x: np.diff(x, prepend=0.0)),
    case("ediff1d", lambda x: np.ediff1d(x, to_begin=0.0)),
    case("gradient", lambda x: np.gradient(x, 0.5), "5"),
    case("gradient axis", lambda x: np.gradient(x, axis=1), "m 5"),
]

WINDOWS = [
    case("sliding windows", lambda x: np.lib.stride_tricks.sliding_window_view(x, 3), "5"),
    case(
        "sliding windows axes",
        lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 3), axis=(1, 2)),
        "2 4 5",
    ),
    case(
        "sliding windows by symbols",
        lambda x, v: np.lib.stride_tricks.sliding_window_view(np.pad(x, (0, v.shape[0] - 1)), v.shape) @ v,
        "n",
        "k",
    ),
    case(
        "max pooling",
        lambda x: np.max(x.reshape(2, 2, 3, 2), axis=(1, 3)),
        "4 6",
    ),
    case("convolve", np.convolve, "n", "k"),
    *[
        case(f"{name} {mode} {a} {b}", lambda x, y, f=f, mode=mode: f(x, y, mode), a, b)
        for name, f in (("convolve", np.convolve), ("correlate", np.correlate))
        for mode in ("full", "same", "valid")
        for a, b in (("6", "3"), ("6", "4"), ("3", "6"), ("4", "4"))
    ],
]

INDEXING = [
    case("integer", lambda x: x[0]),
    case("negative", lambda x: x[:, -1]),
    case("element", lambda x: x[1, 2], "4 5"),
    case("from", lambda x: x[1:]),
    case("to", lambda x: x[:, :-1]),
    case("between", lambda x: x[:, 1:3], "m 5"),
    case("step", lambda x: x[::2]),
    case("reversed", lambda x: x[::-1]),
    case("reversed step", lambda x: x[:, ::-2]),
    case("reversed between", lambda x: x[3:0:-1], "5 n"),
    case("reversed from", lambda x: x[-2::-1], "5 n"),
    case("beyond", lambda x: x[2:99], "5 n"),
    case("empty", lambda x: x[3:1], "5 n"),
    case("by symbols", lambda x: x[: x.shape[0] // 2]),
    case("upper half", lambda x: x[x.shape[0] // 2 :]),
    case("new axes", lambda x: x[None, :, None, 1:]),
    case("ellipsis", lambda x: x[..., 0], "m n k"),
    case("ellipsis between", lambda x: x[0, ..., None, -1], "m n k"),
    case("slice of slice", lambda x: x[1:][:-1][::-1], "5"),
    case("gather", lambda x: x[[2, 0, 0, 3]], "4 n"),
    case("gather matrix", lambda x: x[POSITIONS], "4 n"),
    case("gather negative", lambda x: x[:, np.array([-1, 0, 2])], "m 5"),
    case("gather affine", lambda x: x[np.arange(3) * 2], "5 n"),
    case("gather columns and rows", lambda x: x[np.array([[0], [2]]), np.array([1, 0, 4])], "4 5"),
    case("gather pairs", lambda x: x[[0, 1, 3], [4, 0, 1]], "4 5"),
    case("gather diagonal", lambda x: x[np.arange(4), np.arange(4)], "4 4"),
    case("ix_", lambda x: x[np.ix_([0, 3], [1, 2, 4])], "4 5"),
    case("gather after slice", lambda x: x[1:, [0, 2]], "m 5"),
    case("gather apart", lambda x: x[[0, 2, 1], :, [1, 0, 3]], "3 n 4"),
    case("gather neighbours", lambda x: x[:, [0, 2, 1], [1, 0, 3]], "n 3 4"),
    case("gather with integer", lambda x: x[0, :, [1, 0]], "m n 4"),
    case("gather with integer neighbour", lambda x: x[:, 1, [1, 0]], "m 4 4"),
    case("gather none between", lambda x: x[[0, 1], None, [1, 2]], "3 3"),
    case("gather empty", lambda x: x[[]], "4 n"),
    case("mask", lambda x: x[:, MASK], "m 5"),
    case("mask matrix", lambda x: x[np.eye(4, dtype=bool)], "4 4"),
    case("by argmax", lambda x: x[np.argmax(x, axis=0), np.arange(5)], "m 5"),
    case("by argmax of vector", lambda x: x[np.argmax(x)], "n"),
    case("window by index", lambda x: x[np.arange(3)[:, None] + np.arange(2)], "5 n"),
    case("iteration", lambda x: sum(row * k for k, row in enumerate(x)), "3 n"),
    case("unpacking", lambda x: (lambda a, b: a * b)(*x), "2 n"),
]

METHODS = [
    case("T", lambda x: x.T, "m n k"),
    case("mT", lambda x: x.mT, "m n k"),
    case("size", lambda x: x / x.size),
    case("real", lambda x: x.real),
    case("conj", lambda x: x.conj()),
    case("copy", lambda x: x.copy()),
    case("astype", lambda x: x.astype(float)),
    case("astype of mask", lambda x: x * (x > 0).astype(np.float64)),
    case("dot", lambda x, y: x.dot(y), "m n", "n"),
    case("trace", lambda x: x.trace(), "n n"),
    case("np.size", lambda x: x * np.size(x, 1)),
    case("np.shape", lambda x: x / np.shape(x)[0]),
    case("in place", lambda x: _added_in_place(x)),
]

SPECIAL = [
    case("logsumexp", lambda x: special.logsumexp(x)),
    case("logsumexp axis", lambda x: special.logsumexp(x, axis=0, keepdims=True)),
    case("logsumexp weights", lambda x: special.logsumexp(x, axis=1, b=np.arange(1.0, 6.0)), "m 5"),
    case("softmax", lambda x: special.softmax(x, axis=0)),
    case("softmax axes", lambda x: special.softmax(x, axis=(0, 2)), "m k n"),
    case("softmax all", lambda x: special.softmax(x)),
    case("log_softmax", lambda x: special.log_softmax(x, axis=-1)),
    case("normalize", lambda x: special.normalize(x, axis=0)),
    case("expm", lambda a: special.expm(a), "3 3"),
]


def _added_in_place(x: Any) -> Any:
    y = x * 1
    y += x
    y *= 2
    return y


CASES = {
    f"{group}: {each.name}": each
    for group, cases in {
        "reduction": REDUCTIONS,
        "product": PRODUCTS,
        "linear algebra": LINEAR_ALGEBRA,
        "shape": SHAPES,
        "selection": SELECTIONS,
        "window": WINDOWS,
        "index": INDEXING,
        "method": METHODS,
        "special": SPECIAL,
    }.items()
    for each in cases
}


def sizes_of(shape: str) -> tuple[int, ...]:
    return tuple(SIZES.get(axis) or int(axis) for axis in shape.split())


def variables(shapes: tuple[str, ...]) -> list[Variable]:
    return [
        Variable(f"x{k}", [symbol(axis) if axis in SIZES else int(axis) for axis in shape.split()])
        for k, shape in enumerate(shapes)
    ]


def arrays(each: Case) -> list[Any]:
    rng = np.random.default_rng(7)
    values = [rng.normal(size=sizes_of(shape)) for shape in each.shapes]
    if each.domain == "positive":
        return [np.abs(value) + 0.1 for value in values]
    if each.domain == "invertible":
        values[0] = values[0] + 2 * np.eye(values[0].shape[-1])
    return values


def traced(each: Case) -> tuple[Node, list[Variable], Any]:
    xs = variables(each.shapes)
    with assuming(dict(SIZES)) as guards:
        return each.function(*xs), xs, guards


@pytest.mark.parametrize("each", CASES.values(), ids=CASES.keys())
def test_values_are_those_of_numpy(each: Case) -> None:
    values = arrays(each)
    expression, xs, guards = traced(each)
    found = tc.evaluate(expression, **bound(expression, xs, values))
    wanted = each.function(*values)
    assert np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    pinned = [question for question in guards.answers if question[0] == "=="]
    assert bool(pinned) == each.pins, f"guards: {guards.answers}"


def bound(expression: Node, xs: list[Variable], values: list[Any]) -> dict[str, Any]:
    used = set(tc.free_variables(expression))
    return {x.name: value for x, value in zip(xs, values, strict=True) if x in used}


SMOOTH = {name: each for name, each in CASES.items() if each.smooth}


@pytest.mark.parametrize("each", SMOOTH.values(), ids=SMOOTH.keys())
def test_gradients_agree_with_finite_differences(each: Case) -> None:
    """In a random direction of all arguments at once, which also tells every size."""
    values = arrays(each)
    rng = np.random.default_rng(3)
    weights = rng.normal(size=np.shape(each.function(*values)))
    directions = [rng.normal(size=value.shape) for value in values]
    expression, xs, guards = traced(each)
    with assuming(guards.sizes):
        loss = np.sum(expression * weights)
        towards = [Variable(f"d{k}", x.extents) for k, x in enumerate(xs)]
        slope = sum(np.sum(tc.gradient(loss, x) * d) for x, d in zip(xs, towards, strict=True))
    found = tc.evaluate(slope, **bound(slope, xs + towards, values + directions))

    def along(step: float) -> Any:
        return np.sum(
            each.function(*[v + step * d for v, d in zip(values, directions, strict=True)]) * weights
        )

    wanted = (along(1e-6) - along(-1e-6)) / 2e-6
    np.testing.assert_allclose(found, wanted, rtol=3e-6, atol=3e-7)
