import math

import numpy as np
import pytest
import torch

from leyden.data.table.normalise import NormaliseNumbers, frequent_values, normal_scores


def normalise(**changes):
    arguments = {
        "low": torch.tensor([-5.0, -math.inf]),
        "high": torch.tensor([5.0, math.inf]),
        "mean": torch.tensor([1.0, 0.0]),
        "std": torch.tensor([2.0, 0.0]),
        "knots": None,
        "gaps": [0],
        "dates": [],
        "phases": torch.empty(0, 3),
    }
    return NormaliseNumbers(**arguments | changes)


def test_missing_and_impossible_values_are_the_median_with_an_indicator():
    features = normalise()(torch.tensor([[3.0, 7.0], [math.nan, math.nan], [6.0, 0.0]]))

    torch.testing.assert_close(
        features, torch.tensor([[1.0, 7.0, 0.0], [-0.5, 0.0, 1.0], [-0.5, 0.0, 1.0]])
    )


def test_dates_have_periodic_features():
    module = normalise(dates=[1], phases=torch.tensor([[0.25, 0.5, 0.0]]))

    features = module(torch.tensor([[0.0, 0.0], [0.0, 7.0], [0.0, 0.25]]))

    sines, cosines = features[:, 3:6], features[:, 6:]
    torch.testing.assert_close(sines[0], torch.tensor([1.0, 0.0, 0.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(cosines[0], torch.tensor([0.0, -1.0, 1.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(sines[1, 1:], sines[0, 1:], atol=1e-5, rtol=0)  # a week later
    assert sines[2, 2] == pytest.approx(1.0, abs=1e-5)  # at six


def test_quantiles_map_any_column_to_a_normal_distribution():
    random = np.random.default_rng(0)
    columns = np.stack([random.lognormal(0, 2, 5000), random.uniform(0, 1, 5000)], axis=1)
    knots = np.ascontiguousarray(np.quantile(columns, np.linspace(0, 1, 1000), axis=0).T)

    scores = normal_scores(torch.tensor(columns).float(), torch.tensor(knots).float())

    inner = scores[(scores.abs() < 4).all(dim=1)]
    assert inner.mean(dim=0).abs().max() < 0.02
    assert (inner.std(dim=0) - 1).abs().max() < 0.03
    assert scores.isfinite().all()
    assert torch.equal(scores.argsort(dim=0)[:, 1], torch.tensor(columns[:, 1].argsort()))


def test_a_value_that_many_rows_share_gets_the_middle_of_their_ranks():
    knots = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]])

    scores = normal_scores(torch.tensor([[0.0], [-9.0], [99.0]]), knots)

    assert scores[0, 0] == pytest.approx(torch.special.ndtri(torch.tensor(0.25)).item(), abs=1e-5)
    assert scores[1, 0] < -4
    assert scores[2, 0] > 4


def test_the_most_frequent_values_are_kept():
    codes = np.array([1] * 5 + [2] * 9 + [3] * 2 + [0] * 4, dtype=np.int32)

    assert frequent_values(codes, ["", "b", "a", "c", "unused"], most=10) == ["", "a", "b", "c"]
    assert frequent_values(codes, ["", "b", "a", "c", "unused"], most=2) == ["a", "b"]
