"""Token ids of all rows, encoded once for each vocabulary."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache import store
from leyden.data.cache.array_files import ArrayFiles, read_arrays
from leyden.data.rows import Ragged
from leyden.data.text.rows import TEXTS_PER_CHUNK
from leyden.data.text.vocabulary import PADDING, encode, load_vocabulary


def decode_texts(texts: Ragged, rows: NDArray[np.int64]) -> Iterator[str]:
    """Yield some rows of cached UTF-8 bytes as strings.

    Args:
        texts: UTF-8 bytes of all rows.
        rows: Row numbers ``(rows,)``.
    """
    return (texts[row].tobytes().decode() for row in rows.tolist())


def cache_tokens(folder: Path, texts: Ragged, *, vocabulary: str, max_tokens: int) -> Ragged:
    """Encode all texts into a folder, unless it exists, and memory-map the token ids.

    Args:
        folder: Folder of the token ids, named by a fingerprint of the other arguments.
        texts: UTF-8 bytes of all rows.
        vocabulary: Vocabulary that ``train_vocabulary`` returned.
        max_tokens: Maximum number of tokens of a text; the rest is cut off.

    Returns:
        Token ids of all rows, uint16, or int32 if the vocabulary has more than 2**16 tokens.
    """
    tokenizer = load_vocabulary(vocabulary)
    dtype = np.dtype(np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.int32)

    def write(folder: Path) -> None:
        files = ArrayFiles(folder)
        for start in range(0, len(texts), TEXTS_PER_CHUNK):
            rows = np.arange(start, min(start + TEXTS_PER_CHUNK, len(texts)))
            ids = encode(tokenizer, list(decode_texts(texts, rows)), max_tokens=max_tokens)
            files.append("tokens", Ragged.of((row.astype(dtype) for row in ids), dtype=dtype))
        files.close()

    store.write_once(folder, write)
    tokens = read_arrays(folder)["tokens"]
    assert isinstance(tokens, Ragged)
    return tokens


def pad_tokens(tokens: Ragged, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Pad some rows to the longest of them.

    Args:
        tokens: Token ids of all rows.
        rows: Row numbers ``(batch,)``.

    Returns:
        ``tokens``, int64 ``(batch, length)``, and ``mask``, bool ``(batch, length)``: True for
        tokens, False for padding.

    Example:
        >>> tokens = Ragged.of([np.array([5, 6]), np.array([7])], dtype=np.dtype(np.int32))
        >>> pad_tokens(tokens, np.array([0, 1]))["tokens"].tolist()
        [[5, 6], [7, 0]]
    """
    starts = tokens.offsets[rows, np.newaxis]
    lengths = tokens.offsets[rows + 1, np.newaxis] - starts
    positions = np.arange(lengths.max(initial=0))
    mask = positions < lengths
    ids = np.full(mask.shape, PADDING, dtype=np.int64)
    ids[mask] = tokens.values[(starts + positions)[mask]]
    return {"tokens": ids, "mask": mask}
