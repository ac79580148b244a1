import hashlib
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from leyden.data.sets import speech_commands
from leyden.data.sets.speech_commands import SpeechCommands
from leyden.data.sources.download import RemoteFile
from leyden.data.splits import KFold
from leyden.errors import UserError

NAME = "speech_commands_v0.02.tar.gz"


@pytest.fixture
def words(tmp_path, sing):
    """Unpack a tiny archive: two words by ten speakers, two of them in each official list."""
    folder = tmp_path / "words"
    for index, word in enumerate(("yes", "no")):
        for speaker in range(10):
            path = folder / word / f"{speaker:08x}_nohash_0.wav"
            sing(path, hertz=300 + 500 * index + 20 * speaker, rate=16000, seconds=0.4)
    sing(folder / "_background_noise_/pink.wav", hertz=50)
    for name, speakers in {"validation": (0, 1), "testing": (2, 3)}.items():
        clips = [f"{word}/{s:08x}_nohash_0.wav\n" for word in ("yes", "no") for s in speakers]
        (folder / f"{name}_list.txt").write_text("".join(clips))
    (folder / "README.md").write_text("Speech Commands")
    return folder


@pytest.fixture
def archive(words, tmp_path):
    (tmp_path / "web").mkdir()
    with tarfile.open(tmp_path / "web" / NAME, "w:gz") as tar:
        tar.add(words, arcname=".")
    return tmp_path / "web" / NAME


@pytest.fixture
def web(archive, monkeypatch):
    """Serve the archive locally, and record the requests."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, *_):
            asked.append(self.path)

        def log_error(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=archive.parent))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    remote = RemoteFile(
        name=NAME,
        urls=(f"http://127.0.0.1:{server.server_port}/{NAME}",),
        checksum=f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}",
    )
    monkeypatch.setattr(speech_commands, "ARCHIVE", remote)
    yield asked
    server.shutdown()
    server.server_close()


def ready(**options):
    data = SpeechCommands(**{"name": "words", "seconds": 0.5} | options)
    data.prepare_data()
    data.setup()
    return data


def assert_is_whole(data):
    names = np.array((data.cached.path / "sources.txt").read_text().splitlines())
    speakers = {
        split: {name[-14] for name in names[data.row_numbers(split)]} for split in ("val", "test")
    }
    assert data.spec.class_names == ("no", "yes")
    assert [len(data.row_numbers(split)) for split in ("train", "val", "test")] == [12, 4, 4]
    assert speakers == {"val": {"0", "1"}, "test": {"2", "3"}}


def test_the_archive_is_fetched_once_and_its_lists_are_kept(web, tmp_path):
    for _ in range(2):
        assert_is_whole(ready(cache_dir=str(tmp_path / "cache")))

    assert web == [f"/{NAME}"]


def test_an_unpacked_archive_is_read(words, tmp_path):
    assert_is_whole(ready(root=str(words), cache_dir=str(tmp_path / "cache")))


def test_an_archive_that_is_there_is_unpacked(archive, tmp_path):
    assert_is_whole(ready(root=str(archive.parent), cache_dir=str(tmp_path / "cache")))


def test_a_changed_file_is_another_cache(words, sing):
    before = ready(root=str(words))
    sing(words / "yes/00000009_nohash_1.wav", hertz=1234, seconds=0.4)

    after = ready(root=str(words))

    assert after.cached.path != before.cached.path
    assert len(after.row_numbers("train")) == 13


def test_folds_keep_speakers_together(words):
    data = ready(root=str(words), splitter=KFold(folds=4))

    train, test = (set(data.cached.keys[data.row_numbers(split)]) for split in ("train", "test"))
    assert not train & test


def test_the_error_of_a_failed_download_names_the_alternatives(web, archive, tmp_path):
    archive.unlink()

    with pytest.raises(UserError, match=r"Download it by hand to .*, or set data\.root=PATH"):
        ready(cache_dir=str(tmp_path / "cache"))
    assert web


def test_a_wrong_archive_is_refused(web, archive, tmp_path):  # noqa: ARG001
    archive.write_bytes(archive.read_bytes()[:-1] + b"!")

    with pytest.raises(UserError, match="wrong checksum"):
        ready(cache_dir=str(tmp_path / "cache"))


def test_a_folder_without_the_lists_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds neither validation_list\.txt and testing_list"):
        ready(root=str(tmp_path))


def test_a_clip_that_a_list_names_has_to_be_there(words):
    (words / "yes/00000002_nohash_0.wav").unlink()

    with pytest.raises(UserError, match=r"lacks 1 of the clips .* such as yes/00000002_nohash_0"):
        ready(root=str(words))
