import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leyden.data.identity import hash_names
from leyden.data.rows import GIVEN_SPLITS, SPLITS
from leyden.data.splits import HoldOut, KFold, Population, fold_numbers, latest, periods, strata
from leyden.errors import UserError


def population(targets, *, keys=None, splits=None, times=None):
    count = len(targets)
    return Population(
        rows=np.arange(count),
        keys=hash_names(map(str, range(count) if keys is None else keys)),
        targets=np.asarray(targets),
        splits=np.array(
            [GIVEN_SPLITS.index(split) for split in splits or ["all"] * count], np.uint8
        ),
        times=None if times is None else np.asarray(times, float),
    )


def assigned(splitter, rows):
    """Return the split of each row, which has to be in one at most."""
    splits, count = splitter.split(rows), len(rows.keys)
    together = np.concatenate([splits[split] for split in SPLITS])
    assert len(set(together)) == len(together)
    # Folds never learn from later rows, and leave those of the test out.
    if isinstance(splitter, HoldOut) or (rows.times is None and splitter.test_fraction == 0):
        assert sorted(together) == list(range(count))
    names = np.full(count, "", object)
    for split in SPLITS:
        names[splits[split]] = split
    return names.tolist()


SPLITTERS = st.one_of(
    st.builds(
        HoldOut, val_fraction=st.floats(0, 0.9), test_fraction=st.floats(0, 0.9), seed=st.integers()
    ),
    st.integers(2, 6).flatmap(
        lambda folds: st.builds(
            KFold,
            folds=st.just(folds),
            fold=st.integers(0, folds - 1),
            test_fraction=st.sampled_from([0.0, 0.2]),
            seed=st.integers(),
        )
    ),
)


@st.composite
def populations(draw):
    count = draw(st.integers(1, 80))
    numbers = st.lists(st.integers(0, 4), min_size=count, max_size=count)
    keys = draw(st.one_of(st.none(), st.lists(st.integers(0, 20), min_size=count, max_size=count)))
    times = draw(st.one_of(st.none(), numbers)) if keys is None else None
    targets = np.array(draw(numbers))
    kind = draw(st.sampled_from(["classes", "numbers", "labels"]))
    if kind == "labels":
        targets = (targets[:, np.newaxis] > np.arange(4)).astype(np.uint8)
    splits = draw(st.sampled_from([None, ["train", "test"], ["train", "val"], list(SPLITS)]))
    given_splits = None if splits is None else [splits[row % len(splits)] for row in range(count)]
    return population(
        targets.astype(float) if kind == "numbers" else targets,
        keys=keys,
        splits=given_splits,
        times=times,
    )


@settings(max_examples=300)
@given(SPLITTERS, populations())
def test_every_row_is_in_one_split_and_no_key_or_time_is_in_two(splitter, rows):
    names = assigned(splitter, rows)

    given_by_source = [GIVEN_SPLITS[split] for split in rows.splits]
    free = [row for row, split in enumerate(given_by_source) if split in ("all", "train")]
    if "test" not in given_by_source and "val" not in given_by_source:
        for key in set(rows.keys.tolist()):
            assert len({names[row] for row in free if rows.keys[row] == key}) == 1
        for time in set(rows.times.tolist() if rows.times is not None else ()):
            assert len({names[row] for row in free if rows.times[row] == time}) == 1
    if isinstance(splitter, HoldOut):
        for row, split in enumerate(given_by_source):
            assert split in ("all", "train") or names[row] == split
    if rows.times is not None and "val" not in given_by_source:
        oldest_test = min((rows.times[r] for r in free if names[r] == "test"), default=np.inf)
        assert all(rows.times[r] < oldest_test for r in free if names[r] == "train")


@settings(max_examples=200)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=120), st.data())
def test_adding_a_row_moves_no_other(targets, data):
    names = [f"images/{number}.png" for number in range(len(targets))]
    new = data.draw(st.integers(0, len(targets) - 1))
    splitter = HoldOut(seed=data.draw(st.integers(0, 1000)))

    after = assigned(splitter, population(targets, keys=names))
    del names[new], targets[new]
    before = assigned(splitter, population(targets, keys=names))

    del after[new]
    moved = [row for row in range(len(before)) if before[row] != after[row]]
    # Only a class that had no row in some split returns the one that was moved there.
    assert len(moved) <= 2
    assert all(targets.count(targets[row]) < 60 for row in moved)


def test_rows_in_another_order_get_the_same_split():
    targets = np.arange(200) % 7
    order = np.random.default_rng(0).permutation(200)

    straight = assigned(HoldOut(), population(targets))
    shuffled = assigned(HoldOut(), population(targets[order], keys=order))

    assert [straight[row] for row in order] == shuffled


def test_the_fractions_are_met():
    names = assigned(HoldOut(val_fraction=0.1, test_fraction=0.25), population([0, 1] * 10_000))

    assert names.count("test") / 20_000 == pytest.approx(0.25, abs=0.01)
    assert names.count("val") / 15_000 == pytest.approx(0.1, abs=0.01)


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.lists(st.integers(3, 6), min_size=1, max_size=30))
def test_a_class_of_three_rows_has_one_in_each_split(seed, sizes):
    targets = np.repeat(np.arange(len(sizes)), sizes)

    names = assigned(HoldOut(seed=seed), population(targets))

    for number in range(len(sizes)):
        assert {names[row] for row in np.flatnonzero(targets == number)} == set(SPLITS)


def test_a_class_of_three_groups_has_one_in_each_split():
    targets = np.repeat([0, 1], [200, 9])
    groups = np.concatenate([np.arange(200) // 10, np.repeat([100, 101, 102], 3)])

    for seed in range(20):
        names = assigned(HoldOut(seed=seed), population(targets, keys=groups))
        assert set(names[200:]) == set(SPLITS)


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.integers(0, 4), st.integers(3, 8))
def test_a_class_of_every_group_is_in_each_split_though_others_are_of_one(seed, rare, spare):
    groups = np.arange(rare + spare)
    targets = np.concatenate([np.zeros(len(groups)), 1 + np.arange(rare)]).astype(int)

    names = assigned(HoldOut(seed=seed), population(targets, keys=[*groups, *range(rare)]))

    assert set(names[: len(groups)]) == set(SPLITS)
    assert set(names[:rare]) <= {"train"}


@pytest.mark.parametrize(("rows", "expected"), [(1, {"train"}), (2, {"train", "test"})])
def test_a_class_of_fewer_rows_can_be_learned_first(rows, expected):
    names = assigned(HoldOut(), population([0] * 100 + [1] * rows))

    assert set(names[100:]) == expected


def test_a_rare_label_is_in_every_split():
    labels = np.zeros((200, 3), np.uint8)
    labels[:, 0] = 1
    labels[:4, 2] = 1

    for seed in range(20):
        assert set(assigned(HoldOut(seed=seed), population(labels))[:4]) == set(SPLITS)


def test_another_seed_is_another_split():
    rows = population([0, 1] * 50)

    assert assigned(HoldOut(seed=0), rows) == assigned(HoldOut(seed=0), rows)
    assert assigned(HoldOut(seed=0), rows) != assigned(HoldOut(seed=1), rows)


def test_a_fraction_of_zero_holds_nothing_out():
    names = assigned(HoldOut(val_fraction=0.0), population([0, 1] * 50))

    assert set(names) == {"train", "test"}


def test_splits_of_the_source_stay():
    splits = ["train"] * 80 + ["val"] * 10 + ["test"] * 10

    assert assigned(HoldOut(), population([0, 1] * 50, splits=splits)) == splits


@pytest.mark.parametrize("folds", [2, 5])
def test_folds_have_similar_sizes_and_class_shares(folds):
    targets = np.repeat([0, 1, 2], [100, 40, 10])

    numbers = fold_numbers(hash_names(map(str, range(150))), targets, folds=folds, seed=0)

    for fold in range(folds):
        counts = np.bincount(targets[numbers == fold])
        assert np.array_equal(counts, np.array([100, 40, 10]) // folds)


def test_folds_keep_groups_whole_and_have_similar_class_shares():
    random = np.random.default_rng(1)
    groups = random.integers(0, 60, 600)
    targets = (groups % 3 == 0).astype(int)  # a class of whole groups, as of patients

    numbers = fold_numbers(hash_names(map(str, groups)), targets, folds=5, seed=0)

    assert all(len(set(numbers[group == groups])) == 1 for group in range(60))
    assert np.ptp(np.bincount(numbers)) <= 0.2 * 120
    assert np.ptp(np.bincount(numbers[targets == 1])) <= 0.3 * 40


def test_each_row_is_tested_in_one_fold():
    rows = population(np.linspace(0, 1, 100), splits=["train", "test"] * 50)

    tested = [
        row
        for fold in range(4)
        for row in KFold(folds=4, fold=fold, test_fraction=0).split(rows)["test"]
    ]

    assert sorted(tested) == list(range(100))


@pytest.mark.parametrize("splits", [None, ["train"] * 80 + ["test"] * 20])
@pytest.mark.parametrize("times", [None, range(100)])
def test_folds_keep_the_test_rows_of_a_hold_out_apart(splits, times):
    rows = population([0, 1] * 50, splits=splits, times=times)
    test = set(HoldOut().split(rows)["test"])
    whole = KFold(folds=4, fold=None).split(rows)

    assert test
    assert set(whole["test"]) == test
    assert set(whole["train"]) == set(range(100)) - test
    assert len(whole["val"]) == 0
    for fold in range(4):
        splits_of_fold = KFold(folds=4, fold=fold).split(rows)
        assert all(test.isdisjoint(splits_of_fold[split]) for split in SPLITS)
    assert set(splits_of_fold["test"]) < set(whole["train"])


def test_a_repetition_draws_other_folds_of_the_same_rows():
    rows = population([0, 1] * 50)

    def tested(repeat):
        folds = [KFold(folds=4, fold=fold, repeat=repeat) for fold in range(4)]
        return [set(splitter.split(rows)["test"]) for splitter in folds]

    first, second = tested(0), tested(1)

    assert set.union(*first) == set.union(*second)
    assert all(fold not in first for fold in second)


def test_periods_of_time_cannot_be_divided_again():
    rows = population([0, 1] * 50, times=range(100))

    with pytest.raises(UserError, match="in one way only"):
        KFold(repeat=1).split(rows)


@pytest.mark.parametrize(
    ("splitter", "options", "message"),
    [
        (HoldOut, {"val_fraction": 1.0}, "val_fraction is a share of the rows"),
        (HoldOut, {"test_fraction": -0.1}, "test_fraction is a share of the rows"),
        (KFold, {"val_fraction": 1.5}, "val_fraction is a share of the rows"),
        (KFold, {"folds": 1}, "2 folds or more"),
        (KFold, {"folds": 3, "fold": 3}, "got fold 3 of 3"),
        (KFold, {"repeat": -1}, "repeat: expected 0 or more"),
        (KFold, {"test_fraction": 1.0}, "test_fraction is a share of the rows"),
    ],
)
def test_invalid_splits_are_refused(splitter, options, message):
    with pytest.raises(ValueError, match=message):
        splitter(**options)


def test_rows_without_any_label_are_a_stratum_of_their_own():
    labels = np.array([[0, 0]] * 10 + [[1, 0]] * 10 + [[0, 1]] * 10, dtype=np.uint8)

    assert strata(labels).tolist() == [2] * 10 + [0] * 10 + [1] * 10


def test_the_latest_rows_are_held_out_and_equal_times_stay_together():
    assert latest(np.array([3.0, 1.0, 2.0, 3.0, 0.0]), 0.2).tolist() == [1, 0, 0, 1, 0]
    assert not latest(np.arange(10.0), 0.01).any()


def test_periods_hold_equally_many_rows_in_order():
    times = np.random.default_rng(0).permutation(100).astype(float) ** 2

    numbers = periods(times, 4)

    assert np.bincount(numbers).tolist() == [25] * 4
    assert (np.diff(numbers[np.argsort(times)]) >= 0).all()
