"""Operations that ONNX lacks, in terms of those that it has."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

CENTRAL = 0.425
"""Largest distance from 1/2 of the central probabilities in Wichura's algorithm."""

NEAR = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3),
)  # fmt: skip
FAR = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9),
)  # fmt: skip
"""Coefficients of a numerator and a denominator, lowest power first."""


def search_sorted(knots: Tensor, values: Tensor, *, right: bool = False, **_: Any) -> Tensor:
    """Count the knots before each value, as ``torch.searchsorted`` does, by comparing all.

    Args:
        knots: Sorted knots ``(..., knots)``.
        values: Values ``(..., values)``.
        right: Whether to count knots that equal the value.
    """
    knots, values = knots.unsqueeze(-2), values.unsqueeze(-1)
    before = knots <= values if right else knots < values
    return before.sum(dim=-1)


def normal_quantile(probabilities: Tensor) -> Tensor:
    """Compute the quantile of the normal distribution, as ``torch.special.ndtri`` does.

    Wichura 1988, "Algorithm AS 241: The Percentage Points of the Normal Distribution", for
    probabilities from 1e-11 to 1 - 1e-11; in float64.
    """
    share = probabilities.double()
    distance = share - 0.5
    near = distance * _ratio(NEAR, CENTRAL**2 - distance.square())
    tail = (-torch.minimum(share, 1 - share).log()).sqrt()
    far = distance.sign() * _ratio(FAR, tail - 1.6)
    return torch.where(distance.abs() <= CENTRAL, near, far).to(probabilities.dtype)


def _ratio(polynomials: Sequence[Sequence[float]], at: Tensor) -> Tensor:
    above, below = (_polynomial(coefficients, at) for coefficients in polynomials)
    return above / below


def _polynomial(coefficients: Sequence[float], at: Tensor) -> Tensor:
    value = torch.full_like(at, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * at + coefficient
    return value


DECOMPOSITIONS: dict[Any, Callable[..., Tensor]] = {
    torch.ops.aten.searchsorted.Tensor: search_sorted,
    torch.ops.aten.special_ndtri.default: normal_quantile,
}
