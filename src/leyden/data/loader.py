"""A loader whose place within an epoch can be kept in a checkpoint."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from leyden.batch import Batch
from leyden.data.batches import as_it_is
from leyden.data.sampler import BatchOrder


class ResumableLoader(DataLoader[Batch]):
    """Fetches whole batches; Lightning keeps its state in checkpoints and gives it back.

    Args:
        dataset: fetches a batch by ``(seed, rows)``.
        order: yields those.
        num_workers: processes that fetch; they stay alive between epochs.
    """

    def __init__(self, dataset: Dataset[Batch], *, order: BatchOrder, num_workers: int) -> None:
        super().__init__(
            dataset,
            sampler=order,
            batch_size=None,
            collate_fn=as_it_is,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            # The global generator belongs to the network: each iterator would draw from it, and so
            # dropout after a resume would differ from dropout without one.
            generator=torch.Generator(),
        )
        self.order = order
        self.fetched = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        # A generator begins at the first batch. Lightning makes the iterator of a resumed epoch
        # before it tells the order which epoch that is, and workers would fetch ahead at once.
        self.fetched = self.order.first
        in_this_process = map(self.dataset.__getitem__, self.order)
        for batch in super().__iter__() if self.num_workers else in_this_process:
            self.fetched += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Give the place of the newest batch."""
        return {"epoch": self.order.epoch, "fetched": self.fetched}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on behind that batch, if it is the same epoch that goes on."""
        self.order.resume(state_dict["epoch"], state_dict["fetched"])
