"""Texts in tables: each row holds a text and its class."""

import logging
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from leyden.data.rows import SPLITS, GivenSplit, RejectedItem, Rows
from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.cells import MISSING_CELLS, missing_warnings
from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.module import TextData
from leyden.data.text.reader import TextReader
from leyden.data.text.rows import Text, join_columns, text_rows
from leyden.data.values import canonical
from leyden.errors import UserError
from leyden.files import DataPath, file_state

log = logging.getLogger(__name__)


class TextTable(TextData):
    """A CSV, TSV, JSON lines or Parquet file with a text and its class in each row.

    Splits that the source lacks are held out from the training split.

    By default, duplicates and conflicting labels are kept: many people write "ok" or "thanks", and
    each of these messages is an observation. Nothing leaks, because rows of equal text and class
    share a split. Near duplicates of long texts would leak, and are dropped.

    Args:
        path: File of the training split, or of all rows.
        text: Column of the texts, or several that are joined, one per line.
        target: Column of the classes.
        group: Column of what must stay in one split, such as the author.
        val_path: File of the validation split, with the same columns.
        test_path: File of the test split, with the same columns.
        separator: Separator of cells in CSV; ``None`` for the likeliest.
        missing_cells: Words that mean a missing class or group, besides an empty cell.
        cleaning: Cleaning steps that run.
        options: Options of ``TextData``.

    Raises:
        UserError: If ``text`` is empty.
    """

    look = "leyden.data.look.look_at_labelled_texts"

    def __init__(
        self,
        *,
        path: DataPath,
        text: str | Sequence[str],
        target: str,
        group: str | None = None,
        val_path: DataPath | None = None,
        test_path: DataPath | None = None,
        separator: str | None = None,
        missing_cells: Sequence[str | float] = MISSING_CELLS,
        cleaning: TextCleaning | None = None,
        **options: Any,
    ) -> None:
        steps = cleaning or TextCleaning(conflicting_labels=False, duplicates=False)
        super().__init__(cleaning=steps, **options)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.text_columns = (text,) if isinstance(text, str) else tuple(text)
        self.target = target
        self.group = group
        self.separator = separator
        self.missing = tuple(map(str, missing_cells))
        if not self.text_columns:
            raise UserError("data.text names no column. Expected one, or a list of some.")

    def source_settings(self) -> dict[str, Any]:
        """Return the state of the files, and the settings by which they are read."""
        files = {
            split: (str(table.path.resolve()), *file_state(table.path))
            for split, table in self._tables()
        }
        columns = [self.text_columns, self.target, self.group]
        how = [self.encoding, self.separator, self.missing]
        return {"files": files, "columns": columns, "how": how}

    def read(self) -> Iterator[Rows]:
        """Read the tables split by split."""
        return text_rows(self._texts(), self.cleaning)

    def reader(self) -> TextReader:
        """Return the reader of text files and tables, with the name of the target."""
        return replace(super().reader(), target=self.target)

    def _texts(self) -> Iterator[Text | RejectedItem]:
        columns = [*self.text_columns, self.target, *([self.group] if self.group else [])]
        rows, lost = 0, Counter[tuple[str, str]]()
        for split, table in self._tables():
            for chunk in table.chunks(columns):
                rows += len(chunk.sources)
                yield from labelled_texts(
                    chunk,
                    text=self.text_columns,
                    target=self.target,
                    group=self.group,
                    split=split,
                    missing=self.missing,
                    lost=lost,
                )
        for warning in missing_warnings(lost, rows, self.missing):
            log.warning("%s", warning)

    def _tables(self) -> Iterator[tuple[GivenSplit, TableFile]]:
        for split in SPLITS:
            if path := self.paths[split]:
                file = Path(path).expanduser()
                yield split, TableFile(path=file, encoding=self.encoding, separator=self.separator)


def labelled_texts(
    chunk: Chunk,
    *,
    text: Sequence[str],
    target: str,
    split: GivenSplit,
    group: str | None = None,
    missing: Sequence[str] = (),
    lost: Counter[tuple[str, str]] | None = None,
) -> Iterator[Text | RejectedItem]:
    """Yield the rows of a table as texts; rows without a class or group are rejected.

    Args:
        chunk: Rows of the table.
        text: Columns of the text.
        target: Column of the class.
        split: Split of the rows.
        group: Column of the group; ``None`` if texts have none.
        missing: Words that mean a missing class or group, besides an empty cell.
        lost: Counter of these words by column, to which those of the rows are added.
    """
    yield from chunk.rejected
    columns = {"target": target, "group": group} if group else {"target": target}
    cells = zip(*(chunk.columns[name].to_pylist() for name in columns.values()), strict=True)
    for source, content, given in zip(chunk.sources, join_columns(chunk, text), cells, strict=True):
        names = {field: (cell or "").strip() for field, cell in zip(columns, given, strict=True)}
        faults = [(columns[field], name) for field, name in names.items() if name in ("", *missing)]
        if lost is not None:
            lost.update(fault for fault in faults if fault[1])
        if faults:
            yield RejectedItem(source=source, reason=" and ".join(_reason(*f) for f in faults))
            continue
        identity = _identity(names["target"], content)
        yield Text(content=content, source=source, split=split, identity=identity, **names)


def _reason(column: str, name: str) -> str:
    """Return why a class or group is missing."""
    if not name:
        return f"has no value in {column}"
    return f"{name!r} in {column} counts as missing, see data.missing_cells"


def _identity(target: str, content: str) -> str:
    """Return one name for all rows of equal class and text, regardless of case and spacing."""
    words = unicodedata.normalize("NFC", content).casefold().split()
    return f"{canonical(target)}\0{' '.join(words)}"
