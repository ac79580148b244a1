"""Logistic or linear regression: the baseline for every network."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from leyden.networks.layers import check_positive


class Linear(nn.Module):
    """One linear layer on the flattened input.

    Args:
        input_shape: Shape of one row, of any number of dimensions.
        num_outputs: Number of classes, labels or regression targets.

    Raises:
        ValueError: If a size is not a positive integer.
    """

    def __init__(self, *, input_shape: Sequence[int], num_outputs: int) -> None:
        super().__init__()
        check_positive(input_shape=input_shape, num_outputs=num_outputs)
        self.input_layer = nn.Flatten()
        self.hidden_layers = nn.Sequential()
        self.output_layer = nn.Linear(math.prod(input_shape), num_outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(batch, *input_shape)`` to logits ``(batch, num_outputs)``."""
        features = self.input_layer(images)  # (batch, prod(input_shape))
        logits: Tensor = self.output_layer(self.hidden_layers(features))
        return logits
