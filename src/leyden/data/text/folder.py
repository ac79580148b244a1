"""Texts in folders: one sub-folder per class."""

from collections.abc import Iterator
from typing import Any

from leyden.data.rows import RejectedItem, Rows, UnreadableError
from leyden.data.sources.folders import LabelledFolder
from leyden.data.text.files import TEXT_FILES, read_text
from leyden.data.text.module import TextData
from leyden.data.text.texts import Text, text_rows


class TextFolder(TextData):
    """Text files of any name, one text a file.

    A split that is not given is split off the training split.

    Args:
        root: ``root/CLASS/*``, ``root/{train,val,test}/CLASS/*``, or what the pattern explains.
        pattern: regular expression that reads the class out of paths (``LabelledFolder``).
        group: regular expression that reads the group out of paths.
        options: those of every text data module.
    """

    def __init__(
        self, *, root: str, pattern: str | None = None, group: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.folder = LabelledFolder(root, files=TEXT_FILES, pattern=pattern, group=group)

    def source_settings(self) -> dict[str, Any]:
        """Fingerprint the files, and how they are decoded."""
        return self.folder.settings() | {"encoding": self.encoding}

    def read(self) -> Iterator[Rows]:
        """Read the files, split by split and class by class."""
        yield from text_rows(self._texts(), self.steps)
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
