"""Dropout of entries and of whole channels. Source: Srivastava et al., *Dropout* (2014)."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import functional
from .module import Module
from .parameter import kept_mask


class Dropout(Module):
    """Zeroes entries with probability ``p`` while training and scales the others by 1/(1 - p).

    >>> import numpy as np, autodiff as ad
    >>> _ = ad.manual_seed(0)
    >>> sorted(set(ad.nn.Dropout(0.5)(np.ones(100)).data.tolist()))
    [0.0, 2.0]

    Raises ValueError unless the probability lies between 0 and 1.
    """

    #: Number of last axes that are kept or dropped together.
    dims = 0

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Any = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"dropout with probability {p}: it lies between 0 and 1")
        self.p, self.generator = p, generator

    def forward(self, input: Any) -> Any:
        """Apply the layer."""
        if not self.training or self.p == 0:
            return input
        shape = np.shape(input)
        shape = (*shape[: len(shape) - self.dims], *(1,) * self.dims)
        return functional.dropout(input, kept_mask(input, shape, self.p, self.generator), self.p)

    def extra_repr(self) -> str:
        """Arguments that ``repr`` shows."""
        return f"p={self.p}"


class Dropout1d(Dropout):
    """Dropout of whole channels ``(..., c, l)``.

    >>> import numpy as np, autodiff as ad
    >>> layer = ad.nn.Dropout1d().eval()
    >>> bool(np.all(np.asarray(layer(np.ones((1, 3, 8)))) == 1))
    True
    """

    dims = 1


class Dropout2d(Dropout):
    """Dropout of whole channels ``(..., c, h, w)``.

    >>> import numpy as np, autodiff as ad
    >>> layer = ad.nn.Dropout2d().eval()
    >>> bool(np.all(np.asarray(layer(np.ones((1, 3, 8, 8)))) == 1))
    True
    """

    dims = 2


class Dropout3d(Dropout):
    """Dropout of whole channels ``(..., c, d, h, w)``.

    >>> import numpy as np, autodiff as ad
    >>> layer = ad.nn.Dropout3d().eval()
    >>> bool(np.all(np.asarray(layer(np.ones((1, 3, 8, 8, 8)))) == 1))
    True
    """

    dims = 3
