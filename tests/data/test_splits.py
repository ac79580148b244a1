import numpy as np
import pytest

from leyden.data.splits import (
    Split,
    fold_numbers,
    grouped_split,
    strata,
    stratified_split,
    time_numbers,
    time_split,
)

TARGETS = np.repeat([0, 1, 2], [100, 40, 10])
ROWS = np.random.default_rng(0).permutation(1000)[: len(TARGETS)]


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.25, 0.9])
def test_parts_are_disjoint_sorted_and_cover_all_rows(fraction):
    remaining, apart = stratified_split(ROWS, TARGETS, fraction=fraction, seed=0)

    assert not np.intersect1d(remaining, apart).size
    assert np.array_equal(np.union1d(remaining, apart), np.sort(ROWS))
    assert np.array_equal(remaining, np.sort(remaining))
    assert np.array_equal(apart, np.sort(apart))


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_every_class_gives_its_share(fraction):
    _, apart = stratified_split(ROWS, TARGETS, fraction=fraction, seed=0)

    classes = TARGETS[np.isin(ROWS, apart)]
    assert np.bincount(classes).tolist() == [100 * fraction, 40 * fraction, 10 * fraction]


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    first, again, other = (
        stratified_split(ROWS, TARGETS, fraction=0.2, seed=seed)[1] for seed in (0, 0, 1)
    )

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("fraction", [0.1, 0.6, 0.99])
def test_a_class_of_one_row_remains(fraction):
    remaining, _ = stratified_split(
        np.arange(11), np.array([0] * 10 + [1]), fraction=fraction, seed=0
    )

    assert 10 in remaining


GROUPS = np.random.default_rng(1).integers(0, 30, 300)


def test_groups_are_set_apart_whole_until_they_hold_their_share():
    rows = np.arange(1000, 1300)

    remaining, apart = grouped_split(rows, GROUPS, fraction=0.25, seed=0)

    assert not set(GROUPS[remaining - 1000]) & set(GROUPS[apart - 1000])
    assert np.array_equal(np.union1d(remaining, apart), rows)
    assert abs(len(apart) / 300 - 0.25) < 0.03


def test_groups_are_drawn_by_the_seed():
    first, again, other = (
        grouped_split(np.arange(300), GROUPS, fraction=0.2, seed=seed)[1] for seed in (0, 0, 1)
    )

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_one_group_can_not_be_parted():
    remaining, apart = grouped_split(np.arange(9), np.zeros(9, dtype=int), fraction=0.4, seed=0)

    assert (len(remaining), len(apart)) == (9, 0)


@pytest.mark.parametrize("folds", [2, 5])
def test_folds_are_of_one_size_and_hold_each_class_alike(folds):
    numbers = fold_numbers(TARGETS, None, folds=folds, seed=0)

    for fold in range(folds):
        counts = np.bincount(TARGETS[numbers == fold])
        assert np.array_equal(counts, np.array([100, 40, 10]) // folds)


def test_folds_of_groups_keep_them_whole_and_are_of_like_size():
    numbers = fold_numbers(TARGETS[np.zeros(300, dtype=int)], GROUPS, folds=5, seed=0)

    assert all(len(set(numbers[group == GROUPS])) == 1 for group in range(30))
    assert np.ptp(np.bincount(numbers)) <= np.bincount(GROUPS).max()


def test_numbers_are_folded_at_random():
    numbers = fold_numbers(np.linspace(0, 1, 100), None, folds=4, seed=0)

    assert np.bincount(numbers).tolist() == [25] * 4
    assert not np.array_equal(numbers, np.sort(numbers))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"val_fraction": 1.0}, "val_fraction is a share of the rows"),
        ({"test_fraction": -0.1}, "test_fraction is a share of the rows"),
        ({"folds": 1}, "2 folds or more"),
        ({"folds": 3, "fold": 3}, "got fold 3 of 3"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Split(**{"val_fraction": 0.1, "test_fraction": 0.1, "seed": 0} | changed)


def test_rows_of_several_labels_are_stratified_by_their_rarest_one():
    labels = np.zeros((200, 3), dtype=np.uint8)
    labels[:, 0] = 1
    labels[:40, 1] = 1
    labels[:10, 2] = 1

    remaining, apart = stratified_split(np.arange(200), labels, fraction=0.2, seed=0)
    folds = fold_numbers(labels, None, folds=5, seed=0)

    assert labels[apart].sum(axis=0).tolist() == [40, 8, 2]
    assert labels[remaining].sum(axis=0).tolist() == [160, 32, 8]
    assert [int(labels[folds == fold, 2].sum()) for fold in range(5)] == [2] * 5


def test_rows_without_any_label_are_a_stratum_of_their_own():
    labels = np.array([[0, 0]] * 10 + [[1, 0]] * 10 + [[0, 1]] * 10, dtype=np.uint8)

    assert strata(labels).tolist() == [2] * 10 + [0] * 10 + [1] * 10


def test_the_latest_rows_are_set_apart():
    rows = np.arange(100, 200)
    times = np.random.default_rng(0).permutation(100).astype(float)

    remaining, apart = time_split(rows, times, fraction=0.2)

    assert sorted(times[apart - 100]) == list(range(80, 100))
    assert np.array_equal(np.union1d(remaining, apart), rows)


def test_rows_of_one_time_are_not_torn_apart():
    times = np.repeat([1.0, 2.0, 3.0], 10)

    remaining, apart = time_split(np.arange(30), times, fraction=0.2)

    assert set(times[apart]) == {3.0}
    assert set(times[remaining]) == {1.0, 2.0}


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.5, 0.99])
def test_a_time_split_covers_all_rows(fraction):
    remaining, apart = time_split(np.arange(10), np.arange(10.0), fraction=fraction)

    assert len(remaining) + len(apart) == 10
    assert len(apart) == pytest.approx(10 * fraction, abs=1)


def test_stretches_of_time_hold_equally_many_rows_in_order():
    times = np.random.default_rng(0).permutation(100).astype(float) ** 2

    numbers = time_numbers(times, stretches=4)

    assert np.bincount(numbers).tolist() == [25] * 4
    assert (np.diff(numbers[np.argsort(times)]) >= 0).all()
