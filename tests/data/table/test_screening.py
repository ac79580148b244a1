import numpy as np
import pytest

from leyden.data.table.screening import (
    category_determines,
    is_constant,
    is_identifier,
    is_row_number,
    number_determines,
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


def test_a_few_rows_that_a_threshold_splits_are_a_coincidence():
    targets = np.array([0] * 40 + [1] * 5)

    assert not number_determines(np.arange(45.0), targets)


def test_a_class_between_two_stretches_of_another_is_not_determined():
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
def test_numbers_of_rows(values, numbers_rows):
    assert is_row_number(values.astype(np.float64)) == numbers_rows
