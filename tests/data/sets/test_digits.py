import numpy as np
import pytest

from leyden.data.sets.digits import Digits

A_ZERO = [
    [0, 0, 5, 13, 9, 1, 0, 0],
    [0, 0, 13, 15, 10, 15, 5, 0],
    [0, 3, 15, 2, 0, 11, 8, 0],
    [0, 4, 12, 0, 0, 8, 8, 0],
    [0, 5, 8, 0, 0, 9, 8, 0],
    [0, 4, 11, 0, 1, 12, 7, 0],
    [0, 2, 14, 5, 10, 12, 0, 0],
    [0, 0, 6, 13, 10, 0, 0, 0],
]
"""The first row of the source."""


@pytest.fixture(scope="module")
def digits():
    data = Digits(name="digits")
    data.prepare_data()
    data.setup()
    return data


def test_the_rows_are_those_of_the_source(digits):
    """The publisher's page has the number of rows of each class."""
    images = digits.cached.arrays["images"]

    assert (images.shape, images.dtype) == ((1797, 1, 8, 8), np.uint8)
    assert np.bincount(digits.cached.targets).tolist() == (
        [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    )
    assert np.array_equal(np.round(images[0, 0] * (16 / 255)), A_ZERO)


def test_ink_uses_the_whole_range(digits):
    assert (digits.cached.arrays["images"].min(), digits.cached.arrays["images"].max()) == (0, 255)


def test_the_spec_fits(digits):
    assert digits.spec.network_sizes == {"input_shape": (1, 8, 8), "num_outputs": 10}
    assert digits.spec.class_names == tuple("0123456789")


def test_the_data_are_clean_and_split_by_class(digits):
    report = digits.cached.cleaning_report()
    classes = np.bincount(digits.cached.targets[digits.row_numbers("test")])

    assert (report.items_read, report.rows_kept) == (1797, 1797)
    assert len(digits.row_numbers("test")) == pytest.approx(1797 / 5, abs=40)
    assert classes.min() > 20
