"""Layers as pure functions of expressions, tensors (one recorded operation each) or arrays."""

from .linear import bilinear, embedding, linear
from .convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from .pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from .normalization import (
    batch_norm,
    batch_norm_inference,
    batch_norm_training,
    group_norm,
    instance_norm,
    layer_norm,
)
from .activations import (
    celu,
    dropout,
    elu,
    flatten,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
    unflatten,
)
from .recurrent import gru_cell, gru_step, lstm_cell, lstm_step, rnn_cell, rnn_step
from .attention import attend, scaled_dot_product_attention
from .dynamic_convolution import dynamic_conv, lightweight_conv

__all__ = [name for name in dir() if not name.startswith("_") and name.islower()]
