"""Speed and size of second-order methods: ``python -m benchmarks.second_order [name ...]``.

Every contestant is checked before it is timed; contestants take turns in one process.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from scipy.optimize import minimize

import autodiff as ad

from .fits import data, masked_factorization, softmax
from .measuring import interleaved


def factorization_loss(U: Any, V: Any, T: Any) -> Any:
    """``|T - U V'|^2``."""
    return np.sum((T - U @ V.T) ** 2)


def newton_system_of_factorization(n: int = 1000, k: int = 10, dense_n: int = 200) -> None:
    """The Newton step in ``U`` with the k by k core, against the dense system by JAX.

    The dense system is formed and solved at ``dense_n`` rows, where it fits; the structured one is
    timed there and at ``n``.
    """
    jnp, dense_step = _dense_step_in_jax()
    rng = np.random.default_rng(0)
    hessian = ad.hessian(factorization_loss, structured=True)
    gradient = ad.grad(factorization_loss)

    def problem(rows: int) -> tuple[Any, Any, Any]:
        U, V = rng.normal(size=(rows, k)), rng.normal(size=(rows, k))
        return U, V, rng.normal(size=(rows, rows))

    def ours(U: Any, V: Any, T: Any) -> Any:
        return hessian(U, V, T).solve(gradient(U, V, T))

    small = problem(dense_n)
    arrays = [jnp.asarray(each) for each in small]
    np.testing.assert_allclose(ours(*small), np.asarray(dense_step(*arrays)), atol=1e-8)
    large = problem(n)
    right = gradient(*large)
    seconds = interleaved(
        {
            f"structured, {dense_n} x {k}": lambda: ours(*small),
            f"JAX dense, {dense_n} x {k}": lambda: dense_step(*arrays).block_until_ready(),
            f"structured system alone, {n} x {k}": lambda: hessian(*large).solve(right),
            f"structured with gradient, {n} x {k}": lambda: ours(*large),
        },
        3.0,
    )
    _report(f"Newton system of factorization ({n * k:,} unknowns)", seconds)


def _dense_step_in_jax() -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def loss(U: Any, V: Any, T: Any) -> Any:
        return jnp.sum((T - U @ V.T) ** 2)

    @jax.jit
    def step(U: Any, V: Any, T: Any) -> Any:
        H = jax.hessian(loss)(U, V, T).reshape(U.size, U.size)
        return jnp.linalg.solve(H, jax.grad(loss)(U, V, T).ravel()).reshape(U.shape)

    return jnp, step


def masked_factorization_sweep(m: int = 20_000, n: int = 500, k: int = 10) -> None:
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
    print(f"masked factorization {m:,} x {n}, k = {k}: sweep {seconds:.2f} s,", end=" ")
    print(f"work memory {peak / 1e6:.0f} MB, data {stored / 1e6:.0f} MB, {peak / stored:.2f} times")


def diagonal_plus_low_rank(n: int = 1_000_000) -> None:
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
    _report(
        f"{operator.structure.name}, n = {n:,}",
        interleaved({"cores and solve": lambda: hessian(x, A).solve(b)}, 3.0),
    )


def softmax_on_digits() -> None:
    """Softmax regression to a gradient norm of 1e-10, against scikit-learn, SciPy and JAX."""
    X, labels = data.digits()
    Y = np.eye(10)[labels]
    gradient = ad.grad(softmax.loss)

    def norm(W: Any) -> float:
        return float(np.linalg.norm(gradient(np.reshape(W, (64, 10)), X, Y, 1.0)))

    exact = _trust_exact_with_jax(X, Y)
    contestants: dict[str, Callable[[], Any]] = {
        "ours: newton": lambda: softmax.fit(X, labels, gtol=1e-10).solution,
        "scikit-learn: newton-cholesky": lambda: softmax.reference(
            X, labels, 1.0, "newton-cholesky", 1e-12
        ),
        "scikit-learn: lbfgs": lambda: softmax.reference(X, labels, 1.0, "lbfgs", 1e-15),
        "SciPy trust-exact, JAX derivatives": exact,
    }
    for name, call in contestants.items():
        print(f"  {name}: gradient norm {norm(call()):.1e}")
    _report("softmax regression on digits", interleaved(contestants, 20.0))


def _trust_exact_with_jax(X: Any, Y: Any) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def loss(w: Any) -> Any:
        scores = X @ w.reshape(64, 10)
        fitted = jnp.sum(jax.nn.logsumexp(scores, axis=1)) - jnp.sum(Y * scores)
        return fitted + jnp.sum(w**2) / 2

    fun, jac, hess = (jax.jit(f) for f in (loss, jax.grad(loss), jax.hessian(loss)))
    return lambda: minimize(
        fun, np.zeros(640), jac=jac, hess=hess, method="trust-exact", options={"gtol": 1e-10}
    ).x


def _report(title: str, seconds: dict[str, float]) -> None:
    print(title)
    for name, each in seconds.items():
        print(f"  {name}: {1e3 * each:.3f} ms")


RUNS: dict[str, Callable[[], None]] = {
    "factorization": newton_system_of_factorization,
    "masked": masked_factorization_sweep,
    "lowrank": diagonal_plus_low_rank,
    "softmax": softmax_on_digits,
}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or RUNS:
        RUNS[chosen]()
