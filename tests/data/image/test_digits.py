import numpy as np
import pytest
from sklearn.datasets import load_digits

from leyden.data.image.digits import Digits


@pytest.fixture(scope="module")
def digits():
    data = Digits(name="digits", test_fraction=0.25)
    data.prepare_data()
    data.setup()
    return data


def test_the_rows_are_those_of_scikit_learn(digits):
    source = load_digits()
    images = digits.cached.arrays["images"]

    assert (images.shape, images.dtype) == ((1797, 1, 8, 8), np.uint8)
    assert np.array_equal(np.round(images[:, 0] * (16 / 255)), source.images)
    assert np.array_equal(digits.cached.targets, source.target)


def test_ink_uses_the_whole_range(digits):
    assert (digits.cached.arrays["images"].min(), digits.cached.arrays["images"].max()) == (0, 255)


def test_the_spec_fits(digits):
    assert digits.spec.network_sizes == {"input_shape": (1, 8, 8), "num_outputs": 10}
    assert digits.spec.class_names == tuple("0123456789")


def test_the_data_are_clean_and_split_by_class(digits):
    report = digits.cached.cleaning_report()
    classes = np.bincount(digits.cached.targets[digits.part("test")])

    assert (report.items_read, report.rows_kept) == (1797, 1797)
    assert len(digits.part("test")) == pytest.approx(1797 / 4, abs=5)
    assert classes.min() >= 43
    assert classes.max() <= 46
