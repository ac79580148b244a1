import hashlib
import logging
import os
import pty
import subprocess
import sys
import termios
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from leyden.data.sources.download import RemoteFile, fetch
from leyden.errors import UserError

CONTENT = bytes(range(256)) * 1024
HALF = len(CONTENT) // 2
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
REST = f"bytes={HALF}-"
FETCH = """
import sys
from pathlib import Path
from leyden.data.sources.download import RemoteFile, fetch
fetch(RemoteFile(name="rows.bin", urls=(sys.argv[1],), checksum=sys.argv[2]), Path(sys.argv[3]))
"""


@dataclass
class Mirror:
    """A web server; each request takes the next of its behaviours, and the last one is repeated.

    Moods: an HTTP status, "good", "drop" (sends half), "stall" (sends half and waits), "whole"
    (ignores Range), "shifted" (answers another range), "unsized" (drops without a length).
    """

    moods: list = field(default_factory=lambda: ["good"])
    content: bytes = CONTENT
    ranges: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    url: str = ""
    hold: threading.Event = field(default_factory=threading.Event)

    def answer(self, request):
        mood = self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]
        self.ranges.append(request.headers["Range"])
        if self.start(mood) >= len(self.content):
            mood = 416
        if isinstance(mood, int):
            self.sent.append(0)
            request.send_error(mood)
            return
        start = self.start(mood)
        body = self.content[start:]
        self.send_head(request, mood, start)
        if mood in {"drop", "stall", "unsized"}:
            body = body[: len(body) // 2]
        self.sent.append(len(body))
        request.wfile.write(body)
        if mood == "stall":
            self.hold.wait(3)

    def start(self, mood):
        if mood == "whole" or self.ranges[-1] is None:
            return 0
        start = int(self.ranges[-1].removeprefix("bytes=").removesuffix("-"))
        return start - 1 if mood == "shifted" else start

    def send_head(self, request, mood, start):
        request.send_response(206 if start else 200)
        if start:
            last = len(self.content) - 1
            request.send_header("Content-Range", f"bytes {start}-{last}/{len(self.content)}")
        if mood != "unsized":
            request.send_header("Content-Length", str(len(self.content) - start))
        request.end_headers()


@pytest.fixture
def serve():
    running = []

    def start(*moods, content=CONTENT):
        mirror = Mirror(moods=list(moods) or ["good"], content=content)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.answer(self)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        mirror.url = f"http://127.0.0.1:{server.server_port}/rows.bin"
        running.append((server, mirror))
        return mirror

    yield start
    for server, mirror in running:
        mirror.hold.set()
        server.shutdown()
        server.server_close()


def remote(*mirrors, size=None):
    urls = tuple(mirror.url for mirror in mirrors)
    return RemoteFile(name="rows.bin", urls=urls, checksum=SHA256, size=size)


def quick(file, folder, *, retries=2, timeout=5.0):
    return fetch(file, folder, retries=retries, timeout=timeout, backoff=0.01)


def assert_whole(path, folder):
    assert path == folder / "rows.bin"
    assert path.read_bytes() == CONTENT
    assert [left.name for left in folder.iterdir()] == ["rows.bin"]


def test_fetches_into_a_folder_that_it_makes(serve, tmp_path):
    mirror = serve()
    folder = tmp_path / "new" / "folder"
    assert_whole(quick(remote(mirror, size=len(CONTENT)), folder), folder)
    assert mirror.ranges == [None]


def test_takes_md5_in_capitals_too(serve, tmp_path):
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest().upper()}"
    file = RemoteFile(name="rows.bin", urls=(serve().url,), checksum=checksum)
    assert_whole(quick(file, tmp_path), tmp_path)


def test_a_file_that_is_there_needs_no_request(serve, tmp_path):
    mirror = serve()
    (tmp_path / "rows.bin").write_bytes(CONTENT)
    assert_whole(quick(remote(mirror), tmp_path), tmp_path)
    assert mirror.ranges == []


def test_a_corrupt_file_is_fetched_again(serve, tmp_path):
    (tmp_path / "rows.bin").write_bytes(CONTENT[:-1] + b"?")
    assert_whole(quick(remote(serve()), tmp_path), tmp_path)


@pytest.mark.parametrize("status", [404, 403])
def test_a_mirror_without_the_file_is_asked_once(serve, tmp_path, status):
    first, second = serve(status), serve()
    assert_whole(quick(remote(first, second), tmp_path), tmp_path)
    assert len(first.ranges) == 1


def test_an_unreachable_mirror_is_skipped(serve, tmp_path):
    gone = Mirror(url="http://127.0.0.1:9/rows.bin")
    assert_whole(quick(remote(gone, serve()), tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("moods", "ranges", "sent"),
    [
        (["drop", "good"], [None, REST], [HALF, HALF]),
        (["stall", "good"], [None, REST], [HALF, HALF]),
        (["unsized", "good"], [None, REST], [HALF, HALF]),
        (["drop", "whole"], [None, REST], [HALF, 2 * HALF]),
        (["drop", "shifted", "good"], [None, REST, None], [HALF, HALF + 1, 2 * HALF]),
    ],
    ids=["dropped", "timed-out", "no-length", "ranges-ignored", "other-range"],
)
def test_an_interrupted_download_is_resumed(serve, tmp_path, moods, ranges, sent):
    mirror = serve(*moods)
    file = remote(mirror, size=len(CONTENT))
    assert_whole(quick(file, tmp_path, retries=len(moods) - 1, timeout=0.3), tmp_path)
    assert mirror.ranges == ranges
    assert mirror.sent == sent


@pytest.mark.parametrize(
    ("part", "ranges"),
    [
        (CONTENT, []),
        (CONTENT + b"more", [f"bytes={len(CONTENT) + 4}-", None]),
        (b"of another day", ["bytes=14-", None]),
    ],
    ids=["whole", "too-long", "stale"],
)
def test_a_partial_file_is_resumed_or_replaced(serve, tmp_path, part, ranges):
    mirror = serve()
    (tmp_path / "rows.bin.part").write_bytes(part)
    assert_whole(quick(remote(mirror), tmp_path), tmp_path)
    assert mirror.ranges == ranges


def test_the_next_mirror_continues_what_the_last_one_began(serve, tmp_path):
    first, second = serve("drop", 404), serve()
    assert_whole(quick(remote(first, second), tmp_path), tmp_path)
    assert second.sent == [len(CONTENT) - HALF]


def test_a_wrong_checksum_leads_to_the_next_mirror(serve, tmp_path):
    first, second = serve(content=CONTENT[::-1]), serve()
    assert_whole(quick(remote(first, second), tmp_path), tmp_path)
    assert (first.ranges, second.ranges) == ([None], [None])


def test_a_wrong_size_is_refused_before_the_download(serve, tmp_path):
    first, second = serve(content=CONTENT + b"more"), serve()
    (tmp_path / "rows.bin.part").write_bytes(CONTENT[:HALF])
    assert_whole(quick(remote(first, second, size=len(CONTENT)), tmp_path), tmp_path)
    assert second.sent == [len(CONTENT) - HALF]


def test_busy_twice_then_served_after_growing_pauses(serve, tmp_path, caplog):
    mirror = serve(503, 503, "good")
    started = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert_whole(fetch(remote(mirror), tmp_path, retries=2, backoff=0.1), tmp_path)
    assert time.monotonic() - started >= 0.1 + 0.2
    assert len(mirror.ranges) == 3
    assert "HTTP 503 Service Unavailable; attempt 2 of 3" in caplog.text


def test_all_mirrors_fail(serve, tmp_path):
    mirrors = [serve(404), serve(503), serve("stall"), serve(content=b"a login page")]
    with pytest.raises(UserError) as caught:
        quick(remote(*mirrors), tmp_path, retries=1, timeout=0.1)
    message = str(caught.value)
    assert f"{mirrors[0].url}: HTTP 404 Not Found;" in message
    assert f"{mirrors[1].url}: HTTP 503 Service Unavailable (2 attempts);" in message
    assert f"{mirrors[2].url}: timed out (2 attempts);" in message
    assert f"{mirrors[3].url}: wrong checksum, sha256:" in message
    assert f"by hand to {tmp_path / 'rows.bin'}, or set data.root=PATH" in message
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_is_kept_and_reported_if_all_mirrors_fail(serve, tmp_path):
    (tmp_path / "rows.bin").write_bytes(b"mine")
    with pytest.raises(UserError, match="the file that is there has another checksum"):
        quick(remote(serve(404)), tmp_path)
    assert (tmp_path / "rows.bin").read_bytes() == b"mine"


def test_a_folder_that_cannot_be_written_is_not_the_mirrors_fault(serve, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"Could not write .*file/rows\.bin"):
        quick(remote(serve()), tmp_path / "file")


def test_a_killed_process_is_continued(serve, tmp_path):
    mirror = serve("stall", "good")
    command = [sys.executable, "-c", FETCH, mirror.url, SHA256, str(tmp_path)]
    part = tmp_path / "rows.bin.part"
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 20
        while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -9
        assert process.stderr.read() == b""
    had = part.stat().st_size
    assert not (tmp_path / "rows.bin").exists()
    assert_whole(quick(remote(mirror), tmp_path), tmp_path)
    assert mirror.ranges == [None, f"bytes={had}-"]
    assert mirror.sent[1] == len(CONTENT) - had


def test_progress_is_shown_on_a_terminal(serve, tmp_path):
    mirror = serve()
    command = [sys.executable, "-c", FETCH, mirror.url, SHA256, str(tmp_path)]
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 80))
    subprocess.run(command, check=True, stderr=writer)
    os.close(writer)
    shown = os.read(reader, 65536)
    os.close(reader)
    assert b"rows.bin: 100%" in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [({"name": name}, "plain file") for name in ["", ".", "..", "a/b", "/a", "a/", "..\\a", "C:a"]]
    + [({"urls": (url,)}, "http or https") for url in ["file:///a", "ftp://a/b", "a/b", "http://"]]
    + [({"urls": ("http://a/b", "http://a/b c")}, "without spaces, got 'http://a/b c'")]
    + [({"urls": ()}, "has no mirror")]
    + [({"checksum": "0" * 32}, "'md5:…' or 'sha256:…'")]
    + [({"checksum": "sha-256:" + "0" * 64}, "'md5:…' or 'sha256:…'")]
    + [({"checksum": "md5:00"}, "32 or 64 hexadecimal digits, got 'md5:00'")],
)
def test_a_malformed_description_is_refused(change, message):
    good = {"name": "a", "urls": ("http://a/b",), "checksum": "md5:" + "0" * 32}
    with pytest.raises(UserError, match=message):
        RemoteFile(**good | change)


def test_the_checksum_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    file = RemoteFile(name="a", urls=("http://a/b",), checksum="md5:" + "0" * 32)
    assert file.checksum_of(tmp_path / "a") == "md5:900150983cd24fb0d6963f7d28e17f72"
