import gzip
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from leyden.data.image.cleaning import ImageCleaning
from leyden.data.sets import fashion_mnist
from leyden.data.sets.fashion_mnist import (
    CHECKSUMS,
    MIRRORS,
    SYSTEM_FOLDER,
    FashionMNIST,
    read_idx,
)
from leyden.data.splits import HoldOut
from leyden.errors import UserError

UNZIPPED = {
    "train-images-idx3-ubyte.gz": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte.gz": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte.gz": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte.gz": "15d484375f8d13e6eb1aabb0c3f46965",
}


def idx(array, *, magic=None):
    """Write an array as an IDX file in memory."""
    header = [magic if magic is not None else 0x0800 + array.ndim, *array.shape]
    return b"".join(number.to_bytes(4, "big") for number in header) + array.tobytes()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def write_files(folder, *, train=30, test=10, seed=0, size=(28, 28)):
    """Write four files in the published format, and return their checksums."""
    random = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    checksums = {}
    for prefix, rows in (("train", train), ("t10k", test)):
        images = random.integers(0, 256, (rows, *size), dtype=np.uint8)
        labels = np.arange(rows, dtype=np.uint8) % 10
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            name = f"{prefix}-{kind}-ubyte.gz"
            (folder / name).write_bytes(gzip.compress(idx(array)))
            checksums[name] = f"md5:{md5((folder / name).read_bytes())}"
    return checksums


@pytest.fixture
def web(tmp_path, monkeypatch):
    """Mirror of tiny files without any local copy; it records the requests."""
    folder = tmp_path / "web"
    checksums = write_files(folder)
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, *_):
            asked.append(self.path.removeprefix("/"))
            time.sleep(0.01)  # leave others the time to ask for the same

        def log_error(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(fashion_mnist, "CHECKSUMS", checksums)
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", tmp_path / "missing")
    server.folder, server.asked, server.checksums = folder, asked, checksums
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


def ready(**options):
    data = FashionMNIST(**{"name": "fashion", "splitter": HoldOut(val_fraction=0.4)} | options)
    data.prepare_data()
    data.setup()
    return data


@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 2, 3), (0, 28, 28)])
def test_an_idx_file_is_read_as_it_was_written(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(array)))

    got = read_idx(tmp_path / "a.gz")

    assert (got.shape, got.dtype) == (shape, np.uint8)
    assert np.array_equal(got, array)


WHOLE = idx(np.arange(12, dtype=np.uint8).reshape(3, 4))
ZIPPED = gzip.compress(WHOLE)
SPOILT = bytearray(ZIPPED)
SPOILT[12] ^= 0xFF


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "cannot be read", id="missing"),
        pytest.param(b"", "is not an IDX file", id="empty"),
        pytest.param(WHOLE, "cannot be read", id="not zipped"),
        pytest.param(ZIPPED[:-12], "cannot be read", id="truncated"),
        pytest.param(bytes(SPOILT), "cannot be read", id="spoilt"),
        pytest.param(gzip.compress(WHOLE[:-1]), "holds 11 values, .* states 12", id="too few"),
        pytest.param(gzip.compress(WHOLE + b"x"), "holds 13 values, .* states 12", id="too many"),
        pytest.param(gzip.compress(WHOLE[:10]), "values, but", id="torn header"),
        pytest.param(gzip.compress(WHOLE[:2]), "is not an IDX file", id="torn magic"),
        pytest.param(gzip.compress(b"\0\0\x0d\2" + WHOLE[4:]), "is not an IDX file", id="floats"),
        pytest.param(gzip.compress(b"\0\0\x08\0"), "is not an IDX file", id="no dimension"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.gz").write_bytes(content)

    with pytest.raises(UserError, match=message) as caught:
        read_idx(tmp_path / "a.gz")

    assert str(tmp_path / "a.gz") in str(caught.value)


def test_files_are_fetched_once_and_kept(web, tmp_path):
    options = {"mirrors": (f"{web.url}/",), "cache_dir": str(tmp_path / "cache")}

    data = ready(**options)
    again = ready(**options, cleaning=ImageCleaning(leakage=False))

    assert sorted(web.asked) == sorted(CHECKSUMS)
    assert again.cached.path != data.cached.path
    assert data.row_numbers("test").tolist() == list(range(30, 40))
    assert len(data.row_numbers("train")) + len(data.row_numbers("val")) == 30
    images = read_idx(web.folder / "t10k-images-idx3-ubyte.gz")
    assert np.array_equal(data.cached.arrays["images"][30:, 0], images)


def test_the_second_mirror_is_used_if_the_first_fails(web, tmp_path):
    data = ready(mirrors=(f"{web.url}/gone", web.url), cache_dir=str(tmp_path / "cache"))

    assert len(data.cached.kept) == 40
    assert sum(path.startswith("gone/") for path in web.asked) == 4


def test_a_mirror_with_other_bytes_is_refused(web, tmp_path):
    write_files(web.folder, seed=1)

    with pytest.raises(UserError, match="wrong checksum"):
        ready(mirrors=(web.url,), cache_dir=str(tmp_path / "cache"))


def test_runs_with_other_settings_fetch_together_once(web, tmp_path):
    runs = [
        FashionMNIST(
            name="fashion",
            mirrors=(web.url,),
            cache_dir=str(tmp_path / "cache"),
            cleaning=ImageCleaning(duplicates=duplicates, leakage=leakage),
        )
        for duplicates in (True, False)
        for leakage in (True, False)
    ]

    with ThreadPoolExecutor(len(runs)) as threads:
        list(threads.map(FashionMNIST.prepare_data, runs))

    assert sorted(web.asked) == sorted(CHECKSUMS)


def test_the_folder_of_the_system_is_used_without_asking_the_web(web, tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", web.folder)

    assert len(ready(cache_dir=str(tmp_path / "cache")).cached.kept) == 40
    assert web.asked == []


def test_files_of_a_root_are_read_unverified(tmp_path):
    for seed, name in enumerate(("one", "two")):
        write_files(tmp_path / name, seed=seed)

    one, two = (ready(root=str(tmp_path / name)) for name in ("one", "two"))

    assert one.cached.path != two.cached.path
    assert one.cached.fingerprint != two.cached.fingerprint


def test_a_root_that_lacks_files_is_an_error_that_names_them(tmp_path):
    write_files(tmp_path / "root")
    (tmp_path / "root/t10k-labels-idx1-ubyte.gz").unlink()

    with pytest.raises(UserError, match=r"lacks t10k-labels-idx1-ubyte\.gz\. Give"):
        ready(root=str(tmp_path / "root"))


@pytest.mark.parametrize("fault", ["size", "count", "swapped"])
def test_a_root_of_other_files_is_an_error(tmp_path, fault):
    root = tmp_path / "root"
    write_files(root, size=(32, 32) if fault == "size" else (28, 28))
    labels = root / "train-labels-idx1-ubyte.gz"
    if fault == "count":
        labels.write_bytes(gzip.compress(idx(np.zeros(29, np.uint8))))
    if fault == "swapped":
        labels.rename(root / "x")
        (root / "train-images-idx3-ubyte.gz").rename(labels)
        (root / "x").rename(root / "train-images-idx3-ubyte.gz")

    with pytest.raises(UserError, match="expected as many labels as images of 28x28"):
        ready(root=str(root))


def test_mirrors_and_checksums_are_complete():
    assert set(CHECKSUMS) == set(UNZIPPED)
    assert len(MIRRORS) == 2


needs_the_real_data = pytest.mark.skipif(
    not all((SYSTEM_FOLDER / name).is_file() for name in CHECKSUMS),
    reason=f"{SYSTEM_FOLDER} is missing: apt-get install dataset-fashion-mnist",
)


@needs_the_real_data
@pytest.mark.parametrize("name", UNZIPPED)
def test_the_real_files_are_the_published_ones(name):
    assert md5(gzip.decompress((SYSTEM_FOLDER / name).read_bytes())) == UNZIPPED[name]


@needs_the_real_data
def test_the_real_data_keep_their_official_test_split():
    data = ready(splitter=HoldOut(val_fraction=0.05))

    cached, report = data.cached, data.cached.cleaning_report()
    test = data.row_numbers("test")
    assert len(cached.targets) == report.items_read == 70_000
    assert test.tolist() == list(range(60_000, 70_000))
    assert np.bincount(cached.targets[test]).tolist() == [1000] * 10
    assert np.bincount(cached.targets[:60_000]).tolist() == [6000] * 10
    assert report.rows_kept == 70_000 - sum(step.dropped for step in report.steps.values())
    assert report.rows_kept > 69_900
    assert data.statistics["mean"].item() == pytest.approx(0.286, abs=0.001)
    assert data.statistics["std"].item() == pytest.approx(0.353, abs=0.001)
    assert len(data.row_numbers("val")) == pytest.approx(3000, abs=200)
