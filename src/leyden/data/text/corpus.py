"""Texts without classes, for language modelling."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leyden.data.rows import RejectedItem, Rows, UnreadableError
from leyden.data.text.files import TEXT_FILES, read_text
from leyden.data.text.module import CorpusData
from leyden.data.text.rows import Text, passages, text_rows
from leyden.errors import UserError
from leyden.files import DataPath, file_state


class TextCorpus(CorpusData):
    """Text files of any length, cut into passages.

    Args:
        root: Text file, or a folder of them.
        passage_characters: Largest number of characters in a passage.
        options: Options of ``CorpusData``.

    Raises:
        ValueError: If ``passage_characters`` is less than 1.
    """

    def __init__(self, *, root: DataPath, passage_characters: int = 800, **options: Any) -> None:
        super().__init__(**options)
        if passage_characters < 1:
            raise ValueError(f"passage_characters must be at least 1, got {passage_characters}")
        self.root = Path(root).expanduser()
        self.passage_characters = passage_characters

    def source_settings(self) -> dict[str, Any]:
        """Return the state of the files, and the settings by which they are decoded and cut."""
        files = [(str(file), *file_state(file)) for file in self._files()]
        return {"files": files, "how": [self.encoding, self.passage_characters]}

    def read(self) -> Iterator[Rows]:
        """Read the files in the order of their names."""
        return text_rows(self._passages(), self.cleaning)

    def _passages(self) -> Iterator[Text | RejectedItem]:
        for file in self._files():
            source = str(file.relative_to(self.root)) if self.root.is_dir() else file.name
            try:
                content = read_text(file, self.encoding)
            except UnreadableError as error:
                yield RejectedItem(source=source, reason=str(error))
                continue
            for number, passage in enumerate(passages(content, self.passage_characters), start=1):
                yield Text(content=passage, source=f"{source} passage {number}")

    def _files(self) -> list[Path]:
        if not self.root.exists():
            raise UserError(f"data.root={self.root} does not exist. Give a text file or a folder.")
        return TEXT_FILES.inputs([str(self.root)])
