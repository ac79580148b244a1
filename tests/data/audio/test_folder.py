import json
import re
import shutil

import numpy as np
import pytest

from leyden.data.audio.cleaning import AudioCleaning
from leyden.data.audio.folder import AudioFolder
from leyden.errors import UserError


def ready(root, **options):
    data = AudioFolder(name="sounds", root=str(root), seconds=0.5, batch_size=8, **options)
    data.prepare_data()
    data.setup()
    return data


def findings(data):
    steps = data.cached.cleaning_report().steps
    return {
        name: {each["source"]: each["reason"] for each in step.findings}
        for name, step in steps.items()
        if step.findings
    }


def test_the_folders_are_the_classes(tmp_path, choir):
    data = ready(choir(tmp_path))

    assert data.spec.class_names == ("high", "low")
    assert np.bincount(data.cached.targets).tolist() == [10, 10]


def test_given_splits_are_kept(tmp_path, choir):
    choir(tmp_path, "train/low", "train/high", "test/low", "test/high")

    data = ready(tmp_path)

    assert len(data.row_numbers("test")) == 20
    assert (
        0
        < len(data.row_numbers("val"))
        < len(data.row_numbers("train"))
        == 20 - len(data.row_numbers("val"))
    )


def test_a_pattern_reads_class_and_speaker(tmp_path, sing):
    for speaker in range(8):
        for number in range(2):
            for name in ("yes", "no"):
                hertz = 300 + 40 * speaker + 10 * number + (name == "yes")
                sing(tmp_path / f"{speaker}/{name}-{number}.wav", hertz=hertz)

    data = ready(tmp_path, pattern=r"(?P<group>\d)/(?P<class>[a-z]+)-")

    names = np.array((data.cached.path / "sources.txt").read_text().splitlines())
    speakers = [
        {name[0] for name in names[data.row_numbers(split)]} for split in ("train", "val", "test")
    ]
    assert data.spec.class_names == ("no", "yes")
    assert all(speakers)
    assert sum(map(len, speakers)) == 8


def test_faulty_files_are_reported_and_dropped(tmp_path, choir, sing):
    choir(tmp_path)
    sing(tmp_path / "low/silent.wav", loudness=0.0)
    sing(tmp_path / "low/short.wav", seconds=0.03)
    sing(tmp_path / "high/clipped.wav", loudness=2.0)
    (tmp_path / "high/text.wav").write_text("no sound")
    shutil.copy(tmp_path / "low/1.wav", tmp_path / "low/again.wav")
    shutil.copy(tmp_path / "high/1.wav", tmp_path / "low/wrong.wav")

    data = ready(tmp_path)

    assert findings(data) == {
        "silent": {"low/silent.wav": "its peak of 0.00000 is below 0.001"},
        "too_short": {"low/short.wav": "0.030 s are shorter than 0.05 s"},
        "clipped": {"high/clipped.wav": "66.5% of its samples are clipped at full scale"},
        "unreadable": {"high/text.wav": "Format not recognised"},
        "duplicates": {"low/again.wav": "same content as low/1.wav"},
        "conflicting_labels": {
            "high/1.wav": "same content as low/wrong.wav",
            "low/wrong.wav": "same content as high/1.wav",
        },
    }
    report = data.cached.cleaning_report()
    assert (report.items_read, report.rows_kept) == (26, 19)


def test_faulty_files_of_a_given_test_split_are_reported_but_kept(tmp_path, choir, sing):
    choir(tmp_path, "train/low", "train/high", "test/low", "test/high")
    sing(tmp_path / "test/low/silent.wav", loudness=0.0)
    sing(tmp_path / "train/low/silent.wav", loudness=0.0)

    data = ready(tmp_path)

    step = data.cached.cleaning_report().steps["silent"]
    assert (step.found, step.dropped) == (2, 1)
    assert len(data.row_numbers("test")) == 21


def test_a_disabled_step_drops_nothing(tmp_path, choir, sing):
    choir(tmp_path)
    sing(tmp_path / "low/silent.wav", loudness=0.0)

    off = ready(tmp_path, cleaning=AudioCleaning(silent=False))
    tuned = ready(tmp_path, cleaning=AudioCleaning(min_peak=0.0))

    assert off.cached.cleaning_report().rows_kept == 21
    assert not off.cached.cleaning_report().steps["silent"].enabled
    assert tuned.cached.cleaning_report().steps["silent"].found == 0


def test_the_steps_of_sounds_can_all_be_disabled(tmp_path, choir, sing):
    choir(tmp_path)
    sing(tmp_path / "low/silent.wav", loudness=0.0)
    steps = AudioCleaning(silent=False, clipped=False, too_short=False)

    assert ready(tmp_path, cleaning=steps).cached.cleaning_report().rows_kept == 21


@pytest.mark.parametrize("name", ["min_peak", "max_clipped"])
def test_shares_out_of_range_are_refused_by_name(name):
    with pytest.raises(ValueError, match=f"{name} is a share"):
        AudioCleaning(**{name: 1.5})


def test_a_class_without_a_usable_file_is_an_error_that_names_it(tmp_path, choir, sing):
    choir(tmp_path)
    sing(tmp_path / "mute/1.wav", loudness=0.0)

    with pytest.raises(UserError, match="Not one file of mute in sounds can be read and passes"):
        ready(tmp_path)


def test_a_class_of_one_file_trains_but_is_not_measured(tmp_path, choir, sing):
    choir(tmp_path)
    sing(tmp_path / "rare/1.wav", hertz=2500)

    data = ready(tmp_path)

    rare = data.spec.class_names.index("rare")
    assert data.cached.targets[data.row_numbers("train")].tolist().count(rare) == 1


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "holds 0 sub-folders"),
        (["low"], "holds 1 sub-folders"),
        (["test/a"], "Expected either"),
    ],
)
def test_a_layout_that_would_be_misread_is_an_error(tmp_path, choir, folders, message):
    if folders:
        choir(tmp_path, *folders)

    with pytest.raises(UserError, match=re.escape(message)):
        ready(tmp_path)


def test_a_run_learns_and_predicts_files(tmp_path, choir, leyden):
    root = choir(tmp_path / "data", count=40)
    done = leyden(
        "train", "data=audio_folder", f"data.root={root}", "data.seconds=0.5", "name=tones",
        "network=mlp", "network.hidden_widths=[32]", "data.batch_size=8", "trainer.max_epochs=5",
        "trainer.accelerator=cpu",
    )  # fmt: skip
    assert done.code == 0, done.err

    (run,) = (tmp_path / "runs/tones").iterdir()
    inputs = (f"input={root}/low/3.wav", root / "high")
    told = leyden("predict", f"run={run}", *inputs, "format=jsonl")

    assert told.code == 0, told.err
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert json.loads((run / "metrics.json").read_text())["test/accuracy"] == 1.0
    assert [row["class"] for row in rows] == ["low", *["high"] * 40]
    assert rows[0]["file"] == f"{root}/low/3.wav"
