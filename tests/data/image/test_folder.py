import os

import numpy as np
import pytest
from PIL import Image

from leyden.data.image.cleaning import ImageCleaning
from leyden.data.image.folder import ImageFolder
from leyden.errors import UserError

FRESH = np.random.default_rng(0)


def paint(path):
    """Save a picture that differs from all others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = FRESH.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def tree(root, *folders, count=10):
    for folder in folders:
        for number in range(count):
            paint(root / folder / f"{number}.png")
    return root


def folder_data(root, **options):
    return ImageFolder(**{"name": "f", "root": str(root), "image_size": (4, 6)} | options)


def ready(root, **options):
    data = folder_data(root, **options)
    data.prepare_data()
    data.setup()
    return data


def sources(data):
    return set((data.cached.path / "sources.txt").read_text().splitlines())


def test_the_folders_are_the_classes(tmp_path):
    data = ready(tree(tmp_path, "dog", "cat"))

    assert data.spec.class_names == ("cat", "dog")
    assert data.spec.network_sizes == {"input_shape": (3, 4, 6), "num_outputs": 2}
    assert data.cached.arrays["images"].shape == (20, 3, 4, 6)
    assert np.bincount(data.cached.targets).tolist() == [10, 10]
    assert sum(len(data.row_numbers(split)) for split in ("train", "val", "test")) == 20


def test_every_image_has_its_own_class(tmp_path):
    for number in range(10):
        for name, brightness in (("dark", number), ("light", 255 - number)):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("L", (5, 5), brightness).save(tmp_path / name / f"{number}.png")

    data = ready(tmp_path, channels=1)

    light = data.cached.arrays["images"].mean(axis=(1, 2, 3)) > 128
    assert np.array_equal(data.cached.targets, light.astype(int))


def test_given_splits_are_kept(tmp_path):
    tree(tmp_path, "train/a", "train/b")
    tree(tmp_path, "val/a", "val/b", count=3)
    tree(tmp_path, "test/a", "test/b", count=4)

    data = ready(tmp_path)

    assert [len(data.row_numbers(split)) for split in ("train", "val", "test")] == [20, 6, 8]
    assert data.spec.class_names == ("a", "b")


def test_a_missing_split_is_split_off_the_training_split(tmp_path):
    tree(tmp_path, "train/a", "train/b", "test/a", "test/b")

    data = ready(tmp_path)

    assert len(data.row_numbers("test")) == 20
    assert (
        0
        < len(data.row_numbers("val"))
        < len(data.row_numbers("train"))
        == 20 - len(data.row_numbers("val"))
    )


def test_files_in_deeper_folders_belong_to_the_class(tmp_path):
    tree(tmp_path, "a/2023", "a/2024", "b")

    assert np.bincount(ready(tmp_path).cached.targets).tolist() == [20, 10]


def test_hidden_folders_and_files_and_other_files_are_ignored(tmp_path):
    tree(tmp_path, "a", "b", ".git", "a/.thumbnails")
    paint(tmp_path / "b/.0.png")
    (tmp_path / "a/notes.txt").touch()
    (tmp_path / "README.md").touch()

    data = ready(tmp_path)

    assert data.spec.class_names == ("a", "b")
    assert data.cached.cleaning_report().items_read == 20


def test_unreadable_files_are_reported_and_skipped(tmp_path):
    tree(tmp_path, "a", "b")
    (tmp_path / "a/torn.png").write_bytes((tmp_path / "a/0.png").read_bytes()[:60])
    (tmp_path / "b/text.jpg").write_text("no image")
    (tmp_path / "b/gone.png").symlink_to(tmp_path / "nowhere.png")

    data = ready(tmp_path)

    report = data.cached.cleaning_report()
    reasons = {each["source"]: each["reason"] for each in report.steps["unreadable"].findings}
    assert (report.items_read, report.rows_kept) == (23, 20)
    assert set(reasons) == {"a/torn.png", "b/text.jpg", "b/gone.png"}
    assert all(reasons.values())


def test_an_unreadable_file_is_an_error_if_the_step_is_disabled(tmp_path):
    tree(tmp_path, "a", "b")
    (tmp_path / "b/text.jpg").write_text("no image")

    with pytest.raises(UserError, match=r"b/text\.jpg cannot be read: not an image"):
        ready(tmp_path, cleaning=ImageCleaning(unreadable=False))


def test_a_class_of_unreadable_files_is_an_error_that_names_it(tmp_path):
    tree(tmp_path, "a", "b")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/1.png").touch()

    with pytest.raises(UserError, match=r"Not one file of torn in .* can be read"):
        ready(tmp_path)


def test_equal_pictures_are_cleaned_across_splits(tmp_path):
    tree(tmp_path, "train/a", "train/b", "test/a", "test/b")
    original = (tmp_path / "test/a/0.png").read_bytes()
    (tmp_path / "train/a/leak.png").write_bytes(original)

    data = ready(tmp_path)

    findings = data.cached.cleaning_report().steps["leakage"].findings
    assert findings == [{"source": "train/a/leak.png", "reason": "same content as test/a/0.png"}]
    assert data.cached.population().given()[0].size == 20


@pytest.mark.parametrize(
    ("folders", "empty", "message"),
    [
        ([], [], "holds 0 sub-folders"),
        (["a"], [], "holds 1 sub-folders"),
        (["a", "b"], ["c"], "No image found below .*/c\\."),
        (["train/a", "train/b"], ["val/a", "val/b"], "No image found below .*/val/a\\."),
        (["train/a"], [], "train holds 1 sub-folders"),
        (["train/a", "train/b", "test/a"], [], "test holds 1 sub-folders"),
        (["test/a", "test/b"], [], "holds the folders test, .* Expected either"),
        (["val", "test"], [], "holds the folders test, val, .* Expected either"),
        (["train/a", "train/b", "valid/a"], [], "valid holds 1 sub-folders"),
    ],
)
def test_a_layout_that_would_be_misread_is_an_error(tmp_path, folders, empty, message):
    tree(tmp_path, *folders, count=2)
    for folder in empty:
        (tmp_path / folder).mkdir(parents=True)

    with pytest.raises(UserError, match=message):
        ready(tmp_path)


def test_a_missing_root_is_named(tmp_path):
    with pytest.raises(UserError, match=r"data\.root=.*/missing is not a folder"):
        ready(tmp_path / "missing")


def test_a_split_may_have_no_row_of_a_class(tmp_path):
    data = ready(tree(tmp_path, "train/a", "train/b", "train/c", "test/a", "test/c"))

    assert data.spec.class_names == ("a", "b", "c")
    assert set(data.cached.targets[data.row_numbers("test")]) == {0, 2}


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_without_training_rows_is_an_error_that_names_it(tmp_path, split):
    tree(tmp_path, "train/a", "train/b", f"{split}/a", f"{split}/new")

    with pytest.raises(UserError, match="No training row is left of new"):
        ready(tmp_path)


def add(root):
    paint(root / "a/more.png")


def overwrite(root):
    paint(root / "a/0.png")


def touch(root):
    os.utime(root / "a/0.png", ns=(1, 1))


def remove(root):
    (root / "a/0.png").unlink()


def move(root):
    (root / "a/0.png").rename(root / "b/moved.png")


@pytest.mark.parametrize("change", [add, overwrite, touch, remove, move])
def test_a_changed_folder_is_another_cache(tmp_path, change):
    tree(tmp_path, "a", "b")
    before = ready(tmp_path)

    change(tmp_path)

    after = ready(tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    assert after.cached.path != before.cached.path
    assert sources(after) == files


def test_an_unchanged_folder_is_the_same_cache(tmp_path):
    tree(tmp_path, "a", "b")

    assert ready(tmp_path).cached.path == ready(tmp_path).cached.path


@pytest.mark.parametrize("options", [{"image_size": (6, 4)}, {"channels": 1}])
def test_another_shape_is_another_cache(tmp_path, options):
    tree(tmp_path, "a", "b")

    assert ready(tmp_path, **options).cached.path != ready(tmp_path).cached.path


def test_the_same_files_elsewhere_hold_the_same_rows(tmp_path):
    tree(tmp_path / "here", "a", "b")
    (tmp_path / "there").symlink_to(tmp_path / "here")

    here, there = (ready(tmp_path / name) for name in ("here", "there"))

    assert here.cached.fingerprint == there.cached.fingerprint


def test_a_checkpoint_of_other_classes_does_not_shape_the_cache(tmp_path):
    trained = ready(tree(tmp_path / "old", "a", "b"))
    other = folder_data(tree(tmp_path / "new", "a", "b"))
    other.load_state_dict(trained.state_dict())

    other.prepare_data()
    other.setup()

    assert other.cached.class_names == ("a", "b")
    assert np.bincount(other.cached.targets).tolist() == [10, 10]


def test_channels_are_grey_or_colour(tmp_path):
    with pytest.raises(ValueError, match=r"expected 1 \(grey\) or 3 \(RGB\), got 4"):
        folder_data(tmp_path, channels=4)


def test_images_of_a_group_stay_in_one_split(tmp_path):
    tree(tmp_path, *(f"{name}/patient{number}" for name in "ab" for number in range(8)), count=2)

    data = ready(tmp_path, group=r"patient(\d)")

    names = np.array((data.cached.path / "sources.txt").read_text().splitlines())
    patients = [
        {name.split("/")[1] for name in names[data.row_numbers(split)]}
        for split in ("train", "val", "test")
    ]
    assert all(patients)
    assert sum(map(len, patients)) == 8


def test_a_pattern_reads_the_class(tmp_path):
    for number in range(10):
        paint(tmp_path / f"cat.{number}.png")
        paint(tmp_path / f"dog.{number}.png")

    data = ready(tmp_path, pattern=r"(?P<class>\w+)\.")

    assert data.spec.class_names == ("cat", "dog")
    assert np.bincount(data.cached.targets).tolist() == [10, 10]
