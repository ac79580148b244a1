"""Order of batches, as a pure function of seed, epoch, step and rank."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import SequentialSampler

WORD = 2**64 - 1
"""Mask of the low 64 bits."""

POOLED_BATCHES = 50
"""Number of batches whose rows are sorted by size together; more need less padding."""


class BatchOrder(SequentialSampler):
    """Sampler that yields the seed and the row numbers of whole batches.

    No generator state is kept between batches, so any batch can be reproduced from its number.
    Lightning calls ``set_epoch`` before each epoch. It is a ``SequentialSampler`` because Lightning
    replaces any other by a sampler of single rows if ``overfit_batches`` is set.

    Args:
        rows: Row numbers ``(n,)`` (int64) to draw from.
        sizes: Sizes ``(n,)`` of the rows; rows of similar size then share a batch.
        weights: Weights ``(n,)`` (float64), in proportion to which rows are drawn with replacement.
        batch_size: Rows per batch and rank.
        seed: Seed of the order, and of the seed of each batch.
        shuffle: Whether to draw a new order every epoch.
        drop_last: Whether to drop an incomplete last batch.
        repeat: Whether every epoch is the first one, in order to overfit its batches.
        rank: Rank of this process, which takes its share of every global batch.
        world_size: Number of ranks.
    """

    def __init__(
        self,
        rows: Tensor,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool,
        drop_last: bool,
        sizes: Tensor | None = None,
        weights: Tensor | None = None,
        repeat: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.sizes = sizes
        self.weights = weights
        self.repeat = repeat
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.first = 0

    def __len__(self) -> int:
        full, rest = divmod(len(self.rows), self.batch_size * self.world_size)
        fewest = self.rank + 1 if full == 0 else self.world_size
        return full + (not self.drop_last and rest >= fewest)

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:  # type: ignore[override]
        epoch = 0 if self.repeat else self.epoch
        first, self.first = self.first, 0
        size = self.batch_size * self.world_size
        places, batches = self._order(epoch)
        for step in range(first, count := len(self)):
            start = size * (step if batches is None else int(batches[step]))
            share = places[start : start + size]
            if step == count - 1:
                # If the last rows are too few for all ranks, they are added to the last batch.
                share = torch.cat([share, places[size * count :]])
            share = self.rows.index_select(0, share)
            if self.world_size > 1:
                share = share.tensor_split(self.world_size)[self.rank]
            yield derive_seed(self.seed, epoch, step, self.rank), share

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; a new epoch starts at its first batch."""
        if epoch != self.epoch:
            self.epoch, self.first = epoch, 0

    def resume(self, epoch: int, first: int) -> None:
        """Start the next iteration within an epoch, at batch number ``first``."""
        self.epoch, self.first = epoch, first

    def _order(self, epoch: int) -> tuple[Tensor, Tensor | None]:
        """Draw the places ``(n,)`` of the rows, and the order of the batches if it is drawn too."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, epoch))
        size = self.batch_size * self.world_size
        places = self._places(generator)
        if self.drop_last:
            # Dropped before rows are sorted by size; afterwards these would be the longest rows.
            places = places[: len(self) * size]
        if self.sizes is None:
            return places, None
        full = len(places) // size
        for pool in torch.split(places[: full * size], size * POOLED_BATCHES):
            pool.copy_(pool[self.sizes[pool].argsort(stable=True)])
        if not self.shuffle:
            return places, None
        batches = torch.randperm(full, generator=generator)
        return places, torch.cat([batches, torch.tensor([full])])  # a short batch stays the last

    def _places(self, generator: torch.Generator) -> Tensor:
        count = len(self.rows)
        if self.weights is not None:
            return _draw_weighted(self.weights, generator)
        if self.shuffle:
            return torch.randperm(count, generator=generator, dtype=torch.int32)
        return torch.arange(count, dtype=torch.int32)


def _draw_weighted(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Draw ``len(weights)`` indices with replacement; ``torch.multinomial`` is limited to 2**24."""
    ends = weights.cumsum(0)
    points = torch.rand(len(weights), dtype=torch.float64, generator=generator) * ends[-1]
    return torch.searchsorted(ends, points, right=True).clamp(max=len(weights) - 1)


def derive_seed(*parts: int) -> int:
    """Combine numbers into one 63-bit seed, by rounds of SplitMix64.

    Source: Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators", figure 13.
    """
    state = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & WORD
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & WORD
        state ^= state >> 31
    return state >> 1
