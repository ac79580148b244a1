"""Multi-layer perceptron, for inputs without a grid or as a baseline."""

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from leyden.networks.layers import check_dropout, check_positive, fully_connected


class MLP(nn.Module):
    """Fully connected layers with norm, activation and dropout.

    Args:
        input_shape: Shape of one row, of any number of dimensions.
        num_outputs: Number of classes, labels or regression targets.
        hidden_widths: Units of each hidden layer, first to last.
        activation: Name of an activation in ``leyden.networks.layers.ACTIVATIONS``.
        dropout: Probability of dropping a unit after each hidden layer (Srivastava et al. 2014).
        norm: Norm before each activation; ``batch`` (arXiv:1502.03167) needs at least two rows in
            a training batch, ``layer`` (arXiv:1607.06450) does not.

    Raises:
        ValueError: If a size, the dropout or a name is not valid.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_outputs: int,
        hidden_widths: Sequence[int] = (256, 256),
        activation: str = "relu",
        dropout: float = 0.0,
        norm: Literal["none", "batch", "layer"] = "batch",
    ) -> None:
        super().__init__()
        check_positive(input_shape=input_shape, num_outputs=num_outputs)
        check_positive(hidden_widths=hidden_widths)
        check_dropout(dropout=dropout)
        widths = [math.prod(input_shape), *hidden_widths]
        self.input_layer = nn.Flatten()
        self.hidden_layers = fully_connected(
            widths, norm=norm, activation=activation, dropout=dropout
        )
        self.output_layer = nn.Linear(widths[-1], num_outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(batch, *input_shape)`` to logits ``(batch, num_outputs)``."""
        features = self.input_layer(images)  # (batch, prod(input_shape))
        features = self.hidden_layers(features)  # (batch, hidden_widths[-1])
        logits: Tensor = self.output_layer(features)
        return logits
