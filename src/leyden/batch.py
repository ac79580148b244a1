"""What the data module hands to the task: one batch, and the sizes that every batch shares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """One batch of rows.

    Attributes:
        inputs: keyword arguments of the network's ``forward``, each ``(batch, ...)``.
        targets: ``(batch,)`` class indices (int64), or ``(batch, num_classes)`` probabilities
            after mixing; ``(batch, labels)`` truths (uint8) where a row may have several labels;
            ``(batch,)`` numbers to predict (float32), measured from the ``centre`` of
            ``DataSpec.targets``; ``(batch, longest)`` token numbers of sequences, 0 after their
            end; ``None`` where they are not known.
        rows: ``(batch,)`` int64 row numbers in the data set's cache.
        seed: seeds every random choice made on this batch, so that a batch is the same whichever
            process, worker or resumed run makes it.
    """

    inputs: dict[str, Tensor]
    targets: Tensor | None
    rows: Tensor
    seed: int

    def to(self, device: torch.device) -> "Batch":
        """Move the tensors to a device, without waiting for them to arrive."""
        if device == self.rows.device:
            return self
        targets = None if self.targets is None else self.targets.to(device, non_blocking=True)
        return self._replace(
            inputs={name: x.to(device, non_blocking=True) for name, x in self.inputs.items()},
            targets=targets,
            rows=self.rows.to(device, non_blocking=True),
        )


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """The facts of a data set that networks and tasks are sized by.

    Attributes:
        network_sizes: keyword arguments that every network of this kind of data takes, such as
            ``input_shape`` and ``num_outputs``.
        class_names: names of the classes in the order of their indices, or of the labels; empty
            for other targets.
        targets: what was counted of the targets on the training split alone: ``counts``, the rows
            of each class or label, or of numbers the ``centre`` that the targets of a batch are
            measured from, and ``mean`` and ``std`` of these differences; and their ``kind``,
            which is ``class``, ``labels``, ``number`` or ``sequence``.
        tokens: what the numbers in target sequences stand for; number 0 stands for nothing.
    """

    network_sizes: Mapping[str, Any]
    class_names: tuple[str, ...] = ()
    targets: Mapping[str, Any] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
