"""Token ids of all rows, encoded once for each vocabulary, and batches of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch
from leyden.data.cache import store
from leyden.data.cache.array_files import ArrayFiles, read_arrays
from leyden.data.rows import Ragged
from leyden.data.text.vocabulary import PADDING, encode, load_vocabulary

TEXTS_PER_CHUNK = 1024


def strings(texts: Ragged, rows: NDArray[np.int64]) -> Iterator[str]:
    """Read rows of cached UTF-8 bytes as strings."""
    return (texts[row].tobytes().decode() for row in rows.tolist())


def token_rows(folder: Path, texts: Ragged, *, vocabulary: str, max_tokens: int) -> Ragged:
    """Encode all texts, unless a folder holds them encoded; map the ids into memory.

    Args:
        folder: where the ids belong; its name must tell the vocabulary from others.
        texts: the UTF-8 bytes of every row.
        vocabulary: what ``train_vocabulary`` gave.
        max_tokens: tokens of a text that are kept.
    """
    tokenizer = load_vocabulary(vocabulary)
    dtype = np.dtype(np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.int32)

    def write(folder: Path) -> None:
        files = ArrayFiles(folder)
        for start in range(0, len(texts), TEXTS_PER_CHUNK):
            rows = np.arange(start, min(start + TEXTS_PER_CHUNK, len(texts)))
            ids = encode(tokenizer, list(strings(texts, rows)), max_tokens=max_tokens)
            files.append("tokens", Ragged.of((row.astype(dtype) for row in ids), dtype=dtype))
        files.close()

    store.write_once(folder, write)
    tokens = read_arrays(folder)["tokens"]
    assert isinstance(tokens, Ragged)
    return tokens


def padded(tokens: Ragged, rows: NDArray[np.int64]) -> dict[str, Tensor]:
    """Bring rows to the length of the longest.

    Returns:
        ``tokens``, int64 ``(rows, longest)``, and ``mask``, bool of the same shape, true where a
        token is none of the padding.
    """
    starts = tokens.offsets[rows, np.newaxis]
    lengths = tokens.offsets[rows + 1, np.newaxis] - starts
    positions = np.arange(lengths.max(initial=0))
    mask = positions < lengths
    ids = np.full(mask.shape, PADDING, dtype=np.int64)
    ids[mask] = tokens.values[(starts + positions)[mask]]
    return {"tokens": torch.from_numpy(ids), "mask": torch.from_numpy(mask)}


class TokenBatches(Dataset[Batch]):
    """Fetches a whole batch of token ids at once, padded to its longest row."""

    def __init__(self, tokens: Ragged, targets: NDArray[Any]) -> None:
        self.tokens = tokens
        self.targets = torch.from_numpy(targets)

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        inputs = padded(self.tokens, rows.numpy())
        return Batch(inputs=inputs, targets=self.targets[rows], rows=rows, seed=seed)
