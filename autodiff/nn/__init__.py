"""Networks: modules with torch's names, arguments, defaults and layouts, on the derived graph.

Its files in order: ``functional`` (layers as pure functions), ``parameter``, ``module``,
``containers``, layers by family, ``summary``.
"""

from . import functional
from .parameter import Parameter, get_default_dtype, set_default_dtype
from .module import Module, functional_call, substituted
from .containers import Concat, Flatten, Identity, ModuleList, Residual, Sequential
from .linear_layers import Bilinear, Embedding, Linear
from .convolution_layers import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from .pooling_layers import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from .normalization_layers import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
)
from .activation_layers import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Tanh,
    Tanhshrink,
    Threshold,
)
from .dropout_layers import Dropout, Dropout1d, Dropout2d, Dropout3d
from .recurrent_layers import GRU, LSTM, RNN
from .attention_layers import MultiHeadAttention, MultiheadAttention
from .dynamic_convolution_layers import DynamicConv, LightweightConv
from .summary import draw, summary, to_dot

__all__ = [name for name in dir() if not name.startswith("_")]
