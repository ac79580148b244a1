import numpy as np
import pytest

from leyden.data.cleaning.repeated import KEYS_AT_ONCE, repeated


@pytest.mark.parametrize("keys", [[], [7], [7, 7], [3, 9, 3, 2, 3, 2, 2**64 - 1, 0]])
def test_keys_that_stand_there_twice_are_found(keys):
    found = repeated(np.array(keys, np.uint64))

    assert found.tolist() == [keys.count(key) > 1 for key in keys]


def test_equal_keys_are_found_however_far_apart():
    keys = np.arange(3 * KEYS_AT_ONCE, dtype=np.uint64)[::-1].copy()
    keys[0] = keys[-1]

    assert np.flatnonzero(repeated(keys)).tolist() == [0, len(keys) - 1]
