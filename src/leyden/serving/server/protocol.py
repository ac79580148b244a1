"""HTTP/1.1 on one connection, with a limit of the time for receiving a request."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from leyden.serving.server.errors import RETRY_AFTER, error_body

LINGER = 2.0
"""Seconds in which a client may read an error before its connection is reset."""

PIECE = 2**16
"""Size in bytes from which data is sent without buffering."""


class ResponseTransport:
    """A transport that sends the head and the body of a response together.

    Args:
        transport: The transport of the connection.
        close: Function that closes the connection.
    """

    def __init__(self, transport: asyncio.Transport, *, close: Callable[[], None]) -> None:
        self._transport = transport
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Buffer data, and send it in the next iteration of the event loop unless it is large."""
        if data and not self._parts:
            self._loop.call_soon(self._flush)
        if data:
            self._parts.append(data)
        if len(data) >= PIECE:
            self._flush()

    def write_eof(self) -> None:
        """Send what is buffered, and close this side of the connection."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Close the connection once all has been sent."""
        self._flush()
        self._close()

    def _flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(H11Protocol):
    """uvicorn's protocol, which does not limit the time for receiving headers and bodies.

    It also answers clients that close their side after sending a request, and sends all errors as
    JSON.

    Args:
        config: Configuration of uvicorn.
        server_state: State of uvicorn's server.
        app_state: State of the application.
        timeout: Longest time in seconds for receiving a request or sending a response.
        max_connections: Largest number of open connections.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        timeout: float,
        max_connections: int,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timeout = timeout
        self._max_connections = max_connections
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None
        self._refused = False
        self._connection: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse the connection if there are too many."""
        self._connection = transport
        super().connection_made(
            ResponseTransport(transport, close=self._close)  # type: ignore[arg-type]
        )
        if len(self.connections) > self._max_connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections. Try again later.")
        else:
            self._limit_receiving()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        super().connection_lost(exc)
        _cancel(self._receiving)
        _cancel(self._sending)

    def data_received(self, data: bytes) -> None:
        """Receive a part of a request."""
        if self._refused:
            return  # the rest of a request that was refused
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._limit_receiving()
        else:
            _cancel(self._receiving)
            self._receiving = None

    def eof_received(self) -> bool:  # type: ignore[override]  # None, which closes
        """Keep the connection open until a request that has been received is answered."""
        if self._refused:
            return False
        if self.conn.their_state is h11.SEND_BODY or self._headers_begun:
            self.send_400_response("The request ends before it is complete.")
            return True
        if self.cycle is None or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        return True

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def shutdown(self) -> None:
        """Close the connection, once the request that it has received is answered."""
        if self._refused:
            self._connection.close()
        else:
            super().shutdown()

    def on_response_complete(self) -> None:
        """Limit the time for receiving a request that has begun meanwhile."""
        super().on_response_complete()
        if self._headers_begun:
            self._unset_keepalive_if_required()
            self._limit_receiving()

    def pause_writing(self) -> None:
        """Limit the time in which the client has to read the response."""
        super().pause_writing()
        self._sending = self.loop.call_later(self._timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue the response."""
        super().resume_writing()
        _cancel(self._sending)

    @property
    def _headers_begun(self) -> bool:
        return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def _limit_receiving(self) -> None:
        if self._receiving is None:
            self._receiving = self.loop.call_later(self._timeout, self._end_receiving)

    def _end_receiving(self) -> None:
        self._receiving = None
        if self.conn.their_state is h11.SEND_BODY or self._headers_begun:
            seconds = f"{self._timeout:g} s"
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT, f"Expected the whole request within {seconds}."
            )
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer with an error, and close the connection once the client has read it."""
        if self._refused:
            return
        self._refused = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = error_body(message)
            headers = [
                CLOSE_HEADER,
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ]
            if status is HTTPStatus.SERVICE_UNAVAILABLE:
                headers += [(name.encode(), value.encode()) for name, value in RETRY_AFTER.items()]
            response = h11.Response(status_code=status, headers=headers, reason=status.phrase)
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
            if self.cycle is not None:  # whose application still waits for the request
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        self._linger()

    def _close(self) -> None:
        """Close the connection; a client that still sends has to read the response first."""
        if self.conn.their_state is h11.SEND_BODY and not self._refused:
            self._refused = True
            self._linger()
        else:
            self._connection.close()

    def _linger(self) -> None:
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
