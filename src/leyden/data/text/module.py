"""The data module of texts."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
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
from leyden.data.inputs import Inputs
from leyden.data.rows import Ragged, RejectedItem, UnreadableError
from leyden.data.sources.encodings import check_encoding
from leyden.data.sources.tables import FILE_SUFFIXES, TableFile
from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.files import TEXT_FILES, read_text
from leyden.data.text.rows import TEXTS_PER_CHUNK, Text, join_columns
from leyden.data.text.tokens import cache_tokens, decode_texts, pad_tokens
from leyden.data.text.vocabulary import SMALLEST, encode, load_vocabulary, train_vocabulary


class TextData(DataModule):
    """Texts of any length; a subclass lists its texts and calls ``text_rows``.

    The vocabulary is fitted on the training split.

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

    text_columns: Sequence[str] = ("text",)
    """Columns that hold the text in tables to predict on."""

    separator: str | None = None
    """Separator of cells in such tables; ``None`` for the likeliest."""

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
        """Return the size of the vocabulary, and the number of classes if there are any."""
        vocabulary = load_vocabulary(self.statistics["vocabulary"])
        sizes = {"vocab_size": vocabulary.get_vocab_size()}
        return sizes | ({"num_outputs": len(self.class_names)} if self.class_names else {})

    def readable(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Decode predicted token ids in the column ``text``."""
        vocabulary = load_vocabulary(self.statistics["vocabulary"])
        return {
            name: [vocabulary.decode(ids).strip() for ids in values] if name == "text" else values
            for name, values in columns.items()
        }

    def dataset(self, cached: Cache) -> FetchedRows:
        """Build the dataset of padded token ids and their mask."""
        return FetchedRows(partial(pad_tokens, self._tokens(cached)), cached.targets)

    def row_sizes(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the number of tokens of each row, ``(rows,)``."""
        return torch.from_numpy(np.diff(self._tokens(self.cached).offsets)[rows])

    def read_inputs(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read the texts of files, one per file, or one per row of a table."""
        files = TEXT_FILES.inputs(paths)
        cleaned = (self._clean(item) for file in files for item in self._input_texts(file))
        while chunk := list(islice(cleaned, TEXTS_PER_CHUNK)):
            texts = [item for item in chunk if isinstance(item, Text)]
            yield Inputs(
                names=[text.source for text in texts],
                fields=self._encode([text.content for text in texts]) if texts else {},
                rejected=[item for item in chunk if isinstance(item, RejectedItem)],
            )

    def file_content(self, text: str) -> str:
        """Return the part of a file to predict on that is the text: all of it by default."""
        return text

    def _input_texts(self, file: Path) -> Iterator[Text | RejectedItem]:
        if file.name.lower().removesuffix(".gz").endswith(FILE_SUFFIXES):
            table = TableFile(
                path=file, title=str(file), encoding=self.encoding, separator=self.separator
            )
            for chunk in table.chunks(self.text_columns):
                contents = join_columns(chunk, self.text_columns)
                for source, content in zip(chunk.sources, contents, strict=True):
                    yield Text(content=content, source=source)
                yield from chunk.rejected
            return
        try:
            content = self.file_content(read_text(file, self.encoding))
        except UnreadableError as error:
            yield RejectedItem(source=str(file), reason=str(error))
        else:
            yield Text(content=content, source=str(file))

    def _clean(self, item: Text | RejectedItem) -> Text | RejectedItem:
        if isinstance(item, RejectedItem):
            return item
        content, _ = self.cleaning.clean_text(item.content)
        if not content.strip():
            return RejectedItem(source=item.source, reason="holds no text")
        return replace(item, content=content)

    def _encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        tokenizer = load_vocabulary(self.statistics["vocabulary"])
        ids = encode(tokenizer, texts, max_tokens=self.max_tokens)
        rows = Ragged.of(ids, dtype=np.dtype(np.int32))
        return pad_tokens(rows, np.arange(len(ids)))

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
