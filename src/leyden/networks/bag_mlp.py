"""MLP over a bag of tokens: the count of each token in a text."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from leyden.networks.layers import check_dropout, check_positive

INPUT_STD = 0.02
"""Standard deviation of the initial input weights: small, so that rare tokens matter little."""


class BagMLP(nn.Module):
    """One hidden layer over the counts of all tokens of the vocabulary.

    Galke & Scherp 2022, "Bag-of-Words vs. Graph vs. Sequence in Text Classification",
    arXiv:2109.03777. Counts are transformed to ``log(1 + count)`` and normalised to length 1 for
    each text, as by Rennie et al. 2003, "Tackling the Poor Assumptions of Naive Bayes Text
    Classifiers".

    Args:
        vocab_size: Number of tokens in the vocabulary.
        num_outputs: Number of classes, labels or regression targets.
        width: Units of the hidden layer.
        dropout: Probability of dropping a hidden unit.

    Raises:
        ValueError: If a size or the dropout is not valid.
    """

    def __init__(
        self, *, vocab_size: int, num_outputs: int, width: int = 32, dropout: float = 0.5
    ) -> None:
        super().__init__()
        check_positive(vocab_size=vocab_size, num_outputs=num_outputs, width=width)
        check_dropout(dropout=dropout)
        self.vocab_size = vocab_size
        self.input_layer = nn.Linear(vocab_size, width)
        nn.init.normal_(self.input_layer.weight, std=INPUT_STD)
        nn.init.zeros_(self.input_layer.bias)
        self.hidden_layers = nn.Sequential(nn.ReLU(), nn.Dropout(dropout))
        self.output_layer = nn.Linear(width, num_outputs)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Map token ids to logits.

        Args:
            tokens: Token ids, ``(batch, length)`` int64.
            mask: True for tokens, False for padding, ``(batch, length)`` bool.

        Returns:
            Logits, ``(batch, num_outputs)``.
        """
        counts = torch.zeros(len(tokens), self.vocab_size, device=tokens.device)
        counts = counts.scatter_add(1, tokens, mask.to(counts.dtype))
        bag = functional.normalize(counts.log1p(), dim=1)  # (batch, vocab_size)
        logits: Tensor = self.output_layer(self.hidden_layers(self.input_layer(bag)))
        return logits
