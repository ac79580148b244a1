"""Small residual network for images on which a plain CNN is not enough."""

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from leyden.networks.layers import (
    check_dropout,
    check_image_shape,
    check_positive,
    halving_stride,
)

STEMS = ("convolution", "space_to_depth")

POOLINGS: dict[str, Callable[..., Tensor]] = {"mean": Tensor.mean, "max": Tensor.amax}


class ResNet(nn.Module):
    """Stages of residual blocks; every stage except the first halves the feature maps.

    He et al. 2016 (arXiv:1512.03385) with three later improvements: each block is initialised as
    the identity (Goyal et al. 2017, arXiv:1706.02677, 5.1), shortcuts average before they project
    (ResNet-D of He et al. 2019, arXiv:1812.01187), and a space-to-depth stem exchanges resolution
    for channels (Ridnik et al. 2021, arXiv:2003.13630).

    Args:
        input_shape: ``(channels, height, width)`` of one image.
        num_outputs: Number of classes, labels or regression targets.
        channels: Channels of each stage, first to last.
        blocks_per_stage: Number of residual blocks in each stage.
        stem: ``space_to_depth`` first folds 2x2 pixels into channels, for a quarter of the
            operations; ``convolution`` keeps the resolution.
        pooling: Global pooling before the output layer: ``mean``, or ``max`` as in Jordan 2024
            (arXiv:2404.00498), who trains on small images for a few epochs.
        dropout: Probability of dropping a pooled feature before the output layer.
        mirrored: In evaluation, average the logits of each image and its horizontal mirror image,
            at twice the cost, as Simonyan & Zisserman 2015 (arXiv:1409.1556, 3.2) do with
            probabilities.

    Raises:
        ValueError: If a size, the dropout or a name is not valid.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_outputs: int,
        channels: Sequence[int] = (32, 64, 128),
        blocks_per_stage: int = 1,
        stem: Literal["convolution", "space_to_depth"] = "space_to_depth",
        pooling: Literal["mean", "max"] = "mean",
        dropout: float = 0.0,
        mirrored: bool = False,
    ) -> None:
        super().__init__()
        check_image_shape(input_shape)
        check_positive(num_outputs=num_outputs, channels=channels)
        check_positive(blocks_per_stage=blocks_per_stage)
        check_dropout(dropout=dropout)
        for name, chosen, known in (("stem", stem, STEMS), ("pooling", pooling, POOLINGS)):
            if chosen not in known:
                raise ValueError(f"Unknown {name} {chosen!r}: expected one of {', '.join(known)}.")
        self.input_layer = _stem(input_shape, channels[0], stem)
        scale = 2 if stem == "space_to_depth" else 1
        size = [-(-side // scale) for side in input_shape[1:]]
        self.hidden_layers = _stages(channels, blocks_per_stage, size)
        self.pooled = POOLINGS[pooling]
        self.dropout = nn.Dropout(dropout)
        self.output_layer = nn.Linear(channels[-1], num_outputs)
        self.mirrored = mirrored

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(batch, channels, height, width)`` to logits ``(batch, num_outputs)``."""
        if self.mirrored and not self.training:
            return (self._logits(images) + self._logits(images.flip(3))) / 2
        return self._logits(images)

    def _logits(self, images: Tensor) -> Tensor:
        maps = self.hidden_layers(self.input_layer(images))  # (batch, channels[-1], h, w)
        features = self.dropout(self.pooled(maps, dim=(2, 3)))  # (batch, channels[-1])
        logits: Tensor = self.output_layer(features)
        return logits


class ResidualBlock(nn.Module):
    """``relu(shortcut(x) + branch(x))`` with a branch of two 3x3 convolutions.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Factors by which height and width are reduced, rounded up.
    """

    def __init__(self, *, inputs: int, outputs: int, stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        first, first_norm = _convolution(inputs, outputs, kernel_size=3, stride=stride)
        last, last_norm = _convolution(outputs, outputs, kernel_size=3)
        self.branch = nn.Sequential(first, first_norm, nn.ReLU(inplace=True), last, last_norm)
        # The block is initialised as its shortcut, which stabilises deep networks.
        nn.init.zeros_(last_norm.weight)
        self.shortcut = nn.Sequential()
        if stride != (1, 1):
            self.shortcut.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
        if inputs != outputs:
            self.shortcut.extend(_convolution(inputs, outputs, kernel_size=1))

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(batch, inputs, h, w)`` to ``(batch, outputs, ceil(h / stride), ...)``."""
        summed: Tensor = self.shortcut(maps) + self.branch(maps)
        return functional.relu(summed, inplace=True)


def _stem(input_shape: Sequence[int], outputs: int, stem: str) -> nn.Sequential:
    inputs, height, width = input_shape
    layers = nn.Sequential()
    if stem == "space_to_depth":
        if height % 2 or width % 2:
            layers.append(nn.ZeroPad2d((0, width % 2, 0, height % 2)))
        layers.append(nn.PixelUnshuffle(2))
        inputs *= 4
    layers.extend([*_convolution(inputs, outputs, kernel_size=3), nn.ReLU(inplace=True)])
    return layers


def _stages(channels: Sequence[int], blocks_per_stage: int, size: Sequence[int]) -> nn.Sequential:
    stages = nn.Sequential()
    inputs = channels[0]
    for number, outputs in enumerate(channels):
        stride = halving_stride(size) if number > 0 else (1, 1)
        size = [-(-side // step) for side, step in zip(size, stride, strict=True)]
        first = ResidualBlock(inputs=inputs, outputs=outputs, stride=stride)
        rest = (ResidualBlock(inputs=outputs, outputs=outputs) for _ in range(blocks_per_stage - 1))
        stages.append(nn.Sequential(first, *rest))
        inputs = outputs
    return stages


def _convolution(
    inputs: int, outputs: int, *, kernel_size: int, stride: tuple[int, int] = (1, 1)
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    padding = kernel_size // 2
    convolution = nn.Conv2d(
        inputs, outputs, kernel_size, stride=stride, padding=padding, bias=False
    )
    return convolution, nn.BatchNorm2d(outputs)
