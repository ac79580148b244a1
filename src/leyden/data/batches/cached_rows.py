"""Whole batches of cached rows, and their augmentation."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch
from leyden.data.cache.prepared import Cache
from leyden.errors import UserError, did_you_mean

CPU = torch.device("cpu")


class Augmentation(Protocol):
    """Random change of one field of a batch.

    Attributes:
        field: Name of the field, such as ``images``.
    """

    @property
    def field(self) -> str:
        """Name of the field."""

    def __call__(self, values: Tensor, generator: torch.Generator, /) -> Tensor:
        """Return changed values ``(batch, ...)`` of the same shape, dtype and device."""


SHARE_OF_FREE_MEMORY = 0.5
"""Maximum share of a GPU's free memory that rows take; the rest is for the network."""


class CachedRows(Dataset[Batch]):
    """Dataset of rows of one shape, which returns the batch of a key ``(seed, row numbers)``.

    Args:
        cached: Prepared rows, whose arrays are memory-mapped.
    """

    def __init__(self, cached: Cache) -> None:
        self.inputs = {name: torch.from_numpy(array) for name, array in cached.arrays.items()}
        self.targets = torch.from_numpy(cached.targets)

    def move_to(self, device: torch.device) -> bool:
        """Move all rows to a GPU that has room for them, so that only row numbers are copied later.

        Returns:
            Whether the rows are on a GPU.
        """
        if device.type == "cuda" and self.targets.device != device and self._fit(device):
            self.inputs = {name: array.to(device) for name, array in self.inputs.items()}
            self.targets = self.targets.to(device)
        return self.targets.device != CPU

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key[0], key[1].to(self.targets.device, non_blocking=True)
        inputs = {name: array.index_select(0, rows) for name, array in self.inputs.items()}
        targets = self.targets.index_select(0, rows)
        return Batch(inputs=inputs, targets=targets, rows=rows, seed=seed)

    def _fit(self, device: torch.device) -> bool:
        size = sum(array.nbytes for array in (*self.inputs.values(), self.targets))
        free, _ = torch.cuda.mem_get_info(device)
        return bool(size <= SHARE_OF_FREE_MEMORY * free)


def keep_batch(batch: Any) -> Any:
    """Return a batch as it is; the default collate function would search it for arrays."""
    return batch


def augment_fields(
    inputs: Mapping[str, Tensor],
    augmentations: Mapping[str, Augmentation],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Apply augmentations in order, each to its field.

    Args:
        inputs: Fields ``(batch, ...)`` by name, which are not changed.
        augmentations: Augmentations by name.
        generator: Generator of the random numbers, on the device of the batch.

    Returns:
        Fields of the same shapes and dtypes by name.

    Raises:
        UserError: If an augmentation names a field that is not in the inputs.
    """
    changed = dict(inputs)
    for name, augmentation in augmentations.items():
        if (field := augmentation.field) not in changed:
            raise UserError(
                f"The augmentation {name} changes the field {field!r}, which batches of this data "
                f"do not have.{did_you_mean(field, changed)}"
            )
        changed[field] = augmentation(changed[field], generator)
    return changed


def without_none(
    augmentations: Mapping[str, Augmentation | None] | None,
) -> dict[str, Augmentation]:
    """Return the augmentations that are not ``None``.

    Raises:
        TypeError: If an augmentation does not name the field that it changes.
    """
    found = {name: item for name, item in (augmentations or {}).items() if item is not None}
    for name, item in found.items():
        if not isinstance(getattr(item, "field", None), str):
            raise TypeError(
                f"augmentation {name}: expected an object whose attribute field names what it "
                f"changes, such as 'images', got {item!r:.200}"
            )
    return found
