"""Interface between data modules and tasks: batches, and the sizes of a data set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

SEPARATOR = ";"
"""Separates the labels of a row where they are written as text."""


class Batch(NamedTuple):
    """Batch of rows, raw or normalised.

    Attributes:
        inputs: Keyword arguments of the network's ``forward``, each ``(batch, ...)``.
        targets: Class indices ``(batch,)`` (int64), or probabilities ``(batch, num_classes)``
            after mixing; truth values ``(batch, labels)`` (uint8) if a row may have several labels;
            numbers to predict ``(batch,)`` (float32), minus the ``centre`` of
            ``DataSpec.targets``; token ids of sequences ``(batch, longest)``, padded with 0; or
            ``None`` if they are unknown.
        rows: Row numbers ``(batch,)`` (int64) in the cache of the data set.
        seed: Seed of every random choice on this batch, so that it is the same in any process,
            worker or resumed run.
    """

    inputs: dict[str, Tensor]
    targets: Tensor | None
    rows: Tensor
    seed: int

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device, to which tensors are copied asynchronously if necessary."""
        if device == self.rows.device:
            return self
        targets = None if self.targets is None else self.targets.to(device, non_blocking=True)
        return self._replace(
            inputs={name: x.to(device, non_blocking=True) for name, x in self.inputs.items()},
            targets=targets,
            rows=self.rows.to(device, non_blocking=True),
        )


def as_tensors(fields: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Return tensors that share the memory of arrays.

    Args:
        fields: Arrays ``(batch, ...)`` by name.
    """
    return {name: torch.from_numpy(array) for name, array in fields.items()}


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Sizes and class names of a data set, from which networks and tasks are built.

    Attributes:
        network_sizes: Keyword arguments of every network for this kind of data, such as
            ``input_shape`` and ``num_outputs``.
        class_names: Names of the classes or labels, in the order of their indices; empty for other
            targets.
        targets: Statistics of the training targets: their ``kind`` (``class``, ``labels``,
            ``number`` or ``sequence``); ``counts``, the rows of each class or label; or, for
            numbers, the ``centre`` that is subtracted, and ``mean`` and ``std`` of the rest.
        tokens: Tokens of target sequences, in the order of their ids; id 0 is not a token.
    """

    network_sizes: Mapping[str, Any]
    class_names: tuple[str, ...] = ()
    targets: Mapping[str, Any] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
