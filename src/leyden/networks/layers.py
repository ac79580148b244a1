"""What several networks share: named activations and checks of their sizes."""

from collections.abc import Sequence
from numbers import Integral

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def make_activation(name: str) -> nn.Module:
    """Build the activation of this name.

    Raises:
        ValueError: If no activation is called so.
    """
    if name not in ACTIVATIONS:
        raise ValueError(
            f"Unknown activation {name!r}: expected one of {', '.join(sorted(ACTIVATIONS))}."
        )
    return ACTIVATIONS[name]()


def check_sizes(name: str, sizes: Sequence[int]) -> None:
    """Refuse sizes that no layer can have.

    Raises:
        ValueError: If ``sizes`` is empty or holds anything but whole numbers of at least 1.
    """
    if not sizes or not all(isinstance(size, int) and size >= 1 for size in sizes):
        raise ValueError(
            f"{name} must be one or more whole numbers of at least 1, got {list(sizes)}: "
            f"set {name} to such a list."
        )


def check_image_shape(input_shape: Sequence[int]) -> None:
    """Refuse an input that is not an image.

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
    """Refuse a size that no layer can have.

    Raises:
        ValueError: If any is no whole number of at least 1; it is named.
    """
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(
                f"{name} must be a whole number of at least 1, got {size!r}: give such a number."
            )


def check_dropout(dropout: float) -> None:
    """Refuse a dropout that is not a share or that would drop everything.

    Raises:
        ValueError: If ``dropout`` is outside ``[0, 1)``.
    """
    if not 0.0 <= dropout < 1.0:
        raise ValueError(
            f"dropout must be in [0, 1), got {dropout}: it is the share of features to drop, "
            "0 for none."
        )
