import numpy as np
import pytest

from leyden.data.sets.mandarin_tones import SYSTEM_FOLDER, MandarinTones, split_tone
from leyden.errors import UserError

SYLLABLES = [a + b for a in "ㄅㄆㄇㄈ" for b in "ㄚㄧㄨ"] + ["ㄚ", "ㄞ"]


def ready(root, **options):
    options = {"root": str(root), "sample_rate": 8000, "seconds": 0.2} | options
    data = MandarinTones(name="tones", **options)
    data.prepare_data()
    data.setup()
    return data


@pytest.fixture
def spoken(tmp_path, sing):
    """Save every syllable in four tones and some in the neutral one, by two speakers."""
    hertz = 200
    for syllable in SYLLABLES:
        for mark in ("", "2", "3", "4", *(["1"] if syllable == "ㄅㄚ" else [])):
            for speaker in (3, 5):
                sing(tmp_path / f"{syllable}{mark}/{speaker}.ogg", hertz=hertz, rate=8000)
                hertz += 5
    return tmp_path


def syllables(data, split):
    names = (data.cached.path / "sources.txt").read_text().splitlines()
    return {split_tone(names[row].split("/")[0])[0] for row in data.row_numbers(split)}


@pytest.mark.parametrize(
    ("name", "parted"),
    [("ㄇㄚ", ("ㄇㄚ", "1")), ("ㄇㄚ3", ("ㄇㄚ", "3")), ("ㄇㄚ1", ("ㄇㄚ", "neutral"))],
)
def test_folder_names_are_split_into_syllable_and_tone(name, parted):
    assert split_tone(name) == parted


def test_tones_are_tested_on_unseen_syllables(spoken):
    data = ready(spoken)

    splits = [syllables(data, split) for split in ("train", "val", "test")]
    assert data.spec.class_names == ("1", "2", "3", "4")
    assert np.bincount(data.cached.targets).tolist() == [28] * 4  # without the neutral tone
    assert all(splits)
    assert sum(map(len, splits)) == len(SYLLABLES)


def test_initials_are_another_target(spoken):
    data = ready(spoken, target="initial")

    assert data.spec.class_names == tuple("ㄅㄆㄇㄈ")
    assert len(data.cached.targets) == 4 * 3 * 8  # without syllables that begin with a vowel


def test_an_unknown_target_is_refused(spoken):
    with pytest.raises(ValueError, match="target: expected tone or initial, got 'rhyme'"):
        ready(spoken, target="rhyme")


def test_missing_files_say_how_to_get_them(tmp_path):
    with pytest.raises(UserError, match=r"apt-get install gcin-voice, or give data\.root=PATH"):
        ready(tmp_path)


@pytest.mark.skipif(not SYSTEM_FOLDER.is_dir(), reason=f"no {SYSTEM_FOLDER}: install gcin-voice")
def test_debians_package_is_read_whole():
    data = MandarinTones(name="mandarin_tones", seconds=0.6)  # as other tests have cached it
    data.prepare_data()
    data.setup()

    report = data.cached.cleaning_report()
    assert (report.items_read, report.rows_kept) == (2334, 2334)
    assert np.bincount(data.cached.targets).tolist() == [625, 479, 582, 648]
