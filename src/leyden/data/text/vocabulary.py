"""The vocabulary: byte-pair encoding, trained on the training texts alone.

Sennrich et al. 2016, arXiv:1508.07909, over bytes as in Radford et al. 2019 (GPT-2), so that there
is no text that it can't encode. The work is done by Hugging Face's ``tokenizers``.
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
"""Id of what fills the shorter rows of a batch up."""

UNKNOWN = 1
"""Id of a token that is not told: an empty text, or one that augmentation hides."""

SPECIAL_TOKENS = ("[padding]", "[unknown]")
"""In the order of their ids."""

SMALLEST = 256 + len(SPECIAL_TOKENS)
"""Size of a vocabulary that knows single bytes only."""

# Said to the library once, so that it does not warn about the loader's processes, which do not
# use it.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def train_vocabulary(texts: Iterable[str], *, size: int, lowercase: bool) -> str:
    """Learn which pieces of words are frequent; the same texts give the same vocabulary.

    Args:
        texts: the training texts, in any order.
        size: number of tokens at most.
        lowercase: make no difference between ``A`` and ``a``.

    Returns:
        The vocabulary as JSON.
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
    """Make the tokenizer that ``train_vocabulary`` described.

    Only tokens and merges are taken from the description, which may be a stranger's: the library
    itself would follow it to patterns without end and to texts padded to any length.

    Raises:
        ValueError: It describes no vocabulary.
    """
    content = json.loads(vocabulary)
    tokens, merges = content["model"]["vocab"], content["model"]["merges"]
    if sorted(tokens.values()) != list(range(len(tokens))):
        raise ValueError("the ids of the vocabulary are not those of its tokens")
    try:
        model = _library().models.BPE(tokens, [(left, right) for left, right in merges])
    except Exception as error:  # the library raises no other
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
    """Encode texts as ``(length,)`` token ids each, and cut off what is beyond ``max_tokens``.

    A text without any token is one that is unknown, so that every row has something to attend to.
    """
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [
        np.array(encoding.ids[:max_tokens] or [UNKNOWN], dtype=np.int32) for encoding in encodings
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
