"""Values of all ranks."""

from typing import Any

import torch
from lightning.pytorch import Trainer


def of_all_ranks(trainer: Trainer, own: Any) -> list[Any]:
    """Gather a small picklable value of every rank, in their order; all of them have to call."""
    if trainer.world_size == 1:
        return [own]
    gathered: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(gathered, own)
    return gathered
