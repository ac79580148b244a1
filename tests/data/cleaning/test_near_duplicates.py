import numpy as np
import pytest

from leyden.data.cleaning.near_duplicates import NO_SIGNATURE, find_near_duplicates

COLUMNS = 64


def signatures_of(*shared, seed=0):
    """Signatures that have given numbers of columns in common with a first one."""
    random = np.random.default_rng(seed)
    rows = random.integers(0, 2**32, (len(shared) + 1, COLUMNS), dtype=np.uint32)
    for row, columns in zip(rows[1:], shared, strict=True):
        row[:columns] = rows[0, :columns]
    return rows


def twins_of(signatures, *, contents=None, order=None, fixed=()):
    numbers = np.arange(len(signatures)) if contents is None else np.array(contents)
    stays = np.isin(np.arange(len(signatures)), list(fixed))
    order = np.arange(len(signatures)) if order is None else np.array(order)
    twins = find_near_duplicates(signatures, contents=numbers.view("V8"), order=order, fixed=stays)
    return twins.tolist()


@pytest.mark.parametrize(("shared", "twin"), [(0, -1), (40, -1), (56, 0), (64, 0)])
def test_rows_that_share_four_fifths_of_their_columns_are_near_duplicates(shared, twin):
    assert twins_of(signatures_of(shared)) == [-1, twin]


def test_the_order_determines_which_of_two_is_kept():
    assert twins_of(signatures_of(60), order=[1, 0]) == [1, -1]


def test_a_kept_row_with_a_twin_may_be_the_twin_of_others():
    assert twins_of(signatures_of(64, 64), fixed=[1]) == [-1, 0, 0]


def test_many_equal_rows_have_the_first_for_their_twin():
    assert twins_of(signatures_of(*[64] * 500)) == [-1, *[0] * 500]


def test_rows_that_are_not_compared_have_no_twin():
    assert twins_of(signatures_of(64, 64), order=[0, 2]) == [-1, -1, 0]


def test_rows_without_a_signature_have_no_twin():
    signatures = signatures_of(64, 64)
    signatures[:2] = NO_SIGNATURE

    assert twins_of(signatures) == [-1, -1, -1]


def test_rows_of_equal_content_are_not_near_but_share_a_near_one():
    signatures = signatures_of(64, 60, 64, 60)

    assert twins_of(signatures, contents=[0, 0, 1, 0, 1]) == [-1, -1, 0, -1, 0]
    assert twins_of(signatures, contents=[0, 0, 1, 0, 1], order=[2, 0, 1, 3, 4]) == [
        2,
        2,
        -1,
        2,
        -1,
    ]
