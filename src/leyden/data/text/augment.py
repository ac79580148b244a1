"""Augmentations of whole batches of token ids, on the batch's device."""

from dataclasses import dataclass

import torch
from torch import Tensor

from leyden.data.text.vocabulary import PADDING, UNKNOWN


@dataclass(frozen=True, kw_only=True)
class TokenDropout:
    """Replace random tokens by the unknown token (word dropout, Iyyer et al. 2015, ACL P15-1162).

    Attributes:
        probability: Probability that a token is replaced.
        field: Name of the token ids among the inputs.
    """

    probability: float = 0.1
    field: str = "tokens"

    def __call__(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Return token ids, int64 ``(batch, length)``, some of them replaced; padding stays."""
        drawn = torch.rand(tokens.shape, generator=generator, device=tokens.device)
        return tokens.masked_fill((drawn < self.probability) & (tokens != PADDING), UNKNOWN)
