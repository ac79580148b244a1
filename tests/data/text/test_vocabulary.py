import json
import sys

import pytest

from leyden.checkpoints.io import DAMAGE
from leyden.data.text.vocabulary import (
    PADDING,
    SMALLEST,
    UNKNOWN,
    bytes_of_tokens,
    encode,
    load_vocabulary,
    train_vocabulary,
)
from leyden.errors import UserError

TEXTS = ["the cat sat on the mat", "the dog sat on the cat", "The Cat"] * 5


def trained(size=300, lowercase=True, texts=TEXTS):
    return train_vocabulary(texts, size=size, lowercase=lowercase)


def test_frequent_words_become_one_token():
    tokenizer = load_vocabulary(trained())

    assert len(encode(tokenizer, ["the cat"], max_tokens=9)[0]) == 2


def test_the_order_of_the_texts_makes_no_difference():
    assert trained() == trained(texts=TEXTS[::-1])


@pytest.mark.parametrize(
    "text", ["the cat", "ünïcode 文字 🎉", "[padding] and [unknown]", "\x00 \n"]
)
def test_any_text_can_be_encoded_and_decoded(text):
    tokenizer = load_vocabulary(trained())

    (ids,) = encode(tokenizer, [text], max_tokens=99)

    assert not {PADDING, UNKNOWN} & set(ids.tolist())
    assert tokenizer.decode(ids.tolist()).removeprefix(" ") == text
    pieces = bytes_of_tokens(tokenizer)
    assert b"".join(pieces[token] for token in ids).decode().removeprefix(" ") == text


def test_case_is_kept_on_request():
    for lowercase in (True, False):
        tokenizer = load_vocabulary(trained(lowercase=lowercase))
        upper, lower = encode(tokenizer, ["THE CAT", "the cat"], max_tokens=9)
        assert (upper.tolist() == lower.tolist()) == lowercase


def test_long_texts_are_cut_off_and_empty_ones_are_unknown():
    tokenizer = load_vocabulary(trained())

    long, empty = encode(tokenizer, ["the cat sat", ""], max_tokens=2)

    assert long.tolist() == encode(tokenizer, ["the cat"], max_tokens=2)[0].tolist()
    assert empty.tolist() == [UNKNOWN]


def test_the_size_is_an_upper_bound():
    assert load_vocabulary(trained(size=SMALLEST)).get_vocab_size() == SMALLEST
    assert load_vocabulary(trained(size=10_000)).get_vocab_size() < 400
    assert json.loads(trained())["model"]["type"] == "BPE"


def changed(**splits):
    return json.dumps(json.loads(trained()) | splits)


MODEL = json.loads(trained())["model"]


@pytest.mark.parametrize(
    "vocabulary",
    [
        *("", "{}", "null", "[" * 100_000),
        changed(model=[]),
        changed(model=MODEL | {"merges": [["a", "nothing"]]}),
        changed(model=MODEL | {"merges": [["a"]]}),
        changed(model=MODEL | {"vocab": {"a": 10**8}}),
        changed(model=MODEL | {"vocab": {"a": "x"}}),
    ],
    ids=lambda text: text[:20],
)
def test_an_invalid_vocabulary_is_refused(vocabulary):
    with pytest.raises(DAMAGE):
        load_vocabulary(vocabulary)


PATTERN = {
    "type": "Split",
    "pattern": {"Regex": "((("},
    "behavior": "Isolated",
    "invert": False,
}
PADDED = {"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None}
PADDED |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "x"}


@pytest.mark.parametrize(
    "splits",
    [
        {"pre_tokenizer": PATTERN},
        {"padding": PADDED},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
        {"model": MODEL | {"continuing_subword_prefix": "x" * 10**6}},
    ],
    ids=lambda splits: next(iter(splits)),
)
def test_only_tokens_and_merges_are_loaded(splits):
    expected = encode(load_vocabulary(trained()), TEXTS, max_tokens=9)

    found = encode(load_vocabulary(changed(**splits)), TEXTS, max_tokens=9)

    assert [ids.tolist() for ids in found] == [ids.tolist() for ids in expected]


def test_the_tokenizer_is_the_one_that_was_trained():
    described = trained()

    assert json.loads(load_vocabulary(described).to_str()) == json.loads(described)


def test_a_missing_library_is_named(monkeypatch):
    vocabulary = trained()
    monkeypatch.setitem(sys.modules, "tokenizers", None)  # cannot be imported

    with pytest.raises(UserError, match="need the package tokenizers"):
        load_vocabulary(vocabulary)
