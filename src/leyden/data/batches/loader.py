"""Data loader whose position within an epoch is saved in checkpoints."""

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from leyden.batch import Batch
from leyden.data.batches.cached_rows import CPU, CachedRows, keep_batch
from leyden.data.batches.sampler import BatchOrder
from leyden.errors import UserError


class ResumableLoader(DataLoader[Batch]):
    """Loader of whole batches, whose state Lightning saves in checkpoints and restores.

    Lightning rebuilds it for prediction from the attributes that have the names of its arguments.

    Args:
        dataset: Data set that returns a batch for ``(seed, rows)``.
        order: Sampler that yields ``(seed, rows)``.
        num_workers: Number of loader processes; they stay alive between epochs.
        device: Device that batches are moved to.
        keep_on_device: Whether to keep rows of one shape on a GPU that has room for all of them.
        data: Data module that normalises batches on their device; a task attaches it to a trainer
            that was given only the loader.
        sampler: ``order``; given only if Lightning rebuilds the loader, like the next two.
        shuffle: False.
        batch_sampler: ``None``.

    Raises:
        UserError: If Lightning has replaced the order by a sampler of single rows.
    """

    def __init__(
        self,
        dataset: Dataset[Batch],
        *,
        order: BatchOrder,
        num_workers: int,
        device: torch.device = CPU,
        keep_on_device: bool = True,
        data: LightningDataModule | None = None,
        sampler: Sampler[Any] | None = None,
        shuffle: bool = False,
        batch_sampler: None = None,
    ) -> None:
        if sampler not in (None, order):
            raise UserError(
                f"The rows of each rank are chosen by the data module, but the trainer has chosen "
                f"a {type(sampler).__name__}. Give Trainer(use_distributed_sampler=False)."
            )
        assert not shuffle
        assert batch_sampler is None
        moved = False
        if keep_on_device and num_workers == 0 and isinstance(dataset, CachedRows):
            moved = dataset.move_to(device)
        super().__init__(
            dataset,
            sampler=order,
            batch_size=None,
            collate_fn=keep_batch,
            num_workers=num_workers,
            # A GPU copies from pinned memory while it works.
            pin_memory=device.type == "cuda" and not moved,
            persistent_workers=num_workers > 0,
            # The global generator belongs to the network: each iterator would draw from it, and so
            # dropout after a resume would differ from dropout without one.
            generator=torch.Generator(),
        )
        self.order = order
        self.data = data
        self.device = device
        self.keep_on_device = keep_on_device
        self.fetched = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        # A generator begins at the first batch. Lightning makes the iterator of a resumed epoch
        # before it sets the epoch of the order, and workers would prefetch batches immediately.
        self.fetched = self.order.first
        elsewhere = self.num_workers > 0 or self.pin_memory
        batches = super().__iter__() if elsewhere else map(self.dataset.__getitem__, self.order)
        for batch in batches:
            self.fetched += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch, and the number of batches fetched in it."""
        return {"epoch": self.order.epoch, "fetched": self.fetched}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Start the next iteration after the batches that were fetched in the saved epoch."""
        self.order.resume(state_dict["epoch"], state_dict["fetched"])
