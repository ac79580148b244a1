"""Reading of texts to predict on, as token ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from leyden.data.inputs import Inputs, Reader
from leyden.data.parts import FilePart, Part
from leyden.data.rows import RejectedItem, UnreadableError
from leyden.data.sources.tables import FILE_SUFFIXES, TableFile
from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.files import TEXT_FILES, read_text
from leyden.data.text.mail import subject_and_body
from leyden.data.text.rows import TEXTS_PER_CHUNK, Text, join_columns
from leyden.data.text.vocabulary import PADDING, encode, load_vocabulary
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
            ),
        )

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer of the vocabulary."""
        return load_vocabulary(self.vocabulary)

    def files(self, paths: Sequence[str]) -> list[Path]:
        """List files of any suffix, and those below folders."""
        return TEXT_FILES.inputs(paths)

    def table(self, path: Path) -> TableFile | None:
        """Return a file as a table if it has the suffix of one."""
        if not path.name.lower().removesuffix(".gz").endswith(FILE_SUFFIXES):
            return None
        return TableFile(
            path=path, title=str(path), encoding=self.encoding, separator=self.separator
        )

    def read_part(self, part: Part) -> Inputs:
        """Read and clean texts."""
        if isinstance(part, FilePart):
            return self._inputs(list(map(self._text, part.files)))
        chunk = part.chunk()
        contents = join_columns(chunk, self.columns)
        texts = [
            Text(content=content, source=source)
            for source, content in zip(chunk.sources, contents, strict=True)
        ]
        return self._inputs(texts, rejected=chunk.rejected, kept=part.kept(chunk))

    def encode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the token ids of one or more texts, ``(texts, longest)``."""
        rows = encode(self.tokenizer, texts, max_tokens=self.max_tokens)
        tokens = np.full((len(rows), max(map(len, rows))), PADDING, np.int64)
        for row, ids in zip(tokens, rows, strict=True):
            row[: len(ids)] = ids
        return tokens

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
        return own | {"columns": list(self.columns), "cleaning": vars(self.cleaning)}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Self:
        """Build the reader from the result of ``to_json``."""
        return cls(**{**settings, "cleaning": TextCleaning(**settings["cleaning"])})

    def _inputs(
        self,
        items: Sequence[Text | RejectedItem],
        *,
        rejected: Sequence[RejectedItem] = (),
        kept: Mapping[str, Sequence[str | None]] | None = None,
    ) -> Inputs:
        """Clean and encode texts.

        Args:
            items: Texts, and files that cannot be read.
            rejected: Rows of a table that cannot be read.
            kept: Cells ``(items,)`` to keep, by column.
        """
        cleaned = list(map(self._clean, items))
        texts = [item for item in cleaned if isinstance(item, Text)]
        are_texts = [isinstance(item, Text) for item in cleaned]
        return Inputs(
            names=[text.source for text in texts],
            fields={"tokens": self.encode([text.content for text in texts])} if texts else {},
            rejected=[*rejected, *(item for item in cleaned if isinstance(item, RejectedItem))],
            kept={name: list(compress(cells, are_texts)) for name, cells in (kept or {}).items()},
        )

    def _text(self, file: Path) -> Text | RejectedItem:
        try:
            content = read_text(file, self.encoding)
        except UnreadableError as error:
            return RejectedItem(source=str(file), reason=str(error))
        text = subject_and_body(content) if self.content == "mail" else content
        return Text(content=text, source=str(file))

    def _clean(self, item: Text | RejectedItem) -> Text | RejectedItem:
        if isinstance(item, RejectedItem):
            return item
        content, _ = self.cleaning.clean_text(item.content)
        if not content.strip():
            return RejectedItem(source=item.source, reason="holds no text")
        return replace(item, content=content)
