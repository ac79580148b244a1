import numpy as np
import pytest

from leyden.data.cleaning.comparison import STEPS, Comparison
from leyden.data.rows import GIVEN_SPLITS

LATER = {"all": ("val", "test"), "train": ("val", "test"), "val": ("test",), "test": ()}


def rows_at_random(seed):
    """Draw 60 rows of few contents, whose digests may differ in their last byte alone."""
    random = np.random.default_rng(seed)
    contents, targets = random.integers(0, 25, 60), random.integers(0, 2, 60)
    return contents, targets, random.integers(0, len(GIVEN_SPLITS), 60).astype(np.uint8)


def compared(contents, targets, splits, contexts=None):
    digests = np.zeros((len(contents), 16), np.uint8)
    digests[:, 15] = contents
    return Comparison(
        digests=digests.view("V16")[:, 0], targets=targets, splits=splits, contexts=contexts
    )


def first(numbers):
    return next(iter(numbers), None)


def expected_twins(step, contents, targets, splits):
    """Find the twins row by row, by the definitions of the steps."""
    rows = range(len(contents))
    twins = {}
    for row in rows:
        equal = [other for other in rows if contents[other] == contents[row] and other != row]
        own = [other for other in equal if splits[other] == splits[row]]
        if step == "conflicting_labels":
            by_target = sorted(own, key=lambda other: targets[other])
            twins[row] = first(other for other in by_target if targets[other] != targets[row])
        elif step == "duplicates":
            same = [other for other in own if targets[other] == targets[row] and other < row]
            twins[row] = first(same)
        else:
            later = LATER[GIVEN_SPLITS[splits[row]]]
            twins[row] = first(other for other in equal if GIVEN_SPLITS[splits[other]] in later)
    return {row: twin for row, twin in twins.items() if twin is not None}


@pytest.mark.parametrize("step", [step for step in STEPS if step != "near_duplicates"])
@pytest.mark.parametrize("seed", range(10))
def test_each_step_finds_what_a_search_row_by_row_finds(step, seed):
    rows = rows_at_random(seed)

    found, twins, dropped = compared(*rows).drop(step)

    expected = expected_twins(step, *rows)
    assert dict(zip(found.tolist(), twins.tolist(), strict=True)) == expected
    assert dropped.tolist() == [row for row in found if GIVEN_SPLITS[rows[2][row]] != "test"]


@pytest.mark.parametrize("step", ["conflicting_labels", "duplicates"])
@pytest.mark.parametrize("seed", range(3))
def test_equal_rows_of_other_groups_or_times_are_observations_of_their_own(step, seed):
    contents, targets, splits = rows_at_random(seed)
    contexts = np.random.default_rng(100 + seed).integers(0, 2, 60).astype(np.uint64)

    found, twins, _ = compared(contents, targets, splits, contexts).drop(step)

    expected = expected_twins(step, contents + 100 * contexts.astype(int), targets, splits)
    assert dict(zip(found.tolist(), twins.tolist(), strict=True)) == expected


def test_a_row_leaks_into_a_later_split_whatever_its_group():
    splits = np.array([GIVEN_SPLITS.index("train"), GIVEN_SPLITS.index("test")], np.uint8)

    found, _, _ = compared(
        np.zeros(2, int), np.zeros(2, int), splits, np.arange(2, dtype=np.uint64)
    ).drop("leakage")

    assert found.tolist() == [0]


def test_conflicting_labels_of_many_equal_rows_are_found_in_less_than_quadratic_time():
    count = 200_000
    targets = np.arange(count) % 2

    found, twins, _ = compared(np.zeros(count, int), targets, np.zeros(count, np.uint8)).drop(
        "conflicting_labels"
    )

    assert len(found) == count
    assert (targets[twins] != targets[found]).all()
