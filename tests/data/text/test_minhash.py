import numpy as np
import pytest

from leyden.data.cleaning.near_duplicates import NO_SIGNATURE
from leyden.data.text.minhash import COLUMNS, signatures

WORDS = [f"word{number}" for number in range(200)]


def likeness(first, second):
    one, other = signatures([first, second])
    return (one == other).mean()


@pytest.mark.parametrize(
    ("changed", "expected"), [(0, 1.0), (5, 0.86), (20, 0.53), (100, 0.06), (200, 0.0)]
)
def test_equal_columns_estimate_the_similarity(changed, expected):
    # Every word is in three shingles.
    step = max(1, 200 // changed) if changed else 1
    other = list(WORDS)
    for place in list(range(0, 200, step))[:changed]:
        other[place] = f"other{place}"

    assert likeness(" ".join(WORDS), " ".join(other)) == pytest.approx(expected, abs=0.15)


def test_case_and_spacing_make_no_difference():
    text = " ".join(WORDS)

    assert likeness(text, text.upper().replace(" ", "\n ")) == 1


def test_the_order_of_words_makes_a_difference():
    assert likeness(" ".join(WORDS), " ".join(reversed(WORDS))) < 0.1


@pytest.mark.parametrize("text", ["", "ok", "See you tomorrow!", " ".join(WORDS[:28])])
def test_texts_of_few_words_have_no_signature(text):
    (row,) = signatures([text])

    assert row.tolist() == [NO_SIGNATURE] * COLUMNS
    assert signatures([]).shape == (0, COLUMNS)


def test_the_shortest_compared_texts_are_near_if_one_word_differs():
    # 24 of 30 shingles are in both.
    texts = [" ".join([*WORDS[:14], word, *WORDS[15:29]]) for word in map(str, range(200))]

    rows = signatures(texts)

    assert (rows[0] == rows[1:]).mean() == pytest.approx(0.8, abs=0.05)


def test_a_signature_depends_on_its_text_alone():
    texts = [" ".join(WORDS[start : start + 30 + start]) for start in range(0, 100, 20)]

    together = signatures(["x", *texts, ""])

    assert np.array_equal(together[1:-1], np.concatenate([signatures([text]) for text in texts]))
