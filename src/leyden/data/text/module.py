"""The data module of texts."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.base import DataModule
from leyden.data.batches.fetched_rows import FetchedRows
from leyden.data.cache import store
from leyden.data.cache.prepared import Cache
from leyden.data.features import Features
from leyden.data.rows import Ragged, Split
from leyden.data.sources.encodings import check_encoding
from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.features import TfIdf
from leyden.data.text.reader import FileContent, TextReader
from leyden.data.text.tokens import cache_tokens, decode_texts, pad_tokens
from leyden.data.text.vocabulary import PADDING, SMALLEST, load_vocabulary, train_vocabulary


class TextData(DataModule):
    """Texts of any length; a subclass lists its texts and calls ``text_rows``.

    The vocabulary is fitted on the training split. Texts without classes are ``CorpusData``.

    Args:
        vocab_size: Largest number of tokens in the vocabulary.
        max_tokens: Largest number of tokens of a text; the rest is cut off.
        lowercase: Whether texts are converted to lower case.
        encoding: Encoding of files without a byte order mark.
        options: Options of ``DataModule``.

    Raises:
        ValueError: If ``vocab_size`` or ``max_tokens`` is too small.
        UserError: If there is no such encoding.
    """

    cleaning: TextCleaning
    cleaning_type = TextCleaning
    look = "leyden.data.look.look_at_texts"

    text_columns: Sequence[str] = ("text",)
    """Columns that hold the text in tables to predict on."""

    separator: str | None = None
    """Separator of cells in such tables; ``None`` for the likeliest."""

    file_content: FileContent = "text"
    """What other files to predict on hold."""

    def __init__(
        self,
        *,
        vocab_size: int = 8000,
        max_tokens: int = 256,
        lowercase: bool = True,
        encoding: str = "utf-8",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if vocab_size < SMALLEST:
            raise ValueError(f"vocab_size must be at least {SMALLEST}, got {vocab_size}")
        if max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {max_tokens}")
        check_encoding(encoding)
        self.vocab_size = vocab_size
        self.max_tokens = max_tokens
        self.lowercase = lowercase
        self.encoding = encoding
        self._token_rows: Ragged | None = None

    def fit(self, arrays: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Train the vocabulary on the training rows, or read it if it is cached."""
        texts = arrays["texts"]
        content = hashlib.blake2b(digest_size=16)
        for row in rows.tolist():
            content.update(len(texts[row]).to_bytes(8, "little") + texts[row].tobytes())
        settings: dict[str, Any] = {"size": self.vocab_size, "lowercase": self.lowercase}
        folder = self._derived_folder("vocabulary", settings | {"texts": content.hexdigest()})

        def write(folder: Path) -> None:
            vocabulary = train_vocabulary(decode_texts(texts, rows), **settings)
            (folder / "vocabulary.json").write_text(vocabulary, encoding="utf-8")

        store.write_once(folder, write)
        return {"vocabulary": (folder / "vocabulary.json").read_text(encoding="utf-8")}

    def normalisation(self) -> dict[str, nn.Module]:
        """Return an empty dictionary: token ids are passed to the network unchanged."""
        return {}

    def network_sizes(self) -> dict[str, Any]:
        """Return the size of the vocabulary and the number of classes."""
        return {"vocab_size": self.known_tokens(), "num_outputs": len(self.class_names or ())}

    def known_tokens(self) -> int:
        """Return the number of tokens in the fitted vocabulary."""
        return load_vocabulary(self.statistics["vocabulary"]).get_vocab_size()

    def readable(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Decode predicted token ids in the column ``text``."""
        return self.reader().readable(columns)

    def dataset(self, cached: Cache) -> FetchedRows:
        """Build the dataset of padded token ids and their mask."""
        return FetchedRows(partial(pad_tokens, self._tokens(cached)), cached.targets)

    def row_sizes(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the number of tokens of each row, ``(rows,)``."""
        return torch.from_numpy(np.diff(self._tokens(self.cached).offsets)[rows])

    def features(self, split: Split) -> Features:
        """Compute the TF-IDF of words and character n-grams, fitted on the training split."""
        texts = self.cached.arrays["texts"]
        tf_idf = TfIdf(decode_texts(texts, self.row_numbers("train")))
        rows = self.row_numbers(split)
        return Features(numbers=torch.empty(len(rows), 0), sparse=tf_idf(decode_texts(texts, rows)))

    def reader(self) -> TextReader:
        """Return the reader of text files, and of tables of texts."""
        return TextReader(
            vocabulary=self.statistics["vocabulary"],
            max_tokens=self.max_tokens,
            encoding=self.encoding,
            columns=self.text_columns,
            separator=self.separator,
            content=self.file_content,
            cleaning=self.cleaning,
        )

    def raw_fields(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add the mask of the tokens, none of which has the id of padding."""
        return {"tokens": values["tokens"], "mask": values["tokens"] != PADDING}

    def _tokens(self, cached: Cache) -> Ragged:
        if self._token_rows is None:
            vocabulary = self.statistics["vocabulary"]
            settings = {"texts": cached.fingerprint, "vocabulary": vocabulary}
            self._token_rows = cache_tokens(
                self._derived_folder("tokens", settings | {"max_tokens": self.max_tokens}),
                cached.arrays["texts"],
                vocabulary=vocabulary,
                max_tokens=self.max_tokens,
            )
        return self._token_rows

    def _derived_folder(self, kind: str, settings: dict[str, Any]) -> Path:
        return self.cache_dir / str(self.name) / f"{kind}-{store.fingerprint(settings)}"


class CorpusData(TextData):
    """Texts without classes, of which a language model learns every token."""

    look = "leyden.data.look.look_at_corpus"

    def network_sizes(self) -> dict[str, Any]:
        """Return the size of the vocabulary."""
        return {"vocab_size": self.known_tokens()}
