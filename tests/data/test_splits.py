import numpy as np
import pytest

from leyden.data.splits import stratified_split

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
