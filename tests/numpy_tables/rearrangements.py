"""Functions that rearrange and select, indexing, methods, and functions of our own."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorcalc.numpy_protocol import special

from .case import case

MASK = np.array([True, False, True, True, False])
POSITIONS = np.array([[0, 3], [3, 1]])


def _turned(x: Any) -> Any:
    return np.concatenate([x[1:], x[:1]])


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
    case("matrix_transpose", np.matrix_transpose, "m n k"),
    case("swapaxes", lambda x: x.swapaxes(0, -1), "m n k"),
    case("moveaxis", lambda x: np.moveaxis(x, [0, 1], [-1, 0]), "m n k"),
    case("rollaxis", lambda x: np.rollaxis(x, 2, 1), "m n k"),
    case("rollaxis up", lambda x: np.rollaxis(x, 0, 3), "m n k"),
    case("expand_dims", lambda x: np.expand_dims(x, (0, -1))),
    case("squeeze", np.squeeze, "1 m 1 n"),
    case("squeeze axis", lambda x: x.squeeze(-2), "1 m 1 n"),
    case("broadcast_to", lambda x: np.broadcast_to(x, (3, x.shape[0], 4)), "m 1"),
    case("broadcast_arrays", lambda x, y: sum(np.broadcast_arrays(x, y)), "m n", "n"),
    case("atleast_1d", np.atleast_1d, ""),
    case("atleast_2d", np.atleast_2d, "n"),
    case("atleast_3d", np.atleast_3d),
    case("atleast_3d vector", np.atleast_3d, "n"),
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
    case(
        "block", lambda x, y: np.block([[x, np.ones((4, 2))], [np.zeros((2, 5)), y]]), "4 5", "2 2"
    ),
    case(
        "block scalars", lambda t: np.block([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]), ""
    ),
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
    case("slices joined, twice", lambda x: _turned(_turned(x)), "n"),
    case("roll of nothing", lambda x: np.roll(x, 1), "0"),
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
    case("linalg.diagonal", np.linalg.diagonal, "k n n"),
    case("linalg.trace", np.linalg.trace, "k n n"),
    *[case(f"tril {k}", lambda x, k=k: np.tril(x, k)) for k in (-2, -1, 0, 1, 2)],
    *[case(f"triu {k}", lambda x, k=k: np.triu(x, k)) for k in (-2, -1, 0, 1, 2)],
    case("tril batched", np.tril, "2 n n"),
    case("where", lambda x, y: np.where(x > 0, x, y), "m n", "m n"),
    case("where broadcast", lambda x, y: np.where(x > 0, y, 1.0), "m n", "n"),
    case("where array", lambda x: np.where(MASK, x, -x), "m 5"),
    case("where nonzero", lambda x: np.where(np.floor(x), x, 2 * x)),
    case(
        "piecewise",
        lambda x: np.piecewise(x, [x < -0.5, x > 0.5], [lambda t: t**2, 3.0, lambda t, a=1: a * t]),
    ),
    case("piecewise zero", lambda x: np.piecewise(x, [x < 0.5, x < 0], [np.sin, np.exp])),
    case("select", lambda x: np.select([x < -0.5, x < 0.5], [x**2, 3 * x], 1.0)),
    case("clip", lambda x: np.clip(x, -0.5, 0.7)),
    case("clip one side", lambda x: x.clip(min=0.1)),
    case("clip by expressions", lambda x, y: np.clip(x, y, y + 1), "m n", "n"),
    case("nan_to_num", np.nan_to_num),
    case("isclose", lambda x: np.isclose(x, 0.3, atol=0.5), smooth=False),
    case("take", lambda x: np.take(x, [2, 0, -1], axis=1), "m 5"),
    case("take flat", lambda x: np.take(x, POSITIONS), "4 5"),
    case(
        "take_along_axis",
        lambda x: np.take_along_axis(x, np.array([[0], [2], [1], [-1]]), 1),
        "4 5",
    ),
    case("take_along argsort", lambda x: np.take_along_axis(x, np.argmax(x, 1, keepdims=True), 1)),
    case("choose", lambda x: np.choose(np.array([0, 2, 1]), [x, 2 * x, x**2]), "3"),
    case("compress", lambda x: np.compress(MASK, x, axis=1), "m 5"),
    case("insert", lambda x: np.insert(x, [1, 2], x[:, :2] ** 2, axis=1), pins=True),
    case("insert row", lambda x: np.insert(x, 1, 2.0 * x[:2], axis=0), pins=True),
    case("insert flat", lambda x: np.insert(x, 3, x[0, 0] ** 2), pins=True),
    case("resize", lambda x: np.resize(x, (3, 7)), pins=True),
    case("column-major", lambda x: x.reshape(-1, order="F") * np.ravel(x, order="F")[0]),
    case("column-major shape", lambda x: np.reshape(x, (5, -1), order="F"), "m 5"),
    case("delete", lambda x: np.delete(x, 1, axis=0), pins=True),
    case("zeros_like", lambda x: x + np.zeros_like(x)),
    case("ones_like", lambda x: np.ones_like(x) + x),
    case("full_like", lambda x: x * np.full_like(x, 2.5)),
    case("round", np.round, smooth=False),
    case("round decimals", lambda x: x.round(1), smooth=False),
    case("fix", np.fix, smooth=False),
    case("sinc", np.sinc),
    case("i0", np.i0),
    case("diff", np.diff),
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
        lambda x, v: (
            np.lib.stride_tricks.sliding_window_view(np.pad(x, (0, v.shape[0] - 1)), v.shape) @ v
        ),
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
    case("in place", lambda x: _added_in_place(x * 1)),
]

SPECIAL = [
    case("logsumexp", special.logsumexp),
    case("logsumexp axis", lambda x: special.logsumexp(x, axis=0, keepdims=True)),
    case("logsumexp weights", lambda x: special.logsumexp(x, axis=1, b=np.arange(1.0, 6.0)), "m 5"),
    case("softmax", lambda x: special.softmax(x, axis=0)),
    case("softmax axes", lambda x: special.softmax(x, axis=(0, 2)), "m k n"),
    case("softmax all", special.softmax),
    case("log_softmax", lambda x: special.log_softmax(x, axis=-1)),
    case("normalize", lambda x: special.normalize(x, axis=0)),
    case("expm", special.expm, "3 3"),
]


def _added_in_place(x: Any) -> Any:
    x += 1
    x *= x
    return x
