import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest


@pytest.fixture
def web(tmp_path):
    """A server of the files in a folder; it notes what is asked of it."""

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, *_):
            server.asked.append(self.path.removeprefix("/"))

        def log_error(self, *_):
            pass

    (tmp_path / "web").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path / "web"))
    server.folder, server.asked = tmp_path / "web", []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
