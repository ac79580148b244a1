import numpy as np
import pytest
import torch
from PIL import Image

from leyden.data.image.folder import ImageFolder

FRESH = np.random.default_rng(0)


def save(root, *, brightest, dtype=np.uint16, count=10):
    """Save noise images of two classes with the given brightest pixel."""
    for name in "ab":
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = FRESH.integers(0, brightest, (6, 6)).astype(dtype)
            pixels[0, 0] = brightest
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def ready(root, *, state=None, **options):
    data = ImageFolder(name="f", root=str(root), image_size=(6, 6), channels=1, **options)
    if state is not None:
        data.load_state_dict(state)
    data.prepare_data()
    data.setup()
    return data


def whole(data):
    return data.cached.arrays["images"]


def test_one_white_of_the_data_set_scales_all_its_16_bit_files(tmp_path, caplog):
    caplog.set_level("INFO")
    save(tmp_path, brightest=900)
    pixels = np.full((6, 6), 4000, dtype=np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a/bright.png")

    data = ready(tmp_path)

    assert data.statistics["white"] == 4095
    assert whole(data).max() == 4000 // 16
    assert np.sort(whole(data).max(axis=(1, 2, 3)))[-2] == 900 // 16
    assert "4095 is white" in caplog.text


@pytest.mark.parametrize(("brightest", "dtype"), [(255, np.uint8), (65535, np.uint16)])
def test_files_that_use_all_their_bits_are_not_rescaled(tmp_path, caplog, brightest, dtype):
    caplog.set_level("INFO")
    save(tmp_path, brightest=brightest, dtype=dtype)

    data = ready(tmp_path)

    assert data.statistics["white"] == 65535
    assert "white" not in caplog.text
    row = list(data.listing)[3]
    pixels = np.asarray(Image.open(row.path)) >> (8 if dtype is np.uint16 else 0)
    assert np.array_equal(whole(data)[3, 0], pixels)


def test_white_is_searched_for_once(tmp_path, monkeypatch):
    before = ready(save(tmp_path, brightest=900))

    monkeypatch.setattr("leyden.data.image.listed.find_white", None)

    assert ready(tmp_path).cached.path == before.cached.path


def test_white_is_restored_from_a_checkpoint(tmp_path):
    trained = ready(save(tmp_path / "old", brightest=900))
    other = save(tmp_path / "new", brightest=4000)
    torch.save(trained.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)

    same, tested = (ready(root, state=state) for root in (tmp_path / "old", other))
    (inputs,) = tested.reader().read([f"{other}/a/0.png"])

    assert same.cached.path == trained.cached.path
    row = [file.source for file in tested.listing].index("a/0.png")
    assert np.array_equal(whole(tested)[row], inputs.fields["images"][0])
    expected = np.minimum(np.asarray(Image.open(other / "a/0.png")) // 4, 255)
    assert np.array_equal(whole(tested)[row, 0], expected)


def test_prediction_needs_no_training_file(tmp_path):
    state = ready(save(tmp_path / "old", brightest=900)).state_dict()
    data = ImageFolder(name="f", root=f"{tmp_path}/gone", image_size=(6, 6), channels=1)
    data.load_state_dict(state)

    (inputs,) = data.reader().read([f"{tmp_path}/old/a/0.png"])

    assert inputs.fields["images"].max() == 900 // 4


def test_a_given_white_is_used(tmp_path):
    data = ready(save(tmp_path, brightest=900), white=9000)

    assert data.statistics["white"] == 9000
    assert whole(data).max() == 900 * 256 // 9001
    assert ready(tmp_path).cached.path != data.cached.path


def ink(root, count=10):
    """Save black strokes on transparent pixels."""
    for name in "ab":
        (root / name).mkdir(parents=True)
        for number in range(count):
            image = Image.new("RGBA", (6, 6))
            image.paste((0, 0, 0, 255), (number % 6, 0, 6, 3 + number // 6 + 2 * (name == "b")))
            image.save(root / name / f"{number}.png")
    return root


def test_black_ink_on_transparency_is_visible_on_white(tmp_path, caplog):
    data = ready(ink(tmp_path), background="white")
    (inputs,) = data.reader().read([f"{tmp_path}/a/3.png"])

    assert set(np.unique(whole(data))) == {0, 255}
    assert not caplog.records
    row = [file.source for file in data.listing].index("a/3.png")
    assert np.array_equal(whole(data)[row], inputs.fields["images"][0])


def test_images_of_one_colour_are_a_warning_and_the_background_shapes_the_cache(tmp_path, caplog):
    data = ImageFolder(name="f", root=str(ink(tmp_path)), image_size=(6, 6))

    list(data.read())

    assert "20 of 20 images are of one colour. If they have transparent pixels" in caplog.text
    settings = [
        ImageFolder(name="f", root=str(tmp_path), background=each).source_settings()
        for each in ("black", "white")
    ]
    assert settings[0] != settings[1]


def test_skipped_files_are_reported_after_the_rows(tmp_path):
    save(tmp_path, brightest=255, dtype=np.uint8)
    (tmp_path / "a/0.avif").touch()

    *_, last = ImageFolder(name="f", root=str(tmp_path)).read()

    (item,) = last.rejected
    assert (item.source, item.step, item.dropped) == ("a/0.avif", "skipped", False)


@pytest.mark.parametrize("options", [{"background": "red"}, {"white": 0}, {"white": 65536}])
def test_impossible_options_are_refused(tmp_path, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}: expected"):
        ImageFolder(name="f", root=str(tmp_path), **options)
