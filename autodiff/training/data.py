"""Batches of arrays, shuffled from a seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tensorcalc.errors import ShapeError


class Batches:
    """Arrays cut along their first axis; each pass is one epoch.

    The order of epoch ``e`` is a function of ``(seed, e)`` alone, so that the place in the data is
    saved as the count of epochs. ``transform(*arrays, rng)``, where given, changes every batch (for
    augmentation) with a generator that depends on seed, epoch and batch only.

    >>> [x.tolist() for x, in Batches(np.arange(5), batch_size=2)]
    [[0, 1], [2, 3], [4]]

    Raises ShapeError for arrays of different lengths, ValueError for a batch size below 1.
    """

    def __init__(
        self,
        *arrays: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        transform: Any = None,
    ) -> None:
        self.arrays = tuple(np.asarray(a) for a in arrays)
        lengths = [a.shape[0] if a.ndim else None for a in self.arrays]
        if not lengths or len(set(lengths)) > 1 or None in lengths:
            raise ShapeError(
                "Batches of arrays whose first axes differ",
                [f"array {k}: shape {a.shape}" for k, a in enumerate(self.arrays)],
            )
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: it must be at least 1")
        self.batch_size, self.shuffle, self.seed = int(batch_size), shuffle, int(seed)
        self.drop_last, self.transform = drop_last, transform
        self.epoch = 0

    @property
    def examples(self) -> int:
        """Number of examples."""
        return self.arrays[0].shape[0]

    def __len__(self) -> int:
        whole, rest = divmod(self.examples, self.batch_size)
        return whole + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        order = self.order(epoch)
        for k in range(len(self)):
            yield self._batch(order, epoch, k)

    def _batch(self, order: Any, epoch: int, k: int) -> tuple[Any, ...]:
        start, stop = k * self.batch_size, (k + 1) * self.batch_size
        chosen: Any = slice(start, stop) if order is None else order[start:stop]
        batch = tuple([array[chosen] for array in self.arrays])
        if self.transform is None:
            return batch
        return tuple(self.transform(*batch, np.random.default_rng([self.seed, epoch, k, 1])))

    def order(self, epoch: int) -> Any:
        """The permutation of an epoch, None where nothing is shuffled."""
        if not self.shuffle:
            return None
        return np.random.default_rng([self.seed, epoch]).permutation(self.examples)

    def state_dict(self) -> dict[str, int]:
        """Seed and count of epochs begun."""
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state_dict`."""
        self.seed, self.epoch = int(state_dict["seed"]), int(state_dict["epoch"])


def split(*arrays: Any, held_out: float = 0.2, seed: int = 0, stratify: Any = None) -> list[Any]:
    """Training and held-out parts of every array, ``[a_train, a_test, b_train, b_test, ...]``.

    ``stratify`` holds class indices whose shares both parts keep. Raises ValueError unless both
    parts get examples.
    """
    count = len(arrays[0])
    rng = np.random.default_rng(seed)
    if stratify is None:
        held = rng.permutation(count)[: round(held_out * count)]
    else:
        labels = np.asarray(stratify)
        groups = [rng.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
        held = np.concatenate([group[: round(held_out * len(group))] for group in groups])
    mask = np.zeros(count, bool)
    mask[held] = True
    if mask.all() or not mask.any():
        raise ValueError(f"held_out={held_out} of {count} examples leaves one part empty")
    return [part for a in arrays for part in (np.asarray(a)[~mask], np.asarray(a)[mask])]
