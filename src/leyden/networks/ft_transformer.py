"""FT-Transformer for tables: every column is a token."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from leyden.networks.layers import SelfAttention, check_dropout, check_positive

FEED_FORWARD = 4 / 3
"""Ratio of a block's hidden width to ``width``, as in the paper for ReGLU."""


class FTTransformer(nn.Module):
    """Transformer over the columns of a row.

    Gorishniy et al. 2021, "Revisiting Deep Learning Models for Tabular Data" (arXiv:2106.11959): a
    number scales the embedding of its column, each category has its own embedding, and the output
    is computed from a classification token after a few pre-norm blocks.

    Args:
        num_numbers: Number of numeric features.
        cardinalities: Number of values of each categorical column; code 0 is an unknown value.
        num_outputs: Number of classes, labels or regression targets.
        width: Features of a token, a multiple of ``heads``.
        depth: Number of blocks.
        heads: Number of attention heads in each block.
        attention_dropout: Probability of dropping an attention weight.
        dropout: Probability of dropping a hidden unit of a block.

    Raises:
        ValueError: If a size or a dropout is not valid.
    """

    def __init__(
        self,
        *,
        num_numbers: int,
        cardinalities: Sequence[int],
        num_outputs: int,
        width: int = 64,
        depth: int = 3,
        heads: int = 8,
        attention_dropout: float = 0.2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_positive(num_outputs=num_outputs, width=width, depth=depth, heads=heads)
        check_dropout(attention_dropout=attention_dropout, dropout=dropout)
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, got {width} and {heads} heads.")
        self.input_layer = ColumnTokens(
            num_numbers=num_numbers, cardinalities=cardinalities, width=width
        )
        self.hidden_layers = nn.Sequential(
            *(
                Block(
                    width=width, heads=heads, attention_dropout=attention_dropout, dropout=dropout
                )
                for _ in range(depth)
            )
        )
        self.output_layer = nn.Sequential(
            nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, num_outputs)
        )

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Map rows of a table to outputs.

        Args:
            numbers: Numeric features, ``(batch, num_numbers)`` floating.
            categories: Codes of the categories, ``(batch, len(cardinalities))`` int64.

        Returns:
            Logits or predictions, ``(batch, num_outputs)``.
        """
        tokens = self.input_layer(numbers, categories)  # (batch, 1 + features, width)
        tokens = self.hidden_layers(tokens)
        outputs: Tensor = self.output_layer(tokens[:, 0])
        return outputs


class ColumnTokens(nn.Module):
    """Embedding of each column as a token, preceded by a classification token.

    Args:
        num_numbers: Number of numeric features.
        cardinalities: Number of values of each categorical column.
        width: Features of a token.
    """

    def __init__(self, *, num_numbers: int, cardinalities: Sequence[int], width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.row = nn.Parameter(torch.empty(1, 1, width).uniform_(-bound, bound))
        self.number_weight = nn.Parameter(torch.empty(num_numbers, width).uniform_(-bound, bound))
        columns = num_numbers + len(cardinalities)
        self.column_bias = nn.Parameter(torch.empty(columns, width).uniform_(-bound, bound))
        self.embeddings = nn.ModuleList(_embedding(values, width) for values in cardinalities)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Map numbers and categories, ``(batch, ...)`` each, to ``(batch, 1 + columns, width)``."""
        scaled = numbers.unsqueeze(2) * self.number_weight
        embedded = [layer(categories[:, i]).unsqueeze(1) for i, layer in enumerate(self.embeddings)]
        features = torch.cat([scaled, *embedded], dim=1) + self.column_bias
        return torch.cat([self.row.expand(len(numbers), -1, -1), features], dim=1)


def _embedding(values: int, width: int) -> nn.Embedding:
    layer = nn.Embedding(values, width)
    nn.init.uniform_(layer.weight, -(width**-0.5), width**-0.5)
    nn.init.zeros_(layer.weight[0])  # unknown values are neutral
    return layer


class Block(nn.Module):
    """Pre-norm attention and a feed-forward layer with ReGLU (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, *, width: int, heads: int, attention_dropout: float, dropout: float) -> None:
        super().__init__()
        hidden = round(width * FEED_FORWARD)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width=width, heads=heads, dropout=attention_dropout)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.reduce = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens ``(batch, tokens, width)`` to the same shape."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        values, gates = self.expand(self.feed_forward_norm(tokens)).chunk(2, dim=2)
        result: Tensor = tokens + self.reduce(self.dropout(values * gates.relu()))
        return result
