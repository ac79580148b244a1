import pytest
import torch

from leyden.serving.decompositions import normal_quantile, search_sorted


def test_quantiles_of_the_normal_distribution_are_those_of_torch():
    tails = torch.logspace(-9, -1, 200, dtype=torch.float64)
    share = torch.cat([tails, torch.linspace(0.01, 0.99, 99, dtype=torch.float64), 1 - tails])

    torch.testing.assert_close(
        normal_quantile(share), torch.special.ndtri(share), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("right", [False, True])
def test_places_among_sorted_values_are_those_of_torch(right):
    knots = torch.tensor([[0.0, 1.0, 1.0, 3.0], [-1.0, 0.0, 2.0, 2.0]])
    values = torch.tensor([[-1.0, 1.0, 1.5, 9.0, 3.0], [0.0, 2.0, -5.0, 5.0, -1.0]])

    found = search_sorted(knots, values, right=right)

    assert torch.equal(found, torch.searchsorted(knots, values, right=right))
