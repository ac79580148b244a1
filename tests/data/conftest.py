import csv
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile


@pytest.fixture
def sing():
    """Save a tone: ``sing(path, hertz=440, seconds=0.5, rate=16000, loudness=0.5)``."""

    def save(path, *, hertz=440.0, seconds=0.5, rate=16000, loudness=0.5, channels=1, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
        soundfile.write(path, np.stack([tone] * channels, axis=1), rate, **options)
        return path

    return save


@pytest.fixture
def choir(sing):
    """Save clips of two classes, low and high, no two of which are equal."""

    def save(root, *folders, count=10):
        for folder in folders or ("low", "high"):
            base = 1500 if folder.endswith("high") else 300
            for number in range(count):
                sing(root / folder / f"{number}.wav", hertz=base + 20 * number + len(folder))
        return root

    return save


@pytest.fixture(scope="session")
def write_csv():
    """Write columns of cells as a table; a missing cell is empty."""

    def write(path, columns):
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return path

    return write


@pytest.fixture
def web(tmp_path):
    """Serve the files of a folder, and record the requests."""

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
