"""Multi-layer perceptron: for inputs without a grid, or as the second baseline."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from leyden.networks.layers import (
    check_dropout,
    check_positive,
    check_sizes,
    make_activation,
)

NORMS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}


class MLP(nn.Module):
    """Fully connected layers, each with a norm, an activation and dropout.

    Args:
        input_shape: Shape of one example, any number of dimensions.
        num_outputs: Classes or regression targets.
        hidden_widths: Units of each hidden layer, first to last.
        activation: A name out of ``leyden.networks.layers.ACTIVATIONS``.
        dropout: Share of the units dropped after each hidden layer (Srivastava et al. 2014).
        norm: Norm before each activation; ``batch`` (arXiv:1502.03167) needs at least two examples
            in a training batch, ``layer`` (arXiv:1607.06450) does not.
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
        check_sizes("input_shape", input_shape)
        check_positive(num_outputs=num_outputs)
        check_sizes("hidden_widths", hidden_widths)
        check_dropout(dropout)
        if norm not in NORMS:
            raise ValueError(f"Unknown norm {norm!r}: expected one of {', '.join(NORMS)}.")
        widths = [math.prod(input_shape), *hidden_widths]
        self.input_layer = nn.Flatten()
        self.hidden_layers = nn.Sequential(
            *(
                _hidden_layer(narrow, wide, activation, dropout, norm)
                for narrow, wide in pairwise(widths)
            )
        )
        self.output_layer = nn.Linear(widths[-1], num_outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(batch, *input_shape)`` to logits ``(batch, num_outputs)``."""
        features = self.input_layer(images)  # (batch, prod(input_shape))
        features = self.hidden_layers(features)  # (batch, hidden_widths[-1])
        logits: Tensor = self.output_layer(features)
        return logits


def _hidden_layer(
    inputs: int, outputs: int, activation: str, dropout: float, norm: str
) -> nn.Sequential:
    # Batch norm subtracts the mean, and with it any bias of the layer before.
    return nn.Sequential(
        nn.Linear(inputs, outputs, bias=norm != "batch"),
        NORMS[norm](outputs),
        make_activation(activation),
        nn.Dropout(dropout),
    )
