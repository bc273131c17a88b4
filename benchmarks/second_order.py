r"""Speed and size of second-order methods: ``python -m benchmarks.second_order [name ...]``.

Every contestant is checked before it is timed; contestants take turns in one process. ``--json``
and ``--plot`` store the rows and a figure: those of the repository were made by

    OPENBLAS_NUM_THREADS=1 taskset -c 0 python -m benchmarks.second_order \
        --json benchmarks/results/second_order.json --plot benchmarks/results/second_order.png
"""

from __future__ import annotations

import argparse
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from scipy.optimize import minimize

import autodiff as ad

from .fits import data, masked_factorization, softmax
from .fits.cases import cases
from .measuring import interleaved, settled
from .rows import Row, time_text, write_json


def factorization_loss(U: Any, V: Any, T: Any) -> Any:
    """``|T - U V'|^2``."""
    return np.sum((T - U @ V.T) ** 2)


def newton_system_of_factorization(n: int = 1000, k: int = 10, dense_n: int = 200) -> list[Row]:
    """The Newton system in ``U`` with the k by k core, against the dense one by JAX.

    The system is formed and solved on both sides, for a given right-hand side; in a step it is the
    gradient, which both sides compute as well. The dense system is timed at ``dense_n`` rows, where
    it fits, the structured one there and at ``n``.
    """
    jnp, dense_system, dense_step = _dense_systems_in_jax()
    rng = np.random.default_rng(0)
    hessian = ad.hessian(factorization_loss, structured=True)
    gradient = ad.grad(factorization_loss)

    def problem(rows: int) -> tuple[Any, Any, Any]:
        U, V = rng.normal(size=(rows, k)), rng.normal(size=(rows, k))
        return U, V, rng.normal(size=(rows, rows))

    def step(U: Any, V: Any, T: Any) -> Any:
        return hessian(U, V, T).solve(gradient(U, V, T))

    def in_turn(dense: Any, own: Callable[[], Any], *arrays: Any) -> dict[str, float]:
        peers = [jnp.asarray(each) for each in arrays]
        np.testing.assert_allclose(settled(own)(), np.asarray(dense(*peers)), atol=1e-8)
        theirs = {"JAX, dense system": lambda: dense(*peers).block_until_ready()}
        return interleaved({"ours": own, **theirs}, 3.0)

    small, large = problem(dense_n), problem(n)
    right, large_right = gradient(*small), gradient(*large)
    system = in_turn(dense_system, lambda: hessian(*small).solve(right), *small, right)
    whole = in_turn(dense_step, lambda: step(*small), *small)
    alone = interleaved({"ours": settled(lambda: hessian(*large).solve(large_right))}, 2.0)
    wanted = {"JAX, dense system": 1000.0}
    return [
        _row("Newton system of factorization", f"{dense_n} x {k}", system, wanted),
        _row("Newton step of factorization", f"{dense_n} x {k}", whole, wanted),
        _row("Newton system of factorization", f"{n} x {k}", alone, limit=1e-3),
        _row(
            "Newton step of factorization",
            f"{n} x {k}",
            interleaved({"ours": settled(lambda: step(*large))}, 2.0),
        ),
    ]


def _dense_systems_in_jax() -> tuple[Any, Any, Any]:
    """``jax.numpy``, and the dense Newton system for a given right side and for the gradient."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def loss(U: Any, V: Any, T: Any) -> Any:
        return jnp.sum((T - U @ V.T) ** 2)

    def system(U: Any, V: Any, T: Any, right: Any) -> Any:
        H = jax.hessian(loss)(U, V, T).reshape(U.size, U.size)
        return jnp.linalg.solve(H, right.ravel()).reshape(U.shape)

    def step(U: Any, V: Any, T: Any) -> Any:
        return system(U, V, T, jax.grad(loss)(U, V, T))

    return jnp, jax.jit(system), jax.jit(step)


def masked_factorization_sweep(m: int = 20_000, n: int = 500, k: int = 10) -> list[Row]:
    """One alternating Newton sweep over a matrix with 30 % of its entries known."""
    rng = np.random.default_rng(0)
    T, M = rng.normal(size=(m, n)), rng.random((m, n)) < 0.3
    U, V = rng.normal(size=(m, k)), rng.normal(size=(n, k))
    alternating = masked_factorization.Alternating(T, M, 0.1)
    alternating.sweep(U, V)
    start = perf_counter()
    alternating.sweep(U, V)
    seconds = perf_counter() - start
    tracemalloc.start()
    new_U, _ = alternating.sweep(U, V)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reference = masked_factorization.reference_sweep(U, V, T[:50], M[:50], 0.1)[0]
    np.testing.assert_allclose(new_U[:50], reference, atol=1e-8)
    stored = alternating.data[0].nbytes + alternating.data[1].nbytes
    if peak + stored > 3 * stored:
        raise AssertionError(
            f"{peak} bytes beside {stored} of data: more than three times the data"
        )
    text = f"{(peak + stored) / stored:.2f} times the data in memory"
    return [_row("masked factorization, sweep", f"{m} x {n}, k = {k}; {text}", {"ours": seconds})]


def diagonal_plus_low_rank(n: int = 1_000_000) -> list[Row]:
    """A Newton system of ``sum(x^4) + |A x|^2 / 2`` with 5 rows in ``A``."""
    rng = np.random.default_rng(0)
    x, A = rng.normal(size=n), rng.normal(size=(5, n))
    hessian = ad.hessian(
        lambda x, A: np.sum(x**4 + x**2) + np.sum((A @ x) ** 2) / 2, structured=True
    )
    b = rng.normal(size=n)
    operator = hessian(x, A)
    solution = operator.solve(b)
    np.testing.assert_allclose(operator @ solution, b, atol=1e-6)
    seconds = interleaved({"ours": lambda: hessian(x, A).solve(b)}, 3.0)
    return [_row(f"{operator.structure.name}, solve", n, seconds, limit=1.0)]


def softmax_on_digits() -> list[Row]:
    """Softmax regression to a gradient norm of 1e-10, against those who solve it as well.

    statsmodels has a reference class: its problem has one class less to find and the same penalty.
    """
    X, labels = data.digits()
    Y = np.eye(10)[labels]
    gradient = ad.grad(softmax.loss)

    def norm(W: Any) -> float:
        return float(np.linalg.norm(gradient(np.reshape(W, (64, 10)), X, Y, 1.0)))

    iterated: dict[str, Any] = {"method": "newton-conjugate-gradient", "products": "structured"}
    contestants: dict[str, Callable[[], Any]] = {
        "ours": lambda: softmax.fit(X, labels, gtol=1e-10, **iterated).solution,
        "ours, factorized": lambda: softmax.fit(X, labels, gtol=1e-10).solution,
        "newton-cholesky": lambda: softmax.reference(X, labels, 1.0, "newton-cholesky", 1e-12),
        "lbfgs": lambda: softmax.reference(X, labels, 1.0, "lbfgs", 1e-15),
        "SciPy trust-exact, JAX": _trust_exact_with_jax(X, Y),
    }
    reached = {name: norm(call()) for name, call in contestants.items()}
    left_out = {}
    statsmodels = _statsmodels(X, labels)
    if statsmodels is None:
        left_out["statsmodels"] = "not installed"
    else:
        contestants["statsmodels"] = statsmodels
        reached["statsmodels"] = statsmodels()
    for name, size in reached.items():
        print(f"  {name}: gradient norm {size:.1e}")
    assert reached["ours"] <= 1e-10 and reached["ours, factorized"] <= 1e-10
    seconds = interleaved(contestants, 20.0)
    targets = {name: 1.0 for name in contestants if not name.startswith("ours")}
    return [_row("softmax regression on digits", "1797 x 64, 10", seconds, targets, None, left_out)]


def _statsmodels(X: Any, labels: Any) -> Callable[[], float] | None:
    """A fit of statsmodels' multinomial logit with the penalty |W|^2 / 2; its gradient's norm."""
    try:
        from statsmodels.base._penalized import PenalizedMixin
        from statsmodels.base._penalties import L2
        from statsmodels.discrete.discrete_model import MNLogit
    except ImportError:
        return None

    class Penalized(PenalizedMixin, MNLogit):  # type: ignore[misc, valid-type]
        """The likelihood with the penalty."""

    def fit() -> float:
        model = Penalized(labels, X, penal=L2(), pen_weight=0.5)
        found = model.fit(
            method="newton",
            tol=1e-10,
            maxiter=50,
            disp=0,
            start_params=np.zeros(X.shape[1] * int(labels.max())),
            skip_hessian=True,
            warn_convergence=False,
        )
        return float(np.linalg.norm(model.score(np.ravel(found.params, order="F"))))

    return fit


def _trust_exact_with_jax(X: Any, Y: Any) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def loss(w: Any) -> Any:
        scores = X @ w.reshape(64, 10)
        fitted = jnp.sum(jax.nn.logsumexp(scores, axis=1)) - jnp.sum(Y * scores)
        return fitted + jnp.sum(w**2) / 2

    fun, jac, hess = (jax.jit(f) for f in (loss, jax.grad(loss), jax.hessian(loss)))
    return lambda: (
        minimize(
            fun, np.zeros(640), jac=jac, hess=hess, method="trust-exact", options={"gtol": 1e-10}
        ).x
    )


def _row(
    problem: str,
    size: int | str,
    seconds: dict[str, float],
    targets: dict[str, float] | None = None,
    limit: float | None = None,
    left_out: dict[str, str] | None = None,
) -> Row:
    return Row(
        "second order",
        problem,
        size,
        "float64",
        seconds,
        targets or {},
        limit,
        left_out=left_out or {},
    )


def plot(rows: Iterable[Row], path: Path) -> None:
    """Seconds of every contestant, one panel per row, on one logarithmic axis for all."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = list(rows)
    figure, panels = plt.subplots(
        len(shown),
        1,
        figsize=(8, sum(0.35 + 0.22 * len(row.seconds) for row in shown)),
        height_ratios=[1 + len(row.seconds) for row in shown],
        layout="constrained",
        squeeze=False,
        sharex=True,
    )
    times = [seconds for row in shown for seconds in row.seconds.values()]
    for axes, row in zip(panels[:, 0], shown, strict=True):
        names = list(row.seconds)[::-1]
        colours = ["#30638e" if name.startswith("ours") else "#edae49" for name in names]
        bars = axes.barh(names, [row.seconds[name] for name in names], color=colours)
        axes.bar_label(bars, [time_text(row.seconds[name]) for name in names], padding=3)
        axes.set_xscale("log")
        axes.set_xlim(min(times) / 3, 10 * max(times))
        axes.set_title(f"{row.problem}, {row.size}", fontsize=10, loc="left")
    panels[-1, 0].set_xlabel("seconds")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def fits_on_real_data(seconds: float = 0.5) -> list[Row]:
    """Models of statistics with scikit-learn's: what they agree on is checked, then both timed."""
    rows = []
    for case in cases():
        error = case.error()
        if error > case.tolerance:
            raise AssertionError(f"{case.name} by {case.method}: differs by {error:.1e}")
        taken = interleaved({"ours": case.fit, "scikit-learn": case.reference}, seconds)
        size = f"{case.method}, agrees to {error:.0e}"
        rows.append(_row(case.name, size, taken))
    return rows


RUNS: dict[str, Callable[[], list[Row]]] = {
    "factorization": newton_system_of_factorization,
    "masked": masked_factorization_sweep,
    "lowrank": diagonal_plus_low_rank,
    "softmax": softmax_on_digits,
    "fits": fits_on_real_data,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is named, or everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.second_order")
    parser.add_argument("runs", nargs="*", choices=[[], *RUNS], default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args(arguments)
    rows: list[Row] = []
    for chosen in given.runs or RUNS:
        for row in RUNS[chosen]():
            print(f"{row.problem}: {row}")
            rows.append(row)
    if given.json:
        write_json(rows, given.json)
    if given.plot:
        plot(rows, given.plot)


if __name__ == "__main__":
    main()
