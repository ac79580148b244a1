import numpy as np
import pytest

from leyden.data.sets.mandarin_strings import TONE_MARKS, MandarinStrings
from leyden.data.splits import HoldOut


@pytest.fixture
def spoken(tmp_path, sing):
    hertz = 200
    for syllable in [a + b for a in "ㄅㄆㄇㄈ" for b in "ㄚㄧㄨ"]:
        for mark in ("", "2", "3", "4"):
            for speaker in (3, 5):
                sing(tmp_path / f"{syllable}{mark}/{speaker}.ogg", hertz=hertz, rate=8000)
                hertz += 5
    return tmp_path


def ready(root, **options):
    data = MandarinStrings(name="strings", root=str(root), strings=60, sample_rate=8000, **options)
    data.prepare_data()
    data.setup()
    return data


def transcripts(data, split):
    sequences = data.cached.arrays["sequences"]
    return ["".join(map(chr, sequences[row])) for row in data.row_numbers(split)]


def syllables(data, split):
    marks = "".join(TONE_MARKS.values())
    return {word.rstrip(marks) for said in transcripts(data, split) for word in said.split()}


def test_strings_are_tested_on_unseen_syllables(spoken):
    data = ready(spoken)

    splits = [syllables(data, split) for split in ("train", "val", "test")]
    assert all(splits)
    assert not splits[0] & splits[1]
    assert not splits[0] & splits[2]
    assert not splits[1] & splits[2]
    assert len(data.cached.kept) == pytest.approx(60, abs=1)


def test_a_transcript_names_the_clips_of_one_speaker(spoken):
    data = ready(spoken)

    sources = (data.cached.path / "sources.txt").read_text().splitlines()
    for row in data.row_numbers("train").tolist():
        clips = [clip.split("/") for clip in sources[row].split(" + ")]
        words = "".join(map(chr, data.cached.arrays["sequences"][row])).split()
        assert 2 <= len(clips) <= 4
        assert len({speaker for _, speaker in clips}) == 1
        marked = [
            folder.rstrip("234") + TONE_MARKS[folder[-1] if folder[-1] in "234" else "1"]
            for folder, _ in clips
        ]
        assert words == marked


def test_the_same_settings_give_the_same_strings_and_other_splits_others(spoken):
    first, again, other = (
        ready(spoken),
        ready(spoken, seed=1),
        ready(spoken, splitter=HoldOut(seed=1)),
    )

    assert first.cached.path == again.cached.path
    assert syllables(first, "test") != syllables(other, "test")


def test_clips_are_not_cut(spoken):
    data = ready(spoken)

    lengths = np.diff(data.cached.arrays["waveforms"].offsets)
    sources = (data.cached.path / "sources.txt").read_text().splitlines()
    for length, source in zip(lengths, sources, strict=True):
        clips = source.count(" + ") + 1
        assert clips * 4000 <= length <= clips * (4000 + 800)
