"""Speech Commands, with its official validation and test splits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leyden.data.audio.files import SOUND_FILES
from leyden.data.audio.module import AudioData
from leyden.data.cache import store
from leyden.data.rows import SPLITS, Rows, Split
from leyden.data.sources.archives import extract
from leyden.data.sources.download import RemoteFile, fetch
from leyden.data.sources.folders import LabelledFile
from leyden.errors import UserError
from leyden.files import DataPath, file_state

ARCHIVE = RemoteFile(
    name="speech_commands_v0.02.tar.gz",
    urls=(
        "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    ),
    checksum="sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    size=2_428_923_189,
)

LISTS: dict[Split, str] = {"val": "validation_list.txt", "test": "testing_list.txt"}

SPEAKER_ENDS_AT = "_nohash_"
"""Separator after the speaker's hash in the names of files."""


class SpeechCommands(AudioData):
    """105,829 clips of up to one second (16 kHz) of 35 spoken words; splits share no speaker.

    The archive is read from ``root``, or downloaded once (2.4 GB). Recordings of background noise
    are omitted. Source: Warden 2018, arXiv:1804.03209, version 0.02, under CC-BY-4.0.

    Args:
        root: Folder of the unpacked archive, or one that holds the archive.
        options: Options of ``AudioData``.
    """

    def __init__(self, *, root: DataPath | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser() if root else None

    def source_settings(self) -> dict[str, Any]:
        """Return the checksum of the archive, or the state of the user's own files.

        Raises:
            UserError: If ``root`` holds neither the archive nor its files.
        """
        if self.root is None:
            return {"archive": ARCHIVE.checksum} | self.source_shape()
        folder = self._folder()
        files = [folder / name for name in LISTS.values()] + SOUND_FILES.below(folder)
        states = [(file.relative_to(folder).as_posix(), *file_state(file)) for file in files]
        return {"root": str(self.root.resolve()), "files": states} | self.source_shape()

    def read(self) -> Iterator[Rows]:
        """Yield the decoded clips, split by split.

        Raises:
            UserError: If the archive cannot be downloaded or extracted, or lacks a clip.
        """
        return self.read_clips(list(self._clips(self._folder())))

    def _clips(self, folder: Path) -> Iterator[LabelledFile]:
        files = {
            file.relative_to(folder).as_posix(): file
            for file in SOUND_FILES.below(folder)
            if not file.parent.name.startswith("_")
        }
        split_of = {
            source: split
            for split, name in LISTS.items()
            for source in (folder / name).read_text().split()
        }
        if missing := sorted(set(split_of) - set(files)):
            raise UserError(
                f"{folder} lacks {len(missing)} of the clips that its lists name, such as "
                f"{missing[0]}. Delete the folder so that the archive is extracted again, or give "
                "another one as data.root."
            )
        for split in SPLITS:
            for source, file in files.items():
                if split_of.get(source, "train") == split:
                    speaker = file.name.partition(SPEAKER_ENDS_AT)[0]
                    yield LabelledFile(
                        path=file,
                        source=source,
                        target=file.parent.name,
                        split=split,
                        group=speaker,
                    )

    def _folder(self) -> Path:
        if self.root is not None and all((self.root / name).is_file() for name in LISTS.values()):
            return self.root
        downloads = self.cache_dir / "downloads" / "speech_commands"
        with store.lock_folder(downloads):
            archive = self.root / ARCHIVE.name if self.root else fetch(ARCHIVE, downloads)
            if not archive.is_file():
                raise UserError(
                    f"data.root={self.root} holds neither {' and '.join(LISTS.values())} nor "
                    f"{ARCHIVE.name}. Give the folder of the archive or of its contents, or leave "
                    "data.root out to download it."
                )
            return extract(archive, downloads / store.fingerprint({"archive": file_state(archive)}))
