import numpy as np
import pytest

from leyden.data.text.shingles import COLUMNS, signatures

WORDS = [f"word{number}" for number in range(200)]


def likeness(first, second):
    one, other = signatures([first, second])
    return (one == other).mean()


@pytest.mark.parametrize(
    ("changed", "expected"), [(0, 1.0), (5, 0.86), (20, 0.53), (100, 0.06), (200, 0.0)]
)
def test_equal_columns_estimate_the_share_of_wording(changed, expected):
    # Every word stands in three shingles.
    step = max(1, 200 // changed) if changed else 1
    other = list(WORDS)
    for place in list(range(0, 200, step))[:changed]:
        other[place] = f"other{place}"

    assert likeness(" ".join(WORDS), " ".join(other)) == pytest.approx(expected, abs=0.15)


def test_case_and_spacing_make_no_difference():
    assert likeness("The same   words", "the SAME\nwords") == 1


def test_the_order_of_words_does():
    assert likeness(" ".join(WORDS), " ".join(reversed(WORDS))) < 0.1


def test_texts_of_few_words_and_none_have_a_signature_of_their_own():
    texts = ["", "one", "one two", "two one", "one two three"]

    rows = signatures(texts)

    assert rows.shape == (5, COLUMNS)
    assert len(np.unique(rows, axis=0)) == 5
    assert signatures([]).shape == (0, COLUMNS)


def test_a_text_is_judged_alone():
    alone = signatures(["a b c d"])[0]

    assert np.array_equal(signatures(["x", "a b c d", ""])[1], alone)
