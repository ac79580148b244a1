"""Layers and checks of arguments that several networks share."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral

from torch import Tensor, nn
from torch.nn import functional

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
"""Side of a feature map, in pixels, from which it is halved."""


def make_activation(name: str) -> nn.Module:
    """Build an activation.

    Args:
        name: Name of an activation in ``ACTIVATIONS``.

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
    """Return the stride that halves each side of a feature map that is not too short.

    Args:
        size: Height and width of the feature map, in pixels.

    Example:
        >>> halving_stride([28, 3])
        (2, 1)
    """
    height, width = (2 if side >= SMALLEST_MAP else 1 for side in size)
    return height, width


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762, section 3.2).

    Args:
        width: Features of a token, a multiple of ``heads``.
        heads: Number of attention heads.
        dropout: Probability of dropping an attention weight.
        causal: Whether a token attends to itself and earlier tokens only.
        positions: Encodes positions in queries and keys,
            ``(batch, heads, length, width / heads)`` each; ``None`` does not.
    """

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        dropout: float = 0.0,
        causal: bool = False,
        positions: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.causal = causal
        self.positions = positions
        self.inputs = nn.Linear(width, 3 * width)
        self.outputs = nn.Linear(width, width)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map ``(batch, length, width)`` to the same shape.

        Args:
            features: Representations of tokens, ``(batch, length, width)``.
            mask: True for tokens, False for padding, ``(batch, length)`` bool.
        """
        projected = self.inputs(features).unflatten(2, (3, self.heads, -1))
        query, key, value = projected.permute(2, 0, 3, 1, 4)  # (batch, heads, length, -1)
        if self.positions is not None:
            query, key = self.positions(query), self.positions(key)
        attended = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if mask is None else mask[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal,
        )
        result: Tensor = self.outputs(attended.transpose(1, 2).flatten(2))
        return result


def check_image_shape(input_shape: Sequence[int]) -> None:
    """Raise if a shape is not that of an image.

    Args:
        input_shape: Shape of one row.

    Raises:
        ValueError: If ``input_shape`` is not ``(channels, height, width)``.
    """
    check_positive(input_shape=input_shape)
    if len(input_shape) != 3:
        raise ValueError(
            f"input_shape must be (channels, height, width), got {tuple(input_shape)}: "
            "for other inputs choose a network that takes any shape, such as the MLP."
        )


def check_positive(**sizes: int | Sequence[int]) -> None:
    """Raise if a size, or an element of a sequence of sizes, is not a positive integer.

    Args:
        sizes: Sizes, shapes and widths of layers, by the name of the argument.

    Raises:
        ValueError: If a size is not a positive integer, or a sequence is empty; the message names
            the argument.
    """
    for name, size in sizes.items():
        if isinstance(size, Sequence):
            if not size or not all(map(_is_size, size)):
                raise ValueError(f"{name} must be a list of positive integers, got {list(size)}.")
        elif not _is_size(size):
            raise ValueError(f"{name} must be a positive integer, got {size!r}.")


def check_dropout(**dropouts: float) -> None:
    """Raise if a probability of dropout is not in [0, 1).

    Args:
        dropouts: Probabilities, by the name of the argument.

    Raises:
        ValueError: If a probability is not in [0, 1); the message names the argument.
    """
    for name, dropout in dropouts.items():
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"{name} must be in [0, 1), got {dropout}: it is a probability.")


def _is_size(size: object) -> bool:
    return isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 1
