"""Plain convolutional network: small images, seconds of training."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from leyden.networks.layers import (
    check_dropout,
    check_image_shape,
    check_positive,
    check_sizes,
    make_activation,
)

SMALLEST_MAP = 4
"""Sides shorter than this are not halved any further."""


class CNN(nn.Module):
    """3x3 convolutions with batch norm, halved maps in between, global average pooling at the end.

    The pattern of VGG (Simonyan & Zisserman 2015, arXiv:1409.1556) with batch norm
    (arXiv:1502.03167) and with the pooled output layer of Network in Network (arXiv:1312.4400),
    which keeps the number of parameters independent of the size of the image.

    Args:
        input_shape: ``(channels, height, width)`` of one image, from 1x1 up.
        num_outputs: Classes or regression targets.
        channels: Channels of each convolution, first to last.
        activation: A name out of ``leyden.networks.layers.ACTIVATIONS``.
        dropout: Share of the pooled features dropped before the output layer.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_outputs: int,
        channels: Sequence[int] = (48, 96, 192),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_image_shape(input_shape)
        check_positive(num_outputs=num_outputs)
        check_sizes("channels", channels)
        check_dropout(dropout)
        inputs, *size = input_shape
        self.input_layer = _convolution(inputs, channels[0], activation)
        self.hidden_layers = nn.Sequential()
        for narrow, wide in pairwise(channels):
            window = [2 if side >= SMALLEST_MAP else 1 for side in size]
            size = [side // step for side, step in zip(size, window, strict=True)]
            self.hidden_layers.append(nn.MaxPool2d((window[0], window[1])))
            self.hidden_layers.append(_convolution(narrow, wide, activation))
        self.dropout = nn.Dropout(dropout)
        self.output_layer = nn.Linear(channels[-1], num_outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(batch, channels, height, width)`` to logits ``(batch, num_outputs)``."""
        maps = self.hidden_layers(self.input_layer(images))  # (batch, channels[-1], h, w)
        features = self.dropout(maps.mean(dim=(2, 3)))  # (batch, channels[-1])
        logits: Tensor = self.output_layer(features)
        return logits


def _convolution(inputs: int, outputs: int, activation: str) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        make_activation(activation),
    )
