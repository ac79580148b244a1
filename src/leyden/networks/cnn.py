"""Plain convolutional network for small images, trained in seconds."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from leyden.networks.layers import (
    check_dropout,
    check_image_shape,
    check_positive,
    halving_stride,
    make_activation,
)


class CNN(nn.Module):
    """3x3 convolutions with batch norm and max pooling between them, then global average pooling.

    VGG (Simonyan & Zisserman 2015, arXiv:1409.1556) with batch norm (arXiv:1502.03167) and the
    global pooling of Network in Network (arXiv:1312.4400), which makes the number of parameters
    independent of the image size.

    Args:
        input_shape: ``(channels, height, width)`` of one image, from 1x1 up.
        num_outputs: Number of classes, labels or regression targets.
        channels: Channels of each convolution, first to last.
        activation: Name of an activation in ``leyden.networks.layers.ACTIVATIONS``.
        dropout: Probability of dropping a pooled feature before the output layer.

    Raises:
        ValueError: If a size, the dropout or a name is not valid.
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
        check_positive(num_outputs=num_outputs, channels=channels)
        check_dropout(dropout=dropout)
        inputs, *size = input_shape
        self.input_layer = _convolution(inputs, channels[0], activation)
        self.hidden_layers = nn.Sequential()
        for narrow, wide in pairwise(channels):
            window = halving_stride(size)
            size = [side // step for side, step in zip(size, window, strict=True)]
            self.hidden_layers.append(nn.MaxPool2d(window))
            self.hidden_layers.append(_convolution(narrow, wide, activation))
        self.dropout = nn.Dropout(dropout)
        self.output_layer = nn.Linear(channels[-1], num_outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(batch, channels, height, width)`` to logits ``(batch, num_outputs)``."""
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
