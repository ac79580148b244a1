"""Communication between the ranks of a run."""

from typing import Any

import torch
from lightning.pytorch import Trainer


def gather(trainer: Trainer, value: Any) -> list[Any]:
    """Gather a small picklable value from every rank, in the order of ranks.

    Every rank has to call this; each gets the whole list.
    """
    if trainer.world_size == 1:
        return [value]
    gathered: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(gathered, value)
    return gathered
