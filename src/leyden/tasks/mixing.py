"""Mixing of pairs of training rows and their targets: mixup and CutMix."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from leyden.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Mixup:
    """Interpolate each row with another row of its batch (Zhang et al. 2018, arXiv:1710.09412).

    Attributes:
        alpha: Parameter of the symmetric Beta distribution of the coefficient, which is sampled
            once per batch.
    """

    alpha: float = 0.2

    def __call__(
        self, inputs: Mapping[str, Tensor], targets: Tensor, *, num_classes: int, seed: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Interpolate inputs and one-hot targets.

        Args:
            inputs: Inputs of the network, ``(batch, ...)`` floating each.
            targets: Class indices, ``(batch,)`` int64.
            num_classes: Number of classes.
            seed: Seed of the coefficient and of the pairs.

        Returns:
            Mixed inputs of the same shapes, and class probabilities, ``(batch, num_classes)``
            float32.

        Raises:
            UserError: If an input is not floating, such as tokens or categories.
        """
        if coded := [name for name, value in inputs.items() if not value.is_floating_point()]:
            raise UserError(
                f"task/mix=mixup interpolates numbers, but the input {coded[0]!r} holds tokens or "
                "categories. Choose task/mix=none for texts and for tables with categories."
            )
        random = np.random.default_rng(seed)
        kept = random.beta(self.alpha, self.alpha)
        partner = _partners(targets, random)
        mixed = {name: value.lerp(value[partner], 1 - kept) for name, value in inputs.items()}
        return mixed, _interpolate(targets, partner, kept, num_classes)


@dataclass(frozen=True, kw_only=True)
class CutMix:
    """Paste a rectangle of another image of the batch (Yun et al. 2019, arXiv:1905.04899).

    Attributes:
        alpha: Parameter of the symmetric Beta distribution of the area that is kept, which is
            sampled once per batch.
    """

    alpha: float = 1.0

    def __call__(
        self, inputs: Mapping[str, Tensor], targets: Tensor, *, num_classes: int, seed: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Paste rectangles into images, and interpolate one-hot targets by the pasted area.

        Args:
            inputs: ``images``, ``(batch, channels, height, width)`` floating.
            targets: Class indices, ``(batch,)`` int64.
            num_classes: Number of classes.
            seed: Seed of the rectangle and of the pairs.

        Returns:
            Mixed images of the same shape, and class probabilities, ``(batch, num_classes)``
            float32.

        Raises:
            UserError: If the inputs are not images.
        """
        if "images" not in inputs:
            raise UserError(
                f"task/mix=cutmix pastes images, but the inputs are {', '.join(inputs)}. Choose "
                "task/mix=none, or mixup if all inputs are numbers."
            )
        random = np.random.default_rng(seed)
        side = (1 - random.beta(self.alpha, self.alpha)) ** 0.5
        top, left = random.random(2)
        partner = _partners(targets, random)
        images = inputs["images"]
        height, width = images.shape[2:]
        rows, columns = _span(height, side, top), _span(width, side, left)
        mixed = images.clone()
        mixed[:, :, rows, columns] = images[partner][:, :, rows, columns]
        pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
        kept = 1 - pasted / (height * width)
        return {"images": mixed}, _interpolate(targets, partner, kept, num_classes)


def _span(size: int, side: float, position: float) -> slice:
    length = round(size * side)
    start = round((size - length) * position)
    return slice(start, start + length)


def _partners(targets: Tensor, random: np.random.Generator) -> Tensor:
    return torch.from_numpy(random.permutation(len(targets))).to(targets.device)


def _interpolate(targets: Tensor, partner: Tensor, kept: float, num_classes: int) -> Tensor:
    one_hot = nn.functional.one_hot(targets, num_classes).float()
    return one_hot.lerp(one_hot[partner], 1 - kept)
