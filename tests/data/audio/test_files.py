import numpy as np
import pytest
import soundfile

from leyden.data.audio.cleaning import AudioCleaning
from leyden.data.audio.files import SOUND_FILES, read_sound
from leyden.data.audio.folder import AudioFolder
from leyden.data.rows import UnreadableError

RATE = 16000

CONTAINERS = {
    ".aif": {"format": "AIFF"},
    ".oga": {"format": "OGG"},
    ".opus": {"format": "OGG", "subtype": "OPUS"},
}
"""Arguments for suffixes that soundfile does not recognise when writing."""


def read(path, *, seconds=0.5):
    data = AudioFolder(name="sounds", root="missing", sample_rate=RATE, seconds=seconds)
    reader = data.reader()
    return reader.join([reader.decode_sound(path).waveform])["waveforms"][0]


def tone(hertz, *, seconds=0.5, loudness=0.5):
    return loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def error_of(got, expected):
    """Return the largest difference without both ends, where resampling needs samples beyond."""
    return np.abs(got / 2**15 - expected)[200:-200].max()


@pytest.mark.parametrize("suffix", SOUND_FILES.suffixes)
def test_every_format_is_read(tmp_path, sing, suffix):
    clip = read(sing(tmp_path / f"a{suffix}", **CONTAINERS.get(suffix, {})))

    assert (clip.shape, clip.dtype) == ((8000,), np.int16)
    spectrum = np.abs(np.fft.rfft(clip / 2**15))
    assert spectrum.argmax() == 220  # 440 Hz in steps of 2 Hz
    assert clip.max() / 2**15 == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW"])
def test_every_sample_format_is_read(tmp_path, sing, subtype):
    clip = read(sing(tmp_path / "a.wav", subtype=subtype))

    assert error_of(clip, tone(440)) < 0.03


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 44101])
def test_every_rate_is_resampled(tmp_path, sing, rate):
    clip = read(sing(tmp_path / "a.wav", rate=rate))

    assert error_of(clip, tone(440)) < 2e-3


def test_frequencies_above_half_the_new_rate_are_not_aliased(tmp_path, sing):
    clip = read(sing(tmp_path / "a.wav", hertz=12000, rate=44100))

    assert np.abs(clip / 2**15)[200:-200].max() < 5e-3


def test_channels_are_averaged(tmp_path):
    left, right = tone(440), tone(880)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), RATE)

    assert error_of(read(tmp_path / "a.wav"), (left + right) / 2) < 1e-4


def test_long_files_are_cut_to_their_middle_and_short_ones_padded(tmp_path):
    soundfile.write(tmp_path / "ramp.wav", np.arange(1001, dtype=np.int16), RATE)

    cut, padded = (read(tmp_path / "ramp.wav", seconds=n / RATE) for n in (101, 1005))

    assert cut.tolist() == list(range(450, 551))
    assert padded.tolist() == [0, 0, *range(1001), 0, 0]


def test_the_middle_is_the_same_as_that_of_the_whole_file(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    soundfile.write(tmp_path / "a.flac", noise, RATE)

    whole = read_sound(tmp_path / "a.flac", sample_rate=RATE).waveform

    assert np.array_equal(read(tmp_path / "a.flac", seconds=0.5), whole[12000:20000])


def test_a_cut_clip_has_signal_at_both_ends(tmp_path, sing):
    clip = read(sing(tmp_path / "a.wav", hertz=441, rate=44100, seconds=3.0))

    middle = np.sin(2 * np.pi * 441 * (1.25 + np.arange(8000) / RATE)) / 2
    assert np.abs(clip / 2**15 - middle).max() < 0.03


def test_samples_above_full_scale_are_clipped_not_wrapped(tmp_path, sing):
    clip = read(sing(tmp_path / "a.wav", loudness=1.5, subtype="FLOAT"))

    assert (clip.max(), clip.min()) == (32767, -32768)


def test_length_loudness_and_clipping_are_measured(tmp_path, sing):
    soft = read_sound(sing(tmp_path / "a.wav", seconds=2.0), sample_rate=RATE, seconds=0.5)
    loud = read_sound(sing(tmp_path / "b.wav", loudness=2.0), sample_rate=RATE, seconds=0.5)

    assert (soft.seconds, soft.middle, loud.middle) == (2.0, 0.5, None)
    assert soft.peak == pytest.approx(0.5, abs=1e-3)
    assert soft.clipped == 0
    assert loud.clipped == pytest.approx(2 / 3, abs=0.01)  # |sin| > 1/2


@pytest.mark.parametrize("hertz", [20, 440, 3000])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".wav", {"subtype": "PCM_16"}),
        (".wav", {"subtype": "PCM_U8"}),
        (".wav", {"subtype": "FLOAT"}),
        (".mp3", {}),
        (".ogg", {}),
    ],
)
def test_the_peaks_of_a_loud_tone_are_not_clipping(tmp_path, sing, hertz, suffix, options):
    path = sing(tmp_path / f"a{suffix}", hertz=hertz, loudness=0.9999, **options)

    assert read_sound(path, sample_rate=RATE).clipped < AudioCleaning().max_clipped


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("hertz", [50, 440])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_flat_tops_are_clipping_at_every_rate_and_in_one_channel_too(
    tmp_path, hertz, rate, subtype
):
    tone = 1.5 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)
    soundfile.write(tmp_path / "a.wav", tone, rate, subtype=subtype)
    soundfile.write(tmp_path / "b.wav", np.stack([tone, tone / 9], 1), rate, subtype=subtype)

    for name in ("a.wav", "b.wav"):
        assert read_sound(tmp_path / name, sample_rate=RATE).clipped > 0.1


def test_only_the_middle_of_a_cut_file_is_examined(tmp_path):
    clipped, silence = np.ones(RATE), np.zeros(RATE)
    soundfile.write(tmp_path / "a.wav", np.concatenate([clipped, silence, clipped]), RATE)

    sound = read_sound(tmp_path / "a.wav", sample_rate=RATE, seconds=0.5)

    assert (sound.clipped, sound.peak) == (0, 0)


@pytest.mark.parametrize(
    ("left", "right", "rate", "reason"),
    [
        (tone(440), -tone(440), RATE, "its 2 channels cancel each other when they are mixed: its "),
        (tone(440) * 0, tone(440) * 0, RATE, "its peak of 0.00000 is below 0.001"),
        (
            np.concatenate([tone(440), np.zeros(4 * RATE)]),
            np.zeros(4 * RATE + 8000),
            RATE,
            "its middle 0.5 s has a peak of 0.00000, below 0.001; see data.seconds",
        ),
    ],
)
def test_the_reason_of_a_silent_waveform_is_reported(tmp_path, left, right, rate, reason):
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), rate)

    sound = read_sound(tmp_path / "a.wav", sample_rate=RATE, seconds=0.5)

    step, told = AudioCleaning().fault(sound)
    assert step == "silent"
    assert told.startswith(reason)


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


@pytest.mark.parametrize(
    ("suffix", "share", "reason"),
    [
        (".wav", 0, "empty file"),
        (".wav", 0.5, "cut short"),
        (".flac", 0.5, "."),
        (".ogg", 0.2, "malformed"),
        (".ogg", 0.7, "cut short"),
        (".ogg", 0.95, "cut short"),
        (".wav", 0.001, "."),
    ],
)
def test_truncated_files_are_unreadable(tmp_path, sing, suffix, share, reason):
    path = cut(sing(tmp_path / f"a{suffix}", seconds=10.0), share)

    with pytest.raises(UnreadableError, match=reason):
        read_sound(path, sample_rate=RATE)


def test_files_that_hold_no_sound_are_unreadable(tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "none.wav", np.empty(0), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), RATE, subtype="FLOAT")

    for name, reason in {
        "text.wav": "Format not recognised",
        "none.wav": "holds no samples",
        "nan.wav": "not finite numbers",
        "gone.wav": "no such file",
    }.items():
        with pytest.raises(UnreadableError, match=reason):
            read_sound(tmp_path / name, sample_rate=RATE)


def test_a_wav_written_into_a_pipe_is_read_whole(tmp_path, sing):
    path = sing(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)

    assert error_of(read(path), tone(440)) < 1e-4


@pytest.mark.parametrize("rate", [1, 100, 2_000_000, 2**31 - 1])
def test_impossible_sample_rates_are_unreadable(tmp_path, sing, rate):
    path = sing(tmp_path / "a.wav")
    header = bytearray(path.read_bytes())
    header[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(header)

    with pytest.raises(UnreadableError, match=f"its rate of {rate} Hz is too far from"):
        read(path)


def announce(path, frames):
    """Set the length in the header of a FLAC file; 0 means unknown."""
    content = bytearray(path.read_bytes())
    content[21] = (content[21] & 0xF0) | (frames >> 32)
    content[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)
    return path


def test_a_flac_of_unknown_length_is_read(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, (20 * RATE, 2))
    for name in ("known", "unknown"):
        soundfile.write(tmp_path / f"{name}.flac", noise, RATE)
    announce(tmp_path / "unknown.flac", 0)

    for seconds in (None, 0.5):
        known, unknown = (
            read_sound(tmp_path / f"{name}.flac", sample_rate=RATE, seconds=seconds)
            for name in ("known", "unknown")
        )
        assert unknown.seconds == 20
        assert np.array_equal(unknown.waveform, known.waveform)


def test_no_memory_is_allocated_for_samples_that_only_the_header_announces(tmp_path, sing):
    path = announce(sing(tmp_path / "a.flac"), 2**36 - 1)

    with pytest.raises(UnreadableError, match="cut short: 68719476735 samples announced, 8000 "):
        read_sound(path, sample_rate=RATE)
    with pytest.raises(UnreadableError, match=r"\w"):
        read(path)


def test_an_mp3_of_variable_bit_rate_and_estimated_length_is_read(tmp_path):
    tones = [tone(hertz, seconds=3) for hertz in (300, 600, 900)]
    silence_and_tones = np.concatenate([np.zeros(6 * RATE), *tones])
    path = tmp_path / "a.mp3"
    soundfile.write(path, silence_and_tones, RATE, bitrate_mode="VARIABLE")
    content = path.read_bytes()
    path.write_bytes(content[content.index(content[:2], 2) :])  # without the frame that holds it

    whole = read_sound(path, sample_rate=RATE)
    middle = read_sound(path, sample_rate=RATE, seconds=2.0)

    assert whole.seconds == pytest.approx(15, abs=0.2)
    spectrum = np.abs(np.fft.rfft(middle.waveform / 2**15))
    assert spectrum.argmax() / 2 == pytest.approx(300, abs=1)


@pytest.mark.parametrize("tag", [b"", b"ID3\x04\0\0\0\0\x02\0" + bytes(256)])
def test_an_mp3_shorter_than_its_header_says_is_unreadable(tmp_path, sing, tag):
    path = sing(tmp_path / "a.mp3", seconds=10.0)
    path.write_bytes(tag + path.read_bytes())

    assert read_sound(path, sample_rate=RATE).seconds == 10
    with pytest.raises(UnreadableError, match="cut short"):
        read_sound(cut(path, 0.5), sample_rate=RATE)


def test_decoding_stops_after_max_seconds(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 60 * RATE), RATE)

    known = read_sound(path, sample_rate=RATE, max_seconds=1.0)
    unknown = read_sound(announce(path, 0), sample_rate=RATE, max_seconds=1.0)

    assert len(known.waveform) == len(unknown.waveform) == RATE + 1
    assert known.seconds == 60
    assert 1 < unknown.seconds < 60


@pytest.mark.parametrize(
    "error", [MemoryError(), OverflowError("too large"), ValueError("array is too big"), KeyError()]
)
def test_whatever_a_decoder_raises_makes_the_file_unreadable(tmp_path, sing, monkeypatch, error):
    def fail(*_, **__):
        raise error

    path = sing(tmp_path / "a.wav")
    monkeypatch.setattr(soundfile.SoundFile, "read", fail)

    with pytest.raises(UnreadableError, match=r"\w"):
        read(path)
