"""Transformers (Vaswani et al. 2017, arXiv:1706.03762): an encoder and a causal decoder.

Both use pre-norm sublayers (Xiong et al. 2020, arXiv:2002.04745) and rotary position embeddings (Su
et al. 2021, arXiv:2104.09864), so that texts may have any length.
"""

import torch
from torch import Tensor, nn

from leyden.networks.layers import SelfAttention, check_dropout, check_positive

EMBEDDING_STD = 0.02
"""Standard deviation of the initial embeddings."""

LONGEST_PERIOD = 10_000.0
"""Longest period of the rotary embeddings, in positions."""


class Transformer(nn.Module):
    """Bidirectional encoder that classifies the mean of its token representations.

    Args:
        vocab_size: Number of tokens in the vocabulary.
        num_outputs: Number of classes, labels or regression targets.
        width: Features of each token.
        depth: Number of blocks.
        heads: Number of attention heads; ``width`` is a multiple of twice this number.
        dropout: Probability of dropping a feature of the embeddings and after each sublayer.

    Raises:
        ValueError: If a size or the dropout is not valid.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        num_outputs: int,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_positive(num_outputs=num_outputs)
        self.input_layer = _embedding(vocab_size, width)
        self.hidden_layers = _Blocks(width, depth, heads, dropout, causal=False)
        self.output_layer = nn.Linear(width, num_outputs)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Map token ids to logits.

        Args:
            tokens: Token ids, ``(batch, length)`` int64.
            mask: True for tokens, False for padding, ``(batch, length)`` bool.

        Returns:
            Logits, ``(batch, num_outputs)``.
        """
        features = self.hidden_layers(self.input_layer(tokens), mask)  # (batch, length, width)
        weights = (mask / mask.sum(dim=1, keepdim=True)).to(features.dtype)
        mean = torch.einsum("blw,bl->bw", features, weights)
        logits: Tensor = self.output_layer(mean)
        return logits


class CausalTransformer(nn.Module):
    """Causal decoder that predicts the next token from each prefix of a text.

    The output layer shares the weights of the embedding (Press & Wolf 2017, arXiv:1608.05859).
    These are initialised with small values, and embeddings are multiplied by the square root of the
    width (Vaswani et al. 2017, 3.4). Each block is initialised as the identity (Zhang et al. 2019,
    arXiv:1901.09321), so that random outputs of the first steps do not dominate the embeddings.

    Args:
        vocab_size: Number of tokens in the vocabulary.
        width: Features of each token.
        depth: Number of blocks.
        heads: Number of attention heads; ``width`` is a multiple of twice this number.
        dropout: Probability of dropping a feature of the embeddings and after each sublayer.

    Raises:
        ValueError: If a size or the dropout is not valid.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        width: int = 192,
        depth: int = 4,
        heads: int = 6,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.input_layer = _embedding(vocab_size, width)
        self.hidden_layers = _Blocks(width, depth, heads, dropout, causal=True)
        self.output_layer = nn.Linear(width, vocab_size, bias=False)
        self.output_layer.weight = self.input_layer.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids ``(batch, length)``, int64, to logits ``(batch, length, vocab_size)``."""
        embedded = self.input_layer(tokens)
        features = self.hidden_layers(embedded * embedded.shape[-1] ** 0.5)
        logits: Tensor = self.output_layer(features)
        return logits


class _Blocks(nn.Module):
    """Sequence of blocks with a final norm."""

    def __init__(self, width: int, depth: int, heads: int, dropout: float, *, causal: bool) -> None:
        super().__init__()
        check_positive(width=width, depth=depth, heads=heads)
        check_dropout(dropout=dropout)
        if width % (2 * heads):
            raise ValueError(
                f"width must be a multiple of twice the heads, got width {width} and {heads} "
                "heads: positions rotate pairs of features."
            )
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            _Block(width, heads, dropout, causal=causal) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map ``(batch, length, width)`` to the same shape."""
        features = self.dropout(features)
        for block in self.blocks:
            features = block(features, mask)
        result: Tensor = self.norm(features)
        return result


class _Block(nn.Module):
    """Pre-norm attention and a feed-forward layer."""

    def __init__(self, width: int, heads: int, dropout: float, *, causal: bool) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width=width, heads=heads, causal=causal, positions=_rotate)
        shrink = nn.Linear(4 * width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            shrink,
            nn.Dropout(dropout),
        )
        self.dropout = nn.Dropout(dropout)
        if causal:
            for parameter in (*self.attention.outputs.parameters(), *shrink.parameters()):
                nn.init.zeros_(parameter)

    def forward(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """Map ``(batch, length, width)`` to the same shape."""
        attended = self.attention(self.attention_norm(features), mask)
        features = features + self.dropout(attended)
        result: Tensor = features + self.feed_forward(features)
        return result


def _rotate(features: Tensor) -> Tensor:
    """Rotate pairs of features, ``(..., length, features)``, by angles proportional to position."""
    length, half = features.shape[-2], features.shape[-1] // 2
    frequency = LONGEST_PERIOD ** (-torch.arange(half, device=features.device) / half)
    angle = torch.arange(length, device=features.device).unsqueeze(1) * frequency
    cosine, sine = angle.cos().to(features.dtype), angle.sin().to(features.dtype)
    first, second = features.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


def _embedding(vocab_size: int, width: int) -> nn.Embedding:
    check_positive(vocab_size=vocab_size)
    embedding = nn.Embedding(vocab_size, width)
    nn.init.normal_(embedding.weight, std=EMBEDDING_STD)
    return embedding
