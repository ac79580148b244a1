import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from leyden.batch import as_tensors
from leyden.data.audio.table import SpeechText
from leyden.data.splits import HoldOut
from leyden.errors import UserError

WORDS = {"a": 300.0, "e": 900.0, "o": 2400.0}


def write(path, rows, header="path,transcript"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in [header, *rows]), encoding="utf-8")
    return path


@pytest.fixture
def corpus(tmp_path, sing):
    """Thirty recordings of one word or two, of different lengths, and their table."""
    rows = []
    for number in range(30):
        word = list(WORDS)[number % 3]
        path = tmp_path / f"clips/{number}.wav"
        sing(path, hertz=WORDS[word] + number, seconds=0.3 + number / 90)
        rows.append(f"clips/{number}.wav,{word}")
    return write(tmp_path / "manifest.csv", rows)


def ready(path, **options):
    data = SpeechText(**{"name": "speech", "path": str(path), "batch_size": 8} | options)
    data.prepare_data()
    data.setup()
    return data


def add(table, *rows):
    table.write_text(table.read_text() + "".join(f"{row}\n" for row in rows))


def with_splits(folder, table, names):
    """Write the table of thirty recordings with a split for each: 21, 5 and 4 rows."""
    lines = table.read_text().splitlines()[1:]
    rows = [f"{line},{names[(n > 20) + (n > 25)]}" for n, line in enumerate(lines)]
    return write(folder / "parted.csv", rows, header="path,transcript,split")


def findings(data):
    steps = data.cached.cleaning_report().steps
    return {
        name: [(each["source"], each["reason"]) for each in step.findings]
        for name, step in steps.items()
        if step.findings
    }


def test_batches_hold_waveforms_their_frames_and_transcripts(corpus):
    data = ready(corpus)

    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)

    assert data.spec.tokens == ("", "\ufffd", "a", "e", "o")
    assert data.spec.network_sizes == {"num_mels": 64, "num_tokens": 5}
    frames = batch.inputs["frames"]
    assert batch.inputs["images"].shape == (8, 1, 64, int(frames.max()))
    said = {"".join(data.spec.tokens[n] for n in row) for row in batch.targets.tolist()}
    assert said <= set(WORDS)


def test_every_row_keeps_its_own_transcript(corpus):
    data = ready(corpus)

    for row in range(30):
        waveform = data.cached.arrays["waveforms"][row]
        said = "".join(map(chr, data.cached.arrays["sequences"][row]))
        peak = np.abs(np.fft.rfft(waveform)).argmax() * 16000 / len(waveform)
        assert min(WORDS, key=lambda word: abs(WORDS[word] - peak)) == said


def test_batches_hold_rows_of_similar_length(corpus):
    data = ready(corpus, splitter=HoldOut(val_fraction=0.1, test_fraction=0.1))

    spreads = [
        (batch.inputs["frames"].max() - batch.inputs["frames"].min()).item()
        for batch in data.train_dataloader()
    ]

    assert len(spreads) > 1
    assert max(spreads) < 25  # of 34 in all


def test_splits_and_groups_may_be_columns(tmp_path, corpus):
    rows = [
        f"{line},s{number // 3},{'test' if number > 26 else 'all'}"
        for number, line in enumerate(corpus.read_text().splitlines()[1:])
    ]
    table = write(tmp_path / "parted.csv", rows, header="path,transcript,speaker,split")

    data = ready(table, group="speaker", split="split", splitter=HoldOut(val_fraction=0.2))

    assert data.row_numbers("test").tolist() == [27, 28, 29]
    train, val = (set(data.cached.keys[data.row_numbers(split)]) for split in ("train", "val"))
    assert not train & val


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Training", "DEV", "Testing"),
        ("train", "validation", "eval"),
        ("TRAIN", "Eval", " test "),
    ],
)
def test_splits_are_read_by_their_usual_names(tmp_path, corpus, names):
    data = ready(with_splits(tmp_path, corpus, names), split="split")

    assert [len(data.row_numbers(split)) for split in ("train", "val", "test")] == [21, 5, 4]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train", "val", "tests of mine"), "row 28 of .*'tests of mine', which means no split"),
        (("train", "eval", "eval"), "row 23 of .* split 'eval', which may mean val or test"),
    ],
)
def test_unknown_or_ambiguous_splits_are_refused(tmp_path, corpus, names, message):
    with pytest.raises(UserError, match=message):
        ready(with_splits(tmp_path, corpus, names), split="split")


@pytest.mark.parametrize("style", ["root", "windows", "absolute"])
def test_paths_may_start_elsewhere(tmp_path, corpus, style):
    rows = [
        {
            "root": line.removeprefix("clips/"),
            "windows": line.replace("/", "\\"),
            "absolute": f"{tmp_path}/{line}",
        }[style]
        for line in corpus.read_text().splitlines()[1:]
    ]
    table = write(tmp_path / "tables/other.csv", rows)

    data = ready(table, audio_root=str(tmp_path / ("clips" if style == "root" else "")))

    assert len(data.cached.kept) == 30


def test_a_recording_keeps_its_split_when_others_are_added(tmp_path, corpus):
    lines = corpus.read_text().splitlines()[1:]
    few = write(tmp_path / "few.csv", lines[5:])

    held = [
        {
            split: {data.cached.sources[row] for row in data.row_numbers(split)}
            for split in ("train", "val", "test")
        }
        for data in (ready(few), ready(corpus))
    ]

    new = {line.split(",")[0] for line in lines[:5]}
    before, after = held
    assert {split: names - new for split, names in after.items()} == before


def test_transcripts_are_normalised(tmp_path, sing):
    rows = [f"{n}.wav,  Cafe\u0301   {n % 2} " for n in range(10)]
    for n in range(10):
        sing(tmp_path / f"{n}.wav", hertz=300 + n)

    lowered, kept = (ready(write(tmp_path / "a.csv", rows), lowercase=low) for low in (True, False))

    assert "".join(map(chr, lowered.cached.arrays["sequences"][0])) == "caf\u00e9 0"
    assert "".join(map(chr, kept.cached.arrays["sequences"][0])) == "Caf\u00e9 0"


def test_faulty_rows_are_reported(tmp_path, corpus, sing):
    sing(tmp_path / "silent.wav", loudness=0.0)
    sing(tmp_path / "brief.wav", seconds=0.1)
    (tmp_path / "text.wav").write_text("no sound")
    add(
        corpus, "gone.wav,a", "silent.wav,a", "brief.wav,o a e o a e", "text.wav,a",
        'clips/1.wav,"e"', "clips/2.wav,a", "clips/3.wav, ", "clips/4.wav,e,o",
    )  # fmt: skip

    data = ready(corpus)

    found = findings(data)
    assert [reason for _, reason in found["unreadable"]][1:] == [
        f"no such file: {tmp_path}/gone.wav",
        "Format not recognised",
    ]
    assert [source for source, _ in found["silent"]] == ["silent.wav"]
    assert found["too_fast"][0][1] == "110 characters a second cannot be spoken"
    assert len(found["empty"]) == 1
    assert len(found["duplicates"]) == 1
    assert len(found["conflicting_labels"]) == 2
    report = data.cached.cleaning_report()
    assert (report.items_read, report.rows_kept) == (38, 29)


def test_too_long_recordings_are_dropped(tmp_path, corpus, sing):
    sing(tmp_path / "long.wav", seconds=21, rate=8000)
    add(corpus, "long.wav,a")

    assert findings(ready(corpus))["too_long"][0][1] == "21.0 s are longer than 20 s"


def test_a_too_long_recording_of_a_given_test_split_is_kept_whole(tmp_path, corpus, sing):
    lines = corpus.read_text().splitlines()[1:]
    sing(tmp_path / "long.wav", seconds=21, rate=8000)
    rows = [*(f"{line},all" for line in lines), "long.wav,a,test"]

    data = ready(write(tmp_path / "parted.csv", rows, "path,transcript,split"), split="split")

    (row,) = data.row_numbers("test")
    assert len(data.cached.arrays["waveforms"][row]) == 21 * 16000


def test_unknown_characters_are_a_warning_and_count_as_errors(tmp_path, corpus, caplog):
    lines = corpus.read_text().splitlines()[1:]
    rows = [f"{line},{'val' if n > 24 else 'train'}" for n, line in enumerate(lines)]
    rows[-1] = rows[-1].replace(",o,", ",ö,")
    table = write(tmp_path / "parted.csv", rows, header="path,transcript,split")

    data = ready(table, split="split")
    with caplog.at_level(logging.WARNING):
        loaders = [data.val_dataloader() for _ in range(2)]

    numbers = torch.cat([batch.targets.flatten() for batch in loaders[0]])
    assert (numbers == 1).sum() == 1
    (told,) = caplog.messages
    assert told.startswith("1 of 5 transcripts of the val split hold characters")
    assert told.endswith("ö")


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        ("file,transcript", {}, "has no column 'path'"),
        ("path,text", {}, "has no column 'transcript'"),
        ("path,transcript", {"group": "speaker"}, "has no column 'speaker'"),
        ("path,transcript", {"split": "transcript"}, "row 2 of .* the split 'a', which means"),
        ("path,transcript", {"audio_root": "nowhere"}, "data.audio_root=nowhere is not a folder"),
    ],
)
def test_tables_that_do_not_fit_are_refused(corpus, header, options, message):
    corpus.write_text(corpus.read_text().replace("path,transcript", header))

    with pytest.raises(UserError, match=message):
        ready(corpus, **options)


def test_a_table_without_usable_rows_is_refused(tmp_path, corpus):
    with pytest.raises(UserError, match="holds no rows"):
        ready(write(tmp_path / "none.csv", []))
    with pytest.raises(UserError, match="None of the 1 items of the data set is usable"):
        ready(write(tmp_path / "gone.csv", ["gone.wav,a"]))
    with pytest.raises(UserError, match="does not exist"):
        ready(corpus.with_name("missing.csv"))


def test_a_changed_recording_is_another_cache(corpus, sing):
    before = ready(corpus).cached.path
    sing(corpus.parent / "clips/0.wav", hertz=555)

    assert ready(corpus).cached.path != before


def test_the_vocabulary_is_restored_from_a_checkpoint(tmp_path, corpus):
    trained = ready(corpus)
    other = SpeechText(name="speech", path=str(corpus))

    other.load_state_dict(trained.state_dict())

    assert other.spec == trained.spec
    (raw,) = other.reader().read([str(tmp_path / "clips")])
    assert len(raw.names) == 30
    inputs = other.network_inputs(other.raw_fields(as_tensors(raw.fields)))
    assert inputs["images"].shape[3] == inputs["frames"].max()


def test_transcripts_cannot_be_balanced(corpus):
    with pytest.raises(UserError, match=r"data\.balanced=true .* not classes"):
        ready(corpus, balanced=True).train_dataloader()


def test_a_recording_that_is_not_a_regular_file_is_not_opened(tmp_path, corpus):
    os.mkfifo(tmp_path / "clips/endless.wav")
    add(corpus, "clips/endless.wav,a")

    ((source, reason),) = findings(ready(corpus))["unreadable"]

    assert source == "manifest.csv row 32"
    assert reason.startswith("not a regular file")


def test_classification_of_transcripts_is_refused(corpus, leyden):
    words = ("data=speech_text", f"data.path={corpus}", "network=quartznet")
    done = leyden("train", *words, "task=classification")

    assert done.code == 2
    assert "task=ctc" in done.err


def test_a_run_learns_and_transcribes_files(corpus, leyden, tmp_path):
    done = leyden(
        "train", "data=speech_text", f"data.path={corpus}", "task=ctc", "network=quartznet",
        "network.channels=32", "network.num_blocks=1", "data.batch_size=4", "name=songs",
        "trainer.max_epochs=30", "data.splitter.val_fraction=0.3", "data.augment_inputs=null",
        "data.spectrogram.mels=24", "trainer.accelerator=cpu", "optimizer.lr=0.01",
    )  # fmt: skip
    assert done.code == 0, done.err

    (run,) = (tmp_path / "runs/songs").iterdir()
    told = leyden("predict", f"run={run}", f"input={tmp_path}/clips", "format=jsonl")

    assert told.code == 0, told.err
    rows = [json.loads(line) for line in told.out.splitlines()]
    measured = json.loads((run / "metrics.json").read_text())
    assert measured["test/cer"] < 0.2
    right = [row["transcript"] == list(WORDS)[int(Path(row["file"]).stem) % 3] for row in rows]
    assert sum(right) > 25
