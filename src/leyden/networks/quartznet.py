"""Convolutional network that maps spectrograms of any length to logits of tokens in each step."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from leyden.networks.layers import check_dropout, check_positive

BLANK = 0
"""Id of the blank of CTC."""

IMPOSSIBLE = -1e4
"""Logit of all other tokens in the padding; negative infinity would make gradients NaN."""


class QuartzNet(nn.Module):
    """Residual blocks of separable convolutions over time (Kriman et al. 2020, arXiv:1910.10261).

    Padding is masked before every convolution, as in the authors' code, so that the logits of a
    recording do not depend on its batch. After the end of a recording the network predicts the
    blank, so that neither the loss nor decoding needs the length.

    Args:
        num_mels: Number of mel bins of the spectrogram.
        num_tokens: Number of tokens, of which 0 is the blank of CTC.
        channels: Channels of every hidden layer.
        num_blocks: Number of residual blocks of two separable convolutions.
        kernel_size: Size of each convolution in steps, odd.
        stride: Frames of the spectrogram per step of the output.
        dropout: Probability of dropping a feature in each block.

    Raises:
        ValueError: If a size or the dropout is not valid.
    """

    def __init__(
        self,
        *,
        num_mels: int,
        num_tokens: int,
        channels: int = 128,
        num_blocks: int = 4,
        kernel_size: int = 9,
        stride: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_positive(num_mels=num_mels, num_tokens=num_tokens, channels=channels)
        check_positive(num_blocks=num_blocks, stride=stride)
        check_dropout(dropout=dropout)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}.")
        self.stride = stride
        self.input_layer = nn.Sequential(
            nn.Conv1d(
                num_mels, channels, kernel_size, stride, padding=kernel_size // 2, bias=False
            ),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
        )
        self.hidden_layers = nn.ModuleList(
            Block(channels=channels, kernel_size=kernel_size, dropout=dropout)
            for _ in range(num_blocks)
        )
        self.output_layer = nn.Conv1d(channels, num_tokens, kernel_size=1)
        self.silence: Tensor
        silence = torch.full((num_tokens,), IMPOSSIBLE)
        silence[BLANK] = 0.0
        self.register_buffer("silence", silence, persistent=False)

    def forward(self, images: Tensor, frames: Tensor) -> Tensor:
        """Map spectrograms to logits of each step.

        Args:
            images: Spectrograms, ``(batch, 1, num_mels, longest)``.
            frames: Number of frames without padding, ``(batch,)`` int64.

        Returns:
            Logits, ``(batch, ceil(longest / stride), num_tokens)``.
        """
        sequence = images.squeeze(1)  # (batch, num_mels, longest)
        sequence = self.input_layer(sequence * _mask(frames, sequence))
        mask = _mask((frames + self.stride - 1) // self.stride, sequence)
        for block in self.hidden_layers:
            sequence = block(sequence, mask)
        logits = self.output_layer(sequence).transpose(1, 2)
        return torch.where(mask.transpose(1, 2), logits, self.silence.to(logits.dtype))


class Block(nn.Module):
    """``relu(x + branch(x))`` with a branch of two separable convolutions.

    Args:
        channels: Channels of the input and the output.
        kernel_size: Size of each convolution in steps, odd.
        dropout: Probability of dropping a feature before the second convolution.
    """

    def __init__(self, *, channels: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.first = _separable(channels, kernel_size)
        self.dropout = nn.Dropout(dropout)
        self.last = _separable(channels, kernel_size)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Map ``(batch, channels, steps)`` to the same shape.

        Args:
            sequence: ``(batch, channels, steps)`` floating.
            mask: False for padding, ``(batch, 1, steps)`` bool.
        """
        hidden = self.dropout(functional.relu(self.first(sequence * mask)))
        return functional.relu(sequence + self.last(hidden * mask))


def _separable(channels: int, kernel_size: int) -> nn.Sequential:
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv1d(channels, channels, kernel_size, padding=padding, groups=channels, bias=False),
        nn.Conv1d(channels, channels, kernel_size=1, bias=False),
        nn.BatchNorm1d(channels),
    )


def _mask(lengths: Tensor, sequence: Tensor) -> Tensor:
    """Return the mask ``(batch, 1, steps)``, False for padding, of lengths ``(batch,)``."""
    steps = torch.arange(sequence.shape[2], device=sequence.device)
    return (steps < lengths.unsqueeze(1)).unsqueeze(1)
