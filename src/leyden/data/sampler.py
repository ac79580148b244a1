"""The order of rows, as a pure function of seed, epoch, step and rank."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler


class BatchOrder(Sampler[tuple[int, Tensor]]):
    """Yields whole batches: the batch's own seed and its row numbers.

    No generator state is kept between batches, so any batch of any epoch can be made again by
    whoever knows its number. Lightning calls ``set_epoch`` before each epoch.

    Args:
        rows: ``(n,)`` int64 row numbers to draw from.
        batch_size: rows per batch.
        seed: of the order and of each batch's augmentation.
        shuffle: draw a new order every epoch.
        drop_last: leave an incomplete last batch out.
        rank: of the process; each takes its share of every global batch.
        world_size: number of processes.
    """

    def __init__(
        self,
        rows: Tensor,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool,
        drop_last: bool,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def __len__(self) -> int:
        full, rest = divmod(len(self.rows), self.batch_size * self.world_size)
        return full + (not self.drop_last and rest > self.rank)

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        order = self.rows[self._permutation()] if self.shuffle else self.rows
        global_batches = torch.split(order, self.batch_size * self.world_size)
        for step, rows in enumerate(global_batches[: len(self)]):
            share = rows.tensor_split(self.world_size)[self.rank]
            yield derived_seed(self.seed, self.epoch, step, self.rank), share

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields."""
        self.epoch = epoch

    def _permutation(self) -> Tensor:
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.epoch))
        return torch.randperm(len(self.rows), generator=generator)


def derived_seed(*parts: int) -> int:
    """Mix several non-negative numbers into one 63-bit seed."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
