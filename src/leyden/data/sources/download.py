"""Downloads of published files from mirrors: resumed if interrupted, verified by checksums."""

import hashlib
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from leyden.errors import UserError
from leyden.ranks.environment import shows_progress

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416
_TRANSIENT_STATUS = {408, 429, 500, 502, 503, 504, _RANGE_NOT_SATISFIABLE}


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file that several mirrors publish with the same content.

    Attributes:
        name: Name of the file on disk, without folders.
        urls: http or https URLs of the file, in the order in which they are tried.
        checksum: ``"md5:"`` or ``"sha256:"`` and the hexadecimal digest of the content.
        size: Size in bytes; if it is given, a file of another size is refused before it is
            downloaded.

    Raises:
        UserError: If an attribute has another form.
    """

    name: str
    urls: tuple[str, ...]
    checksum: str
    size: int | None = None

    def __post_init__(self) -> None:
        names = {PurePosixPath(self.name).name, PureWindowsPath(self.name).name}
        if names != {self.name} or self.name in {"", ".."}:
            raise UserError(f"Expected a plain file name for a download, got {self.name!r}.")
        if not re.fullmatch(r"md5:[0-9a-fA-F]{32}|sha256:[0-9a-fA-F]{64}", self.checksum):
            raise UserError(
                f"The checksum of {self.name!r} must be 'md5:…' or 'sha256:…' with 32 or 64 "
                f"hexadecimal digits, got {self.checksum!r}."
            )
        if not self.urls:
            raise UserError(f"{self.name!r} has no mirror: give it at least one http or https URL.")
        for url in self.urls:
            if not re.fullmatch(r"https?://[!-~]+", url):
                raise UserError(
                    f"A mirror of {self.name!r} must be an http or https URL in ASCII without "
                    f"spaces, got {url!r}."
                )

    def checksum_of(self, path: Path) -> str:
        """Return the checksum of a file on disk, in the form of ``checksum`` in lower case."""
        algorithm = self.checksum.partition(":")[0]
        new = partial(hashlib.new, algorithm, usedforsecurity=False)
        with path.open("rb") as stream:
            return f"{algorithm}:{hashlib.file_digest(stream, new).hexdigest()}"

    def matches(self, path: Path) -> bool:
        """Whether a path is a file with the expected checksum."""
        return path.is_file() and self.checksum_of(path) == self.checksum.lower()


def fetch(
    file: RemoteFile,
    folder: Path,
    *,
    retries: int = 3,
    timeout: float = 30.0,
    backoff: float = 1.0,
    instead: str = "set data.root=PATH to a folder that holds it",
) -> Path:
    """Download a file unless a folder has a copy of it, and verify its checksum.

    An interrupted download is kept as ``NAME.part`` and resumed. Processes that may fetch the same
    file at the same time must hold a lock.

    Args:
        file: File to fetch.
        folder: Folder of the copy; created if it is missing.
        retries: Number of further attempts at a mirror after a transient failure.
        timeout: Seconds without data after which a connection counts as lost.
        backoff: Seconds to wait before the first further attempt; doubled for each next one.
        instead: Alternative to a download by hand, for the message if no mirror has the file.

    Returns:
        Path of the copy.

    Raises:
        UserError: If no mirror has the file, or the folder cannot be written to.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    reasons: list[str] = []
    try:
        if file.matches(target):
            return target
        if is_wrong := target.is_file():
            log.warning("%s does not have the checksum %s", target, file.checksum)
        folder.mkdir(parents=True, exist_ok=True)
        for url in file.urls:
            try:
                _persist(url, file, part, retries=retries, timeout=timeout, backoff=backoff)
                return part.replace(target)
            except _DownloadError as error:
                reasons.append(f"{url}: {error}")
    except OSError as error:
        raise UserError(
            f"Could not write {target}: {error.strerror or error}. Free the space or the "
            f"permissions, or set data.cache_dir=PATH to another folder."
        ) from error
    wrong = " (the file that is there has another checksum)" if is_wrong else ""
    raise UserError(
        f"Could not download {file.name!r}, {file.checksum}, from any of its mirrors: "
        f"{'; '.join(reasons)}. Download it by hand to {target}{wrong}, or {instead}."
    )


class _DownloadError(Exception):
    """Failure of an attempt at a mirror; if it is ``transient``, the next one may succeed."""

    def __init__(self, reason: str, *, transient: bool = False) -> None:
        super().__init__(reason)
        self.transient = transient


def _persist(
    url: str, file: RemoteFile, part: Path, *, retries: int, timeout: float, backoff: float
) -> None:
    for attempt in range(1, retries + 2):
        try:
            _complete(part, file, url, timeout=timeout)
        except _DownloadError as error:
            if not error.transient:
                raise
            if attempt > retries:
                raise _DownloadError(f"{error} ({attempt} attempts)") from error
            log.warning("%s: %s; attempt %d of %d", url, error, attempt + 1, retries + 1)
            time.sleep(backoff * 2 ** (attempt - 1))
        else:
            return


def _complete(part: Path, file: RemoteFile, url: str, *, timeout: float) -> None:
    """Download the rest of a partial file; after a failure it keeps what can be resumed."""
    if file.matches(part):
        return
    with _open(url, part, timeout) as response:
        resumed = response.status == _PARTIAL_CONTENT
        _receive(response, file, part, resumed=resumed)
    if not file.matches(part):
        checksum = file.checksum_of(part)
        part.unlink()
        # After resuming, the wrong half may be the older one, from another mirror or version.
        raise _DownloadError(f"wrong checksum, {checksum}", transient=resumed)


def _open(url: str, part: Path, timeout: float) -> HTTPResponse:
    """Request the rest of a partial file; the response is that (206) or the whole file (200)."""
    offset = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "leyden"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout)  # noqa: S310  # RemoteFile checks it
    except HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE:  # the partial file is not shorter than the file
            part.unlink(missing_ok=True)
        reason = f"HTTP {error.code} {error.reason}"
        raise _DownloadError(reason, transient=error.code in _TRANSIENT_STATUS) from error
    except (OSError, HTTPException) as error:
        raise _lost_connection(error) from error
    if not isinstance(response, HTTPResponse):
        response.close()
        raise _DownloadError(f"redirects to {response.url}, which is not http or https")
    found = response.getheader("Content-Range", "")
    if response.status == _PARTIAL_CONTENT and not found.startswith(f"bytes {offset}-"):
        response.close()
        part.unlink(missing_ok=True)
        raise _DownloadError(f"sent {found!r} instead of byte {offset} on", transient=True)
    return response


def _receive(response: HTTPResponse, file: RemoteFile, part: Path, *, resumed: bool) -> None:
    """Append the body to the partial file, or replace the file by it, with a progress bar."""
    start = part.stat().st_size if resumed else 0
    total = file.size if response.length is None else start + response.length
    if file.size not in (None, total):
        raise _DownloadError(f"offers {total} bytes instead of {file.size}")
    with (
        part.open("ab" if resumed else "wb") as sink,
        tqdm(
            desc=file.name,
            total=total,
            initial=start,
            unit="B",
            unit_scale=True,
            disable=not shows_progress(),
            dynamic_ncols=True,
        ) as bar,
    ):
        for chunk in _chunks(response):
            sink.write(chunk)
            bar.update(len(chunk))
        received = sink.tell()
    if total is not None and received < total:
        reason = f"the connection ended after {received} of {total} bytes"
        raise _DownloadError(reason, transient=True)


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    try:
        # Unlike read(), read1() loses nothing that arrived before a failure.
        yield from iter(partial(response.read1, _CHUNK_BYTES), b"")
    except (OSError, HTTPException) as error:
        raise _lost_connection(error) from error


def _lost_connection(error: Exception) -> _DownloadError:
    reason = error.reason if isinstance(error, URLError) else error
    return _DownloadError(str(reason) or type(reason).__name__, transient=True)
