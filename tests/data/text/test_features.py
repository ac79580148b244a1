import math

import pytest
import torch

from leyden.data.text.features import BUCKETS, TfIdf


def dense(texts, *, fitted_on=None):
    return TfIdf(fitted_on or texts)(texts).to_dense()


def test_words_and_character_ngrams_have_length_one_each():
    rows = dense(["the cat", "the dog barks"])
    words, ngrams = rows[:, :BUCKETS], rows[:, BUCKETS:]
    assert words.norm(dim=1).tolist() == pytest.approx([1, 1])
    assert ngrams.norm(dim=1).tolist() == pytest.approx([1, 1])


def test_weights_of_words_are_those_of_the_formula():
    [row] = dense(["the the cat"], fitted_on=["the", "the cat"])[:, :BUCKETS]
    the, cat = (1 + math.log(2)) * 1, math.log(3 / 2) + 1
    length = math.hypot(the, cat)
    assert sorted(row[row > 0].tolist()) == pytest.approx(sorted([the / length, cat / length]))


def test_a_rare_word_weighs_more_than_one_of_all_texts():
    row = dense(["the dog"], fitted_on=["the cat", "the dog", "the owl"])[0, :BUCKETS]
    low, high = sorted(row[row > 0].tolist())
    assert high > 1.5 * low


def test_ngrams_do_not_cross_from_one_text_to_the_next():
    together, alone = dense(["ab", "cd"])[:, BUCKETS:], TfIdf(["ab", "cd"])(["cd"]).to_dense()
    assert torch.equal(together[1], alone[0, BUCKETS:])
    assert (together[1] > 0).sum() == 1


def test_case_is_ignored_and_an_empty_text_has_no_feature():
    rows = dense(["Ähre", "ähre", ""])
    assert torch.equal(rows[0], rows[1])
    assert rows[2].count_nonzero() == 0
