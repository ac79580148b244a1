"""Multi-layer perceptron over numbers and embedded categories."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from leyden.networks.layers import check_dropout, check_positive, fully_connected


class TableMLP(nn.Module):
    """Fully connected layers on numbers and embeddings of categories.

    Guo & Berkhahn 2016, "Entity Embeddings of Categorical Variables" (arXiv:1604.06737).

    Args:
        num_numbers: Number of numeric features.
        cardinalities: Number of values of each categorical column; code 0 is an unknown value.
        num_outputs: Number of classes, labels or regression targets.
        hidden_widths: Units of each hidden layer, first to last.
        embedding_width: Largest width of an embedding; columns with few values have smaller ones.
        activation: Name of an activation in ``leyden.networks.layers.ACTIVATIONS``.
        dropout: Probability of dropping a unit after each hidden layer.
        norm: Whether to use batch norm (arXiv:1502.03167) before each activation.

    Raises:
        ValueError: If a size, the dropout or a name is not valid.
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
        check_positive(hidden_widths=hidden_widths)
        check_dropout(dropout=dropout)
        self.input_layer = Embedded(cardinalities=cardinalities, width=embedding_width)
        widths = [num_numbers + self.input_layer.width, *hidden_widths]
        self.hidden_layers = fully_connected(
            widths, norm="batch" if norm else "none", activation=activation, dropout=dropout
        )
        self.output_layer = nn.Linear(widths[-1], num_outputs)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Map rows of a table to outputs.

        Args:
            numbers: Numeric features, ``(batch, num_numbers)`` floating.
            categories: Codes of the categories, ``(batch, len(cardinalities))`` int64.

        Returns:
            Logits or predictions, ``(batch, num_outputs)``.
        """
        features = self.input_layer(numbers, categories)
        outputs: Tensor = self.output_layer(self.hidden_layers(features))
        return outputs


class Embedded(nn.Module):
    """Numbers concatenated with an embedding of each category.

    Args:
        cardinalities: Number of values of each categorical column.
        width: Largest width of an embedding.

    Attributes:
        width: Sum of the widths of all embeddings.
    """

    def __init__(self, *, cardinalities: Sequence[int], width: int) -> None:
        super().__init__()
        widths = [min(width, (values + 1) // 2) for values in cardinalities]
        self.embeddings = nn.ModuleList(map(_embedding, cardinalities, widths))
        self.width = sum(widths)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Map numbers and categories, ``(batch, ...)``, to ``(batch, num_numbers + width)``."""
        vectors = [layer(categories[:, i]) for i, layer in enumerate(self.embeddings)]
        return torch.cat([numbers, *vectors], dim=1)


def _embedding(values: int, width: int) -> nn.Embedding:
    layer = nn.Embedding(values, width)
    # Small relative to standardised numbers; unknown values are neutral.
    nn.init.normal_(layer.weight, std=0.1)
    nn.init.zeros_(layer.weight[0])
    return layer
