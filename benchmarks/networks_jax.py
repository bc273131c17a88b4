"""The networks of ``networks_speed`` and their training step as users of JAX write them.

Parameters are a dictionary with the names of ``state_dict``; a step is one jitted function with
donated parameters and optimizer state. Convolutions are ``lax.conv_general_dilated``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .peers import load_jax

#: Channels after each block of the residual network.
CHANNELS = (16, 16, 16, 32, 32, 32, 64, 64, 64)
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8

Arrays = Mapping[str, Any]
#: Logits, and the running averages of batch normalisation where there are any.
Result = tuple[Any, dict[str, Any]]


def _linear(p: Arrays, name: str, x: Any) -> Any:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _conv(p: Arrays, name: str, x: Any, stride: int, padding: int) -> Any:
    numbers = ("NCHW", "OIHW", "NCHW")
    out = load_jax().lax.conv_general_dilated(
        x,
        p[f"{name}.weight"],
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=numbers,
    )
    return out + p[f"{name}.bias"][:, None, None] if f"{name}.bias" in p else out


def _pooled(x: Any) -> Any:
    lax = load_jax().lax
    window = (1, 1, 2, 2)
    return lax.reduce_window(x, -load_jax().numpy.inf, lax.max, window, window, "VALID")


def mlp(p: Arrays, buffers: Arrays, x: Any) -> Result:
    """784-512-512-10."""
    relu = load_jax().nn.relu
    return _linear(p, "4", relu(_linear(p, "2", relu(_linear(p, "0", x))))), {}


def cnn(p: Arrays, buffers: Arrays, x: Any) -> Result:
    """Two convolutions with pooling, then a linear layer."""
    relu = load_jax().nn.relu
    x = _pooled(relu(_conv(p, "0", x, 1, 2)))
    x = _pooled(relu(_conv(p, "3", x, 1, 2)))
    return _linear(p, "7", x.reshape(x.shape[0], -1)), {}


def _layer_norm(p: Arrays, name: str, x: Any) -> Any:
    mean = x.mean(-1, keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(-1, keepdims=True)
    scaled = centred * load_jax().lax.rsqrt(variance + 1e-5)
    return scaled * p[f"{name}.weight"] + p[f"{name}.bias"]


def _attention(p: Arrays, name: str, x: Any, heads: int) -> Any:
    jax = load_jax()
    batch, length, width = x.shape
    projected = x @ p[f"{name}.in_proj_weight"].T + p[f"{name}.in_proj_bias"]
    q, k, v = (
        part.reshape(batch, length, heads, width // heads)
        for part in jax.numpy.split(projected, 3, axis=-1)
    )
    scores = jax.numpy.einsum("blhe,bshe->bhls", q, k) / (width // heads) ** 0.5
    weights = jax.nn.softmax(scores, axis=-1)
    joined = jax.numpy.einsum("bhls,bshe->blhe", weights, v).reshape(batch, length, width)
    return _linear(p, f"{name}.out_proj", joined)


def transformer(p: Arrays, buffers: Arrays, x: Any) -> Result:
    """Two encoder layers with the normalisation first."""
    gelu = load_jax().nn.gelu
    x = p["tokens.weight"][x] + p["positions.weight"]
    for name in ("layers.0", "layers.1"):
        x = x + _attention(p, f"{name}.attention", _layer_norm(p, f"{name}.norm1", x), 4)
        hidden = _linear(p, f"{name}.up", _layer_norm(p, f"{name}.norm2", x))
        x = x + _linear(p, f"{name}.down", gelu(hidden, approximate=False))
    logits = _linear(p, "head", _layer_norm(p, "norm", x))
    return logits.reshape(-1, logits.shape[-1]), {}


def _batch_norm(p: Arrays, old: Arrays, new: dict[str, Any], name: str, x: Any) -> Any:
    axes, count = (0, 2, 3), x.size // x.shape[1]
    mean = x.mean(axes, keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(axes, keepdims=True)
    unbiased = variance.ravel() * (count / (count - 1))
    for key, value in (("mean", mean.ravel()), ("var", unbiased)):
        running = old[f"{name}.running_{key}"]
        new[f"{name}.running_{key}"] = running + 0.1 * (value - running)
    scale = load_jax().lax.rsqrt(variance + 1e-5) * p[f"{name}.weight"][:, None, None]
    return centred * scale + p[f"{name}.bias"][:, None, None]


def residual(p: Arrays, buffers: Arrays, x: Any) -> Result:
    """Depth 20 with batch normalisation."""
    relu = load_jax().nn.relu
    new: dict[str, Any] = {}

    def norm(name: str, y: Any) -> Any:
        return _batch_norm(p, buffers, new, name, y)

    x = relu(norm("norm", _conv(p, "conv", x, 1, 1)))
    for k, channels in enumerate(CHANNELS):
        name, stride = f"blocks.{k}", channels // x.shape[1]
        y = relu(norm(f"{name}.norm1", _conv(p, f"{name}.conv1", x, stride, 1)))
        y = norm(f"{name}.norm2", _conv(p, f"{name}.conv2", y, 1, 1))
        if stride > 1:
            x = norm(f"{name}.shortcut.1", _conv(p, f"{name}.shortcut.0", x, stride, 0))
        x = relu(y + x)
    return _linear(p, "head", x.mean((2, 3))), new


class JaxStep:
    """A jitted training step with Adam; calls give the loss, ready."""

    def __init__(
        self, apply: Callable[..., Any], params: Arrays, buffers: Arrays, lr: float
    ) -> None:
        jax = load_jax()
        self.params = {name: jax.numpy.array(value) for name, value in params.items()}
        self.buffers = {name: jax.numpy.array(value) for name, value in buffers.items()}
        zeros = jax.tree.map(jax.numpy.zeros_like, self.params)
        self.state = (zeros, jax.tree.map(jax.numpy.zeros_like, self.params))
        self.count, self.lr = 0, lr
        self.step = jax.jit(_step(jax, apply), donate_argnums=(0, 1, 2))

    def __call__(self, x: Any, classes: Any) -> Any:
        self.count += 1
        dtype = next(iter(self.params.values())).dtype.type
        size = dtype(self.lr / (1 - BETA1**self.count))
        root = dtype((1 - BETA2**self.count) ** 0.5)
        loss, self.params, self.state, self.buffers = self.step(
            self.params, self.state, self.buffers, x, classes, size, root
        )
        load_jax().block_until_ready((loss, self.params))
        return loss


def _step(jax: Any, apply: Callable[..., Any]) -> Callable[..., Any]:
    def loss_of(params: Arrays, buffers: Arrays, x: Any, classes: Any) -> Any:
        logits, new = apply(params, buffers, x)
        logs = jax.nn.log_softmax(logits)
        chosen = jax.numpy.take_along_axis(logs, classes[:, None], axis=1)
        return -chosen.mean(), new

    def step(
        params: Any, state: Any, buffers: Any, x: Any, classes: Any, size: Any, root: Any
    ) -> Any:
        gradient = jax.value_and_grad(loss_of, has_aux=True)
        (loss, buffers), grads = gradient(params, buffers, x, classes)
        first, second = state
        first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, grads)
        second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, grads)
        params = jax.tree.map(
            lambda p, m, v: p - size * m / (jax.numpy.sqrt(v) / root + EPS), params, first, second
        )
        return loss, params, (first, second), buffers

    return step
