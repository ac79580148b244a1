"""TF-IDF of the words and character n-grams of texts, by hashing."""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leyden.data.identity import mix_keys

WORD = re.compile(r"\w+")

BUCKETS = 1 << 16
"""Columns of the words, and as many of the character n-grams, to which they are hashed."""

NGRAMS = (2, 3, 4)
"""Lengths of the character n-grams."""

TEXTS_AT_ONCE = 1024


class TfIdf:
    """Term frequencies, weighted by the rarity of their terms among the texts that are fitted.

    Weights are ``(1 + ln tf) * (ln((1 + n) / (1 + df)) + 1)`` for ``n`` texts, as in scikit-learn
    with ``sublinear_tf``; the words of a text, and its n-grams, have length 1 each. Terms are told
    apart by a hash (Weinberger et al. 2009, arXiv 0902.2206).
    """

    def __init__(self, texts: Iterable[str]) -> None:
        frequencies = np.zeros(2 * BUCKETS, dtype=np.int64)
        rows = 0
        for _, columns, _, count in _count_terms(texts):
            frequencies += np.bincount(columns, minlength=len(frequencies))
            rows += count
        self.rarity = (np.log((1 + rows) / (1 + frequencies)) + 1).astype(np.float32)

    def __call__(self, texts: Iterable[str]) -> Tensor:
        """Return the features of texts, ``(texts, 2 * BUCKETS)`` float32 in CSR layout."""
        columns, values, lengths = [], [], []
        for owners, found, counts, rows in _count_terms(texts):
            weights = (1 + np.log(counts)) * self.rarity[found]
            is_ngram = found >= BUCKETS
            norms = np.sqrt(np.bincount(2 * owners + is_ngram, weights**2, minlength=2 * rows))
            columns.append(found)
            values.append((weights / norms[2 * owners + is_ngram]).astype(np.float32))
            lengths.append(np.bincount(owners, minlength=rows))
        offsets = np.cumsum([0, *chain.from_iterable(lengths)], dtype=np.int64)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)")
            return torch.sparse_csr_tensor(
                torch.from_numpy(offsets),
                torch.from_numpy(np.concatenate([np.empty(0, np.int64), *columns])),
                torch.from_numpy(np.concatenate([np.empty(0, np.float32), *values])),
                size=(len(offsets) - 1, 2 * BUCKETS),
            )


TermCounts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]
"""Row, column and count of each term of some texts, and the number of these texts."""


def _count_terms(texts: Iterable[str]) -> Iterator[TermCounts]:
    """Count the terms of texts, chunk by chunk."""
    remaining = iter(texts)
    while chunk := list(islice(remaining, TEXTS_AT_ONCE)):
        found = [*_words(chunk), *_ngrams(chunk)]
        owners, columns = (np.concatenate(each) for each in zip(*found, strict=True))
        terms, counts = np.unique(owners * (2 * BUCKETS) + columns, return_counts=True)
        yield terms // (2 * BUCKETS), terms % (2 * BUCKETS), counts, len(chunk)


def _words(texts: Sequence[str]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the row and the column of each word."""
    known: dict[str, int] = {}
    for row, text in enumerate(texts):
        words = WORD.findall(text.casefold())
        for word in words:
            if word not in known:
                known[word] = crc32(word.encode()) % BUCKETS
        columns = np.array([known[word] for word in words], dtype=np.int64)
        yield np.full(len(columns), row), columns


def _ngrams(texts: Sequence[str]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the row and the column of each n-gram of code points that is within one text."""
    points = [np.frombuffer(text.casefold().encode("utf-32-le"), np.uint32) for text in texts]
    owners = np.repeat(np.arange(len(points)), [len(each) for each in points])
    joined = np.concatenate(points).astype(np.uint64)
    for length in NGRAMS:
        count = max(len(joined) - length + 1, 0)
        hashes = np.full(count, length, dtype=np.uint64)
        for place in range(length):
            hashes = mix_keys(hashes, joined[place : place + count])
        within = owners[:count] == owners[length - 1 :][:count]
        columns = BUCKETS + (hashes[within] % np.uint64(BUCKETS)).astype(np.int64)
        yield owners[:count][within], columns
