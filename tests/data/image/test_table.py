import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from leyden.data.identity import hash_names
from leyden.data.image.table import ImageTable
from leyden.errors import UserError

FRESH = np.random.default_rng(0)

NAMES = [f"{name}/{number}.png" for number in range(10) for name in ("cat", "dog")]


def paint(root, names=NAMES):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = FRESH.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name, format="png")


def table(root, rows, header="image,pet", name="pets.csv"):
    (root / name).write_text("\n".join([header, *rows]) + "\n")
    return root / name


def labelled(names=NAMES):
    return [f"{name},{name[:3]}" for name in names]


def table_data(path, **options):
    given = {"name": "t", "path": str(path), "image": "image", "target": "pet"}
    return ImageTable(**given | {"image_size": (4, 6)} | options)


def ready(path, **options):
    data = table_data(path, **options)
    data.prepare_data()
    data.setup()
    return data


def unreadable(data):
    findings = data.cleaning_report().steps["unreadable"].findings
    return {each["source"]: each["reason"] for each in findings}


def test_each_row_is_an_image_with_its_class(tmp_path):
    paint(tmp_path)

    data = ready(table(tmp_path, labelled()))

    assert data.class_names == ("cat", "dog")
    assert data.cached.arrays["images"].shape == (20, 3, 4, 6)
    assert [data.cached.sources[row] for row in range(20)] == NAMES
    assert data.cached.targets.tolist() == [0, 1] * 10
    assert sum(len(data.row_numbers(split)) for split in ("train", "val", "test")) == 20


@pytest.mark.parametrize("suffix", ["tsv", "jsonl", "parquet"])
def test_every_format_of_table_is_read(tmp_path, suffix):
    import pyarrow as pa
    import pyarrow.parquet

    paint(tmp_path)
    rows = [{"image": name, "pet": name[:3]} for name in NAMES]
    path = tmp_path / f"pets.{suffix}"
    if suffix == "parquet":
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path.write_text("\n".join(["image\tpet", *(f"{r['image']}\t{r['pet']}" for r in rows)]))

    assert len(ready(path).cached.targets) == 20


def test_paths_start_from_the_root_and_may_have_backslashes(tmp_path):
    paint(tmp_path / "pictures")
    rows = [f".\\{name},{name[:3]}".replace("/", "\\") for name in NAMES]
    rows[0] = f"{tmp_path}/pictures/{NAMES[0]},cat"

    data = ready(table(tmp_path, rows), root=f"{tmp_path}/pictures")

    assert [data.cached.sources[row] for row in range(20)] == NAMES


def test_rows_without_a_file_or_a_class_are_rejected_with_a_reason(tmp_path):
    paint(tmp_path)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo.png")
    rows = ["gone.png,cat", "torn.png,cat", "device.png,cat", "fifo.png,dog", "cat,cat", "x.png,"]
    rows += [",dog", f"{'x' * 300},dog", "one,two,three"]

    data = ready(table(tmp_path, [*labelled(), *rows]))

    assert len(data.cached.targets) == 20
    assert unreadable(data) == {
        "gone.png": "No such file or directory",
        "torn.png": "not an image",
        "pets.csv row 24": "not a regular file, so that reading it may never end",
        "pets.csv row 25": "not a regular file, so that reading it may never end",
        "cat": "Is a directory",
        "pets.csv row 27": "has no value in pet",
        "pets.csv row 28": "has no value in image",
        "x" * 300: "File name too long",
        "pets.csv row 30": "3 cells instead of 2",
    }


def test_an_impossible_file_name_is_rejected(tmp_path):
    paint(tmp_path)
    rows = [{"image": name, "pet": name[:3]} for name in [*NAMES, "cat\0.png"]]
    path = tmp_path / "pets.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))

    assert unreadable(ready(path)) == {"pets.jsonl row 21": "embedded null byte"}


def test_splits_of_a_column_are_kept_in_any_spelling(tmp_path):
    paint(tmp_path)
    splits = [("Train", "train", "dev", "TEST")[number // 2 % 4] for number in range(20)]
    rows = [f"{row},{split}" for row, split in zip(labelled(), splits, strict=True)]

    data = ready(table(tmp_path, rows, "image,pet,fold"), split_column="fold")

    assert [len(data.row_numbers(split)) for split in ("train", "val", "test")] == [12, 4, 4]
    held = {data.cached.sources[row] for row in data.row_numbers("test")}
    assert held == {name for name, split in zip(NAMES, splits, strict=True) if split == "TEST"}


@pytest.mark.parametrize("split", ["3", "eval"])
def test_an_unknown_split_is_an_error_that_names_it(tmp_path, split):
    paint(tmp_path)
    rows = [f"{row},{'train' if number else split}" for number, row in enumerate(labelled())]

    with pytest.raises(UserError, match=rf"pets\.csv row 2 of .* in the split '{split}'.*'fold'"):
        ready(table(tmp_path, rows, "image,pet,fold"), split_column="fold")


def test_images_of_a_group_stay_in_one_split(tmp_path):
    paint(tmp_path)
    rows = [f"{row},{number // 4}" for number, row in enumerate(labelled())]

    data = ready(table(tmp_path, rows, "image,pet,owner"), group="owner")

    owners = [set(data.cached.keys[data.row_numbers(split)]) for split in ("train", "val", "test")]
    assert all(owners)
    assert sum(map(len, owners)) == 5


def test_a_row_is_identified_by_the_path_of_its_image(tmp_path):
    paint(tmp_path)
    path = table(tmp_path, labelled())
    before = [name for rows in table_data(path).read() for name in rows.sources]

    shutil.copytree(tmp_path, tmp_path / "moved")
    moved = table(tmp_path / "moved", labelled(NAMES[::-1]))
    after = [name for rows in table_data(moved).read() for name in rows.sources]

    assert hash_names(after).tolist() == hash_names(before[::-1]).tolist()


def add(path):
    paint(path.parent, ["gone.png"])


def overwrite(path):
    paint(path.parent, NAMES[:1])


def relabel(path):
    path.write_text(path.read_text().replace(",dog", ",hound"))


@pytest.mark.parametrize("change", [add, overwrite, relabel])
def test_a_changed_table_or_image_is_another_source(tmp_path, change):
    paint(tmp_path)
    path = table(tmp_path, [*labelled(), "gone.png,cat"])
    before = table_data(path).source_settings()

    assert table_data(path).source_settings() == before
    change(path)
    assert table_data(path).source_settings() != before


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(UserError, match=r"has no column 'pat'\. Did you mean 'pet'"):
        ready(table(tmp_path, labelled()), target="pat")


def test_a_class_of_unreadable_images_is_an_error_that_names_it(tmp_path):
    paint(tmp_path)
    (tmp_path / "torn.png").touch()

    with pytest.raises(UserError, match="Not one file of owl, rat"):
        ready(table(tmp_path, [*labelled(), "torn.png,rat", "gone.png,owl"]))
