"""The four networks of ``networks_speed``, written once for ``autodiff.nn`` and ``torch.nn``.

Both libraries have the same names, arguments, defaults and layouts, so a builder takes the module
of layers as its argument. :data:`NETWORKS` pairs builders with batches and with the same network
as a function of a dictionary of parameters in JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from . import networks_jax

WIDTH, TOKENS, LENGTH, HEADS = 128, 64, 64, 4


def mlp(nn: Any) -> Any:
    """784-512-512-10."""
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )


def convolutions(
    nn: Any, channels: Sequence[int], kernel: int, activation: str, pooling: str
) -> list[Any]:
    """Layers: for each step of ``channels`` a convolution, an activation, pooling by two."""
    layers = []
    for before, after in pairwise(channels):
        layers += [
            nn.Conv2d(before, after, kernel, padding=kernel // 2),
            getattr(nn, activation)(),
            getattr(nn, pooling)(2),
        ]
    return [*layers, nn.Flatten()]


def cnn(nn: Any) -> Any:
    """32 kernels of 5x5, pool, 64 kernels of 5x5, pool, on 28x28 images."""
    layers = convolutions(nn, (1, 32, 64), 5, "ReLU", "MaxPool2d")
    return nn.Sequential(*layers, nn.Linear(64 * 7 * 7, 10))


def transformer(nn: Any) -> Any:
    """Two encoder layers with the normalisation first; a class for every position."""

    class Layer(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
            self.activation = nn.GELU()

        def forward(self, x: Any) -> Any:
            y = self.norm1(x)
            x = x + self.attention(y, y, y, need_weights=False)[0]
            return x + self.down(self.activation(self.up(self.norm2(x))))

    class Transformer(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(TOKENS, WIDTH)
            self.positions = nn.Embedding(LENGTH, WIDTH)
            self.layers = nn.Sequential(Layer(), Layer())
            self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, TOKENS)

        def forward(self, x: Any) -> Any:
            y = self.layers(self.tokens(x) + self.positions.weight)
            return self.head(self.norm(y)).reshape((-1, TOKENS))

    return Transformer()


def residual(nn: Any) -> Any:
    """Depth 20: a convolution, nine blocks of two at 16, 32, 64 channels, a linear layer."""

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, before: int, after: int) -> None:
            super().__init__()
            stride = after // before
            self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
            self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
            self.shortcut = nn.Sequential()
            if stride > 1:
                conv = nn.Conv2d(before, after, 1, stride, bias=False)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(after))

        def forward(self, x: Any) -> Any:
            y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
            return self.relu2(y + self.shortcut(x))

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 16, 3, padding=1, bias=False)
            self.norm, self.relu = nn.BatchNorm2d(16), nn.ReLU()
            widths = [16, *networks_jax.CHANNELS]
            pairs = pairwise(widths)
            self.blocks = nn.Sequential(*(Block(*pair) for pair in pairs))
            self.head = nn.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            y = self.blocks(self.relu(self.norm(self.conv(x))))
            return self.head(y.mean((2, 3)))

    return Network()


class Network(NamedTuple):
    """A builder, the same in JAX, and a batch of inputs and classes; least speed-up over JAX."""

    build: Callable[[Any], Any]
    apply: Callable[..., Any]
    batch: Callable[[np.random.Generator, str], tuple[Any, Any]]
    target: float


def _images(batch: int, *shape: int) -> Callable[..., Any]:
    def draw(rng: np.random.Generator, dtype: str) -> tuple[Any, Any]:
        return rng.normal(size=(batch, *shape)).astype(dtype), rng.integers(0, 10, batch)

    return draw


def _tokens(rng: np.random.Generator, dtype: str) -> tuple[Any, Any]:
    tokens = rng.integers(0, TOKENS, (16, LENGTH))
    return tokens, rng.integers(0, TOKENS, tokens.size)


NETWORKS = {
    "MLP 784-512-512-10": Network(mlp, networks_jax.mlp, _images(128, 784), 1.0),
    "CNN 28x28": Network(cnn, networks_jax.cnn, _images(64, 1, 28, 28), 1.5),
    "transformer": Network(transformer, networks_jax.transformer, _tokens, 1.0),
    "residual 20": Network(residual, networks_jax.residual, _images(64, 1, 8, 8), 1.0),
}
