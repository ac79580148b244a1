"""Texts in tables: a row each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from leyden.data import cache
from leyden.data.rows import Part, RejectedItem, Rows
from leyden.data.tables import Chunk, TableFile
from leyden.data.text.module import TextData
from leyden.data.text.texts import Text, joined, text_rows
from leyden.errors import UserError


class TextTable(TextData):
    """A CSV, TSV, JSON lines or Parquet file with a text and its class in each row.

    A part that has no file of its own is split off the training part.

    Args:
        path: the file.
        text: column of the texts, or several that are joined, one a line.
        target: column of the classes.
        group: column of what must not be torn apart by a split, such as the author.
        val_path: a like file that is the validation part.
        test_path: a like file that is the test part.
        separator: between cells; ``None`` takes the likeliest.
        options: those of every text data module.
    """

    def __init__(
        self,
        *,
        path: str,
        text: str | Sequence[str],
        target: str,
        group: str | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        separator: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.text_columns = (text,) if isinstance(text, str) else tuple(text)
        self.target = target
        self.group = group
        self.separator = separator
        if not self.text_columns:
            raise UserError("data.text names no column. Expected one, or a list of some.")

    def source_settings(self) -> dict[str, Any]:
        """Fingerprint the files, and what is read of them."""
        files = {
            part: (str(table.path.resolve()), *cache.file_state(table.path))
            for part, table in self._tables()
        }
        columns = [self.text_columns, self.target, self.group]
        return {"files": files, "columns": columns, "how": [self.encoding, self.separator]}

    def read(self) -> Iterator[Rows]:
        """Read the tables, the training part first."""
        return text_rows(self._texts(), self.steps)

    def _texts(self) -> Iterator[Text | RejectedItem]:
        columns = [*self.text_columns, self.target, *([self.group] if self.group else [])]
        for part, table in self._tables():
            for chunk in table.chunks(columns):
                yield from labelled_texts(
                    chunk, text=self.text_columns, target=self.target, group=self.group, part=part
                )

    def _tables(self) -> Iterator[tuple[Part, TableFile]]:
        parts: tuple[Part, ...] = ("train", "val", "test")
        for part in parts:
            if path := self.paths[part]:
                file = Path(path).expanduser()
                yield part, TableFile(path=file, encoding=self.encoding, separator=self.separator)


def labelled_texts(
    chunk: Chunk, *, text: Sequence[str], target: str, part: Part, group: str | None = None
) -> Iterator[Text | RejectedItem]:
    """Make texts of the rows of a table; a row without a target or group is rejected.

    Args:
        chunk: the rows.
        text: columns of the text.
        target: column of the class.
        part: that the rows belong to.
        group: column of the group.
    """
    yield from chunk.rejected
    labels = [target, *([group] if group else [])]
    cells = zip(*(chunk.columns[name].to_pylist() for name in labels), strict=True)
    for source, content, given in zip(chunk.sources, joined(chunk, text), cells, strict=True):
        lacking = [name for name, cell in zip(labels, given, strict=True) if _is_missing(cell)]
        if lacking:
            yield RejectedItem(source=source, reason=f"has no value in {' and '.join(lacking)}")
            continue
        named = dict(zip(("target", "group"), map(str.strip, given), strict=False))
        yield Text(content=content, source=source, part=part, **named)


def _is_missing(cell: str | None) -> bool:
    return cell is None or cell.strip().lower() in ("", "nan")
