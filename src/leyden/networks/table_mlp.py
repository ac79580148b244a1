"""Multi-layer perceptron over numbers and embedded categories."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from leyden.networks.layers import (
    check_dropout,
    check_positive,
    check_sizes,
    make_activation,
)


class TableMLP(nn.Module):
    """Each category has a learnt vector; fully connected layers see these beside the numbers.

    Guo & Berkhahn 2016, "Entity Embeddings of Categorical Variables" (arXiv:1604.06737).

    Args:
        num_numbers: Numeric features of a row.
        cardinalities: Values of each categorical column; 0 is one that training never saw.
        num_outputs: Classes, labels or regression targets.
        hidden_widths: Units of each hidden layer, first to last.
        embedding_width: Widest vector of a category; a column of few values has a narrower one.
        activation: A name out of ``leyden.networks.layers.ACTIVATIONS``.
        dropout: Share of the units dropped after each hidden layer.
        norm: Whether a batch norm (arXiv:1502.03167) stands before each activation.
    """

    def __init__(
        self,
        *,
        num_numbers: int,
        cardinalities: Sequence[int],
        num_outputs: int,
        hidden_widths: Sequence[int] = (256, 256),
        embedding_width: int = 16,
        activation: str = "relu",
        dropout: float = 0.1,
        norm: bool = True,
    ) -> None:
        super().__init__()
        check_positive(num_outputs=num_outputs, embedding_width=embedding_width)
        check_sizes("hidden_widths", hidden_widths)
        check_dropout(dropout)
        self.input_layer = Embedded(cardinalities=cardinalities, width=embedding_width)
        widths = [num_numbers + self.input_layer.width, *hidden_widths]
        self.hidden_layers = nn.Sequential(
            *(
                _hidden_layer(narrow, wide, activation, dropout, norm=norm)
                for narrow, wide in pairwise(widths)
            )
        )
        self.output_layer = nn.Linear(widths[-1], num_outputs)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Map ``(batch, num_numbers)``, ``(batch, columns)`` int64 to ``(batch, num_outputs)``."""
        features = self.input_layer(numbers, categories)
        outputs: Tensor = self.output_layer(self.hidden_layers(features))
        return outputs


class Embedded(nn.Module):
    """Numbers, and beside them a learnt vector for each category.

    Attributes:
        width: of all vectors together.
    """

    def __init__(self, *, cardinalities: Sequence[int], width: int) -> None:
        super().__init__()
        widths = [min(width, (values + 1) // 2) for values in cardinalities]
        self.embeddings = nn.ModuleList(map(_embedding, cardinalities, widths))
        self.width = sum(widths)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Give the features of rows ``(batch, num_numbers + width)``."""
        vectors = [layer(categories[:, i]) for i, layer in enumerate(self.embeddings)]
        return torch.cat([numbers, *vectors], dim=1)


def _embedding(values: int, width: int) -> nn.Embedding:
    layer = nn.Embedding(values, width)
    # Small beside standardised numbers; what training never saw is neutral.
    nn.init.normal_(layer.weight, std=0.1)
    nn.init.zeros_(layer.weight[0])
    return layer


def _hidden_layer(
    inputs: int, outputs: int, activation: str, dropout: float, *, norm: bool
) -> nn.Sequential:
    # Batch norm subtracts the mean, and with it any bias of the layer before.
    return nn.Sequential(
        nn.Linear(inputs, outputs, bias=not norm),
        nn.BatchNorm1d(outputs) if norm else nn.Identity(),
        make_activation(activation),
        nn.Dropout(dropout),
    )
