"""Fetch a published file: from whichever mirror answers, resuming, and never a wrong byte."""

import hashlib
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from leyden.errors import UserError, did_you_mean

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_HEX_DIGITS = {"md5": 32, "sha256": 64}
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206
_TRANSIENT_STATUS = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file that several mirrors publish, byte for byte the same.

    Attributes:
        name: What it is called on disk; a plain file name.
        urls: The mirrors, http or https, best one first.
        checksum: ``"md5:…"`` or ``"sha256:…"``.
        size: In bytes. Known, it exposes a wrong file before that is downloaded.
    """

    name: str
    urls: tuple[str, ...]
    checksum: str
    size: int | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_checksum(self.checksum, of=self.name)
        _check_urls(self.urls, of=self.name)

    @property
    def algorithm(self) -> str:
        """Of the checksum: ``"md5"`` or ``"sha256"``."""
        return self.checksum.partition(":")[0]

    @property
    def digest(self) -> str:
        """Of the whole file, in lower-case hexadecimal."""
        return self.checksum.partition(":")[2].lower()


def fetch(
    file: RemoteFile,
    folder: Path,
    *,
    retries: int = 3,
    timeout: float = 30.0,
    backoff: float = 1.0,
    instead: str = "set data.root=PATH to a folder that holds it",
) -> Path:
    """Return the path of a verified copy in a folder, downloading it where need be.

    What an interrupted download had got is kept as ``NAME.part`` and continued. Processes that
    may fetch the same file at once must hold a lock.

    Args:
        file: What to fetch.
        folder: Where to; made where it is missing.
        retries: Further attempts at one mirror after a failure that may pass.
        timeout: Seconds of silence after which a connection counts as lost.
        backoff: Seconds before the first further attempt; they double with each.
        instead: What else helps where no mirror has the file.

    Raises:
        UserError: No mirror had the file, or the folder cannot be written to.
    """
    target = folder / file.name
    part = folder / f"{file.name}.part"
    try:
        if _is_right(target, file):
            return target
        folder.mkdir(parents=True, exist_ok=True)
        reasons = []
        for url in file.urls:
            try:
                _persist(url, file, part, retries=retries, timeout=timeout, backoff=backoff)
            except _MirrorError as error:
                reasons.append(f"{url}: {error}")
            else:
                part.replace(target)
                return target
    except OSError as error:
        raise UserError(
            f"Could not write {target}: {error.strerror or error}. Free the space or the "
            f"permissions, or set data.cache_dir=PATH to another folder."
        ) from error
    raise UserError(f"{_failure(file, target, reasons)}, or {instead}.")


def digest_file(path: Path, algorithm: str) -> str:
    """Return the checksum of a file of any size, in lower-case hexadecimal.

    Args:
        path: Of the file.
        algorithm: ``"md5"`` or ``"sha256"``.
    """
    return _hash_file(path, algorithm).hexdigest()


class _MirrorError(Exception):
    """This mirror will not do; the next one may."""


class _TransientError(Exception):
    """This attempt failed for a reason that may pass."""


def _is_right(target: Path, file: RemoteFile) -> bool:
    if not target.is_file():
        return False
    if digest_file(target, file.algorithm) == file.digest:
        return True
    log.warning("%s is not %s: it is fetched again", target, file.checksum)
    return False


def _persist(
    url: str, file: RemoteFile, part: Path, *, retries: int, timeout: float, backoff: float
) -> None:
    for attempt in range(1, retries + 2):
        try:
            _download(url, file, part, timeout=timeout)
        except _TransientError as error:
            if attempt > retries:
                raise _MirrorError(f"{error} ({attempt} attempts)") from error
            log.warning("%s: %s; attempt %d of %d", url, error, attempt, retries + 1)
            time.sleep(backoff * 2 ** (attempt - 1))
        else:
            return


def _download(url: str, file: RemoteFile, part: Path, *, timeout: float) -> None:
    """Complete the part from one mirror, or raise and leave a part that is worth continuing."""
    offset = part.stat().st_size if part.exists() else 0
    whole = _hash_file(part, file.algorithm) if offset else _new_hash(file.algorithm)
    if offset and whole.hexdigest() == file.digest:
        return
    with _open(url, offset, timeout) as response:
        resumed = response.status == _PARTIAL_CONTENT
        if not resumed:
            whole = _new_hash(file.algorithm)
        _receive(response, file, part, whole=whole, resumed=resumed)
    if whole.hexdigest() == file.digest:
        return
    part.unlink()
    if resumed:
        # The wrong half may be the older one, from another mirror or another day.
        raise _TransientError("the resumed download has a wrong checksum")
    raise _MirrorError(f"wrong checksum, {file.algorithm}:{whole.hexdigest()}")


def _receive(
    response: HTTPResponse, file: RemoteFile, part: Path, *, whole: "hashlib._Hash", resumed: bool
) -> None:
    """Append the body to the part, or replace the part by it, and update the hash of the whole."""
    total = _total_bytes(response) or file.size
    if file.size not in (None, total):
        raise _MirrorError(f"offers {total} bytes instead of {file.size}")
    with (
        part.open("ab" if resumed else "wb") as sink,
        tqdm(
            desc=file.name,
            total=total,
            initial=sink.tell(),
            unit="B",
            unit_scale=True,
            disable=None,  # shown where stderr is a terminal
        ) as bar,
    ):
        for chunk in _chunks(response):
            sink.write(chunk)
            whole.update(chunk)
            bar.update(len(chunk))
        received = sink.tell()
    if total is not None and received < total:
        raise _TransientError(f"the connection ended after {received} of {total} bytes")


def _open(url: str, offset: int, timeout: float) -> HTTPResponse:
    """Ask for the file from an offset on; the answer is that (206) or the whole file (200)."""
    headers = {"User-Agent": "leyden"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout)  # noqa: S310 (_check_urls)
    except HTTPError as error:
        with error:
            return _answer_status(error, url, offset, timeout)
    except (OSError, HTTPException) as error:
        raise _TransientError(_words(error)) from error
    if not isinstance(response, HTTPResponse):
        response.close()
        raise _MirrorError(f"redirects to {response.url}, which is not http or https")
    if offset and response.status == _PARTIAL_CONTENT and not _starts_at(offset, response):
        response.close()
        return _open(url, 0, timeout)
    return response


def _answer_status(error: HTTPError, url: str, offset: int, timeout: float) -> HTTPResponse:
    if error.code == _RANGE_NOT_SATISFIABLE and offset:
        return _open(url, 0, timeout)
    kind = _TransientError if error.code in _TRANSIENT_STATUS else _MirrorError
    raise kind(f"HTTP {error.code} {error.reason}") from error


def _starts_at(offset: int, response: HTTPResponse) -> bool:
    return response.getheader("Content-Range", "").startswith(f"bytes {offset}-")


def _total_bytes(response: HTTPResponse) -> int | None:
    """Read the size of the whole file from the headers, where they tell it."""
    if response.status == _PARTIAL_CONTENT:
        total = response.getheader("Content-Range", "").rpartition("/")[2]
        return int(total) if total.isdecimal() else None
    return response.length


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            # Unlike read(), read1() loses nothing that had arrived before a failure.
            chunk = response.read1(_CHUNK_BYTES)
        except (OSError, HTTPException) as error:
            raise _TransientError(_words(error)) from error
        if not chunk:
            return
        yield chunk


def _words(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    return str(reason) or type(reason).__name__


def _failure(file: RemoteFile, target: Path, reasons: list[str]) -> str:
    wrong = " (the file that is there has another checksum)" if target.is_file() else ""
    return (
        f"Could not download {file.name!r}, {file.checksum}, from any of its mirrors: "
        f"{'; '.join(reasons)}. Download it by hand to {target}{wrong}"
    )


def _hash_file(path: Path, algorithm: str) -> "hashlib._Hash":
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: _new_hash(algorithm))


def _new_hash(algorithm: str) -> "hashlib._Hash":
    return hashlib.new(algorithm, usedforsecurity=False)


def _check_name(name: str) -> None:
    parts = {PurePosixPath(name).name, PureWindowsPath(name).name}
    if parts != {name} or name in {"", ".."}:
        raise UserError(f"Expected a plain file name for a download, got {name!r}.")


def _check_checksum(checksum: str, *, of: str) -> None:
    algorithm, _, digest = checksum.partition(":")
    if algorithm not in _HEX_DIGITS:
        raise UserError(
            f"The checksum of {of!r} must be 'md5:…' or 'sha256:…', got {checksum!r}."
            f"{did_you_mean(algorithm, _HEX_DIGITS)}"
        )
    if not re.fullmatch(rf"[0-9a-fA-F]{{{_HEX_DIGITS[algorithm]}}}", digest):
        raise UserError(
            f"The {algorithm} checksum of {of!r} must have {_HEX_DIGITS[algorithm]} hexadecimal "
            f"digits, got {digest!r}."
        )


def _check_urls(urls: tuple[str, ...], *, of: str) -> None:
    if not urls:
        raise UserError(f"{of!r} has no mirror: give it at least one http or https URL.")
    for url in urls:
        if not re.fullmatch(r"https?://[!-~]+", url):
            raise UserError(
                f"A mirror of {of!r} must be an http or https URL in ASCII without spaces, "
                f"got {url!r}."
            )
