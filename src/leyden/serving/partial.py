"""The folder ``FILE.partial``, which holds the predicted parts of FILE until it is complete."""

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from leyden.errors import UserError
from leyden.files import exists, open_aside, remove, write_aside
from leyden.serving.formats import RowFormat

JOB, LOCK, PARTS = "job.json", "lock", "*.part"

JOINED, COMPLETE = "joined", "complete"

Record = dict[str, Any]
"""What is known about a part besides its rows, as values that JSON can hold."""


class PartialFile:
    """A file that is written part by part, and continued by another process after a kill.

    Args:
        file: The file, which appears once it is complete.
        form: Its format.
    """

    def __init__(self, file: Path, form: RowFormat) -> None:
        self.file = file
        self.folder = file.with_name(f"{file.name}.partial")
        self._form = form
        self._job = self.folder / JOB
        self._joined, self._complete = self.folder / JOINED, self.folder / COMPLETE

    @contextmanager
    def held(self, job: Mapping[str, Any]) -> Iterator[None]:
        """Start or continue the file, while other processes are locked out.

        Args:
            job: What determines the content of the file, by name; values that JSON can hold. If
                ``inputs`` is ``None``, they cannot be read again, and the file is started anew.

        Raises:
            UserError: If the file exists, another process writes it, it was started by another job,
                or it cannot be written.
        """
        if exists(str(self.file)) and not exists(str(self._complete)):
            raise UserError(
                f"output={self.file} exists. Remove it, or give the name of another file."
            )
        lock = FileLock(self.folder / LOCK, blocking=False)
        try:
            with self._writing():
                self.folder.mkdir(parents=True, exist_ok=True)
                lock.acquire()
                self._resume(json.loads(json.dumps(job)))
            yield
        except Timeout as error:
            raise UserError(
                f"{self.file} is being written by another process. Wait for it to end, or give "
                "another output=."
            ) from error
        finally:
            if lock.is_locked and not self._has_parts():
                self._discard()
            lock.release()

    def record(self, number: int) -> Record | None:
        """Return the record of a part; ``None`` if it is missing."""
        try:
            with self._part(number).open("rb") as stream:
                record: Record = json.loads(stream.readline())
        except (FileNotFoundError, ValueError):  # a crash of the machine may leave it empty
            return None
        return record

    def write(self, number: int, record: Record, content: bytes) -> None:
        """Write a part.

        Args:
            number: Number of the part.
            record: Its record.
            content: Its encoded rows.
        """
        with (
            self._writing(),
            write_aside(self._part(number)) as aside,
            aside.open("wb") as stream,
        ):
            stream.write(json.dumps(record).encode() + b"\n")
            stream.write(content)

    def publish(self, numbers: Sequence[int], columns: Sequence[str]) -> None:
        """Join the parts to the file, and remove the folder.

        Args:
            numbers: Numbers of the parts with rows.
            columns: Names of the columns.
        """
        with self._writing():
            with self._joined.open("wb") as sink:
                self._form.join([partial(self._rows, number) for number in numbers], columns, sink)
            if self.file.exists() and not self._complete.exists():
                raise FileExistsError(errno.EEXIST, "it was created meanwhile")
            self._complete.touch()  # from now on, the file is this one
            self._joined.replace(self.file)
        self.clear()

    def clear(self) -> None:
        """Remove the parts."""
        for part in self.folder.glob(PARTS):
            part.unlink()

    def _has_parts(self) -> bool:
        return next(self.folder.glob(PARTS), None) is not None

    def _discard(self) -> None:
        """Remove the folder, in which no part is left, unless it holds files of others."""
        for path in (self._joined, self._job, self.folder / LOCK, self._complete):
            remove(path)
        with suppress(OSError):
            self.folder.rmdir()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Convert errors of the disk; parts that are written stay."""
        try:
            yield
        except (BrokenPipeError, Timeout):
            raise
        except OSError as error:
            raise UserError(
                f"{self.file} cannot be written: {error.strerror or error}. Make room or give "
                f"another output=, and repeat the command; {self.folder} keeps what is predicted."
            ) from error

    def _resume(self, job: Mapping[str, Any]) -> None:
        """Keep the parts of the same job.

        Raises:
            UserError: If there are parts of another job.
        """
        if self._has_parts():
            found = self._read_job()
            if names := [name for name in job if found.get(name) != job[name]]:
                raise UserError(
                    f"{self.folder} was started with other {' and '.join(names)}. Repeat the "
                    "command that started it, give another output=, or remove the folder."
                )
            if job["inputs"] is None:
                self.clear()
        with open_aside(self._job) as stream:
            json.dump(job, stream)

    def _read_job(self) -> dict[str, Any]:
        try:
            job: dict[str, Any] = json.loads(self._job.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return job

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:07}.part"

    @contextmanager
    def _rows(self, number: int) -> Iterator[IO[bytes]]:
        with self._part(number).open("rb") as stream:
            stream.readline()
            yield stream
