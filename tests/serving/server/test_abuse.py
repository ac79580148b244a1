"""Requests that no client should send, to one server in a process of its own."""

import gzip
import json
import socket
import struct
import time
import zlib
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from brightness import png
from raw_http import connect, exchange, post, responses, status

pytestmark = pytest.mark.slow

KEY = "the-key"

TIMEOUT = 1.0
"""Seconds in which the server wants a request."""

MAX_BYTES, MAX_ROWS, MAX_PIXELS, MAX_CONNECTIONS = 2**20, 16, 10**6, 40

BOUNDARY = "multipart/form-data; boundary=x"

GROWTH = 1.1
"""Largest factor by which the resident memory may grow."""


def request_line(line, *headers, body=b""):
    """Return a request with another first line."""
    own = ("Host: s", f"X-API-Key: {KEY}", "Connection: close")
    return "\r\n".join([line, *own, *headers, "", ""]).encode() + body


def predict(body, *headers, **other):
    """Return a request for predictions, with the key, after which the server may close."""
    return post(body, f"X-API-Key: {KEY}", "Connection: close", *headers, **other)


def rows(*given, **members):
    """Return a request for predictions of JSON rows."""
    return predict(json.dumps({"inputs": given, **members}).encode())


def image(content):
    """Return a request for the prediction of the content of an image file in JSON."""
    return rows({"image": b64encode(content).decode()})


def form(*parts):
    """Return a multipart request of parts with their headers."""
    body = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"
    return predict(body, content_type=BOUNDARY)


def upload(content, *, name="a.png"):
    """Return a part of a multipart request that is a file."""
    head = f'Content-Disposition: form-data; name="a"; filename="{name}"\r\n\r\n'
    return head.encode() + content


def chunked(*chunks):
    """Return a request for predictions whose body comes in chunks, as they are given."""
    headers = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    return request_line("POST /v1/predict HTTP/1.1", *headers, body=b"".join(chunks))


def chunk(content):
    """Return a chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(content), content)


def png_of(width, height, data=b"", *, extra=b""):
    """Return a grey PNG file whose header states a size, whatever its data are."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = _png_chunk(b"IHDR", header) + extra + _png_chunk(b"IDAT", data) + _png_chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + parts


def _png_chunk(kind, data=b""):
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def encoded(form, **options):
    """Return an image file of noise."""
    file = BytesIO()
    Image.effect_noise((64, 64), 90).save(file, form, **options)
    return file.getvalue()


def enlarged(file, at, form, *size):
    """Return an image file whose header states another size."""
    written = struct.pack(form, *size)
    return file[:at] + written + file[at + len(written) :]


GOOD = png([[0, 255], [255, 0]])

GOOD_ROW = {"image": b64encode(GOOD).decode()}

GOOD_BODY = json.dumps({"inputs": [GOOD_ROW]}).encode()

HUGE = (65535, 65535)

ZEROS = zlib.compress(bytes(10**7), 9)

FILES = {
    "an empty file": b"",
    "a text": b"no image",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF",
    "PDF": b"%PDF-1.7\n%%EOF",
    "ZIP": b"PK\x03\x04" + bytes(100),
    "compressed PNG": gzip.compress(GOOD),
    "PNG bomb": png_of(30_000, 30_000, ZEROS),
    "PNG of 2^31 pixels": png_of(2**31 - 1, 2**31 - 1, ZEROS),
    "PNG of no pixels": png_of(0, 0, ZEROS),
    "PNG beyond the limit": png_of(1001, 1000, ZEROS),
    "PNG without data": png_of(8, 8),
    "PNG with bad data": png_of(8, 8, b"nonsense"),
    "PNG with a text bomb": png_of(
        *(8, 8, zlib.compress(bytes(72))), extra=_png_chunk(b"zTXt", b"a\0\0" + ZEROS * 20)
    ),
    "truncated PNG": encoded("PNG")[:-1000],
    "PNG cut in its header": GOOD[:20],
    "WebP bomb": enlarged(encoded("WebP", lossless=True), 21, "<I", 2**28 - 1),
    "truncated WebP": encoded("WebP")[:-500],
    "JPEG bomb": enlarged(encoded("JPEG"), encoded("JPEG").index(b"\xff\xc0") + 5, ">HH", *HUGE),
    "truncated JPEG": encoded("JPEG")[:300],
    "GIF bomb": enlarged(encoded("GIF"), 6, "<HH", *HUGE),
    "truncated GIF": encoded("GIF")[:900],
    "truncated BMP": encoded("BMP")[:60],
    "BMP of negative size": enlarged(encoded("BMP"), 18, "<ii", -64, 64),
    "BMP bomb": enlarged(encoded("BMP"), 18, "<ii", *HUGE),
    "truncated TIFF": encoded("TIFF")[:40],
    "TIFF with a loop": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
}
"""Files that are not images, or not fit to be decoded."""

SENT = {
    # what is not HTTP
    "nonsense": (b"nonsense\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(300), 400),
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", 400),
    "no Host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (request_line("GET /healthz HTTP/1.1", "Host: other"), 400),
    "a header without a colon": (request_line("GET /healthz HTTP/1.1", "nonsense"), 400),
    "a header with NUL": (request_line("GET /healthz HTTP/1.1", "X: a\0b"), 400),
    "a long path": (request_line(f"GET /{'a' * 500_000} HTTP/1.1"), 400),
    "a path that is just short enough": (request_line(f"GET /{'a' * 60_000} HTTP/1.1"), 404),
    "a long header": (request_line("GET /healthz HTTP/1.1", f"X: {'a' * 500_000}"), 400),
    "many headers": (request_line("GET /healthz HTTP/1.1", *["X: y"] * 100_000), 400),
    "Content-Length that is no number": (predict(b"{}", length="x"), 400),
    "negative Content-Length": (predict(b"{}", length=-2), 400),
    "two Content-Lengths": (predict(b"{}", "Content-Length: 3"), 400),
    "Content-Length of 30 digits": (predict(b"{}", length="9" * 30), 400),
    "Content-Length of 19 digits": (predict(b"{}", length="9" * 19), 413),
    "unknown Transfer-Encoding": (chunked().replace(b"chunked", b"gzip"), 400),
    "a chunk without a size": (chunked(b"x\r\n"), 400),
    "a chunk of negative size": (chunked(b"-1\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk of 2^64 bytes": (chunked(b"10000000000000000\r\n" + b"a" * 2 * MAX_BYTES), 413),
    "chunks above the limit": (chunked(chunk(b" " * 2**16) * 20), 413),
    "many small chunks": (chunked(chunk(b" ") * 50_000, b"0\r\n\r\n"), 400),
    "a long extension of a chunk": (chunked(b"1;" + b"a" * 100_000), 400),
    "a long trailer": (chunked(chunk(b"{}"), b"0\r\nX: " + b"a" * 100_000), 400),
    # paths, methods and keys
    "unknown method": (request_line("BREW /v1/predict HTTP/1.1"), 405),
    "method in lower case": (request_line("get /healthz HTTP/1.1"), 405),
    "CONNECT": (request_line("CONNECT server:80 HTTP/1.1"), 404),
    "TRACE": (request_line("TRACE /v1/predict HTTP/1.1"), 405),
    "PUT": (request_line("PUT /v1/predict HTTP/1.1", "Content-Length: 2", body=b"{}"), 405),
    "GET of predictions": (request_line("GET /v1/predict HTTP/1.1"), 405),
    "OPTIONS": (request_line("OPTIONS * HTTP/1.1"), 404),
    "a body where none belongs": (
        request_line("GET /v1/model HTTP/1.1", f"Content-Length: {MAX_BYTES + 1}"),
        413,
    ),
    "another scheme": (request_line("GET ftp://s/healthz HTTP/1.1"), 404),
    "a path out of the root": (request_line("GET /../../etc/passwd HTTP/1.1"), 404),
    "an encoded path out of the root": (request_line("GET /%2e%2e/%2fetc HTTP/1.1"), 404),
    "a path of broken UTF-8": (request_line("GET /%ff%00 HTTP/1.1"), 404),
    "no key": (post(GOOD_BODY, "Connection: close"), 401),
    "a wrong key": (post(GOOD_BODY, "X-API-Key: wrong", "Connection: close"), 401),
    "a key that is not ASCII": (post(GOOD_BODY, "X-API-Key: \u00fc", "Connection: close"), 401),
    "a long key": (post(GOOD_BODY, f"X-API-Key: {'a' * 50_000}", "Connection: close"), 401),
    "a basic key": (post(GOOD_BODY, f"Authorization: Basic {KEY}", "Connection: close"), 401),
    # content types and encodings
    "no content type": (predict(b"", content_type=""), 415),
    "a text": (predict(b"x", content_type="text/plain"), 415),
    "an image as the body": (predict(GOOD, content_type="image/png"), 415),
    "a form in a URL": (predict(b"a=b", content_type="application/x-www-form-urlencoded"), 415),
    "two content types": (predict(GOOD_BODY, content_type="application/json, text/html"), 415),
    "gzip bomb": (predict(gzip.compress(bytes(10**8)), "Content-Encoding: gzip"), 415),
    "brotli": (predict(b"x", "Content-Encoding: br"), 415),
    "gzip that is not said": (predict(gzip.compress(GOOD_BODY)), 400),
    "UTF-16": (
        predict('{"inputs": []}'.encode("utf-16"), content_type="application/json; charset=utf-16"),
        400,
    ),
    "invalid UTF-8": (predict(b'{"inputs": ["\xff"]}'), 400),
    # JSON
    "an empty body": (predict(b""), 400),
    "NaN": (predict(b'{"inputs": [{"image": NaN}]}'), 400),
    "Infinity": (predict(b'{"inputs": [{"image": -Infinity}]}'), 400),
    "a comma at the end": (predict(b'{"inputs": [],}'), 400),
    "JSON that ends early": (predict(GOOD_BODY[:-2]), 400),
    "two values": (predict(GOOD_BODY * 2), 400),
    "a control character": (predict(b'{"inputs": ["\x01"]}'), 400),
    "deep arrays": (predict(b'{"inputs": ' + b"[" * 500_000), 400),
    "deep objects": (predict(b'{"a":' * 100_000), 400),
    "a deep row": (predict(b'{"inputs": [' + b"[" * 900 + b"]" * 900 + b"]}"), 422),
    "a number of 100,000 digits": (predict(b'{"inputs": [' + b"9" * 100_000 + b"]}"), 400),
    "a duplicate key": (predict(b'{"inputs": [], "inputs": []}'), 400),
    "a duplicate key in a row": (predict(b'{"inputs": [{"image": "", "image": ""}]}'), 400),
    "100,000 keys": (
        rows({str(number): number for number in range(60_000)}),
        422,
    ),
    "an array": (predict(b"[]"), 422),
    "null": (predict(b"null"), 422),
    "no inputs": (predict(b"{}"), 422),
    "inputs that are an object": (predict(b'{"inputs": {}}'), 422),
    "an unknown member": (rows(GOOD_ROW, input=1), 422),
    "a surrogate as a key": (predict(b'{"\\ud800": 1, "inputs": []}'), 422),
    "a surrogate as a key of a row": (predict(b'{"inputs": [{"\\ud800": 1}]}'), 422),
    "a surrogate": (predict(b'{"inputs": [{"image": "\\ud800"}]}'), 422),
    "NUL": (predict(b'{"inputs": [{"image": "\\u0000"}]}'), 422),
    "top below 0": (rows(GOOD_ROW, top=-1), 422),
    "top that is infinite": (predict(b'{"inputs": [], "top": 1e999}'), 422),
    "top that is a text": (rows(GOOD_ROW, top="5"), 422),
    "too many rows": (rows(*[GOOD_ROW] * (MAX_ROWS + 1)), 413),
    "a number for a row": (rows(GOOD_ROW, 1), 422),
    "a row without its key": (rows({"images": ""}), 422),
    "a number for an image": (rows({"image": 1}), 422),
    "broken base64": (rows({"image": "a"}), 422),
    "base64 that is not ASCII": (rows({"image": "\u00fc" * 8}), 422),
    "a URL for an image": (rows({"image": "file:///etc/passwd"}), 422),
    # forms
    "no boundary": (predict(b"--x--", content_type="multipart/form-data"), 400),
    "a long boundary": (
        predict(b"--x--", content_type=f"multipart/form-data; boundary={'a' * 50_000}"),
        400,
    ),
    "another boundary": (predict(b"--y\r\n\r\n\r\n--y--", content_type=BOUNDARY), 400),
    "an empty form": (form(), 422),
    "a form without an end": (predict(b"--x\r\n" + upload(GOOD), content_type=BOUNDARY), 422),
    "a form with a misspelt field": (
        form(upload(GOOD), b'Content-Disposition: form-data; name="tpo"\r\n\r\n1'),
        422,
    ),
    "a form without a file": (form(b'Content-Disposition: form-data; name="top"\r\n\r\n5'), 422),
    "a part without a name": (form(b"X: y\r\n\r\n"), 400),
    "a part with a long header": (form(b"X: " + b"a" * 100_000 + b"\r\n\r\n"), 400),
    "a part with many headers": (form(b"X: y\r\n" * 20_000 + b"\r\n"), 400),
    "10,000 fields": (
        form(*[b'Content-Disposition: form-data; name="a"\r\n\r\n'] * 10_000),
        400,
    ),
    "5,000 files": (form(*[upload(b"")] * 5000), 400),
    "a long field": (
        form(b'Content-Disposition: form-data; name="top"\r\n\r\n' + b"9" * 900_000),
        422,
    ),
    "nested multipart": (
        form(
            b'Content-Disposition: form-data; name="a"\r\n'
            b"Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n\r\n--y--"
        ),
        422,
    ),
    "a form with a wrong top": (
        form(upload(GOOD), b'Content-Disposition: form-data; name="top"\r\n\r\nfive'),
        422,
    ),
    "too many files": (form(*[upload(GOOD)] * (MAX_ROWS + 1)), 400),
    "a file named as a path": (form(upload(b"x", name="../../etc/passwd")), 422),
    "a file with a long name": (form(upload(b"x", name="a" * 5000)), 400),
    **{f"{name} in JSON": (image(content), 422) for name, content in FILES.items()},
    **{f"{name} in a form": (form(upload(content)), 422) for name, content in FILES.items()},
}
"""Bytes that are sent over a connection, and the status that they are answered with."""


def send(*chunks, **options):
    """Return a client that sends chunks over one connection, as ``exchange`` does."""
    return lambda server: exchange(server, *chunks, **options)


def many(count, *chunks, reset=False):
    """Return a client that opens many connections, and drops them once it has sent chunks."""

    def client(server):
        with ExitStack() as stack:
            for _ in range(count):
                connection = stack.enter_context(connect(server))
                if reset:  # instead of an orderly end
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                for chunk in chunks:
                    connection.sendall(chunk)
        return b""

    return client


def overcrowd(server):
    """Open more connections than the server takes, and return the answer to the last one."""
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(connect(server))
        return exchange(server)


KEPT = post(GOOD_BODY, f"X-API-Key: {KEY}")

LAST = predict(GOOD_BODY)

HEAD = request_line("POST /v1/predict HTTP/1.1", "Content-Type: application/json")[:-2]

CLIENTS = {
    "slow headers": (send(HEAD[:60]), [408]),
    "trickling headers": (send(HEAD, *[b"X: y\r\n"] * 8, pause=0.2), [408]),
    "a slow body": (send(predict(b"{", length=100)), [408]),
    "a trickling body": (send(predict(b"", length=100), *[b" "] * 8, pause=0.2), [408]),
    "slow chunks": (send(chunked(), *[chunk(b" ")] * 8, pause=0.2), [408]),
    "HTTP/2": (send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), [401, 400]),
    "silence": (send(), []),
    "a slow second request": (send(KEPT, HEAD[:60]), [200, 408]),
    "half of the headers": (send(HEAD, ends=True), [400]),
    "half of a body": (send(predict(b"{", length=100), ends=True), [400]),
    "half of a chunk": (send(chunked(b"5\r\n{}"), ends=True), [400]),
    "chunks without a last one": (send(chunked(chunk(b"{}")), ends=True), [400]),
    "a half-closed connection": (send(KEPT, ends=True), [200]),
    "nothing": (send(ends=True), []),
    "a body without its length": (send(HEAD + b"\r\n" + GOOD_BODY), [400]),
    "a Content-Length that is too short": (send(predict(GOOD_BODY, length=5)), [400]),
    "a body that is too long": (send(KEPT + b"nonsense\r\n\r\n"), [200, 400]),
    "a refused body that is awaited": (
        send(predict(b"", "Expect: 100-continue", length=10**9)),
        [413],
    ),
    "pipelined requests": (send(KEPT * 50 + LAST), [200] * 51),
    "pipelined requests, one of them bad": (
        send(KEPT + post(b"[]", f"X-API-Key: {KEY}") + LAST),
        [200, 422, 200],
    ),
    "pipelined requests behind an upload that is refused": (
        send(post(b"", f"X-API-Key: {KEY}", length=MAX_BYTES + 1) + bytes(MAX_BYTES)),
        [413],
    ),
    "too many connections": (overcrowd, [503]),
    "connections without requests": (many(30), []),
    "connections that are dropped": (many(30, KEPT), []),
    "connections that are reset": (many(30, KEPT, reset=True), []),
    "uploads that are reset": (many(30, predict(b" " * 50_000, length=10**6), reset=True), []),
    "pipelines that are reset": (many(10, KEPT * 20, reset=True), []),
}
"""Clients, which return all that they receive, and the statuses of the responses in that."""


def unexpected(server, client, statuses):
    """Return what is wrong with the responses to a client, or with that to a good request."""
    try:
        answered = responses(client(server))
        for code, headers, body in answered:
            if code >= 400:
                assert headers["content-type"] == "application/json", headers
                assert json.loads(body)["error"]["message"], body
            if code == 503:
                assert "retry-after" in headers, headers
        assert [code for code, _, _ in answered] == statuses, answered
        ((code, _, body),) = responses(exchange(server, LAST))
        assert code == 200, body
        assert json.loads(body)["predictions"][0]["class"], body
    except (AssertionError, OSError, ValueError, LookupError) as error:
        return f"{type(error).__name__}: {error!s:.500}"
    return None


def held(server):
    """Return the resident memory of a server in MiB, and its numbers of files and threads."""
    process = Path("/proc", str(server.process.pid))
    resident = (process / "status").read_text().split("VmRSS:")[1].split()[0]
    files, threads = (len(list((process / kind).iterdir())) for kind in ("fd", "task"))
    return int(resident) / 1024, files, threads


def warm_up(server):
    """Send good requests of all formats, and so many that all threads begin."""
    files = [encoded(name) for name in ("PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF")]
    padded = [file + bytes(MAX_BYTES - len(file) - 200) for file in files]
    sent = [form(upload(file)) for file in padded] + [image(file) for file in files]
    with ThreadPoolExecutor(8) as pool:
        for received in pool.map(partial(exchange, server), sent * 4):
            assert status(received) == 200, received


@pytest.fixture(scope="module")
def guarded(start_server, exported):
    """Return a server with a key and small limits."""
    return start_server(
        f"export={exported}",
        f"timeout={TIMEOUT}",
        f"max_bytes={MAX_BYTES}",
        f"max_rows={MAX_ROWS}",
        f"max_pixels={MAX_PIXELS}",
        f"max_connections={MAX_CONNECTIONS}",
        LEYDEN_API_KEYS=KEY,
    )


def test_bad_requests_are_refused_and_leave_nothing_behind(guarded):
    warm_up(guarded)
    resident, files, threads = held(guarded)

    wrong = {}
    for name, (sent, code) in SENT.items():
        wrong[name] = unexpected(guarded, send(sent), [code])
    for name, (client, statuses) in CLIENTS.items():
        wrong[name] = unexpected(guarded, client, statuses)
    time.sleep(3)

    failures = [f"{name}: {reason}" for name, reason in wrong.items() if reason]
    assert not failures, "\n".join(failures)
    assert guarded.process.poll() is None
    assert not [each for each in guarded.messages if "traceback" in each]
    assert held(guarded)[0] < GROWTH * resident
    assert held(guarded)[1:] == (files, threads)
