"""Byte-level byte-pair encoding, by Hugging Face's ``tokenizers``.

Sennrich et al. 2016, arXiv:1508.07909, over bytes as in Radford et al. 2019 (GPT-2), so that every
text can be encoded.
"""

import json
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leyden.errors import UserError, first_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PADDING = 0
"""Token id of padding."""

UNKNOWN = 1
"""Token id of an empty text, and of tokens that augmentation hides."""

SPECIAL_TOKENS = ("[padding]", "[unknown]")
"""Special tokens in the order of their ids."""

PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
"""Bytes that the alphabet of GPT-2 writes as the character of the same number; the other bytes
follow, in their order, as the characters from 256."""

SMALLEST = 256 + len(SPECIAL_TOKENS)
"""Size of a vocabulary of single bytes."""

# Set once, so that the library does not warn about loader processes, which do not use it.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def train_vocabulary(texts: Iterable[str], *, size: int, lowercase: bool) -> str:
    """Train the merges of byte-pair encoding; the same texts give the same vocabulary.

    Args:
        texts: Training texts, in any order.
        size: Largest number of tokens.
        lowercase: Whether texts are converted to lower case.

    Returns:
        The vocabulary as JSON.

    Raises:
        UserError: If the library is not installed.
    """
    tokenizers = _library()
    tokenizer = _tokenizer(tokenizers.models.BPE(), lowercase=lowercase)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


def load_vocabulary(vocabulary: str) -> "Tokenizer":
    """Build the tokenizer of a vocabulary.

    Only tokens and merges are taken from the JSON, which may come from an untrusted checkpoint: the
    library itself would also accept patterns that never terminate and padding to any length.

    Args:
        vocabulary: JSON that ``train_vocabulary`` returned.

    Raises:
        ValueError: If the JSON does not describe a vocabulary.
        UserError: If the library is not installed.
    """
    content = json.loads(vocabulary)
    tokens, merges = content["model"]["vocab"], content["model"]["merges"]
    if sorted(tokens.values()) != list(range(len(tokens))):
        raise ValueError("the ids of the vocabulary are not those of its tokens")
    library = _library()
    try:
        model = library.models.BPE(tokens, [(left, right) for left, right in merges])
    except Exception as error:  # the library raises plain Exception
        raise ValueError(first_line(error)) from error
    tokenizer = _tokenizer(model, lowercase=content["normalizer"] is not None)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    # A text that spells out a special token is encoded like any other.
    tokenizer.encode_special_tokens = True
    return tokenizer


def _tokenizer(model: Any, *, lowercase: bool) -> "Tokenizer":
    tokenizers = _library()
    tokenizer: Tokenizer = tokenizers.Tokenizer(model)
    if lowercase:
        tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    return tokenizer


def encode(
    tokenizer: "Tokenizer", texts: Sequence[str], *, max_tokens: int
) -> list[NDArray[np.int32]]:
    """Encode texts as token ids.

    Args:
        tokenizer: Tokenizer of the vocabulary.
        texts: Texts to encode.
        max_tokens: Largest number of tokens of a text; the rest is cut off.

    Returns:
        Token ids of each text, int32 ``(length,)``; a text without tokens is ``[UNKNOWN]``, so that
        every row has a token to attend to.
    """
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [
        np.array(encoding.ids[:max_tokens] or [UNKNOWN], dtype=np.int32) for encoding in encodings
    ]


def bytes_of_tokens(tokenizer: "Tokenizer") -> list[bytes]:
    """Return the UTF-8 of each token, by id; special tokens have none.

    A token may hold a part of a character, so that the texts of tokens, each decoded on its own, do
    not join to the text of all.
    """
    others = [byte for byte in range(256) if byte not in PRINTABLE]
    numbers = {chr(byte): byte for byte in PRINTABLE}
    numbers |= {chr(256 + index): byte for index, byte in enumerate(others)}
    tokens = tokenizer.get_vocab()
    ordered = sorted(tokens, key=tokens.__getitem__)
    return [
        b"" if token in SPECIAL_TOKENS else bytes(numbers[each] for each in token)
        for token in ordered
    ]


def _library() -> Any:
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise UserError(
            "Texts need the package tokenizers, which is not installed. Install it with "
            "pip install 'leyden[text]'."
        ) from error
    return tokenizers
