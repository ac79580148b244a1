"""AG News with its official test split."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from leyden.data.cache import store
from leyden.data.rows import RejectedItem, Rows, Split
from leyden.data.sources.download import RemoteFile, fetch
from leyden.data.sources.tables import TableFile
from leyden.data.text.module import TextData
from leyden.data.text.table import labelled_texts
from leyden.data.text.texts import Text, text_rows
from leyden.errors import UserError
from leyden.files import file_state

MIRRORS = ("https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv",)

CHECKSUMS = {
    "train.csv": "md5:b1a00f826fdfbd249f79597b59e1dc12",
    "test.csv": "md5:d52ea96a97a2d943681189a97654912d",
}

FILES: tuple[tuple[Split, str], ...] = (("train", "train.csv"), ("test", "test.csv"))

HEADER = ("topic", "title", "description")


class AGNews(TextData):
    """120,000 training and 7,600 test news, title and description, in 4 balanced topics.

    The files are looked for in ``root``, and else fetched once.
    Source: Zhang et al. 2015, arXiv:1509.01626.

    Args:
        root: folder that holds ``train.csv`` and ``test.csv``.
        mirrors: addresses of folders that hold them, tried in order.
        options: those of every text data module.
    """

    class_names = ("World", "Sports", "Business", "Sci/Tech")

    text_columns = ("title", "description")

    def __init__(
        self, *, root: str | None = None, mirrors: Sequence[str] = MIRRORS, **options: Any
    ) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser() if root else None
        self.mirrors = mirrors

    def source_settings(self) -> dict[str, Any]:
        """Name the canonical files, or those of ``root``, which may be any."""
        if self.root is None:
            return {"files": CHECKSUMS}
        folder = self._folder()
        files = [file_state(folder / name) for name in CHECKSUMS]
        return {"root": str(folder.resolve()), "files": files}

    def read(self) -> Iterator[Rows]:
        """Yield the training split, then the test split."""
        return text_rows(self._news(), self.steps)

    def _news(self) -> Iterator[Text | RejectedItem]:
        folder = self._folder()
        for split, name in FILES:
            table = TableFile(path=folder / name, separator=",", header=HEADER)
            for chunk in table.chunks():
                for item in labelled_texts(
                    chunk, text=self.text_columns, target="topic", split=split
                ):
                    yield self._numbered(item) if isinstance(item, Text) else item

    def _numbered(self, text: Text) -> Text:
        """Give the topic, which the files count from 1, as an index."""
        numbers = [str(number) for number in range(1, len(self.class_names) + 1)]
        if text.target not in numbers:
            raise UserError(
                f"{text.source} gives the topic {text.target!r}. Expected one of "
                f"{', '.join(numbers)}: replace the files by the canonical ones."
            )
        return replace(text, target=numbers.index(text.target))

    def _folder(self) -> Path:
        if self.root is not None:
            if missing := [name for name in CHECKSUMS if not (self.root / name).is_file()]:
                raise UserError(
                    f"data.root={self.root} lacks {' and '.join(missing)}. Give a folder that "
                    "holds train.csv and test.csv of AG News, or leave data.root out to fetch them."
                )
            return self.root
        folder = self.cache_dir / "downloads" / "ag_news"
        with store.locked(folder):
            for name, checksum in CHECKSUMS.items():
                urls = tuple(f"{mirror.rstrip('/')}/{name}" for mirror in self.mirrors)
                fetch(RemoteFile(name=name, urls=urls, checksum=checksum), folder)
        return folder
