import numpy as np
import pytest

from leyden.data.identity import KEYS_AT_ONCE, find_repeated, hash_names, separate_repeats


def test_a_name_has_one_hash_in_every_normal_form_and_spelling_of_bytes():
    composed, decomposed, other = hash_names(["caf\u00e9", "cafe\u0301", "cafe"])

    assert composed == decomposed != other
    assert hash_names([b"cafe"])[0] == other
    assert len(set(hash_names(map(str, range(10_000))).tolist())) == 10_000


def test_a_few_equal_rows_share_a_key():
    keys = hash_names(["a", "b", "a", "c", "d"])

    assert separate_repeats(keys).tolist() == keys.tolist()


def test_rows_that_are_repeated_many_times_have_different_keys():
    keys = hash_names(["ab"[row % 2] for row in range(40)])

    apart = separate_repeats(keys)

    assert len(set(apart.tolist())) == 40
    assert apart[:2].tolist() == keys[:2].tolist()


def test_adding_a_repeated_row_changes_no_other_key():
    names = ["ab"[row % 2] for row in range(40)]

    assert (
        separate_repeats(hash_names([*names, "a"]))[:40].tolist()
        == separate_repeats(hash_names(names)).tolist()
    )


@pytest.mark.parametrize("keys", [[], [7], [7, 7], [3, 9, 3, 2, 3, 2, 2**64 - 1, 0]])
def test_repeated_keys_are_found(keys):
    found = find_repeated(np.array(keys, np.uint64))

    assert found.tolist() == [keys.count(key) > 1 for key in keys]


def test_equal_keys_are_found_however_far_apart():
    keys = np.arange(3 * KEYS_AT_ONCE, dtype=np.uint64)[::-1].copy()
    keys[0] = keys[-1]

    assert np.flatnonzero(find_repeated(keys)).tolist() == [0, len(keys) - 1]
