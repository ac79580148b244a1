import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from leyden.data.sets import penguins
from leyden.data.sets.penguins import Penguins
from leyden.data.sources.published import package_folder
from leyden.errors import UserError

HEADER = "species,island,bill_length_mm,body_mass_g,sex,year"


@pytest.fixture
def small_file(tmp_path):
    rows = [
        f"{('Adelie', 'Gentoo')[row % 2]},{('Dream', 'Biscoe')[row % 3 > 1]},{30 + row * 0.7 % 9},"
        f"{'NA' if row == 3 else 3000 + row % 11},{'NA' if row == 3 else 'male'},{2007 + row % 3}"
        for row in range(60)
    ]
    (tmp_path / "web").mkdir()
    file = tmp_path / "web" / "penguins.csv"
    file.write_text("\n".join([HEADER, *rows]))
    return file


def ready(**options):
    data = Penguins(name="penguins", target="species", **options)
    data.prepare_data()
    data.setup()
    return data


def test_a_file_of_the_user_is_read(small_file):
    data = ready(path=str(small_file))

    assert data.class_names == ("Adelie", "Gentoo")
    assert len(data.cached.kept) == 60


def test_it_is_fetched_once_from_a_mirror_that_works(small_file, tmp_path, monkeypatch):
    digest = hashlib.sha256(small_file.read_bytes()).hexdigest()
    monkeypatch.setattr(penguins, "CHECKSUM", f"sha256:{digest}")
    monkeypatch.setattr(penguins, "package_folder", lambda *_: None)
    monkeypatch.setattr("time.sleep", lambda _: None)
    handler = partial(SimpleHTTPRequestHandler, directory=str(small_file.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        mirrors = (f"{address}/gone", address)
        first = ready(mirrors=mirrors, cache_dir=str(tmp_path / "cache"))
        server.shutdown()
    again = ready(mirrors=mirrors, cache_dir=str(tmp_path / "cache"), scaling="quantile")

    assert len(first.cached.kept) == len(again.cached.kept) == 60


def test_a_failed_download_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(penguins, "package_folder", lambda *_: None)
    with pytest.raises(UserError, match="run pip install palmerpenguins, or give data"):
        ready(mirrors=("http://127.0.0.1:9",), cache_dir=str(tmp_path))


@pytest.mark.skipif(
    package_folder("palmerpenguins", "data") is None,
    reason="no penguins: pip install --no-deps palmerpenguins==0.1.6",
)
def test_the_real_data():
    data = ready()

    assert data.class_names == ("Adelie", "Chinstrap", "Gentoo")
    assert len(data.cached.kept) == 344
    report = data.cleaning_report().steps
    assert report["missing_cells"].found == 8
    assert not report["outliers"].found
