"""Initialisers with the names of torch.nn.init: they fill a tensor or array in place and return it.

Weights have shape (outputs, inputs, *kernel), as in torch. Every random initialiser takes
``generator``; without one it draws from the generator that :func:`autodiff.manual_seed` seeds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .graph import Tensor, default_generator


def _array(tensor: Any) -> Any:
    return tensor.data if isinstance(tensor, Tensor) else tensor


def _filled(tensor: Any, values: Any) -> Any:
    _array(tensor)[...] = values
    return tensor


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity, as torch has it.

    >>> calculate_gain("relu") ** 2
    2.0000000000000004

    Raises ValueError for a nonlinearity without a recommended factor.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4, "sigmoid": 1.0, "linear": 1.0}
    linear = {f"conv{k}d" for k in (1, 2, 3)} | {f"conv_transpose{k}d" for k in (1, 2, 3)}
    if nonlinearity not in {*gains, *linear}:
        raise ValueError(
            f"no gain for {nonlinearity!r}: use one of {', '.join([*gains, 'leaky_relu'])}"
        )
    return gains.get(nonlinearity, 1.0)


def fans(tensor: Any) -> tuple[int, int]:
    """Inputs and outputs per weight, (fan_in, fan_out), with the taps of a kernel counted.

    >>> import numpy as np, autodiff as ad
    >>> ad.init.fans(np.empty((8, 3, 5, 5)))
    (75, 200)

    Raises ValueError for fewer than two axes.
    """
    shape = _array(tensor).shape
    if len(shape) < 2:
        raise ValueError(f"fans need weights of at least two axes, not of shape {shape}")
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] * taps


# -- constants ------------------------------------------------------------------------------------
def constant_(tensor: Any, val: float) -> Any:
    """Every entry ``val``.

    >>> import numpy as np, autodiff as ad
    >>> ad.init.constant_(np.empty((2, 2)), 0.5)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    return _filled(tensor, val)


def zeros_(tensor: Any) -> Any:
    """Every entry 0.

    >>> import numpy as np, autodiff as ad
    >>> ad.init.zeros_(np.empty((2, 2)))
    array([[0., 0.],
           [0., 0.]])
    """
    return _filled(tensor, 0.0)


def ones_(tensor: Any) -> Any:
    """Every entry 1.

    >>> import numpy as np, autodiff as ad
    >>> ad.init.ones_(np.empty((2, 2)))
    array([[1., 1.],
           [1., 1.]])
    """
    return _filled(tensor, 1.0)


def eye_(tensor: Any) -> Any:
    """The unit matrix: a linear layer passes on as many inputs as it can.

    >>> import numpy as np, autodiff as ad
    >>> ad.init.eye_(np.empty((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    return _filled(tensor, np.eye(*_array(tensor).shape))


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """Kernels that pass on as many channels as they can, in every group.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.dirac_(np.empty((2, 2, 3)))
    >>> w[0]
    array([[0., 1., 0.],
           [0., 0., 0.]])

    Raises ValueError unless groups divide the output channels of a kernel of 3 to 5 axes.
    """
    array = _array(tensor)
    if not 3 <= array.ndim <= 5 or array.shape[0] % groups:
        raise ValueError(f"dirac_ of shape {array.shape} in {groups} groups")
    array[...] = 0
    size = array.shape[0] // groups
    centre = tuple(k // 2 for k in array.shape[2:])
    for group in range(groups):
        for channel in range(min(size, array.shape[1])):
            array[(group * size + channel, channel, *centre)] = 1
    return tensor


# -- random ---------------------------------------------------------------------------------------
def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """Uniform between ``a`` and ``b``.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.uniform_(np.empty((400, 100)), generator=np.random.default_rng(0))
    >>> f"{w.std():.2g}"
    '0.29'
    """
    rng = generator or default_generator()
    return _filled(tensor, rng.uniform(a, b, _array(tensor).shape))


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    """Normal with this mean and standard deviation.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.normal_(np.empty((400, 100)), generator=np.random.default_rng(0))
    >>> f"{w.std():.2g}"
    '1'
    """
    rng = generator or default_generator()
    return _filled(tensor, rng.normal(mean, std, _array(tensor).shape))


def trunc_normal_(
    tensor: Any,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Any:
    """Normal, drawn again outside ``[a, b]``.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.trunc_normal_(np.empty((400, 100)), generator=np.random.default_rng(0))
    >>> f"{w.std():.2g}"
    '0.88'
    """
    rng = generator or default_generator()
    values = rng.normal(mean, std, _array(tensor).shape)
    outside = (values < a) | (values > b)
    while outside.any():
        values[outside] = rng.normal(mean, std, outside.sum())
        outside = (values < a) | (values > b)
    return _filled(tensor, values)


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Uniform with variance ``2 gain²/(fan_in + fan_out)``. Source: Glorot and Bengio 2010.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.xavier_uniform_(np.empty((400, 100)), generator=np.random.default_rng(0))
    >>> f"{w.std():.2g}"
    '0.063'
    """
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Normal with variance ``2 gain²/(fan_in + fan_out)``. Source: Glorot and Bengio 2010.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.xavier_normal_(np.empty((400, 100)), generator=np.random.default_rng(0))
    >>> f"{w.std():.2g}"
    '0.063'
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def _he_deviation(tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode={mode!r}: use 'fan_in' or 'fan_out'")
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Any,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Any:
    """Uniform with variance ``gain²/fan``. Source: He et al. 2015.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.he_uniform_(np.empty((400, 100)), generator=np.random.default_rng(0))
    >>> f"{w.std():.2g}"
    '0.14'
    """
    bound = math.sqrt(3) * _he_deviation(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Any,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Any:
    """Normal with variance ``gain²/fan``. Source: He et al. 2015.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.he_normal_(np.empty((400, 100)), generator=np.random.default_rng(0))
    >>> f"{w.std():.2g}"
    '0.14'
    """
    return normal_(tensor, 0.0, _he_deviation(tensor, a, mode, nonlinearity), generator)


def lecun_uniform_(tensor: Any, generator: Any = None) -> Any:
    """Uniform with variance ``1/fan_in``. Source: LeCun et al. 1998.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.lecun_uniform_(np.empty((400, 100)), generator=np.random.default_rng(0))
    >>> f"{w.std():.2g}"
    '0.1'
    """
    return kaiming_uniform_(tensor, nonlinearity="linear", generator=generator)


def lecun_normal_(tensor: Any, generator: Any = None) -> Any:
    """Normal with variance ``1/fan_in``. Source: LeCun et al. 1998.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.lecun_normal_(np.empty((400, 100)), generator=np.random.default_rng(0))
    >>> f"{w.std():.2g}"
    '0.1'
    """
    return kaiming_normal_(tensor, nonlinearity="linear", generator=generator)


def orthogonal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Rows or columns, whichever are fewer, orthonormal times ``gain``.

    Uniform over orthogonal matrices; further axes count as inputs. Source: Saxe et al. 2014.
    Raises ValueError for fewer than two axes.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.orthogonal_(np.empty((5, 3)), generator=np.random.default_rng(0))
    >>> bool(np.allclose(w.T @ w, np.eye(3)))
    True
    """
    fans(tensor)
    shape = _array(tensor).shape
    rows, columns = shape[0], math.prod(shape[1:])
    rng = generator or default_generator()
    tall = rng.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r))
    return _filled(tensor, gain * (q.T if rows < columns else q).reshape(shape))


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Any = None) -> Any:
    """Normal matrix with a share ``sparsity`` of zeros in every column. Source: Martens 2010.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.init.sparse_(np.empty((10, 2)), sparsity=0.7, generator=np.random.default_rng(0))
    >>> np.count_nonzero(w, axis=0)
    array([3, 3])

    Raises ValueError unless it is a matrix.
    """
    array = _array(tensor)
    if array.ndim != 2:
        raise ValueError(f"sparse_ needs a matrix, not shape {array.shape}")
    rng = generator or default_generator()
    normal_(tensor, 0.0, std, rng)
    for column in array.T:
        column[rng.permutation(len(column))[: math.ceil(sparsity * len(column))]] = 0
    return tensor


# -- whole branches and outputs -------------------------------------------------------------------
def fixup_(weights: Any, depth: int, generator: Any = None) -> Any:
    """The weights of one residual branch, so that ``depth`` branches change by order of the rate.

    He's normal times ``depth^(-1/(2m-2))`` for all but the last of the m weights, which is zero.
    Source: Zhang, Dauphin and Ma 2019 (Fixup). Raises ValueError for fewer than two weights.

    >>> import numpy as np, autodiff as ad
    >>> first, last = ad.init.fixup_([np.empty((50, 50)), np.empty((50, 50))], depth=10)
    >>> bool(first.std() > 0), bool((last == 0).all())
    (True, True)
    """
    weights = list(weights)
    if len(weights) < 2:
        raise ValueError("fixup_ needs the weights of a whole branch, at least two")
    scale = depth ** (-1 / (2 * len(weights) - 2))
    for weight in weights[:-1]:
        deviation = scale * _he_deviation(weight, 0.0, "fan_in", "relu")
        normal_(weight, 0.0, deviation, generator)
    zeros_(weights[-1])
    return weights


def output_bias_(bias: Any, targets: Any, kind: str = "mean") -> Any:
    """The bias of the last layer, so that an untrained network predicts the average target.

    ``kind`` is "mean" (regression: the mean of every output), "classes" (``log`` of the
    frequencies of class indices, each class counted once more), or "binary" (``log(p/(1-p))`` of
    0-or-1 targets per output, counted so as well). Raises ValueError for another kind, or for
    targets that do not fit the bias.

    >>> import numpy as np, autodiff as ad
    >>> ad.init.output_bias_(np.zeros(2), np.array([[1.0, 4.0], [3.0, 6.0]]))
    array([2., 5.])
    """
    array, targets = _array(bias), np.asarray(_array(targets))
    if kind == "mean":
        values = targets.reshape(len(targets), -1).mean(axis=0)
    elif kind == "classes":
        counts = np.bincount(targets.ravel(), minlength=array.size) + 1.0
        values = np.log(counts / counts.sum())
    elif kind == "binary":
        columns = targets.reshape(len(targets), -1)
        share = (columns.sum(axis=0) + 1.0) / (len(columns) + 2.0)
        values = np.log(share / (1 - share))
    else:
        raise ValueError(f"kind={kind!r}: use 'mean', 'classes' or 'binary'")
    if values.shape != array.shape:
        raise ValueError(f"targets for {values.shape[0]} outputs, but a bias of {array.shape}")
    return _filled(bias, values)


glorot_uniform_, glorot_normal_ = xavier_uniform_, xavier_normal_
he_uniform_, he_normal_ = kaiming_uniform_, kaiming_normal_
