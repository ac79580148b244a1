"""MLP over a bag of tokens: which of them a text holds, and how often."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from leyden.networks.layers import check_dropout, check_positive

INPUT_STD = 0.02
"""Small beside what is learnt, so that tokens which are hardly ever seen say little."""


class BagMLP(nn.Module):
    """One hidden layer over the counts of all tokens of the vocabulary.

    Galke & Scherp 2022, "Bag-of-Words vs. Graph vs. Sequence in Text Classification",
    arXiv:2109.03777. Counts are damped to ``log(1 + count)`` and each text brought to norm 1, as by
    Rennie et al. 2003, "Tackling the Poor Assumptions of Naive Bayes Text Classifiers".

    Args:
        vocab_size: Tokens in the vocabulary.
        num_outputs: Classes or regression targets.
        width: Units of the hidden layer.
        dropout: Share of these that is dropped.
    """

    def __init__(
        self, *, vocab_size: int, num_outputs: int, width: int = 32, dropout: float = 0.5
    ) -> None:
        super().__init__()
        check_positive(vocab_size=vocab_size, num_outputs=num_outputs, width=width)
        check_dropout(dropout)
        self.vocab_size = vocab_size
        self.input_layer = nn.Linear(vocab_size, width)
        nn.init.normal_(self.input_layer.weight, std=INPUT_STD)
        nn.init.zeros_(self.input_layer.bias)
        self.hidden_layers = nn.Sequential(nn.ReLU(), nn.Dropout(dropout))
        self.output_layer = nn.Linear(width, num_outputs)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Map token ids ``(batch, length)`` to logits ``(batch, num_outputs)``.

        Args:
            tokens: Ids, int64.
            mask: Of the same shape, true where a token is none of the padding.
        """
        counts = torch.zeros(len(tokens), self.vocab_size, device=tokens.device)
        counts = counts.scatter_add(1, tokens, mask.to(counts.dtype))
        bag = functional.normalize(counts.log1p(), dim=1)  # (batch, vocab_size)
        logits: Tensor = self.output_layer(self.hidden_layers(self.input_layer(bag)))
        return logits
