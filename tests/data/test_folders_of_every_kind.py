"""Images, sounds and texts in folders are found in the same way."""

import numpy as np
import pytest
import soundfile
from PIL import Image

from leyden.data.audio.folder import AudioFolder
from leyden.data.image.folder import ImageFolder
from leyden.data.text.folder import TextFolder
from leyden.errors import UserError

FRESH = np.random.default_rng(0)


def paint(path):
    Image.fromarray(FRESH.integers(0, 256, (6, 6), dtype=np.uint8)).save(path)


def sing(path):
    soundfile.write(path, FRESH.normal(0, 0.1, 2000), 8000)


def write(path):
    path.write_text(" ".join(map(str, FRESH.integers(0, 99, 20))))


@pytest.fixture(
    params=[(ImageFolder, ".png", paint), (AudioFolder, ".wav", sing), (TextFolder, ".txt", write)],
    ids=["image", "audio", "text"],
)
def kind(request):
    return request.param


def save(kind, root, *folders):
    _, suffix, write_file = kind
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for number in range(4):
            write_file(root / folder / f"{number}{suffix}")


def test_splits_are_known_in_any_spelling(tmp_path, kind):
    save(kind, tmp_path, "Training/a", "Training/b", "dev/a", "dev/b", "Testing/a", "Testing/b")

    data = kind[0](name="every", root=str(tmp_path))
    data.prepare_data()
    data.setup()

    assert data.class_names == ("a", "b")
    assert [len(data.row_numbers(split)) for split in ("train", "val", "test")] == [8, 8, 8]


def test_splits_that_may_be_classes_are_refused(tmp_path, kind):
    save(kind, tmp_path, "cat", "dog", "Validation/cat", "Validation/dog")

    with pytest.raises(UserError, match="holds the folders Validation, which mean splits"):
        kind[0](name="every", root=str(tmp_path)).prepare_data()


def test_skipped_files_are_reported(tmp_path, kind):
    save(kind, tmp_path, "a", "b")
    (tmp_path / "a/.hidden").touch()

    *_, last = kind[0](name="every", root=str(tmp_path)).read()

    (item,) = last.rejected
    assert (item.source, item.step, item.dropped) == ("a/.hidden", "skipped", False)
