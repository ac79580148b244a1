"""Bag of tokens and bigrams: the fast baseline for texts."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from leyden.networks.layers import check_dropout, check_positive, fully_connected

HASH_FACTOR = 0x9E3779B1
"""Factor of Knuth's multiplicative hash: 2^32 divided by the golden ratio."""

EMBEDDING_STD = 0.1
"""Standard deviation of the initial embeddings."""


class BagOfTokens(nn.Module):
    """Sum of the embeddings of tokens and of bigrams, followed by fully connected layers.

    Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification", arXiv:1607.01759:
    bigrams are hashed into a fixed number of embeddings.

    Args:
        vocab_size: Number of tokens in the vocabulary.
        num_outputs: Number of classes, labels or regression targets.
        width: Features of each embedding.
        pair_buckets: Number of embeddings that bigrams share; 0 leaves bigrams out.
        hidden_widths: Units of each hidden layer, first to last; may be empty.
        activation: Name of an activation in ``leyden.networks.layers.ACTIVATIONS``.
        dropout: Probability of dropping a feature before each layer.

    Raises:
        ValueError: If a size, the dropout or a name is not valid.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        num_outputs: int,
        width: int = 64,
        pair_buckets: int = 32768,
        hidden_widths: Sequence[int] = (),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive(vocab_size=vocab_size, num_outputs=num_outputs, width=width)
        if hidden_widths:
            check_positive(hidden_widths=hidden_widths)
        check_dropout(dropout=dropout)
        if pair_buckets < 0:
            raise ValueError(f"pair_buckets must be at least 0, got {pair_buckets}.")
        self.vocab_size = vocab_size
        self.pair_buckets = pair_buckets
        self.input_layer = nn.EmbeddingBag(vocab_size + pair_buckets, width, mode="sum")
        nn.init.normal_(self.input_layer.weight, std=EMBEDDING_STD)
        widths = [width, *hidden_widths]
        self.hidden_layers = nn.Sequential(
            nn.Dropout(dropout),
            *fully_connected(widths, norm="none", activation=activation, dropout=dropout),
        )
        self.output_layer = nn.Linear(widths[-1], num_outputs)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Map token ids to logits.

        Args:
            tokens: Token ids, ``(batch, length)`` int64.
            mask: True for tokens, False for padding, ``(batch, length)`` bool.

        Returns:
            Logits, ``(batch, num_outputs)``.
        """
        ids, is_token = tokens, mask
        if self.pair_buckets:
            ids = torch.cat([tokens, self._pairs(tokens)], dim=1)
            is_token = torch.cat([mask, mask[:, 1:]], dim=1)
        # The norm of a sum of n independent embeddings grows with the square root of n.
        weights = is_token / is_token.sum(dim=1, keepdim=True).sqrt()
        features = self.input_layer(ids, per_sample_weights=weights)  # (batch, width)
        logits: Tensor = self.output_layer(self.hidden_layers(features))
        return logits

    def _pairs(self, tokens: Tensor) -> Tensor:
        """Return the embedding index of each bigram, ``(batch, length - 1)`` int64."""
        pair = tokens[:, :-1] * self.vocab_size + tokens[:, 1:]
        return self.vocab_size + (pair * HASH_FACTOR % 2**32 >> 8) % self.pair_buckets
