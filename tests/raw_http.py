"""Requests over sockets, as no client of HTTP would send them, and many at a time."""

import asyncio
import json
import socket
import time
from contextlib import closing


def connect(server):
    """Return a connection to a server."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def exchange(server, *chunks, ends=False, pause=0.0):
    """Send chunks of bytes over a connection of its own, and return all that comes back.

    Args:
        server: The server.
        chunks: What is sent, one after another.
        ends: Whether to close the own side after that.
        pause: Seconds after each chunk.
    """
    with closing(connect(server)) as connection:
        for chunk in chunks:
            connection.sendall(chunk)
            time.sleep(pause)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def post(body, *headers, length=None, content_type="application/json"):
    """Return a request for predictions; ``length`` is what it says of the body."""
    lines = [
        "POST /v1/predict HTTP/1.1",
        "Host: server",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def status(received):
    """Return the status of a response."""
    return int(received.split(b" ", 2)[1])


def error(received):
    """Return the message of an error."""
    return json.loads(received.partition(b"\r\n\r\n")[2])["error"]["message"]


def responses(received):
    """Return the status, the headers and the body of each response in received bytes."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        length = int(headers["content-length"])
        found.append((status(head), headers, received[:length]))
        received = received[length:]
    return found


class Load:
    """Clients that send a request as soon as they have the answer to the last one.

    Attributes:
        answers: Status and body of each answer.
        lost: Requests that have been sent, and were not answered.
    """

    def __init__(self, server, request, *, clients=16):
        self.answers = []
        self.lost = []
        self._port = server.port
        self._sent = post(json.dumps(request).encode())
        self._clients = clients

    async def run(self, during):
        """Run until a coroutine has ended, or the server accepts no more connections."""
        done = asyncio.Event()
        clients = [asyncio.create_task(self._client(done)) for _ in range(self._clients)]
        await during
        done.set()
        await asyncio.gather(*clients)

    async def _client(self, done):
        while not done.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except ConnectionRefusedError:
                return
            closing = False
            while not (closing or done.is_set()):
                closing = await self._request(reader, writer)
            writer.close()

    async def _request(self, reader, writer):
        """Send a request, and return whether the server closes the connection."""
        writer.write(self._sent)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            body = json.loads(await reader.readexactly(length))
        except (OSError, EOFError) as error:
            self.lost.append(error)
            return True
        self.answers.append((status(head), body))
        return b"connection: close" in head
