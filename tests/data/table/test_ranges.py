import numpy as np
import pytest

from leyden.data.table.ranges import plausible_range

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("wrong", [[1048.36], [-999.0], [9999.0] * 9])
def test_a_value_that_leaps_away_is_impossible(wrong):
    wind = RANDOM.gamma(4, 2.5, 1000)

    low, high = plausible_range(np.append(wind, wrong))

    assert low < wind.min()
    assert wind.max() < high
    assert not low <= wrong[0] <= high


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.normal(0, 1, 10000),
        RANDOM.lognormal(0, 1.5, 10000),
        RANDOM.standard_t(2, 10000),
        np.where(RANDOM.random(10000) < 0.9, 0, RANDOM.exponential(1, 10000)),
        RANDOM.integers(0, 2, 100).astype(float),
        np.concatenate([np.zeros(900), np.full(100, 500.0), RANDOM.normal(0, 1, 900)]),
    ],
    ids=["normal", "skewed", "long tails", "mostly none", "bits", "another mode"],
)
def test_plausible_values_are_kept(values):
    low, high = plausible_range(values)

    assert low <= values.min()
    assert values.max() <= high


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.0, 3.0]])
def test_nothing_is_said_of_columns_without_spread(values):
    assert plausible_range(np.array(values)) == (-np.inf, np.inf)


def test_a_clean_training_split_still_bounds_what_comes_later():
    low, high = plausible_range(RANDOM.gamma(4, 2.5, 1000))

    assert 30 < high < 1048
    assert low < 0


def test_two_values_bound_what_comes_later():
    low, high = plausible_range(np.array([0.0] * 20 + [1.0] * 3))

    assert -20 < low < 0
    assert 1 < high < 20
