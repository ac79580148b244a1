import numpy as np

from leyden.data.rows import Ragged
from leyden.data.text.tokens import cache_tokens, pad_tokens
from leyden.data.text.vocabulary import encode, load_vocabulary, train_vocabulary

TEXTS = ["the cat sat", "a dog", "the cat and the dog sat on a mat"]


def ragged(*rows, dtype=np.int32):
    return Ragged.of([np.array(row, dtype) for row in rows], dtype=np.dtype(dtype))


def test_rows_are_padded_to_the_longest_and_masked():
    fields = pad_tokens(ragged([5, 6, 7], [8], [9, 9]), np.array([2, 1]))

    assert fields["tokens"].tolist() == [[9, 9], [8, 0]]
    assert fields["mask"].tolist() == [[True, True], [True, False]]
    assert fields["tokens"].dtype == np.int64


def test_encoded_texts_are_kept_for_the_next_run(tmp_path):
    texts = ragged(*(list(text.encode()) for text in TEXTS), dtype=np.uint8)
    vocabulary = train_vocabulary(TEXTS, size=300, lowercase=True)

    first = cache_tokens(tmp_path / "tokens", texts, vocabulary=vocabulary, max_tokens=4)
    written = (tmp_path / "tokens" / "tokens.bin").stat().st_mtime_ns
    again = cache_tokens(tmp_path / "tokens", texts, vocabulary=vocabulary, max_tokens=4)

    expected = encode(load_vocabulary(vocabulary), TEXTS, max_tokens=4)
    for tokens in (first, again):
        assert [row.tolist() for row in tokens] == [row.tolist() for row in expected]
    assert (tmp_path / "tokens" / "tokens.bin").stat().st_mtime_ns == written
