"""A convolution of images by eight kernels, a tanh and a sum of squares, by the kernels."""

from numpy.lib.stride_tricks import sliding_window_view

NAME = "convolution"
SIZES = (10, 28, 64)
NEWTON = False  # not convex
BATCH, CHANNELS, KERNELS, WIDTH = 4, 3, 8, 3


def make(size, rng):
    kernels = rng.normal(size=(KERNELS, CHANNELS, WIDTH, WIDTH)) / WIDTH
    return kernels, rng.normal(size=(BATCH, CHANNELS, size, size))


def loss(np, kernels, images):
    windows = sliding_window_view(images, (WIDTH, WIDTH), axis=(2, 3))
    return 0.5 * np.sum(np.tanh(np.einsum("bchwuv,ocuv->bohw", windows, kernels)) ** 2)


def jax_loss(jax, kernels, images):
    layers = jax.lax.conv(images, kernels, (1, 1), "VALID")
    return 0.5 * jax.numpy.sum(jax.numpy.tanh(layers) ** 2)


def torch_loss(torch, kernels, images):
    return 0.5 * torch.sum(torch.tanh(torch.nn.functional.conv2d(images, kernels)) ** 2)
