"""Augmentations of whole batches of tokens, on the batch's device."""

from dataclasses import dataclass

import torch
from torch import Tensor

from leyden.data.text.vocabulary import PADDING, UNKNOWN


@dataclass(frozen=True, kw_only=True)
class TokenDropout:
    """Replace tokens by the unknown one (word dropout, Iyyer et al. 2015, ACL P15-1162).

    Attributes:
        probability: share of the tokens that are replaced.
        field: Name of the tokens among the inputs.
    """

    probability: float = 0.1
    field: str = "tokens"

    def __call__(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Replace some tokens of ``(batch, length)``."""
        drawn = torch.rand(tokens.shape, generator=generator, device=tokens.device)
        return tokens.masked_fill((drawn < self.probability) & (tokens != PADDING), UNKNOWN)
