"""Layers and checks that several networks share."""

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}

NORMS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}

SMALLEST_MAP = 4
"""Length in pixels from which a side of a feature map is halved."""


def make_activation(name: str) -> nn.Module:
    """Build an activation by its name in ``ACTIVATIONS``.

    Raises:
        ValueError: If there is no activation of this name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(
            f"Unknown activation {name!r}: expected one of {', '.join(sorted(ACTIVATIONS))}."
        )
    return ACTIVATIONS[name]()


def fully_connected(
    widths: Sequence[int], *, norm: str, activation: str, dropout: float
) -> nn.Sequential:
    """Build hidden layers, each a linear layer, a norm, an activation and dropout.

    Args:
        widths: Input features of the first layer, then the units of each layer.
        norm: Name of a norm in ``NORMS``.
        activation: Name of an activation in ``ACTIVATIONS``.
        dropout: Probability of dropping a unit after each layer.

    Raises:
        ValueError: If there is no norm or activation of this name.
    """
    if norm not in NORMS:
        raise ValueError(f"Unknown norm {norm!r}: expected one of {', '.join(NORMS)}.")
    return nn.Sequential(
        *(
            nn.Sequential(
                # Batch norm subtracts the mean, which cancels any bias before it.
                nn.Linear(inputs, outputs, bias=norm != "batch"),
                NORMS[norm](outputs),
                make_activation(activation),
                nn.Dropout(dropout),
            )
            for inputs, outputs in pairwise(widths)
        )
    )


def halving_stride(size: Sequence[int]) -> tuple[int, int]:
    """Return the stride that halves each side of a feature map unless it is short already.

    Example:
        >>> halving_stride([28, 3])
        (2, 1)
    """
    height, width = (2 if side >= SMALLEST_MAP else 1 for side in size)
    return height, width


def check_sizes(name: str, sizes: Sequence[int]) -> None:
    """Raise if sizes are not positive integers, or if there are none.

    Args:
        name: Name of the argument, for the message.
        sizes: Sizes of layers, or the shape of an input.

    Raises:
        ValueError: If ``sizes`` is empty or an element is not a positive integer.
    """
    if not sizes or not all(map(_is_size, sizes)):
        raise ValueError(
            f"{name} must be one or more positive integers, got {list(sizes)}: "
            f"set {name} to such a list."
        )


def check_image_shape(input_shape: Sequence[int]) -> None:
    """Raise if a shape is not that of an image.

    Raises:
        ValueError: If ``input_shape`` is not ``(channels, height, width)``.
    """
    check_sizes("input_shape", input_shape)
    if len(input_shape) != 3:
        raise ValueError(
            f"input_shape must be (channels, height, width), got {tuple(input_shape)}: "
            "for other inputs choose a network that takes any shape, such as the MLP."
        )


def check_positive(**sizes: int) -> None:
    """Raise if a size is not a positive integer.

    Raises:
        ValueError: If a size is not a positive integer; the message names it.
    """
    for name, size in sizes.items():
        if not _is_size(size):
            raise ValueError(f"{name} must be a positive integer, got {size!r}.")


def check_dropout(dropout: float) -> None:
    """Raise if a dropout is not a probability below 1.

    Raises:
        ValueError: If ``dropout`` is not in [0, 1).
    """
    if not 0.0 <= dropout < 1.0:
        raise ValueError(
            f"dropout must be in [0, 1), got {dropout}: it is the probability of dropping a "
            "feature, 0 for none."
        )


def _is_size(size: object) -> bool:
    return isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 1
