"""Texts in folders: one sub-folder per class."""

from collections.abc import Iterator
from typing import Any

from leyden.data.rows import RejectedItem, Rows, UnreadableError
from leyden.data.sources.folders import LabelledFolder
from leyden.data.text.files import TEXT_FILES, read_text
from leyden.data.text.module import TextData
from leyden.data.text.rows import Text, text_rows
from leyden.files import DataPath


class TextFolder(TextData):
    """Text files of any name, one text each.

    Splits that the source lacks are held out from the training split.

    Args:
        root: ``root/CLASS/*``, ``root/{train,val,test}/CLASS/*``, or any paths with a pattern.
        pattern: Regular expression that reads the class from paths (``LabelledFolder``).
        group: Regular expression that reads the group from paths.
        options: Options of ``TextData``.
    """

    look = "leyden.data.look.look_at_labelled_texts"

    def __init__(
        self,
        *,
        root: DataPath,
        pattern: str | None = None,
        group: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.folder = LabelledFolder(root, files=TEXT_FILES, pattern=pattern, group=group)

    def source_settings(self) -> dict[str, Any]:
        """Return the state of the files, and the settings by which they are decoded."""
        return self.folder.settings() | {"encoding": self.encoding}

    def read(self) -> Iterator[Rows]:
        """Read the files, split by split and class by class."""
        yield from text_rows(self._texts(), self.cleaning)
        yield self.folder.report_skipped()

    def _texts(self) -> Iterator[Text | RejectedItem]:
        for file in self.folder:
            try:
                content = read_text(file.path, self.encoding)
            except UnreadableError as error:
                yield RejectedItem(source=file.source, reason=str(error), target=file.target)
                continue
            yield Text(
                content=content,
                source=file.source,
                target=file.target,
                split=file.split,
                group=file.group,
            )
