"""Running the server: its socket, and the signals that reload or stop it."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from math import ceil
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.flow_control import CLOSE_HEADER

from leyden.errors import describe
from leyden.serving.server.app import create_app
from leyden.serving.server.keys import read_keys
from leyden.serving.server.listener import listen, refuse_new_connections
from leyden.serving.server.loading import load_service
from leyden.serving.server.logs import log_as_json
from leyden.serving.server.metrics import Metrics
from leyden.serving.server.options import Options
from leyden.serving.server.protocol import Protocol
from leyden.serving.server.service import Service

LOG = logging.getLogger(__name__)

GRACE = 1.0
"""Seconds after SIGTERM in which new connections are still answered."""

LAST = 0.3
"""Seconds after that in which connections that have begun are still accepted."""


def serve(folder: Path, options: Options, *, announce: Callable[[str], None]) -> None:
    """Serve an exported network until SIGTERM or SIGINT.

    SIGTERM and SIGINT (Ctrl-C) stop the server once all requests are answered. SIGHUP loads the
    folder again.

    Args:
        folder: Folder that ``leyden export`` wrote.
        options: Address and limits.
        announce: Called with the URL of the server once it listens.

    Raises:
        UserError: If the network or the keys cannot be loaded, or the address cannot be used.
    """
    metrics = Metrics()
    load = partial(
        load_service,
        folder,
        options=options,
        pool=ThreadPoolExecutor(os.cpu_count(), "decoding"),
        observe_batch=metrics.batch_rows.observe,
    )
    keys = read_keys(options.keys)
    app = create_app(load(), metrics=metrics, options=options, keys=keys)
    with listen(options.host, options.port) as listener:
        log_as_json()
        address, port = listener.getsockname()[:2]
        if not keys and not ip_address(address).is_loopback:
            LOG.warning("No API keys are set: anyone who can reach %s can send requests", address)
        url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
        Server(app, listener, options=options, load=load, on_start=partial(announce, url)).run(
            sockets=[listener]
        )


class Server(uvicorn.Server):
    """uvicorn's server, with handlers of signals that lose no request.

    Args:
        app: The application, whose ``state`` is changed by signals.
        listener: Socket that accepts connections.
        options: Limits.
        load: Loads the service again.
        on_start: Called once requests are answered and signals are handled.
    """

    def __init__(
        self,
        app: FastAPI,
        listener: socket.socket,
        *,
        options: Options,
        load: Callable[[], Service],
        on_start: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(  # type: ignore[arg-type]  # is called as the class is
                    Protocol, timeout=options.timeout, max_connections=options.max_connections
                ),
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=ceil(options.timeout),
            )
        )
        self._app = app
        self._listener = listener
        self._load = load
        self._on_start = on_start
        self._reloading: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections."""
        await super().startup(sockets)
        self._on_start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals in the event loop."""
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGTERM: self._drain,
            signal.SIGINT: self._drain,
            signal.SIGHUP: self._reload,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        yield

    def _drain(self) -> None:
        """Stop after answering all requests with ``Connection: close``; at once when repeated."""
        if self._app.state.draining:
            self.should_exit = self.force_exit = True
            return
        LOG.info("Draining")
        self._app.state.draining = True
        self.config.encoded_headers.append(CLOSE_HEADER)
        self.server_state.default_headers.append(CLOSE_HEADER)
        asyncio.get_running_loop().call_later(GRACE, self._stop)

    def _stop(self) -> None:
        """Accept the last connections, then close those that are idle, and wait for the others."""
        refuse_new_connections(self._listener)
        asyncio.get_running_loop().call_later(LAST, setattr, self, "should_exit", True)  # noqa: FBT003

    def _reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._replace_service())

    async def _replace_service(self) -> None:
        """Replace the service, or keep the old one if the new one does not answer its example."""
        try:
            self._app.state.service = await asyncio.to_thread(self._load)
        except Exception as error:  # noqa: BLE001  # of any type: the old service stays
            LOG.error("The network is not replaced: %s", describe(error))  # noqa: TRY400
        else:
            LOG.info("The network is replaced.", extra={"fields": self._app.state.service.model})
