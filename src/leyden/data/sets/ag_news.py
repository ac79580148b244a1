"""AG News, with its official test split."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from leyden.data.rows import RejectedItem, Rows, Split
from leyden.data.sources.published import PublishedFiles
from leyden.data.sources.tables import TableFile
from leyden.data.text.module import TextData
from leyden.data.text.rows import Text, text_rows
from leyden.data.text.table import labelled_texts
from leyden.errors import UserError
from leyden.files import DataPath

MIRRORS = ("https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv",)

CHECKSUMS = {
    "train.csv": "md5:b1a00f826fdfbd249f79597b59e1dc12",
    "test.csv": "md5:d52ea96a97a2d943681189a97654912d",
}

FILES: tuple[tuple[Split, str], ...] = (("train", "train.csv"), ("test", "test.csv"))

HEADER = ("topic", "title", "description")


class AGNews(TextData):
    """120,000 training and 7,600 test news articles (title and description) in 4 balanced topics.

    The files are read from ``root``, or downloaded once.
    Source: Zhang et al. 2015, arXiv:1509.01626.

    Args:
        root: Folder that holds ``train.csv`` and ``test.csv``.
        mirrors: URLs of folders that hold the files, tried in order.
        options: Options of ``TextData``.
    """

    class_names = ("World", "Sports", "Business", "Sci/Tech")

    text_columns = ("title", "description")

    def __init__(
        self, *, root: DataPath | None = None, mirrors: Sequence[str] = MIRRORS, **options: Any
    ) -> None:
        super().__init__(**options)
        self.files = PublishedFiles(
            checksums=CHECKSUMS,
            mirrors=mirrors,
            downloads=self.cache_dir / "downloads" / "ag_news",
            root=root,
        )

    def source_settings(self) -> dict[str, Any]:
        """Return the checksums of the published files, or the state of the user's own files."""
        return self.files.settings()

    def read(self) -> Iterator[Rows]:
        """Yield the training split, then the test split.

        Raises:
            UserError: If a file cannot be downloaded or read, or a topic is unknown.
        """
        return text_rows(self._news(), self.cleaning)

    def _news(self) -> Iterator[Text | RejectedItem]:
        folder = self.files.folder()
        for split, name in FILES:
            table = TableFile(path=folder / name, separator=",", header=HEADER)
            for chunk in table.chunks():
                for item in labelled_texts(
                    chunk, text=self.text_columns, target="topic", split=split
                ):
                    yield self._numbered(item) if isinstance(item, Text) else item

    def _numbered(self, text: Text) -> Text:
        """Convert the topic, which the files number from 1, to an index."""
        numbers = [str(number) for number in range(1, len(self.class_names) + 1)]
        if text.target not in numbers:
            raise UserError(
                f"{text.source} has the topic {text.target!r}. Expected one of "
                f"{', '.join(numbers)}: replace the files by the published ones."
            )
        return replace(text, target=numbers.index(text.target))
