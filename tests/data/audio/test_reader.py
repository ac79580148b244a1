import io

import numpy as np
import pytest
import soundfile

from leyden.data.audio.files import UNKNOWN_FRAMES
from leyden.data.audio.reader import ClipReader, SpeechReader
from leyden.data.readers import Limits

RATE = 16000

CLIPS, SPEECH = ClipReader(sample_rate=RATE, seconds=0.5), SpeechReader(sample_rate=RATE, hop=160)

READERS = [CLIPS, SPEECH]


def content(seconds=1.0, form="FLAC", *, channels=1, rate=RATE, **options):
    stream = io.BytesIO()
    samples = np.zeros((round(seconds * rate), channels), np.float32)
    samples[::7] = 0.1
    soundfile.write(stream, samples, rate, format=form, **options)
    return stream.getvalue()


def reasons(reader, file, *, seconds):
    return [
        item.reason
        for item in reader.limited(Limits(seconds=seconds)).decode_file("a", file).rejected
    ]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "AIFF", "AU", "MP3"])
def test_sounds_are_decoded_from_memory_as_from_files(reader, form, tmp_path):
    file = content(form=form)
    (tmp_path / "a").write_bytes(file)
    (from_file,) = reader.read([str(tmp_path / "a")])

    inputs = reader.decode_file("a", file)

    np.testing.assert_equal(inputs.fields, from_file.fields)
    assert inputs.names == ["a"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
def test_sounds_beyond_the_limit_are_rejected(reader, form):
    file = content(3.0, form)

    assert not reasons(reader, file, seconds=3.5)
    assert reasons(reader, file, seconds=2)[0].startswith("longer than 2 s")


@pytest.mark.parametrize("reader", READERS)
def test_lengths_that_no_header_states_are_measured_up_to_the_limit(reader, monkeypatch):
    monkeypatch.setattr(soundfile.SoundFile, "frames", property(lambda _: UNKNOWN_FRAMES))
    monkeypatch.setattr("leyden.data.audio.files.BLOCK_SAMPLES", 1000)
    decoded = []
    read = soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile, "read", lambda *a, **k: decoded.append(0) or read(*a, **k)
    )

    assert reasons(reader, content(60.0), seconds=1)[0].startswith("longer than 1 s")
    assert len(decoded) <= 1 + RATE / 1000


@pytest.mark.parametrize("reader", READERS)
def test_many_channels_count_as_length(reader):
    assert not reasons(reader, content(1.0, "WAV", channels=2, rate=48000), seconds=1)
    assert reasons(reader, content(1.0, "WAV", channels=64), seconds=1)


@pytest.mark.parametrize("form", ["CAF", "W64", "VOC", "NIST", "IRCAM", "PVF", "SVX", "MAT5"])
def test_other_formats_are_refused_before_they_are_opened(form, monkeypatch):
    file = content(form=form, subtype="PCM_16")
    monkeypatch.setattr(soundfile, "SoundFile", None)
    tag = b"ID3\4\0\0\0\0\0\5" + bytes(5)

    for each in (file, tag + file, tag + tag + file):
        assert reasons(CLIPS, each, seconds=9) == ["Format not recognised"]


def test_waveforms_survive_as_wav():
    random = np.random.default_rng(0)
    waveforms = [random.integers(-9999, 9999, size, dtype=np.int16) for size in (8000, 7999, 5)]
    values = SPEECH.join(waveforms)

    rows = [SPEECH.encode_row(values, row) for row in range(3)]

    assert SPEECH.decode_rows(rows[1:]).fields["frames"].tolist() == values["frames"].tolist()[1:]
    np.testing.assert_equal(SPEECH.decode_rows(rows).fields, values)
