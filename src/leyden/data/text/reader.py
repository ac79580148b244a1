"""Reading of texts to predict on, as token ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from leyden.arrays import Arrays, pad_rows
from leyden.data.inputs import Inputs, display_name
from leyden.data.json_values import text_of
from leyden.data.parts import FilePart, Part
from leyden.data.readers import Reader, number_rows, object_schema
from leyden.data.rows import RejectedItem, UnreadableError
from leyden.data.sources.csv_files import BLOCK_BYTES
from leyden.data.sources.tables import FILE_SUFFIXES, TableFile
from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.files import TEXT_FILES, decode_text
from leyden.data.text.mail import subject_and_body
from leyden.data.text.rows import TEXTS_PER_CHUNK, Text, join_columns
from leyden.data.text.vocabulary import PADDING, bytes_of_tokens, encode, load_vocabulary
from leyden.schema import Field

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FileContent = Literal["text", "mail"]
"""What a text file holds: the text itself, or a raw e-mail."""


@dataclass(frozen=True, kw_only=True)
class TextReader(Reader):
    """Reads the texts of files, one per file, or one per row of a table.

    Attributes:
        vocabulary: JSON of the tokenizer.
        max_tokens: Largest number of tokens of a text; the rest is cut off.
        encoding: Encoding of files without a byte order mark.
        columns: Columns that hold the text in tables.
        separator: Separator of cells in such tables; ``None`` for the likeliest.
        content: What other files hold.
        cleaning: Steps that change a text.
        target: Name of the column that the network predicts, if it is one.
    """

    kind: ClassVar = "text"
    attachments: ClassVar = {"vocabulary": "tokenizer.json"}
    rows_per_part: ClassVar = TEXTS_PER_CHUNK
    block_bytes: ClassVar = BLOCK_BYTES

    vocabulary: str
    max_tokens: int
    encoding: str = "utf-8"
    columns: Sequence[str] = ("text",)
    separator: str | None = None
    content: FileContent = "text"
    cleaning: TextCleaning = field(default_factory=TextCleaning)
    target: str | None = None

    @property
    def values(self) -> tuple[Field, ...]:
        """The token ids of the texts."""
        return (
            Field(
                name="tokens",
                dtype="int64",
                shape=("batch", "length"),
                meaning=f"ids of tokenizer.json, at most {self.max_tokens}, then {PADDING} up to "
                "the longest text of the batch",
                most=self.max_tokens,
            ),
        )

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer of the vocabulary."""
        return load_vocabulary(self.vocabulary)

    @cached_property
    def longest(self) -> int:
        """Characters of a text that are encoded, because a text of megabytes takes seconds.

        They hold more than ``max_tokens`` tokens, and the whole word that the last one is from.
        """
        return 2 * self.max_tokens * max(map(len, self.token_bytes))

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """UTF-8 of each token, which may begin or end within a character."""
        return bytes_of_tokens(self.tokenizer)

    def files(self, paths: Sequence[str]) -> list[Path]:
        """List files of any suffix, and those below folders."""
        return TEXT_FILES.inputs(paths)

    def table(self, path: Path) -> TableFile | None:
        """Return a file as a table if it has the suffix of one."""
        if not _is_table(path.name):
            return None
        return TableFile(
            path=path, title=str(path), encoding=self.encoding, separator=self.separator
        )

    def read_part(self, part: Part) -> Inputs:
        """Read and clean texts."""
        if isinstance(part, FilePart):
            if part.content is not None:
                return self._join([self._decode_file(str(part.files[0]), part.content)])
            return self._join(list(map(self._read_file, part.files)))
        chunk = part.chunk()
        contents = join_columns(chunk, self.columns)
        texts = [
            self._clean(Text(content=content, source=source))
            for source, content in zip(chunk.sources, contents, strict=True)
        ]
        inputs = self._join(texts, part.kept(chunk))
        return replace(inputs, rejected=[*inputs.rejected, *chunk.rejected])

    @property
    def row_schema(self) -> dict[str, Any]:
        """An object with the text."""
        return object_schema(
            {
                "text": {
                    "type": "string",
                    "description": f"text, of which the first {self.max_tokens} tokens are used",
                }
            }
        )

    def decode_rows(self, rows: Sequence[Any]) -> Inputs:
        """Clean and encode the texts of JSON rows."""
        return self._join([self._decode_row(name, row) for name, row in number_rows(rows)])

    def decode_file(self, name: str, content: bytes) -> Inputs:
        """Read an uploaded text, or a table of texts."""
        if _is_table(name):
            return super().decode_file(name, content)
        return self._join([self._decode_file(display_name(name), content)])

    def encode_row(self, values: Arrays, row: int) -> dict[str, Any]:
        """Return a JSON row with the text that the tokens of a row spell."""
        return {"text": self.tokenizer.decode(values["tokens"][row].tolist()).strip()}

    def encode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the token ids of one or more texts, ``(texts, longest)``."""
        beginnings = [text[: self.longest] for text in texts]
        rows = encode(self.tokenizer, beginnings, max_tokens=self.max_tokens)
        return pad_rows(rows).astype(np.int64)

    def readable(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Decode predicted token ids in the column ``text``."""
        return {
            name: [self.tokenizer.decode(ids).strip() for ids in values]
            if name == "text"
            else values
            for name, values in columns.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return the settings."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        del own["limits"]
        return own | {"columns": list(self.columns), "cleaning": vars(self.cleaning)}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Self:
        """Build the reader from the result of ``to_json``."""
        return cls(**{**settings, "cleaning": TextCleaning(**settings["cleaning"])})

    def _join(
        self,
        items: Sequence[Text | RejectedItem],
        kept: Mapping[str, Sequence[str | None]] | None = None,
    ) -> Inputs:
        """Encode cleaned texts.

        Args:
            items: Texts, and those that cannot be read.
            kept: Cells ``(items,)`` to keep, by column.
        """
        texts = [item for item in items if isinstance(item, Text)]
        are_texts = [isinstance(item, Text) for item in items]
        return Inputs(
            names=[text.source for text in texts],
            fields={"tokens": self.encode([t.content for t in texts])} if texts else {},
            rejected=[item for item in items if isinstance(item, RejectedItem)],
            kept={name: list(compress(cells, are_texts)) for name, cells in (kept or {}).items()},
        )

    def _decode_row(self, name: str, row: Any) -> Text | RejectedItem:
        try:
            return self._clean(Text(content=text_of(row, "text"), source=name))
        except UnreadableError as error:
            return RejectedItem(source=name, reason=str(error))

    def _decode_file(self, name: str, content: bytes) -> Text | RejectedItem:
        try:
            text = decode_text(content, self.encoding)
        except UnreadableError as error:
            return RejectedItem(source=name, reason=str(error))
        text = subject_and_body(text) if self.content == "mail" else text
        return self._clean(Text(content=text, source=name))

    def _read_file(self, path: Path) -> Text | RejectedItem:
        try:
            return self._decode_file(str(path), path.read_bytes())
        except OSError as error:
            return RejectedItem(source=str(path), reason=error.strerror or str(error))

    def _clean(self, item: Text) -> Text | RejectedItem:
        content, _ = self.cleaning.clean_text(item.content)
        if not content.strip():
            return RejectedItem(source=item.source, reason="holds no text")
        return replace(item, content=content)


def _is_table(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith(FILE_SUFFIXES)
