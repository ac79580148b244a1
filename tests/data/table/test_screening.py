import numpy as np
import pytest

from leyden.data.table.screening import (
    category_determines,
    is_constant,
    is_identifier,
    is_row_number,
    number_determines,
    plausible_range,
)

RANDOM = np.random.default_rng(0)
CLASSES = RANDOM.integers(0, 3, 300)
NUMBERS = RANDOM.normal(0, 1, 300).astype(np.float32)


def test_constant_columns():
    assert is_constant(np.array([2.0, 2.0]))
    assert is_constant(np.array([np.nan, np.nan]))
    assert not is_constant(np.array([2.0, np.nan]))


def test_identifiers_name_rows():
    assert is_identifier(np.arange(100, dtype=np.int32))
    assert not is_identifier(RANDOM.integers(0, 30, 100).astype(np.int32))


@pytest.mark.parametrize(
    ("codes", "targets", "determines"),
    [
        (CLASSES + 1, CLASSES, True),
        (CLASSES * 10 + RANDOM.integers(0, 10, 300), CLASSES, True),  # several values per class
        (RANDOM.integers(0, 10, 300), CLASSES, False),
        (np.where(RANDOM.random(300) < 0.9, CLASSES, 0), CLASSES, False),
        (np.arange(300), CLASSES, False),  # names of rows determine anything
        (CLASSES, CLASSES.astype(np.float32) * 2, True),
        (CLASSES, NUMBERS, False),
    ],
)
def test_categories_that_determine_the_target(codes, targets, determines):
    assert category_determines(codes.astype(np.int32), targets) == determines


def test_a_rare_class_is_not_determined_by_chance():
    targets = (np.arange(3000) < 3).astype(np.int64)

    assert not category_determines(RANDOM.integers(0, 3, 3000).astype(np.int32), targets)


@pytest.mark.parametrize(
    ("values", "targets", "determines"),
    [
        (CLASSES * 20 + RANDOM.uniform(0, 19, 300), CLASSES, True),  # thresholds
        (CLASSES.astype(float), CLASSES, True),
        (CLASSES + RANDOM.normal(0, 1, 300), CLASSES, False),
        (np.where(RANDOM.random(300) < 0.5, np.nan, CLASSES), CLASSES, False),  # seldom there
        ((CLASSES > 5).astype(float), CLASSES, False),
        (NUMBERS * 1.6 + 3.0, NUMBERS, True),  # another unit
        (-np.exp(NUMBERS.astype(float)), NUMBERS, True),
        (NUMBERS + RANDOM.normal(0, 0.1, 300), NUMBERS, False),
    ],
)
def test_numbers_that_determine_the_target(values, targets, determines):
    assert number_determines(values.astype(np.float64), targets) == determines


def test_a_threshold_that_separates_few_rows_is_a_coincidence():
    targets = np.array([0] * 40 + [1] * 5)

    assert not number_determines(np.arange(45.0), targets)


def test_a_class_between_two_ranges_of_another_is_not_determined():
    targets = np.repeat([0, 1, 0], 30)

    assert not number_determines(np.arange(90.0), targets)


def test_a_value_that_both_classes_share_determines_neither():
    targets = np.array([0] * 30 + [1] * 30)

    assert not number_determines(np.array([0.0] * 45 + [1.0] * 15), targets)


@pytest.mark.parametrize(
    ("values", "numbers_rows"),
    [
        (np.arange(12), True),
        (np.arange(1000, 0, -1), True),
        (np.flatnonzero(RANDOM.random(500) < 0.7) + 1, True),  # those that became training rows
        (RANDOM.permutation(500)[:350], True),  # shuffled before
        (np.arange(9), False),  # so few may be in order by chance
        (RANDOM.permutation(12), False),
        (np.arange(100) * 0.5, False),
        (np.arange(100) * 1000, False),  # amounts
        (np.repeat(np.arange(50), 2), False),
        (np.append(np.arange(50.0), np.nan), False),
        (RANDOM.integers(0, 1000, 300), False),
    ],
)
def test_row_numbers(values, numbers_rows):
    assert is_row_number(values.astype(np.float64)) == numbers_rows


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
def test_columns_without_spread_have_no_bounds(values):
    assert plausible_range(np.array(values)) == (-np.inf, np.inf)


def test_a_clean_training_split_still_bounds_what_comes_later():
    low, high = plausible_range(RANDOM.gamma(4, 2.5, 1000))

    assert 30 < high < 1048
    assert low < 0


def test_two_values_bound_what_comes_later():
    low, high = plausible_range(np.array([0.0] * 20 + [1.0] * 3))

    assert -20 < low < 0
    assert 1 < high < 20
